//! What a run of the program can leave behind beside processes: files, control groups, mounts, loop devices.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::process;

/// What the runs below a data folder can be known by when they are over.
#[derive(Debug)]
pub(crate) struct Runs {
    data: PathBuf,
    /// Their names, as far as they were seen.
    ids: BTreeSet<String>,
}

impl Runs {
    pub(crate) fn of(data: &Path) -> Self {
        Runs { data: data.to_owned(), ids: BTreeSet::new() }
    }

    /// Notes the names of those that are there now.
    pub(crate) fn look(&mut self) {
        let runs = fs::read_dir(self.data.join("runs")).into_iter().flatten().flatten();
        // Until a run is sure of its folder, that has another name.
        let names = runs.filter_map(|run| run.file_name().into_string().ok());
        self.ids.extend(names.map(|name| name.trim_start_matches('.').to_owned()));
    }

    /// Text that is in the environment or working directory, or among the mounts, of each of their processes.
    pub(crate) fn mark(&self) -> &str {
        self.data.to_str().unwrap()
    }

    /// Checks that nothing is left of runs that have ended in order.
    #[track_caller]
    pub(crate) fn check_nothing_is_left(&self) {
        assert_eq!(process::marked(self.mark()), [0; 0], "processes are left");
        let left = fs::read_dir(self.data.join("runs")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "files are left in the data folder");
        let groups = self.control_groups();
        assert!(groups.is_empty(), "control groups are left: {groups:?}");
        self.check_devices_are_freed();
    }

    /// Checks that nothing is left that only root, or nobody, could remove later. Holds for killed runs too.
    #[track_caller]
    pub(crate) fn check_devices_are_freed(&self) {
        let mounts = mounts_of("self", self.mark());
        assert!(mounts.is_empty(), "mounts are left: {mounts:?}");
        // The kernel frees them after the last process, in its own time.
        process::eventually("the loop devices are freed", || self.loop_devices().is_empty());
    }

    /// Folders of theirs in any hierarchy.
    pub(crate) fn control_groups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut waiting: Vec<PathBuf> = hierarchies();
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str().filter(|_| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                else {
                    continue;
                };
                match name.strip_prefix("firesteel-") {
                    Some(id) if self.ids.contains(id) => found.push(entry.path()),
                    // Another run's.
                    Some(_) => {}
                    None => waiting.push(entry.path()),
                }
            }
        }
        found
    }

    fn loop_devices(&self) -> Vec<PathBuf> {
        let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten().map(|entry| entry.path());
        let is_ours = |device: &PathBuf| {
            fs::read_to_string(device.join("loop/backing_file")).is_ok_and(|file| file.contains(self.mark()))
        };
        devices.filter(is_ours).collect()
    }
}

/// Where control groups are mounted.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_of_groups = |line: &&str| line.split(" - ").nth(1).is_some_and(|kind| kind.starts_with("cgroup"));
    mounts.lines().filter(is_of_groups).filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect()
}

/// The mounts that a process sees with this in their path, or in the path of what is mounted.
fn mounts_of(process: &str, mark: &str) -> Vec<String> {
    let mounts = fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    mounts.lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}
