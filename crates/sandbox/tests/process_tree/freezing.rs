//! A frozen tree makes no progress, whatever it consists of, costs nothing, and goes on where it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use firesteel_sandbox::{Event, Exit, RequestError, Signal};
use firesteel_sandbox_init::tree;
use libtest_mimic::Trial;
use rustix::process::Pid;

use crate::fixture::{Fixture, eventually, exists, parent, watch};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_frozen_tree_stands_still_and_goes_on", stands_still_and_goes_on),
        test("every_thread_of_a_frozen_process_stands_still", threads),
        test("a_tree_that_keeps_forking_is_frozen_whole", keeps_forking),
        test("what_the_function_has_stopped_stays_stopped", stopped_by_itself),
        test("freezing_and_thawing_can_go_on_for_ever", many_times),
        test("a_freeze_of_nothing_and_a_thaw_of_nothing_are_nothing", nothing),
        test("a_frozen_tree_costs_no_processor_time", costs_nothing),
        test("memory_of_a_frozen_tree_can_be_read", memory),
        test("end_all_and_close_end_a_frozen_tree", ended_while_frozen),
        test("a_killed_first_process_takes_a_frozen_tree_with_it", lost_while_frozen),
        test("a_frozen_process_that_is_killed_is_told_of", killed_while_frozen),
        test("a_start_thaws", start_thaws),
        test("being_asked_to_end_thaws", asking_to_end_thaws),
    ]
}

/// Each counts in a file: the leader, its child, a child in a session of its own, and a daemon (forked twice).
const COUNTERS: &str = "
    (setsid sh -c 'while :; do echo >> daemon; done' &)
    setsid sh -c 'while :; do echo >> session; done' &
    sh -c 'while :; do echo >> child; done' &
    echo up
    while :; do echo >> leader; done";
const COUNTED: [&str; 4] = ["daemon", "session", "child", "leader"];

fn counts(folder: &Path) -> [u64; 4] {
    COUNTED.map(|name| fs::metadata(folder.join(name)).map_or(0, |file| file.len()))
}

async fn all_count(folder: &Path) {
    let before = counts(folder);
    eventually("each counts", || counts(folder).iter().zip(before).all(|(now, before)| *now > before)).await;
}

/// What the kernel says of each thread below, the dead left out.
fn states(first_process: Pid) -> Vec<(Pid, char)> {
    let mut states = Vec::new();
    for found in tree::below(first_process) {
        let tasks = fs::read_dir(format!("/proc/{}/task", found.pid.as_raw_pid()));
        for task in tasks.into_iter().flatten().flatten() {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            states.extend(state.filter(|state| !"ZX".contains(*state)).map(|state| (found.pid, state)));
        }
    }
    states
}

fn stopped(first_process: Pid) -> bool {
    let states = states(first_process);
    !states.is_empty() && states.iter().all(|(_, state)| *state == 'T')
}

/// Freezes, and waits until that is done: requests are served in turn, and that somebody was killed is told. Everything is
/// stopped then, or will be without getting any further.
async fn frozen(fixture: &mut Fixture, first_process: Pid) {
    let (name, status) = ("canary".to_owned(), Exit::Signal(9));
    fixture.shell(&name, "exec sleep 1000");
    fixture.started().await;
    fixture.sandbox.freeze().unwrap();
    fixture.sandbox.signal(&name, Signal::Kill).unwrap();
    assert_eq!(fixture.event().await, Event::Exited { name, status });
    eventually("all is stopped", || stopped(first_process)).await;
    assert_ne!(state(first_process), Some('T'), "but not the first process");
}

fn state(pid: Pid) -> Option<char> {
    crate::fixture::status_field(pid, "State:")?.chars().next()
}

/// Something that takes time, in which who is not frozen gets on.
async fn time_passes() {
    let mut fixture = Fixture::new("meanwhile").await;
    fixture.shell("it", "for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done");
    fixture.started().await;
    assert!(matches!(fixture.event().await, Event::Exited { .. }));
    fixture.close().await;
}

async fn stands_still_and_goes_on() {
    let mut fixture = Fixture::new("counters").await;
    assert_eq!(fixture.shell("it", COUNTERS).line(), "up");
    let leader = fixture.started().await;
    let first_process = fixture.first_process(leader);
    let folder = fixture.folder.path().to_owned();
    all_count(&folder).await;
    frozen(&mut fixture, first_process).await;
    assert_eq!(tree::below(first_process).len(), 4);
    let before = counts(&folder);
    time_passes().await;
    assert_eq!(counts(&folder), before);
    assert!(stopped(first_process));
    fixture.sandbox.thaw().unwrap();
    all_count(&folder).await;
    fixture.close().await;
}

async fn threads() {
    let mut fixture = Fixture::new("threads").await;
    assert_eq!(fixture.guest("it", &["count", "5"]).line(), "counting");
    let first_process = {
        let pid = fixture.started().await;
        fixture.first_process(pid)
    };
    let folder = fixture.folder.path().to_owned();
    let counts = || (0..5).map(|n| fs::read(folder.join(format!("count-{n}"))).unwrap()).collect::<Vec<_>>();
    for _ in 0..10 {
        frozen(&mut fixture, first_process).await;
        assert_eq!(states(first_process).len(), 6);
        let before = counts();
        time_passes().await;
        assert_eq!(counts(), before);
        fixture.sandbox.thaw().unwrap();
        eventually("each thread counts", || counts().iter().zip(&before).all(|(now, before)| now != before))
            .await;
    }
    fixture.close().await;
}

async fn keeps_forking() {
    let mut fixture = Fixture::new("forking").await;
    // Each generation starts the next in a new session and ends; and a group that forks and forks. Bounded,
    // should nobody stop them.
    let script = "
        cat > step <<'END'
        n=$1
        [ $n -gt 0 ] && setsid sh ./step $((n - 1)) &
        exit
END
        cat > branch <<'END'
        n=$1
        [ $n -gt 0 ] && sh ./branch $((n - 1)) &
        [ $n -gt 0 ] && sh ./branch $((n - 1)) &
        wait
END
        echo begun
        for i in 1 2; do setsid sh ./step 20000 & done
        sh ./branch 6 &
        i=0; while [ $i -lt 50000 ]; do /bin/true & i=$((i + 1)); wait $!; done; wait";
    assert_eq!(fixture.shell("forking", script).line(), "begun");
    let leader = fixture.started().await;
    let first_process = fixture.first_process(leader);
    let all = || states(first_process).into_iter().map(|(pid, _)| pid.as_raw_pid()).collect::<BTreeSet<_>>();
    for _ in 0..5 {
        frozen(&mut fixture, first_process).await;
        let before = all();
        time_passes().await;
        assert_eq!(all(), before);
        assert!(stopped(first_process));
        fixture.sandbox.thaw().unwrap();
        eventually("others are forked", || all() != before).await;
        eventually("none is left behind", || states(first_process).iter().all(|(_, state)| *state != 'T'))
            .await;
    }
    fixture.close().await;
}

async fn stopped_by_itself() {
    let mut fixture = Fixture::new("stopping").await;
    let script = "sleep 1000 & kill -STOP $!; echo $!; while :; do echo >> leader; done";
    let mut output = fixture.shell("it", script);
    let child = output.pid();
    let leader = fixture.started().await;
    eventually("the child is stopped by its parent", || state(child) == Some('T')).await;
    frozen(&mut fixture, parent(leader).unwrap()).await;
    let leaders = || fs::metadata(fixture.folder.path().join("leader")).map_or(0, |file| file.len());
    let before = leaders();
    fixture.sandbox.thaw().unwrap();
    // The parent goes on after its children.
    eventually("the leader goes on", || leaders() > before).await;
    assert_eq!(state(child), Some('T'));
    fixture.close().await;
}

async fn many_times() {
    let mut fixture = Fixture::new("often").await;
    assert_eq!(fixture.shell("it", COUNTERS).line(), "up");
    let leader = fixture.started().await;
    let first_process = fixture.first_process(leader);
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", first_process.as_raw_pid())).unwrap().count();
    let before = descriptors();
    for _ in 0..30 {
        // Twice is once.
        fixture.sandbox.freeze().unwrap();
        frozen(&mut fixture, first_process).await;
        fixture.sandbox.thaw().unwrap();
        fixture.sandbox.thaw().unwrap();
        eventually("nobody is stopped", || states(first_process).iter().all(|(_, state)| *state != 'T'))
            .await;
    }
    eventually("as few descriptors as before", || descriptors() == before).await;
    all_count(fixture.folder.path()).await;
    fixture.close().await;
}

async fn nothing() {
    let mut fixture = Fixture::new("nothing").await;
    fixture.sandbox.thaw().unwrap();
    fixture.sandbox.freeze().unwrap();
    fixture.sandbox.thaw().unwrap();
    fixture.sandbox.end_all().unwrap();
    assert_eq!(fixture.event().await, Event::Emptied);
    fixture.close().await;
}

/// Nanoseconds on a processor.
fn processor_time(pid: Pid) -> u64 {
    let line = fs::read_to_string(format!("/proc/{}/schedstat", pid.as_raw_pid())).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

async fn costs_nothing() {
    let mut fixture = Fixture::new("cheap").await;
    // Children that stop are no news to the first process, nor is one that has ended and that nobody waits for.
    let mut output = fixture.shell("it", "/bin/true & echo up; while :; do :; done");
    assert_eq!(output.line(), "up");
    let leader = fixture.started().await;
    let first_process = fixture.first_process(leader);
    frozen(&mut fixture, first_process).await;
    eventually("the first process waits", || state(first_process) == Some('S')).await;
    let times = || [processor_time(first_process), processor_time(leader)];
    let before = times();
    time_passes().await;
    assert_eq!(times(), before);
    fixture.close().await;
}

async fn memory() {
    let mut fixture = Fixture::new("memory").await;
    assert_eq!(fixture.guest("it", &["allocate", "64"]).line(), "allocated");
    let pid = fixture.started().await;
    frozen(&mut fixture, parent(pid).unwrap()).await;
    assert!(fixture.sandbox.memory().current_bytes >= 64 << 20);
    fixture.close().await;
}

async fn ended_while_frozen() {
    let mut fixture = Fixture::new("ended").await;
    for close in [false, true] {
        assert_eq!(fixture.shell("it", COUNTERS).line(), "up");
        let leader = fixture.started().await;
        let first_process = fixture.first_process(leader);
        all_count(fixture.folder.path()).await;
        let family: Vec<_> = tree::below(first_process).into_iter().map(|found| found.pid).collect();
        assert_eq!(family.len(), 4);
        frozen(&mut fixture, first_process).await;
        if close {
            fixture.close().await;
            assert!(!family.into_iter().any(exists) && !exists(first_process));
            return;
        }
        fixture.sandbox.end_all().unwrap();
        assert!(matches!(fixture.event().await, Event::Exited { .. }));
        assert_eq!(fixture.event().await, Event::Emptied);
        assert!(!family.into_iter().any(exists));
    }
}

async fn lost_while_frozen() {
    let mut fixture = Fixture::new("lost").await;
    assert_eq!(fixture.shell("it", COUNTERS).line(), "up");
    let leader = fixture.started().await;
    let first_process = fixture.first_process(leader);
    all_count(fixture.folder.path()).await;
    let family: Vec<_> = tree::below(first_process).into_iter().map(|found| found.pid).collect();
    frozen(&mut fixture, first_process).await;
    rustix::process::kill_process(first_process, rustix::process::Signal::KILL).unwrap();
    assert_eq!(fixture.event().await, Event::Lost);
    assert!(!family.into_iter().any(exists));
    assert!(matches!(fixture.sandbox.thaw(), Err(RequestError::Gone { .. })));
    fixture.close().await;
}

async fn killed_while_frozen() {
    let mut fixture = Fixture::new("killed").await;
    assert_eq!(fixture.shell("other", COUNTERS).line(), "up");
    fixture.started().await;
    assert_eq!(fixture.shell("it", "echo up; while :; do :; done").line(), "up");
    let pid = fixture.started().await;
    let first_process = fixture.first_process(pid);
    let ended = watch(pid);
    frozen(&mut fixture, first_process).await;
    fixture.sandbox.signal("it", Signal::Kill).unwrap();
    ended.ends();
    assert_eq!(fixture.event().await, Event::Exited { name: "it".into(), status: Exit::Signal(9) });
    assert!(stopped(first_process), "the others are as they were");
    fixture.sandbox.thaw().unwrap();
    all_count(fixture.folder.path()).await;
    fixture.close().await;
}

async fn start_thaws() {
    let mut fixture = Fixture::new("start").await;
    assert_eq!(fixture.shell("it", COUNTERS).line(), "up");
    let leader = fixture.started().await;
    frozen(&mut fixture, parent(leader).unwrap()).await;
    assert_eq!(fixture.shell("another", "echo up").line(), "up");
    all_count(fixture.folder.path()).await;
    fixture.close().await;
}

async fn asking_to_end_thaws() {
    let mut fixture = Fixture::new("asked").await;
    let mut output = fixture.shell("it", "trap 'exit 3' TERM; echo up; while :; do :; done");
    assert_eq!(output.line(), "up");
    let pid = fixture.started().await;
    frozen(&mut fixture, parent(pid).unwrap()).await;
    fixture.sandbox.signal("it", Signal::Terminate).unwrap();
    assert_eq!(fixture.event().await, Event::Exited { name: "it".into(), status: Exit::Code(3) });
    fixture.close().await;
}
