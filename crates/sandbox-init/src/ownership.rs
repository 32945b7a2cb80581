//! Shows what only its owner may read as if the guest owned it.
//!
//! A folder that somebody works in may be closed to all others (a umask of 077, a temporary folder), while a guest is
//! another user than the one who started the server. Its mount is mapped then: the owner's files appear as the guest's, to
//! this mount and nobody else, and nothing is changed on the disk.
//!
//! ```text
//!   on the disk: owner ──(user namespace: owner = guest)──► in the sandbox: guest
//! ```
//!
//! Used by `root`, as root: without root the guest *is* the owner. Linux 5.12, and a file system that can; where
//! it cannot be had the files are as they are.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use rustix::process::{DumpableBehavior, Gid, Uid};
use rustix::thread::UnshareFlags;

use crate::clone3::{Clone, Forked};
use crate::furnishing::Confinement;
use crate::wire::{self, Frames};

/// Whether others than the owner cannot use it: enter and list a folder, read a file.
#[must_use]
pub fn is_private(found: &Metadata) -> bool {
    let needed = if found.is_dir() { 0o005 } else { 0o004 };
    found.mode() & needed != needed
}

/// A user namespace in which the owner of what was found is the guest. Takes some hundred microseconds.
pub(crate) fn mapping(found: &Metadata, guest: &Confinement) -> io::Result<OwnedFd> {
    let (ours, theirs) = UnixStream::pair()?;
    match Clone::default().fork()? {
        Forked::Child => {
            let made = enter_namespace((found.uid(), found.gid()), guest)
                .and_then(|()| fs::File::open("/proc/self/ns/user"))
                .and_then(|namespace| wire::send_whole(&theirs, &(), &[namespace.as_fd()]));
            // SAFETY: ends the process at once, running nothing of the parent's.
            unsafe { libc::_exit(i32::from(made.is_err())) }
        }
        Forked::Parent(child) => {
            drop(theirs);
            let mut frames = Frames::default();
            let received = frames.receive(&ours);
            // SAFETY: the pointer may be null; the child has ended or is about to.
            unsafe { libc::waitpid(child.as_raw_pid(), std::ptr::null_mut(), 0) };
            received?;
            frames.take_descriptor().ok_or_else(|| io::ErrorKind::PermissionDenied.into())
        }
    }
}

/// As the guest: a process may map its own user to any, without privilege.
fn enter_namespace((owner, group): (u32, u32), guest: &Confinement) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(guest.uid), Gid::from_raw(guest.gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // Its own files below `/proc` would be root's else.
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for);
    // and there is one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER) }?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{owner} {} 1", guest.uid))?;
    fs::write("/proc/self/gid_map", format!("{group} {} 1", guest.gid))?;
    Ok(())
}
