//! A sandbox with namespaces of its own, while it is made: from bare to furnished to ready.
//!
//! ```text
//!   clone3 ─► bare ──Furnish──► furnished (a blank: good for any function) ──Prepare──► entered ─► Launcher
//! ```
//!
//! Used by [`crate::serve`] in first processes that are copies of the [spawner](crate::spawner), and in those of
//! containers, whose maker has made the root. It holds what lies between the two requests.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::thread::UnshareFlags;

use crate::furnishing::Furnishing;
use crate::launch::Launcher;
use crate::mounts::unshare;
use crate::network;
use crate::protocol::Mounts;
use crate::root::Furnished;
use crate::scratch;

/// A furnished sandbox that nothing has run in.
#[derive(Debug)]
pub(crate) struct Room {
    /// `None` where it was entered already.
    root: Option<Furnished>,
    launcher: Launcher,
    own_network: bool,
}

impl Room {
    pub(crate) fn furnish(furnishing: Furnishing, cgroup: Option<OwnedFd>) -> io::Result<Self> {
        let Furnishing { root, confinement, hostname, own_network } = furnishing;
        // The server has moved this process to where its control groups are to be seen from.
        unshare(UnshareFlags::NEWCGROUP)?;
        let root = if let Some(root) = root {
            rustix::system::sethostname(hostname.as_bytes())?;
            if own_network {
                network::loopback_up()?;
            }
            Some(Furnished::build(&root)?)
        } else {
            scratch::make_everybodys(Path::new("/tmp"))?;
            None
        };
        Ok(Room { root, launcher: Launcher::new(confinement, cgroup)?, own_network })
    }

    pub(crate) fn own_network(&self) -> bool {
        self.own_network
    }

    /// Gives the function its places, and leaves the host's file system for good.
    pub(crate) fn enter(self, mounts: &Mounts) -> io::Result<Launcher> {
        if let Some(root) = self.root {
            root.enter(&mounts.binds, mounts.tmp.as_ref())?;
        }
        Ok(self.launcher)
    }
}
