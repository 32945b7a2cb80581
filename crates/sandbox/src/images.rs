//! The empty file systems that sandboxes' `/tmp` are copies of.
//!
//! One image for each size, made when it is first asked for. Where images cannot be mounted (without root, loop devices or
//! `mke2fs`), `/tmp` is in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use firesteel_sandbox_init::furnishing::Scratch;

/// Where Debian and others keep what only root has a use for.
const PROGRAMS: [&str; 3] = ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs"];

const MIB: u64 = 1024 * 1024;

/// Bytes of disk for each file that there can be: as many files as a disk of that size usually has.
const BYTES_PER_INODE: &str = "16384";

/// Images by their sizes, or why there are none.
#[derive(Debug)]
pub(crate) struct Images {
    folder: PathBuf,
    /// What makes them; else why `/tmp` is in memory, for people.
    program: Result<PathBuf, String>,
    made: Mutex<BTreeMap<u32, PathBuf>>,
}

impl Images {
    /// Keeps images in `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Images { folder, program: program(), made: Mutex::default() }
    }

    /// Why `/tmp` is in memory, if it is.
    pub(crate) fn unavailable(&self) -> Option<&str> {
        self.program.as_ref().err().map(String::as_str)
    }

    /// A `/tmp` of that size. Blocks for some milliseconds when it is the first.
    pub(crate) fn scratch(&self, mib: u32) -> io::Result<Scratch> {
        let Ok(program) = &self.program else {
            return Ok(Scratch::Memory { bytes: u64::from(mib.max(1)) * MIB });
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = made.get(&mib) {
            return Ok(Scratch::Image(path.clone()));
        }
        let path = self.folder.join(format!("tmp-{mib}.ext4"));
        make(program, &path, mib)?;
        made.insert(mib, path.clone());
        Ok(Scratch::Image(path))
    }
}

fn program() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can mount images of file systems".to_owned());
    }
    if !Path::new("/dev/loop-control").exists() {
        return Err("this machine has no loop devices: try `modprobe loop`".to_owned());
    }
    PROGRAMS
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .ok_or_else(|| "mke2fs is not installed: try `apt install e2fsprogs`".to_owned())
}

/// Without a journal, which would only be written to be thrown away with the rest, and all of it for the function: for
/// everybody to write to, empty, and larger by what the file system takes for itself.
fn make(program: &Path, path: &Path, mib: u32) -> io::Result<()> {
    let mib = u64::from(mib.max(1));
    File::create(path)?.set_len((mib + mib / 26 + 1) * MIB)?;
    run(Command::new(program)
        .args(["-q", "-F", "-t", "ext4", "-m", "0", "-i", BYTES_PER_INODE])
        .args(["-O", "^has_journal,^resize_inode,^metadata_csum", "-E", "lazy_itable_init=1,discard"])
        .arg(path))?;
    // It comes with the other. Each command on its own: what follows one that fails would not be done.
    for command in ["rmdir lost+found", "set_inode_field / mode 041777"] {
        run(Command::new(program.with_file_name("debugfs")).args(["-w", "-R", command]).arg(path))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.env_clear().stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().display();
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} ended with {}: {}", output.status, said.trim())))
}
