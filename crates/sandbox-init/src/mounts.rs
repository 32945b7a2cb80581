//! Makes folders read-only, and puts folders and files in the place of others, for this process and everything it
//! starts, where the host allows it.
//!
//! A private mount namespace. In order:
//! 1. A mount namespace of our own; without root only inside a user namespace of our own, in which the
//!    user and group keep their numbers.
//! 2. Every mount in it is made private *before* the first is added, or it would appear on the host.
//! 3. Each folder to be protected: mounted over itself with all below it, then made read-only, recursively.
//! 4. Each folder or file that has another place: mounted there. Later than the others, which it may hide.
//! 5. The working folder is entered once more, by its path: what was entered before lies beneath the mounts,
//!    and is writable.
//!
//! A mount that fails is told of and left out; the others are made.
//!
//! The kernel removes the mounts with the last process of the sandbox; nothing can be left behind.
//!
//! It guards against accidents. What runs as root in the sandbox could undo it.

use crate::protocol::{Mounted, Mounts};

#[cfg(target_os = "linux")]
pub(crate) use imp::{add_attributes, unshare};

/// Does what can be done, and says what cannot.
pub(crate) fn make(mounts: &Mounts) -> Mounted {
    if mounts.tree.is_some() {
        return Mounted::Not { reason: "the root is this machine's, and no other can be had".to_owned() };
    }
    if mounts.read_only.is_empty() && mounts.binds.is_empty() {
        return Mounted::AsAsked;
    }
    match imp::make(mounts) {
        Ok(()) => Mounted::AsAsked,
        Err(reason) => Mounted::Not { reason },
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::{CStr, CString};
    use std::fs;
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use rustix::mount::MountPropagationFlags;
    use rustix::thread::UnshareFlags;

    use crate::protocol::{Bind, Mounts};

    pub(super) fn make(mounts: &Mounts) -> Result<(), String> {
        enter_namespace()?;
        let protected = mounts.read_only.iter().map(|folder| protect(folder));
        let bound = mounts.binds.iter().map(bind);
        let entered_again = std::iter::once_with(|| {
            std::env::current_dir()
                .and_then(std::env::set_current_dir)
                .map_err(|error| format!("the working folder cannot be entered again: {error}"))
        });
        let refused: Vec<String> =
            protected.chain(bound).chain(entered_again).filter_map(Result::err).collect();
        if refused.is_empty() { Ok(()) } else { Err(refused.join("; ")) }
    }

    fn enter_namespace() -> Result<(), String> {
        if rustix::process::geteuid().is_root() {
            unshare(UnshareFlags::NEWNS).map_err(|error| format!("no mount namespace: {error}"))?;
        } else {
            // Tried out first: a user namespace half made cannot be left again, and would show every file
            // as somebody else's.
            in_a_fork(enter_user_namespace).map_err(|error| format!("no user namespace: {error}"))?;
            enter_user_namespace().map_err(|error| format!("no user namespace: {error}"))?;
        }
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .map_err(|error| format!("mounts cannot be made private: {error}"))
    }

    fn protect(folder: &Path) -> Result<(), String> {
        rustix::mount::mount_bind_recursive(folder, folder)
            .map_err(|error| format!("{} cannot be mounted over itself: {error}", folder.display()))?;
        set_read_only(folder)
            .map_err(|error| format!("{} cannot be made read-only: {error}", folder.display()))
    }

    fn bind(Bind { from, at, read_only }: &Bind) -> Result<(), String> {
        rustix::mount::mount_bind_recursive(from, at).map_err(|error| {
            format!("{} cannot be mounted over {}: {error}", from.display(), at.display())
        })?;
        if *read_only {
            set_read_only(at)
                .map_err(|error| format!("{} cannot be made read-only: {error}", at.display()))?;
        }
        Ok(())
    }

    pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
        // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for);
        // and there is one thread.
        Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
    }

    /// With the user's and the group's own numbers, and no others: files of other users are shown as
    /// nobody's, rights are as before.
    fn enter_user_namespace() -> io::Result<()> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
        // Without it the kernel refuses a map of groups written without privilege.
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
        // Some hosts let a user namespace be made and then grant nothing in it.
        Ok(rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
    }

    fn in_a_fork(attempt: fn() -> io::Result<()>) -> io::Result<()> {
        // SAFETY: there is one thread, so the child may run any code; it ends without returning.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let errno = attempt().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
                // SAFETY: ends the process at once, running nothing of the parent's.
                unsafe { libc::_exit(errno) }
            }
            child => {
                let mut status = 0;
                // SAFETY: the pointer is to a live integer. No other child exists yet. SIGCHLD's handler
                // restarts the call.
                unsafe { libc::waitpid(child, &raw mut status, 0) };
                match libc::WEXITSTATUS(status) {
                    0 if libc::WIFEXITED(status) => Ok(()),
                    errno => Err(io::Error::from_raw_os_error(errno)),
                }
            }
        }
    }

    fn set_read_only(place: &Path) -> io::Result<()> {
        let path = CString::new(place.as_os_str().as_bytes())?;
        add_attributes(rustix::fs::CWD, &path, libc::MOUNT_ATTR_RDONLY, None)
    }

    /// `mount_setattr` adds attributes (`MOUNT_ATTR_*`) and keeps the others, on mounts below too; remounting by
    /// `mount` would do neither. `mapping`: a user namespace that says whose files appear as whose. Linux 5.12.
    pub(crate) fn add_attributes(
        folder: BorrowedFd<'_>,
        path: &CStr,
        attributes: u64,
        mapping: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        // SAFETY: an all-zero `mount_attr` is valid: it is all integers.
        let mut wanted: libc::mount_attr = unsafe { std::mem::zeroed() };
        wanted.attr_set = attributes;
        if let Some(mapping) = mapping {
            wanted.attr_set |= libc::MOUNT_ATTR_IDMAP;
            wanted.userns_fd = u64::try_from(mapping.as_raw_fd()).map_err(io::Error::other)?;
        }
        // SAFETY: the path is terminated, the structure is live, and its true size is given.
        let done = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                folder.as_raw_fd(),
                path.as_ptr(),
                libc::AT_RECURSIVE | libc::AT_EMPTY_PATH,
                &raw const wanted,
                size_of::<libc::mount_attr>(),
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use crate::protocol::Mounts;

    pub(super) fn make(_: &Mounts) -> Result<(), String> {
        Err("this system has no private mount namespaces".to_owned())
    }
}
