//! A sandbox with namespaces of its own, while it is made: from bare to furnished to ready.
//!
//! ```text
//!   clone3 ─► bare ──Furnish──► furnished (a blank: good for any function) ──Prepare──► entered ─► Launcher
//! ```
//!
//! Used by [`crate::serve`] in first processes that are copies of the [spawner](crate::spawner), and in those of
//! containers, whose maker has made the root: one that is furnished, even if it is to be left for that of a tree. It holds
//! what lies between the two requests.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use crate::furnishing::Furnishing;
use crate::launch::Launcher;
use crate::network;
use crate::overlay;
use crate::protocol::Mounts;
use crate::root::{self, Furnished};

/// A furnished sandbox that nothing has run in.
#[derive(Debug)]
pub(crate) struct Room {
    /// `None` where it was entered already.
    root: Option<Furnished>,
    launcher: Launcher,
    own_network: bool,
}

impl Room {
    /// `entrances`: files as in [`Furnishing::groups`].
    pub(crate) fn furnish(
        furnishing: Furnishing,
        cgroup: Option<OwnedFd>,
        entrances: impl Iterator<Item = OwnedFd>,
    ) -> io::Result<Self> {
        let Furnishing { groups, root, confinement, hostname, own_network, link } = furnishing;
        for group in groups {
            fs::write(&group, "0").map_err(|error| {
                io::Error::new(error.kind(), format!("entering the group {}: {error}", group.display()))
            })?;
        }
        for entrance in entrances {
            File::from(entrance).write_all(b"0")?;
        }
        let Some(root) = root else {
            return Ok(Room {
                root: None,
                launcher: Launcher::new(confinement, cgroup, null()?)?,
                own_network,
            });
        };
        rustix::system::sethostname(hostname.as_bytes())?;
        if own_network {
            network::loopback_up()?;
            link.map_or(Ok(()), |link| network::configure(&link))?;
        }
        let root = Furnished::build(&root, &confinement)?;
        let launcher = Launcher::new(confinement, cgroup, root.null()?)?;
        Ok(Room { root: Some(root), launcher, own_network })
    }

    pub(crate) fn own_network(&self) -> bool {
        self.own_network
    }

    /// Gives the function its places, and leaves the host's file system for good. `tree`: that of [`Mounts::tree`], as far
    /// as somebody else has opened it.
    pub(crate) fn enter(mut self, mounts: &Mounts, tree: Option<OwnedFd>) -> io::Result<Launcher> {
        let tree = match (&mounts.tree, tree) {
            (None, _) => None,
            (Some(_), Some(tree)) => Some(tree),
            (Some(path), None) => Some(overlay::open(path)?),
        };
        let has_tree = tree.is_some();
        match (self.root, tree) {
            (Some(root), tree) => root.enter(&mounts.binds, mounts.tmp.as_ref(), tree)?,
            (None, Some(tree)) => root::replace(tree, &mounts.binds, self.launcher.guest())?,
            (None, None) => {}
        }
        if has_tree {
            // What was opened before the root was another is known by a path outside of it.
            self.launcher.give_null(null()?);
        }
        Ok(self.launcher)
    }
}

fn null() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/null")
}
