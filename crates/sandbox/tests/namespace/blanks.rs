//! Sandboxes that are made ahead.

use std::fs;

use libtest_mimic::Trial;

use crate::fixture::{Fixture, LIMITS, control_groups, eventually};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("blanks are made ahead and others take their place", made_ahead),
        test("a blank whose first process was killed is passed over", killed),
        test("a spawner that was killed is replaced", spawner_killed),
    ]
}

fn count(fixture: &Fixture) -> usize {
    let groups = control_groups(&fixture.id);
    groups
        .iter()
        .filter(|path| {
            path.starts_with("/sys/fs/cgroup/unified") || path.starts_with("/sys/fs/cgroup/firesteel")
        })
        .flat_map(|path| std::fs::read_dir(path).unwrap().flatten())
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .count()
}

async fn made_ahead() {
    let fixture = Fixture::new(2);
    fixture.backend.probe().await.unwrap();
    eventually("there are two blanks", || count(&fixture) == 2).await;
    let mut sandbox = fixture.sandbox("a").await;
    eventually("another takes the place of the one that was used", || count(&fixture) == 3).await;
    assert_eq!(sandbox.says("echo made").await, "made");
    sandbox.close().await;
    fixture.close().await;
}

async fn killed() {
    let fixture = Fixture::new(1);
    fixture.backend.probe().await.unwrap();
    for blank in children_with("cgroup", &fixture.id) {
        let _ = rustix::process::kill_process(blank, rustix::process::Signal::KILL);
    }
    let mut sandbox = fixture.sandbox_with("a", LIMITS, Vec::new()).await;
    assert_eq!(sandbox.says("echo made").await, "made");
    sandbox.close().await;
    fixture.close().await;
}

async fn spawner_killed() {
    let fixture = Fixture::new(0);
    let me = rustix::process::getpid();
    let folder = fixture.folder.path();
    let spawner = firesteel_sandbox_init::tree::children(me)
        .into_iter()
        .find(|pid| fs::read_link(format!("/proc/{}/cwd", pid.as_raw_pid())).is_ok_and(|cwd| cwd == folder))
        .unwrap();
    rustix::process::kill_process(spawner, rustix::process::Signal::KILL).unwrap();
    let mut sandbox = fixture.sandbox("a").await;
    assert_eq!(sandbox.says("echo made").await, "made");
    sandbox.close().await;
    fixture.close().await;
}

/// Of this process, those in whose file below `/proc` a text stands.
fn children_with(file: &str, text: &str) -> Vec<rustix::process::Pid> {
    let children = firesteel_sandbox_init::tree::children(rustix::process::getpid()).into_iter();
    children
        .filter(|pid| {
            let content = fs::read_to_string(format!("/proc/{}/{file}", pid.as_raw_pid()));
            content.is_ok_and(|content| content.contains(text))
        })
        .collect()
}
