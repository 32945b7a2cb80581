//! Processes as `/proc` tells of them, and waiting for a state.

use std::fs;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// When a test gives up. Far more than anything takes, also on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until something holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < give_up, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[track_caller]
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    ended_watched(child, || ())
}

/// Likewise, looking at it again and again meanwhile.
#[track_caller]
pub(crate) fn ended_watched(child: &mut Child, mut look: impl FnMut()) -> ExitStatus {
    let mut status = None;
    eventually("the program ends", || {
        look();
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Numbers of the living processes that have `mark` in their environment, their command line, the name of their
/// working directory, or among the mounts that they see and this process does not. Dead ones that nobody has reaped are not living.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let mut found = Vec::new();
    let namespace = |process: &Path| fs::read_link(process.join("ns/mnt")).ok();
    let own = namespace(Path::new("/proc/self"));
    // What was mounted may be known by a path from the root of its file system, which is not this host's. What is
    // like no other in a path of these tests begins with a dot.
    let last = mark.find("/.").map(|at| &mark[at..]);
    let sees = |process: &Path| {
        last.is_some_and(|last| {
            namespace(process).is_some_and(|its| Some(its) != own)
                && fs::read_to_string(process.join("mountinfo")).is_ok_and(|mounts| mounts.contains(last))
        })
    };
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let path = entry.path();
        let has = |file: &str| {
            fs::read(path.join(file))
                .is_ok_and(|bytes| bytes.windows(mark.len()).any(|window| window == mark.as_bytes()))
        };
        let works_there =
            fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.to_string_lossy().contains(mark));
        if (works_there || has("environ") || has("cmdline") || sees(&path)) && is_alive(&path) {
            found.push(pid);
        }
    }
    found
}

/// Numbers, as this host counts, of the processes of one execution environment: by the name of its log stream, which is
/// in their variables and in no others. Those that make and hold the environment are not among them.
pub(crate) fn of_environment(environment: &str) -> Vec<u32> {
    marked(&format!("[$LATEST]{environment}"))
}

/// The runtime of an environment, and the first process of its sandbox, as this host counts.
#[track_caller]
pub(crate) fn runtime_and_first(environment: &str) -> (Pid, Pid) {
    let all = of_environment(environment);
    let with_parent = all.iter().filter_map(|pid| Some((*pid, parent(*pid)?)));
    let (runtime, first) = with_parent
        .filter(|(_, parent)| !all.contains(parent))
        .min()
        .unwrap_or_else(|| panic!("no runtime among {all:?}"));
    let pid = |number: u32| Pid::from_raw(i32::try_from(number).unwrap()).unwrap();
    (pid(runtime), pid(first))
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Whether nothing of a process runs: stopped by a signal, or frozen with its control group. `None` when it is gone.
pub(crate) fn is_stopped(pid: u32) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let by_signal = stat.rsplit_once(") ")?.1.starts_with('T');
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    Some(by_signal || groups.lines().any(is_frozen))
}

/// A line of `/proc/PID/cgroup`.
fn is_frozen(group: &str) -> bool {
    let mut parts = group.splitn(3, ':').skip(1);
    let (Some(hierarchy), Some(path)) = (parts.next(), parts.next()) else { return false };
    let state = |folder: &str, file: &str| {
        fs::read_to_string(format!("/sys/fs/cgroup/{folder}{path}/{file}")).unwrap_or_default()
    };
    match hierarchy {
        "freezer" => state("freezer", "freezer.state").trim() == "FROZEN",
        // By itself, or beside hierarchies of version 1.
        "" => ["", "unified"].iter().any(|folder| state(folder, "cgroup.events").contains("frozen 1")),
        _ => false,
    }
}

fn is_alive(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // After the name, which is in parentheses and may contain anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}
