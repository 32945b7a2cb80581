//! A sandbox with namespaces of its own, while it is made: from bare to furnished to ready.
//!
//! ```text
//!   clone3 ─► bare ──Furnish──► furnished (a blank: good for any function) ──Prepare──► entered ─► Launcher
//! ```
//!
//! Used by [`crate::serve`] in first processes that are copies of the [spawner](crate::spawner). It holds what lies
//! between the two requests.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::thread::UnshareFlags;

use crate::furnishing::Furnishing;
use crate::launch::Launcher;
use crate::network;
use crate::protocol::Mounts;
use crate::root::Furnished;

/// A furnished sandbox that nothing has run in.
#[derive(Debug)]
pub(crate) struct Room {
    root: Furnished,
    launcher: Launcher,
    own_network: bool,
}

impl Room {
    pub(crate) fn furnish(furnishing: Furnishing, cgroup: Option<OwnedFd>) -> io::Result<Self> {
        let Furnishing { groups, root, confinement, hostname, own_network, link } = furnishing;
        for group in groups {
            fs::write(&group, "0").map_err(|error| {
                io::Error::new(error.kind(), format!("entering the group {}: {error}", group.display()))
            })?;
        }
        // Where it is now is all that is to be seen of them.
        enter_cgroup_namespace()?;
        rustix::system::sethostname(hostname.as_bytes())?;
        if own_network {
            network::loopback_up()?;
            link.map_or(Ok(()), |link| network::configure(&link))?;
        }
        let root = Furnished::build(&root)?;
        let launcher = Launcher::new(confinement, cgroup, root.null()?)?;
        Ok(Room { root, launcher, own_network })
    }

    pub(crate) fn own_network(&self) -> bool {
        self.own_network
    }

    /// Gives the function its places, and leaves the host's file system for good.
    pub(crate) fn enter(self, mounts: &Mounts) -> io::Result<Launcher> {
        self.root.enter(&mounts.binds, mounts.tmp.as_ref())?;
        Ok(self.launcher)
    }
}

#[expect(unsafe_code, reason = "unshare has no safe wrapper")]
fn enter_cgroup_namespace() -> io::Result<()> {
    // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for);
    // and there is one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }?)
}
