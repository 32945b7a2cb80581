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
use std::time::Instant;

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

/// Makes it. See [`Held::make`] for `end`.
pub(super) fn open(
    hierarchy: &Hierarchy,
    id: &str,
    wanted: &[Controller],
    end: Instant,
) -> Result<Opened, GroupError> {
    let Place { parent, leaf, mut refused } = Place::find(hierarchy, id, wanted);
    let held = Held::make(parent.join(groups::folder_name(id)), end)?;
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::super::layout::Layout;
    use super::*;
    use Controller::{Cpu, Memory, Processes};

    /// A folder with the files that are looked at here. They do not behave as the kernel's, but can be read and written.
    fn pretend(path: &Path, controllers: &str, handed_down: &str, is_top: bool) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.controllers"), controllers).unwrap();
        fs::write(path.join("cgroup.subtree_control"), handed_down).unwrap();
        fs::write(path.join("cgroup.procs"), "").unwrap();
        if !is_top {
            fs::write(path.join("cgroup.type"), "domain\n").unwrap();
        }
    }

    fn parent(top: &Path, own: &Path, wanted: &[Controller]) -> PathBuf {
        let hierarchy = Hierarchy { mountpoint: top.to_owned(), own: own.to_owned() };
        Place::find(&hierarchy, "it", wanted).parent
    }

    #[test]
    fn only_what_is_lacking_is_added_and_what_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        pretend(folder.path(), "memory pids\n", "memory\n", true);
        let refused = hand_down(folder.path(), &[Processes, Memory, Cpu]);
        assert!(
            matches!(refused.as_slice(), [(Cpu, reason)] if reason.ends_with("the controller cpu")),
            "{refused:?}"
        );
        let written = fs::read_to_string(folder.path().join("cgroup.subtree_control")).unwrap();
        // Over what was there, as this is an ordinary file.
        assert!(written.starts_with("+pids"), "{written:?}");
    }

    #[test]
    fn the_own_group_where_no_controller_is_wanted_or_it_can_hand_them_down() {
        let folder = tempfile::tempdir().unwrap();
        let (top, own) = (folder.path(), folder.path().join("own"));
        pretend(top, "memory\n", "", true);
        pretend(&own, "memory\n", "memory\n", false);
        assert_eq!(parent(top, &own, &[]), own);
        assert_eq!(parent(top, &own, &[Memory]), own);
        assert_eq!(parent(top, top, &[Memory]), top);
        assert_eq!(fs::read_to_string(top.join("cgroup.subtree_control")).unwrap(), "+memory");
    }

    #[test]
    fn for_root_the_top_of_the_hierarchy() {
        if !rustix::process::geteuid().is_root() {
            return skipped("this is for root");
        }
        let folder = tempfile::tempdir().unwrap();
        let (top, own) = (folder.path(), folder.path().join("own"));
        pretend(top, "memory\n", "", true);
        pretend(&own, "memory\n", "", false);
        assert_eq!(parent(top, &own, &[Memory]), top);
    }

    #[test]
    fn a_server_in_a_leaf_has_the_group_above_for_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (top, above) = (folder.path(), folder.path().join("above"));
        let leaf = above.join("firesteel-it-server");
        pretend(top, "memory\n", "memory\n", true);
        pretend(&above, "memory\n", "memory\n", false);
        pretend(&leaf, "memory\n", "", false);
        let hierarchy = Hierarchy { mountpoint: top.to_owned(), own: leaf.clone() };
        let place = Place::find(&hierarchy, "it", &[Memory]);
        assert_eq!((place.parent, place.refused), (above, Vec::new()));
        assert!(Lock::take(&leaf).unwrap().is_none());
        drop(place.leaf);
        assert!(Lock::take(&leaf).unwrap().is_some());
    }

    /// This process moves into a group of the test's own, as if it were delegated.
    #[test]
    fn who_cannot_be_given_controllers_stays_where_it_was() {
        let own_path = || fs::read_to_string("/proc/self/cgroup").unwrap();
        let Some(hierarchy) = Layout::read().unwrap().unified.filter(|it| is_top(&it.own)) else {
            return skipped("this process is not in the topmost group of cgroup2");
        };
        let own = hierarchy.own.join(format!("test-{}-delegated", std::process::id()));
        if let Err(error) = folder::make(&own) {
            return skipped(&format!("cannot make control groups: {error}"));
        }
        enter(&own).unwrap();
        let inside = own_path();
        // The group above has nothing to hand down to it.
        let place = delegated(&own, "it", &[Memory, Cpu]);
        let after = own_path();
        let left = folder::children(&own);
        enter(&hierarchy.own).unwrap();
        folder::remove(&own).unwrap();
        assert!(inside.contains("-delegated"));
        assert_eq!(after, inside);
        assert!(left.is_empty() && place.leaf.is_none());
        assert_eq!(place.refused.iter().map(|(it, _)| *it).collect::<Vec<_>>(), [Memory, Cpu]);
        assert_eq!(place.parent, own);
    }

    fn skipped(reason: &str) {
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
        let _ = writeln!(std::io::stderr(), "SKIPPED a test of groups in cgroup2: {reason}");
    }
}
