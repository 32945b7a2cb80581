//! The groups of one server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use super::Controller;
use super::enforcement::{Enforcement, Survey};
use super::error::GroupError;
use super::folder::{self, Folder};
use super::group::{Group, Seat};
use super::layout::{Layout, Version};
use super::lock::{Held, Lock};
use super::unified;

/// How long another server may take to remove groups of the same name that it found abandoned.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the names of all folders of ours begin.
pub(super) const PREFIX: &str = "firesteel-";

/// `firesteel-<id>` in every hierarchy that is used. Drop kills what is in there and removes them: groups of sandboxes too,
/// if there are any left.
#[derive(Debug)]
pub struct Groups {
    /// cgroup2 first: what was killed there need not be killed one by one.
    held: Vec<(Home, Held)>,
    enforcement: Enforcement,
    /// Let go last.
    _leaf: Option<Lock>,
}

/// What a hierarchy is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) version: Version,
    pub(super) controllers: Vec<Controller>,
}

impl Groups {
    /// Makes them, in all hierarchies that can be had. `id` is to be unlike that of any other server on this host: letters, digits,
    /// dashes.
    ///
    /// Never fails as a whole: what is wanting is in [`Self::enforcement`]. If the group that the server runs in is delegated to it, it may
    /// move itself into a leaf of that.
    pub fn open(id: &str) -> Self {
        match Layout::read() {
            Ok(layout) if is_name(id) => Self::make_all(&layout, id),
            Ok(_) => Self::none(&GroupError::Name { name: id.to_owned() }.chain()),
            Err(source) => Self::none(&GroupError::read(Path::new("/proc/self/cgroup"), source).chain()),
        }
    }

    fn make_all(layout: &Layout, id: &str) -> Self {
        let in_v1 = |controller: &Controller| layout.v1.iter().any(|(has, _)| has.contains(controller));
        let wanted: Vec<Controller> = Controller::ALL.into_iter().filter(|it| !in_v1(it)).collect();
        let end = Instant::now() + PATIENCE;
        let mut held = Vec::new();
        let mut refused: Vec<(Controller, String)> = Vec::new();
        let mut leaf = None;
        let unified =
            match layout.unified.as_ref().map(|hierarchy| unified::open(hierarchy, id, &wanted, end)) {
                None => Err("no cgroup2 file system is mounted".to_owned()),
                Some(Ok(opened)) => {
                    held.push((Home { version: Version::V2, controllers: opened.controllers }, opened.held));
                    refused.extend(opened.refused);
                    leaf = opened.leaf;
                    Ok(())
                }
                Some(Err(error)) => {
                    refused.extend(wanted.iter().map(|controller| (*controller, error.chain())));
                    Err(error.chain())
                }
            };
        for (controllers, hierarchy) in &layout.v1 {
            match Held::make(hierarchy.own.join(folder_name(id)), end) {
                Ok(made) => {
                    held.push((Home { version: Version::V1, controllers: controllers.clone() }, made));
                }
                Err(error) => {
                    refused.extend(controllers.iter().map(|controller| (*controller, error.chain())));
                }
            }
        }
        for (home, held) in held.iter().filter(|(home, _)| home.controllers.contains(&Controller::Cpu)) {
            keep_quotas_on(home.version, &held.folder);
        }
        let enforcement = Survey { held: &held, refused: &refused, unified }.enforcement();
        Self { held, enforcement, _leaf: leaf }
    }

    fn none(reason: &str) -> Self {
        let refused: Vec<_> = Controller::ALL.into_iter().map(|it| (it, reason.to_owned())).collect();
        let survey = Survey { held: &[], refused: &refused, unified: Err(reason.to_owned()) };
        Self { held: Vec::new(), enforcement: survey.enforcement(), _leaf: None }
    }

    /// Where cgroup2 is mounted, if it is.
    pub(crate) fn unified_mountpoint() -> Option<PathBuf> {
        Some(Layout::read().ok()?.unified?.mountpoint)
    }

    /// By what each limit is held here, or why it is not.
    pub fn enforcement(&self) -> &Enforcement {
        &self.enforcement
    }

    /// The group of a sandbox, without limits so far. `name` is unlike that of any other that exists.
    ///
    /// # Errors
    /// When the name is none for a folder or the kernel refuses, as it does when there are too many groups. Not
    /// when a hierarchy is wanting: that shows when a limit is set.
    pub fn make(&self, name: &str) -> Result<Group, GroupError> {
        if !is_name(name) {
            return Err(GroupError::Name { name: name.to_owned() });
        }
        let seats =
            self.held.iter().map(|(home, held)| Seat::make(home.clone(), held.folder.path().join(name)));
        Group::new(seats.collect::<Result<_, _>>()?)
    }

    /// Ends and removes what killed servers left: every group `firesteel-*` of this user, wherever in the
    /// hierarchies, that no process holds. Returns what was removed. What cannot be removed is warned of.
    pub fn remove_abandoned() -> Vec<PathBuf> {
        let layout = Layout::read().unwrap_or_default();
        let mut removed = Vec::new();
        for hierarchy in layout.all() {
            let mut waiting = vec![hierarchy.mountpoint.clone()];
            while let Some(group) = waiting.pop() {
                if !is_ours(&group) {
                    waiting.extend(folder::children(&group));
                } else if !hierarchy.own.starts_with(&group) && remove_if_abandoned(&group) {
                    removed.push(group);
                }
            }
        }
        removed
    }
}

/// Sets a quota that is never reached: 10 000 processors.
///
/// The kernel rewrites its own code when the first group of the host gets a quota, and again when the last has lost it,
/// which takes 190 µs on two processors. Sandboxes change theirs in the middle of a cold start; with one that
/// stays it is 20 µs.
fn keep_quotas_on(version: Version, folder: &Folder) {
    let (period_us, quota_us) = ("100000", "1000000000");
    let set = match version {
        Version::V1 => folder
            .write("cpu.cfs_period_us", period_us)
            .and_then(|()| folder.write("cpu.cfs_quota_us", quota_us)),
        Version::V2 => folder.write("cpu.max", &format!("{quota_us} {period_us}")),
    };
    // v1 refuses where a group above has a quota, and that does as well.
    if let Err(error) = set {
        tracing::debug!(error = error.chain(), "limits of processor time may be slow to set");
    }
}

fn remove_if_abandoned(group: &Path) -> bool {
    // Others' are theirs, even for root: who runs a server as another user starts it again as that user.
    let mine = |found: &fs::Metadata| found.uid() == rustix::process::geteuid().as_raw();
    if !fs::symlink_metadata(group).is_ok_and(|found| mine(&found)) {
        return false;
    }
    let removed = match Lock::take(group) {
        Ok(Some(_lock)) => folder::remove(group),
        Ok(None) => return false,
        Err(error) => Err(error),
    };
    if let Err(error) = &removed {
        tracing::warn!(path = %group.display(), %error, "a control group that a killed server left stays");
    }
    removed.is_ok()
}

pub(super) fn folder_name(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn is_ours(group: &Path) -> bool {
    group.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX))
}

/// A folder right below, by its own name.
fn is_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
        && !name.contains(['\n', '\0'])
}
