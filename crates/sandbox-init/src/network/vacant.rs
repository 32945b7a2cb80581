//! A network namespace that nobody is in yet, for a sandbox that somebody else makes around it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::link;
use super::router::Router;
use crate::mounts;

/// Makes one, with its loopback up and its way to the router, and lets it be entered by what is returned. It ends with that, or
/// with the last process in it.
///
/// This process, which is the router's, is in it for a moment: it may have one thread only.
///
/// # Errors
/// As [`Router::connect`] and [`configure`](super::configure); and without the right to make one.
///
/// # Panics
/// When this process cannot go back. The router would be lost to it.
pub fn vacant(router: &mut Router) -> io::Result<OwnedFd> {
    let routers_own = current()?;
    mounts::unshare(UnshareFlags::NEWNET)?;
    let made = furnish(router);
    rustix::thread::move_into_link_name_space(routers_own.as_fd(), Some(LinkNameSpaceType::Network))
        .expect("a process with the right to leave a network namespace may go back");
    made
}

/// In the new one.
fn furnish(router: &mut Router) -> io::Result<OwnedFd> {
    let made = current()?;
    link::loopback_up()?;
    // By its own number the router finds where this process is now.
    let link = router.connect(rustix::process::getpid().as_raw_pid().unsigned_abs())?;
    link::configure(&link)?;
    Ok(made)
}

fn current() -> io::Result<OwnedFd> {
    File::open("/proc/self/ns/net").map(OwnedFd::from)
}
