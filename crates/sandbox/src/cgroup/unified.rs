//! Where in cgroup2 this server's groups are made, so that they have controllers.
//!
//! A group has the controllers that the group above it hands down (`cgroup.subtree_control`), and a group that has
//! processes can hand down none, the top of the hierarchy excepted. So, in this order:
//! 1. No controller is wanted, since v1 has them all: below the own group.
//! 2. The own group is the top, or hands down what is wanted: below it.
//! 3. The server runs as root: below the top, if that is seen.
//! 4. The own group is delegated to us, that is, we may write to it: the server moves itself into a new leaf of it,
//!    which leaves the own group empty if the server was alone in it. Else the server moves back.
//!
//! Nothing that exists is written to except `cgroup.subtree_control`, and there controllers are added only. A server that has
//! moved stays in its leaf, as the group above cannot have processes any more; a server that finds itself in
//! such a leaf takes the group above for its own.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::error::GroupError;
use super::folder;
use super::layout::Hierarchy;
use super::lock::{Held, Lock};
use super::{Controller, groups};

/// How the name of a leaf ends that a server has moved itself into.
const LEAF: &str = "-server";

/// The server's group in cgroup2.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) held: Held,
    /// What groups below it have.
    pub(super) controllers: Vec<Controller>,
    /// What is wanted and they have not, and why.
    pub(super) refused: Vec<(Controller, String)>,
    /// Kept while the server lives, so that no other takes its leaf for abandoned.
    pub(super) leaf: Option<Lock>,
}

/// Makes it.
pub(super) fn open(hierarchy: &Hierarchy, id: &str, wanted: &[Controller]) -> Result<Opened, GroupError> {
    let Place { parent, leaf, mut refused } = Place::find(hierarchy, id, wanted);
    let held = Held::make(parent.join(groups::folder_name(id)))?;
    let had = |refused: &[(Controller, String)]| {
        let had = wanted.iter().copied().filter(|it| !refused.iter().any(|(not, _)| not == it));
        had.collect::<Vec<Controller>>()
    };
    refused.extend(hand_down(held.folder.path(), &had(&refused)));
    Ok(Opened { held, controllers: had(&refused), refused, leaf })
}

/// Where groups are made.
#[derive(Debug)]
struct Place {
    parent: PathBuf,
    leaf: Option<Lock>,
    /// The controllers that are wanted and that groups made there will not have.
    refused: Vec<(Controller, String)>,
}

impl Place {
    fn find(hierarchy: &Hierarchy, id: &str, wanted: &[Controller]) -> Self {
        let own = &hierarchy.own;
        if wanted.is_empty() {
            return Self { parent: own.clone(), leaf: None, refused: Vec::new() };
        }
        if is_leaf(own)
            && let (Some(above), Ok(leaf)) = (own.parent(), Lock::take(own))
        {
            let refused = hand_down(above, wanted);
            return Self { parent: above.to_owned(), leaf, refused };
        }
        if is_top(own) || lacking(own, wanted).is_ok_and(|lacking| lacking.is_empty()) {
            return Self { parent: own.clone(), leaf: None, refused: hand_down(own, wanted) };
        }
        let top = &hierarchy.mountpoint;
        if rustix::process::geteuid().is_root() && is_top(top) {
            return Self { parent: top.clone(), leaf: None, refused: hand_down(top, wanted) };
        }
        delegated(own, id, wanted)
    }
}

/// Makes room in a group that was delegated to us.
fn delegated(own: &Path, id: &str, wanted: &[Controller]) -> Place {
    let refuse = |reason: &str| Place {
        parent: own.to_owned(),
        leaf: None,
        refused: wanted.iter().map(|controller| (*controller, reason.to_owned())).collect(),
    };
    for file in ["cgroup.procs", "cgroup.subtree_control"] {
        if let Err(error) = rustix::fs::access(own.join(file), Access::WRITE_OK) {
            let error = GroupError::write(&own.join(file), "", error.into());
            return refuse(&format!("the group of the server is not delegated to it: {}", error.chain()));
        }
    }
    let path = own.join(format!("{}{LEAF}", groups::folder_name(id)));
    let leaf = match move_into(&path) {
        Ok(leaf) => leaf,
        Err(error) => return refuse(&error.chain()),
    };
    let refused = hand_down(own, wanted);
    if refused.len() == wanted.len() {
        match enter(own) {
            Ok(()) => drop(std::fs::remove_dir(&path)),
            Err(error) => {
                tracing::warn!(error = error.chain(), "the server stays in a leaf of its control group");
            }
        }
        return Place { parent: own.to_owned(), leaf: None, refused };
    }
    Place { parent: own.to_owned(), leaf: Some(leaf), refused }
}

/// Makes the leaf and moves this process there, all its threads with it.
fn move_into(leaf: &Path) -> Result<Lock, GroupError> {
    let made = |source| GroupError::Make { path: leaf.to_owned(), source };
    folder::make(leaf).map_err(made)?;
    let entered = match Lock::take(leaf) {
        Ok(Some(lock)) => enter(leaf).map(|()| lock),
        // Taken for abandoned in the moment before.
        Ok(None) => Err(made(io::ErrorKind::ResourceBusy.into())),
        Err(source) => Err(made(source)),
    };
    if entered.is_err() {
        let _ = std::fs::remove_dir(leaf);
    }
    entered
}

/// Moves this process.
fn enter(group: &Path) -> Result<(), GroupError> {
    folder::write(&group.join("cgroup.procs"), "0")
}

/// Makes the groups below a group have controllers. Returns those that cannot be had, and why.
fn hand_down(group: &Path, wanted: &[Controller]) -> Vec<(Controller, String)> {
    let lacking = match lacking(group, wanted) {
        Ok(lacking) => lacking,
        Err(error) => return wanted.iter().map(|controller| (*controller, error.chain())).collect(),
    };
    let there = folder::read(&group.join("cgroup.controllers")).unwrap_or_default();
    let refused = lacking.into_iter().filter_map(|controller| {
        let name = controller.name();
        if !there.split_whitespace().any(|it| it == name) {
            return Some((controller, format!("{} does not have the controller {name}", group.display())));
        }
        // One by one: a write is refused as a whole.
        let written = folder::write(&group.join("cgroup.subtree_control"), &format!("+{name}"));
        written.err().map(|error| (controller, error.chain()))
    });
    refused.collect()
}

/// What a group does not hand down.
fn lacking(group: &Path, wanted: &[Controller]) -> Result<Vec<Controller>, GroupError> {
    let handed_down = folder::read(&group.join("cgroup.subtree_control"))?;
    let has = |controller: &Controller| handed_down.split_whitespace().any(|it| it == controller.name());
    Ok(wanted.iter().copied().filter(|controller| !has(controller)).collect())
}

/// Only the top of the hierarchy has no type; the top of a cgroup namespace has one.
fn is_top(group: &Path) -> bool {
    group.join("cgroup.controllers").exists() && !group.join("cgroup.type").exists()
}

/// Whether a server has moved itself there.
fn is_leaf(group: &Path) -> bool {
    let name = group.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(groups::PREFIX) && name.ends_with(LEAF))
}
