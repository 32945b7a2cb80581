//! What a run of the program has on the host: control groups, processes, mounts, loop devices, namespaces.
//!
//! By its own marks: the name of its groups, the path of its data folder. What others have is not looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::harness::process::{eventually, marked};
use crate::harness::server::Server;

/// One run, which may be over.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    data: PathBuf,
}

/// A process in a sandbox of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) pid: u32,
    /// As its own namespace counts; 1 is the first process.
    pub(crate) inner_pid: u32,
    pub(crate) parent: u32,
}

impl Run {
    pub(crate) fn of(server: &Server) -> Self {
        let id = server.run_folder().file_name().unwrap().to_str().unwrap().to_owned();
        Run { id, data: server.data().path().to_owned() }
    }

    /// Those that have a folder in a data folder.
    pub(crate) fn all_in(data: &Path) -> Vec<Self> {
        let entries = fs::read_dir(data.join("runs")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.map(|id| Run { id, data: data.to_owned() }).collect()
    }

    /// Its control groups, in every hierarchy.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        groups_named(|name| name == self.group_name())
    }

    fn group_name(&self) -> String {
        format!("firesteel-{}", self.id)
    }

    /// Everything in its sandboxes that lives.
    pub(crate) fn members(&self) -> Vec<Member> {
        let mark = format!("/{}/", self.group_name());
        processes().filter_map(|pid| member(pid, &mark)).collect()
    }

    /// In the sandbox in which a process sees this text in its environment.
    pub(crate) fn members_with(&self, variable: &str) -> Vec<Member> {
        let mut found = self.members();
        found.retain(|member| {
            let environ = fs::read(format!("/proc/{}/environ", member.pid)).unwrap_or_default();
            environ.windows(variable.len()).any(|window| window == variable.as_bytes())
        });
        found
    }

    /// Kills one of them, if it is still there.
    pub(crate) fn kill(&self, member: Member) -> bool {
        kill_if(member.pid, || self.members().contains(&member))
    }

    /// Process, network and other namespaces of what lives in it.
    pub(crate) fn namespaces(&self) -> BTreeSet<String> {
        let own = namespaces_of(std::process::id());
        let all = self.members().into_iter().flat_map(|member| namespaces_of(member.pid));
        all.filter(|namespace| !own.contains(namespace)).collect()
    }

    /// Disks of its sandboxes.
    pub(crate) fn loop_devices(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
            let file = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
            if Path::new(file.trim_end()).starts_with(&self.data) {
                found.push(format!("{} of {}", entry.path().display(), file.trim_end()));
            }
        }
        found
    }

    /// What of it is mounted where the host sees it.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.lines().filter(|line| line.contains(self.data.to_str().unwrap())).map(str::to_owned).collect()
    }

    /// Everything but control groups, which a killed server cannot remove. `namespaces`: those that it had.
    #[track_caller]
    pub(crate) fn is_over(&self, namespaces: &BTreeSet<String>) {
        let data = self.data.to_str().unwrap();
        eventually("no process of the run lives", || self.members().is_empty() && marked(data).is_empty());
        eventually("no disk of the run is there", || self.loop_devices().is_empty());
        assert_eq!(self.mounts(), [""; 0]);
        // Their numbers may be another's by now.
        let is_anothers = |pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/cgroup"))
                .is_ok_and(|groups| groups.contains("/firesteel-"))
        };
        let is_inside =
            |pid: &u32| namespaces_of(*pid).iter().any(|namespace| namespaces.contains(namespace));
        eventually("nobody is in its namespaces", || {
            !processes().any(|pid| is_inside(&pid) && !is_anothers(&pid))
        });
    }

    /// Nothing of it is left.
    #[track_caller]
    pub(crate) fn left_nothing(&self, namespaces: &BTreeSet<String>) {
        self.is_over(namespaces);
        assert_eq!(self.groups(), [""; 0].map(PathBuf::from), "control groups are left");
    }
}

/// Nothing of these runs is left where others are in the place of them.
#[track_caller]
pub(crate) fn left_no_groups(runs: &[Run]) {
    let names: BTreeSet<_> = runs.iter().map(Run::group_name).collect();
    assert_eq!(
        groups_named(|name| names.contains(name)),
        [""; 0].map(PathBuf::from),
        "control groups are left"
    );
}

/// Kills a process that still is what was meant when it is pinned.
pub(crate) fn kill_if(pid: u32, still: impl FnOnce() -> bool) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let Ok(pinned) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return false };
    still() && rustix::process::pidfd_send_signal(&pinned, Signal::KILL).is_ok()
}

/// Numbers of all processes.
pub(crate) fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn member(pid: u32, mark: &str) -> Option<Member> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if !groups.contains(mark) {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    if field("State:")?.trim_start().starts_with(['Z', 'X']) {
        return None;
    }
    Some(Member {
        pid,
        inner_pid: field("NSpid:")?.split_whitespace().next_back()?.parse().ok()?,
        parent: field("PPid:")?.trim().parse().ok()?,
    })
}

fn namespaces_of(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_link(entry.path()).ok()?.to_str().map(str::to_owned)).collect()
}

/// Below every hierarchy that is mounted.
pub(crate) fn groups_named(wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut waiting: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (place, kind) = (fields.next()?, fields.next()?);
            kind.starts_with("cgroup").then(|| PathBuf::from(place))
        })
        .collect();
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        if folder.file_name().and_then(|name| name.to_str()).is_some_and(&wanted) {
            found.push(folder);
            continue;
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(folders.map(|entry| entry.path()));
    }
    found
}
