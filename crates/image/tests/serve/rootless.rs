//! Who is not root: served by FUSE, with the help of `fusermount3`.
//!
//! The process that is not root is this program, started once more in a mount namespace of its own, in which everybody may
//! use `/dev/fuse`, as on most hosts.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use firesteel_image::serve::{Mounts, ServingPath};
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use crate::corpus::{assert_same, describe, plain};
use crate::image::Image;
use crate::{DEADLINE, mounts_below, runtime};

pub(crate) const TITLE: &str = "rootless: an image is served by fuse to who is not root";

/// First argument of the process that is not root; then its folder.
pub(crate) const USER: &str = "user";

/// The error is what is missing.
pub(crate) fn can() -> Result<(), String> {
    for program in ["fusermount3", "unshare", "setpriv"] {
        let started =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        started.map_err(|error| format!("{program}: {error}"))?;
    }
    Ok(())
}

pub(crate) fn served() {
    let folder = TempDir::new().unwrap();
    let device = folder.path().join("fuse");
    let everybody = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(CWD, &device, FileType::CharacterDevice, everybody, rustix::fs::makedev(10, 229))
        .unwrap();
    rustix::fs::chmod(&device, everybody).unwrap();
    let own = folder.path().join("own");
    std::fs::create_dir(&own).unwrap();
    for path in [folder.path(), &own] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // The executable may be where nobody else may look.
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let script = "mount --bind \"$1/fuse\" /dev/fuse &&
        exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$1/program\" user \"$1/own\" -";
    let done = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "served\n");
}

const NOBODY: u32 = 65534;

/// What who is not root does.
pub(crate) fn use_as_user(folder: &Path) {
    let runtime = runtime();
    let found = ServingPath::detect(&folder.join("trial"), runtime.handle());
    assert_eq!(found.path, Some(ServingPath::Fuse), "{found:?}");
    assert!(found.why_not_erofs.as_ref().unwrap().contains("only root"), "{found:?}");
    let original = folder.join("original");
    std::fs::create_dir(&original).unwrap();
    plain(&original);
    let source = Image::of_in(folder, &original, &["--preserve-mtime"]);
    let mounts = Mounts::open(&folder.join("images"), ServingPath::Fuse, runtime.handle().clone()).unwrap();
    let mounting = mounts.mount("image", || source.file(DEADLINE, Arc::new(|_| {})));
    let image = runtime.block_on(mounting).unwrap();
    assert_same(&describe(image.root(), true), &describe(&original, true));
    assert_eq!(mounts_below(folder).len(), 1);
    drop(image);
    mounts.wait_for_unmounts();
    assert_eq!(mounts_below(folder), Vec::<String>::new());
    drop(mounts);
    assert!(!folder.join("images").exists());
    let mut stdout = std::io::stdout();
    stdout.write_all(b"served\n").unwrap();
}
