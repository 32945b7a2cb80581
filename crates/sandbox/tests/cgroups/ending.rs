//! Nothing is left, neither of what was dropped nor of what was killed.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use firesteel_sandbox::Groups;
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal};

use crate::fixture::{Guest, eventually, folders, group, id, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_dropped_group_leaves_nothing", &[|it| &it.freeze], dropped),
        test("groups_end_with_all_their_sandboxes", &[|it| &it.freeze], all_dropped),
        test("a_group_of_which_only_v1_holds_processes_ends", &[|it| &it.processes], only_v1),
        test("what_forks_for_ever_ends", &[|it| &it.processes], forks),
        test("names_that_lead_elsewhere_are_refused", &[|it| &it.freeze], names),
        test("what_a_killed_server_left_is_removed", &[|it| &it.freeze], abandoned),
        test("what_a_killed_server_left_is_in_nobodys_way", &[|it| &it.freeze], same_name),
        test("servers_that_start_at_once_keep_their_groups", &[|it| &it.freeze], at_once),
    ]
}

fn name(test: &str) -> String {
    format!("firesteel-{}", id(test))
}

fn dropped() {
    let (groups, group) = group("dropped");
    let mut guest = Guest::inside(&group, &["family"]);
    let child: i32 = guest.line().parse().unwrap();
    let own = folders(&name("dropped"));
    // A group that a process of the sandbox has made goes too.
    for folder in &own {
        assert!(folder.join("sandbox").exists());
        fs::create_dir_all(folder.join("sandbox/inner/most")).unwrap();
        fs::write(folder.join("sandbox/inner/most/cgroup.procs"), child.to_string()).unwrap();
    }
    group.freeze().unwrap();
    drop(group);
    assert!(own.iter().all(|folder| !folder.join("sandbox").exists() && folder.exists()));
    assert_eq!(guest.status().signal(), Some(Signal::KILL.as_raw()));
    drop(groups);
    assert_eq!(folders(&name("dropped")), Vec::<PathBuf>::new());
}

fn all_dropped() {
    let (groups, group) = group("all");
    let mut guest = Guest::inside(&group, &["allocate", "1"]);
    drop(groups);
    assert_eq!(guest.status().signal(), Some(Signal::KILL.as_raw()));
    assert!(folders(&name("all")).is_empty());
    // And a group that outlives them is no harm.
    group.thaw().unwrap_err();
    drop(group);
}

fn only_v1() {
    let (groups, group) = group("only v1");
    let mut guest = Guest::start(&["wait"]);
    group.enter(guest.pid()).unwrap();
    let entered = folders(&name("only v1")).into_iter().any(|folder| {
        let members = fs::read_to_string(folder.join("sandbox/cgroup.procs")).unwrap();
        members.trim_end() == guest.pid().as_raw_pid().to_string()
    });
    drop((group, groups));
    assert!(folders(&name("only v1")).is_empty());
    if entered {
        assert_eq!(guest.status().signal(), Some(Signal::KILL.as_raw()));
    }
}

/// Outside of cgroup2, so that it is killed one by one.
fn forks() {
    let (groups, group) = group("forks");
    group.limit_processes(50).unwrap();
    let mut guest = Guest::start(&["fork-for-ever"]);
    group.enter(guest.pid()).unwrap();
    guest.go();
    assert_eq!(guest.line(), "begun");
    let begin = Instant::now();
    drop((group, groups));
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert!(folders(&name("forks")).is_empty());
}

fn names() {
    let (groups, _group) = group("names");
    for name in ["", ".", "..", "/", "a/b", "../a", "a/", "/a", "a\nb", "a\0b"] {
        assert!(groups.make(name).is_err(), "{name:?}");
    }
    groups.make("sandbox").unwrap_err();
    let nowhere = Groups::open("../elsewhere");
    assert!(nowhere.enforcement().rows().iter().all(|(_, means)| !means.is_there()));
    nowhere.make("sandbox").unwrap().freeze().unwrap_err();
}

fn abandoned() {
    let _alone = sweeping();
    let (_held, _group) = group("held");
    let mut server = Guest::start(&["server", &id("abandoned")]);
    server.go();
    let child = Pid::from_raw(server.line().parse().unwrap()).unwrap();
    let (held, left) = (folders(&name("held")), folders(&name("abandoned")));
    assert!(!held.is_empty() && held.len() == left.len());

    // Neither what this process holds nor what another does.
    let removed = Groups::remove_abandoned();
    assert!(!removed.iter().any(|it| held.contains(it) || left.contains(it)), "{removed:?}");
    assert!(left.iter().all(|it| it.exists()) && exists(child));

    kill(&mut server);
    // Any server that starts on this host at this moment may be faster.
    let there: Vec<PathBuf> = left.iter().filter(|it| it.exists()).cloned().collect();
    let removed = Groups::remove_abandoned();
    assert!(there.iter().all(|it| removed.contains(it) || !it.exists()), "{removed:?}");
    assert!(!removed.iter().any(|it| held.contains(it)), "{removed:?}");
    assert!(folders(&name("abandoned")).is_empty() && held.iter().all(|it| it.exists()));
    eventually("its sandbox has ended", || !exists(child));
}

fn same_name() {
    let _alone = sweeping();
    let mut server = Guest::start(&["server", &id("same")]);
    server.go();
    let child = Pid::from_raw(server.line().parse().unwrap()).unwrap();
    // Held by another, and that does not change.
    let refused = Groups::open(&id("same"));
    assert!(!refused.enforcement().freeze.is_there());
    drop(refused);
    assert!(!folders(&name("same")).is_empty() && exists(child));
    kill(&mut server);
    let groups = Groups::open(&id("same"));
    assert!(groups.enforcement().freeze.is_there());
    eventually("its sandbox has ended", || !exists(child));
    groups.make("sandbox").unwrap();
}

/// Groups that are just being made are no one's yet; they must not be taken away from who makes them.
fn at_once() {
    let _alone = sweeping();
    let usual = Groups::open(&id("usual")).enforcement().clone();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let mut sweeps = 0;
            while !done.load(Ordering::Relaxed) {
                Groups::remove_abandoned();
                sweeps += 1;
            }
            sweeps
        });
        let made = (0..300).try_for_each(|turn| {
            let groups = Groups::open(&id(&format!("at once {turn}")));
            if groups.enforcement() != &usual {
                return Err(format!("turn {turn}: {:?}", groups.enforcement()));
            }
            let frozen = groups.make("sandbox").and_then(|group| group.freeze());
            frozen.map_err(|error| format!("turn {turn}: {error:?}"))
        });
        done.store(true, Ordering::Relaxed);
        assert!(sweeper.join().unwrap() > 10);
        made.unwrap();
    });
}

/// Held by tests that remove what is abandoned, or leave it: it could be another's.
fn sweeping() -> MutexGuard<'static, ()> {
    static SWEEPING: Mutex<()> = Mutex::new(());
    SWEEPING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kill(server: &mut Guest) {
    rustix::process::kill_process(server.pid(), Signal::KILL).unwrap();
    server.status();
}

/// Dead ones that nobody reaps do not.
fn exists(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
