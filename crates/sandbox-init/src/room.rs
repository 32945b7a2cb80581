//! A sandbox with namespaces of its own, while it is made: from bare to furnished to ready.
//!
//! ```text
//!   clone3 ─► bare ──Furnish──► furnished (a blank: good for any function) ──Prepare──► entered ─► Launcher
//! ```
//!
//! Used by [`crate::serve`] in first processes that are copies of the [spawner](crate::spawner), and in those of containers,
//! where the container's maker has made the root. It holds what lies
//! between the two requests.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::thread::UnshareFlags;

use crate::furnishing::{Confinement, Furnishing};
use crate::launch::Launcher;
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
        enter_cgroup_namespace()?;
        let root = match root {
            Some(root) => {
                rustix::system::sethostname(hostname.as_bytes())?;
                if own_network {
                    network::loopback_up()?;
                }
                Some(Furnished::build(&root)?)
            }
            None => {
                scratch::make_everybodys(Path::new("/tmp"))?;
                None
            }
        };
        Ok(Room { root, launcher: launcher(confinement, cgroup)?, own_network })
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

fn launcher(confinement: Confinement, cgroup: Option<OwnedFd>) -> io::Result<Launcher> {
    Launcher::new(confinement, cgroup)
}

#[expect(unsafe_code, reason = "unshare has no safe wrapper")]
fn enter_cgroup_namespace() -> io::Result<()> {
    // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for);
    // and there is one thread.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }?)
}
