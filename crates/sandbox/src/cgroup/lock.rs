//! Who holds a server's group: the process that has locked its folder.
//!
//! The lock is the kernel's (`flock`), so it ends with the process however that ends, and no number of a process has
//! to be believed. It works across containers: theirs are folders of the same file system.
//!
//! Between making a folder and locking it, another server that is starting may take it for abandoned. Both
//! therefore do the same: lock, then look whether the folder of that name is still the one that was locked. Whoever
//! finds it so owns it. A maker that lost makes it again; see [`Held::make`].
//!
//! The descriptor is closed on exec. A child that was forked and never executes anything holds the lock along with the server.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags};

use super::error::GroupError;
use super::folder::{self, Folder};

/// The lock of a folder.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: File,
}

impl Lock {
    /// `None` when another has it, or there is no such folder any more.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let flags = i32::try_from(flags.bits()).expect("flags for opening fit where the kernel takes them");
        let folder = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        Self::of(folder, path)
    }

    /// `folder` is what was at `path` a moment ago.
    fn of(folder: File, path: &Path) -> io::Result<Option<Self>> {
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        let locked = folder.metadata()?;
        Ok(match fs::symlink_metadata(path) {
            Ok(named) if (named.dev(), named.ino()) == (locked.dev(), locked.ino()) => {
                Some(Self { _folder: folder })
            }
            _ => None,
        })
    }
}

/// A group that lasts as long as this server.
#[derive(Debug)]
pub(super) struct Held {
    // Removed before it is unlocked.
    pub(super) folder: Folder,
    _lock: Lock,
}

impl Held {
    /// Makes it. What a killed server left under the same name is removed first; if another is about to, that is waited for
    /// until `end`.
    pub(super) fn make(path: PathBuf, end: Instant) -> Result<Self, GroupError> {
        loop {
            let made = folder::make(&path);
            let lock = match Lock::take(&path) {
                Ok(lock) => lock,
                Err(source) => return Err(GroupError::Make { path, source }),
            };
            match (made, lock) {
                (Ok(()), Some(lock)) => return Ok(Self { folder: Folder::own(path), _lock: lock }),
                // Another was faster, takes it for abandoned and removes it.
                (Ok(()), None) => {}
                (Err(source), lock) if source.kind() == io::ErrorKind::AlreadyExists => match lock {
                    Some(_abandoned) => {
                        if let Err(source) = folder::remove(&path) {
                            return Err(GroupError::Remove { path, source });
                        }
                    }
                    None if Instant::now() < end => folder::wait(Duration::from_millis(1)),
                    None => return Err(GroupError::Make { path, source }),
                },
                (Err(source), _) => return Err(GroupError::Make { path, source }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_lock_until_it_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert!(lock.is_some() && Lock::take(folder.path()).unwrap().is_none());
        drop(lock);
        assert!(Lock::take(folder.path()).unwrap().is_some());
    }

    #[test]
    fn a_folder_that_was_removed_meanwhile_cannot_be_locked() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("group");
        fs::create_dir(&path).unwrap();
        let before = File::open(&path).unwrap();
        fs::remove_dir(&path).unwrap();
        assert!(Lock::of(before.try_clone().unwrap(), &path).unwrap().is_none());
        // Another of the same name is another's.
        fs::create_dir(&path).unwrap();
        assert!(Lock::of(before, &path).unwrap().is_none());
        assert!(Lock::take(&path).unwrap().is_some());
    }
}
