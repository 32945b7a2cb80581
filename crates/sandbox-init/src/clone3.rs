//! `clone3`, as a fork: a copy of this process, in namespaces and a control group of its own from its first instruction on.
//!
//! Used by the [spawner](crate::spawner) for first processes, and by them for what they start. Both have one thread, which
//! is what makes a fork safe.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::process::Pid;

/// Which side of the fork this is.
#[derive(Debug)]
pub(crate) enum Forked {
    Child,
    Parent(Pid),
}

/// What the new process does not share with its maker.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clone<'a> {
    /// `CLONE_NEW*`.
    pub(crate) namespaces: libc::c_int,
    /// A child of this process's parent, and no child of ours.
    pub(crate) sibling: bool,
    /// A directory of cgroup2, to begin in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

impl Clone<'_> {
    /// Linux 5.7.
    pub(crate) fn fork(self) -> io::Result<Forked> {
        let bits = |flags: libc::c_int| u64::from(flags.cast_unsigned());
        // SAFETY: an all-zero `clone_args` is valid: it is all integers, of which zero means "not wanted".
        let mut wanted: libc::clone_args = unsafe { std::mem::zeroed() };
        wanted.flags = bits(self.namespaces);
        if self.sibling {
            // The kernel takes the signal of the end from this process, then, and none is to be given.
            wanted.flags |= bits(libc::CLONE_PARENT);
        } else {
            wanted.exit_signal = bits(libc::SIGCHLD);
        }
        if let Some(cgroup) = self.cgroup {
            wanted.flags |= INTO_CGROUP;
            wanted.cgroup = bits(cgroup.as_raw_fd());
        }
        // SAFETY: the structure is live and its true size is given. Memory is not shared and no stack is given, so this
        // is a fork. There is one thread: nothing that the copy has was in the middle of being changed.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw const wanted, size_of::<libc::clone_args>()) };
        match i32::try_from(pid).ok().map(|pid| (pid, Pid::from_raw(pid))) {
            Some((0, _)) => Ok(Forked::Child),
            Some((1.., Some(pid))) => Ok(Forked::Parent(pid)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Beyond what fits into the C library's type of flags.
const INTO_CGROUP: u64 = 0x2_0000_0000;
