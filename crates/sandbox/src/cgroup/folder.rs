//! One control group as a folder of the kernel's file system: its files, who is in it, how it ends.
//!
//! Used for the groups of a server and for those of its sandboxes alike. Each file is one value or a few lines, and
//! each write is one request to the kernel, taken or refused as a whole.
//!
//! Ending refuses to wait for ever: what cannot be killed within [`PATIENCE`] (a process that is stuck in the kernel)
//! is warned of, and left to [`Groups::remove_abandoned`](super::Groups::remove_abandoned) of a later start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::error::GroupError;

/// How long a group may take to become empty once everything in it was killed. The usual is a millisecond.
const PATIENCE: Duration = Duration::from_secs(1);

/// A group that is ours. Drop kills what is in it and removes it, and all below it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new one.
    pub(super) fn make(path: PathBuf) -> Result<Self, GroupError> {
        match make(&path) {
            Ok(()) => Ok(Self { path }),
            Err(source) => Err(GroupError::Make { path, source }),
        }
    }

    /// One that was made already.
    pub(super) fn own(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    pub(super) fn write(&self, file: &str, value: &str) -> Result<(), GroupError> {
        write(&self.path.join(file), value)
    }

    /// Kills all that is in it and below. They may not have ended yet when this returns.
    pub(super) fn kill(&self) -> Result<(), GroupError> {
        kill(&self.path)
    }
}

/// A file of a group that is held open, as opening it costs several times what reading and writing does.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    file: File,
}

impl OpenFile {
    pub(super) fn to_read(folder: &Folder, name: &str) -> Result<Self, GroupError> {
        Self::open(folder, name, OpenOptions::new().read(true))
    }

    pub(super) fn to_write(folder: &Folder, name: &str) -> Result<Self, GroupError> {
        Self::open(folder, name, OpenOptions::new().write(true))
    }

    fn open(folder: &Folder, name: &str, options: &OpenOptions) -> Result<Self, GroupError> {
        let path = folder.path().join(name);
        match options.open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(GroupError::Read { path, source }),
        }
    }

    pub(super) fn write(&self, value: &str) -> Result<(), GroupError> {
        let written = self.file.write_all_at(value.as_bytes(), 0);
        written.map_err(|source| GroupError::write(&self.path, value, source))
    }

    /// The number that is all of the file.
    pub(super) fn number(&self) -> Result<u64, GroupError> {
        self.find("", |text| text.trim_end().parse().ok())
    }

    /// The number behind a word, in a file of lines of both.
    pub(super) fn value(&self, key: &'static str) -> Result<u64, GroupError> {
        let behind = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok();
        self.find(key, |text| text.lines().find_map(behind))
    }

    fn find(&self, key: &'static str, find: impl FnOnce(&str) -> Option<u64>) -> Result<u64, GroupError> {
        // Far longer than any of the files read here.
        let mut text = [0; 1024];
        let n = self.file.read_at(&mut text, 0).map_err(|source| GroupError::read(&self.path, source))?;
        let text = String::from_utf8_lossy(&text[..n]);
        let unexpected = || GroupError::Text { path: self.path.clone(), key, text: text.to_string() };
        find(&text).ok_or_else(unexpected)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a control group stays; a later start removes it");
        }
    }
}

pub(super) fn make(path: &Path) -> io::Result<()> {
    // Whoever may open it may hold its lock, see `lock`.
    DirBuilder::new().mode(0o700).create(path)
}

pub(super) fn write(path: &Path, value: &str) -> Result<(), GroupError> {
    // Not `fs::write`, which would create the file: the kernel answers that with a refusal that misleads.
    let written =
        OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|source| GroupError::write(path, value, source))
}

pub(super) fn read(path: &Path) -> Result<String, GroupError> {
    fs::read_to_string(path).map_err(|source| GroupError::read(path, source))
}

/// Removes a group and all below it, and kills what is in there. What is gone already is fine. Waits for at most
/// [`PATIENCE`], and only if something is in there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(50);
    loop {
        let refused = match remove_tree(path) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => error,
            done => return done,
        };
        if Instant::now() >= end {
            return Err(refused);
        }
        stop_forks(path);
        if let Err(error) = kill(path) {
            tracing::debug!(path = %path.display(), error = error.chain(), "cannot kill all in a control group");
        }
        wait(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Deepest first, as the kernel wants it.
fn remove_tree(path: &Path) -> io::Result<()> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match gone(fs::remove_dir(path)) {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
        done => return done,
    }
    for child in children(path) {
        remove_tree(&child)?;
    }
    gone(fs::remove_dir(path))
}

/// So that nothing is started behind the back of who kills one by one. Where the processes are not
/// counted, those are faster that kill again and again.
fn stop_forks(path: &Path) {
    let limit = path.join("pids.max");
    if limit.exists() && !path.join("cgroup.kill").exists() {
        let _ = write(&limit, "0");
    }
}

fn kill(path: &Path) -> Result<(), GroupError> {
    let at_once = path.join("cgroup.kill");
    if at_once.exists() {
        return write(&at_once, "1");
    }
    #[cfg(target_os = "linux")]
    kill_members(path)?;
    children(path).iter().try_for_each(|child| kill(child))
}

#[cfg(target_os = "linux")]
fn kill_members(path: &Path) -> Result<(), GroupError> {
    for pid in members(path)? {
        // The number may mean another by now, which is not in the group then.
        let Ok(pinned) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else {
            continue;
        };
        if members(path)?.contains(&pid) {
            // Fails when it has just ended.
            let _ = rustix::process::pidfd_send_signal(&pinned, rustix::process::Signal::KILL);
        }
    }
    Ok(())
}

/// Processes of other process namespaces than ours and those below it have no number here, and are left out.
fn members(path: &Path) -> Result<Vec<Pid>, GroupError> {
    let text = read(&path.join("cgroup.procs"))?;
    Ok(text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect())
}

/// The groups right below.
pub(super) fn children(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir())).map(|entry| entry.path()).collect()
}

/// For what the kernel tells nobody of: that a v1 group is empty, that a lock is free.
#[expect(clippy::disallowed_methods, reason = "polls a state that cannot be waited for, in synchronous code")]
pub(super) fn wait(pause: Duration) {
    std::thread::sleep(pause);
}
