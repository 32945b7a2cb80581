//! Memory is what the tree uses: each kind of tree against a known amount.

use firesteel_sandbox::{Event, MemoryReading};
use libtest_mimic::Trial;

use crate::fixture::Fixture;
use crate::test;

const MIB: u64 = 1 << 20;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("an_empty_sandbox_uses_nothing", empty),
        test("memory_of_one_process_is_seen_and_its_peak_stays", one_process),
        test("a_process_that_came_and_went_between_readings_is_seen", short_lived),
        test("a_grandchild_that_came_and_went_is_seen_when_its_parent_ends", short_lived_grandchild),
        test("processes_add_up", several),
        test("a_child_started_after_a_reading_is_found", later_child),
        test("what_forked_workers_share_counts_once", forked_workers),
        test("memory_of_a_lost_sandbox_can_still_be_asked", lost),
    ]
}

fn about(bytes: u64, mib: u64) {
    assert!((mib * MIB..(mib + 16) * MIB).contains(&bytes), "{} MiB, expected about {mib}", bytes / MIB);
}

async fn empty() {
    let fixture = Fixture::new("empty").await;
    assert_eq!(fixture.sandbox.memory(), MemoryReading::default());
    fixture.close().await;
}

async fn one_process() {
    let mut fixture = Fixture::new("one").await;
    assert_eq!(fixture.guest("it", &["allocate", "64"]).line(), "allocated");
    fixture.started().await;
    let reading = fixture.sandbox.memory();
    about(reading.current_bytes, 64);
    about(reading.peak_bytes, 64);
    fixture.sandbox.end_all().unwrap();
    while fixture.event().await != Event::Emptied {}
    let reading = fixture.sandbox.memory();
    assert_eq!(reading.current_bytes, 0);
    about(reading.peak_bytes, 64);
    fixture.close().await;
}

async fn short_lived() {
    let mut fixture = Fixture::new("short").await;
    fixture.guest("it", &["allocate-and-end", "64"]);
    fixture.started().await;
    assert!(matches!(fixture.event().await, Event::Exited { .. }));
    about(fixture.sandbox.memory().peak_bytes, 64);
    fixture.close().await;
}

async fn short_lived_grandchild() {
    let mut fixture = Fixture::new("grandchild").await;
    fixture.guest("it", &["allocate-in-child", "64"]);
    fixture.started().await;
    assert!(matches!(fixture.event().await, Event::Exited { .. }));
    about(fixture.sandbox.memory().peak_bytes, 64);
    fixture.close().await;
}

async fn several() {
    let fixture = Fixture::new("several").await;
    for (name, mib) in [("a", "32"), ("b", "64")] {
        assert_eq!(fixture.guest(name, &["allocate", mib]).line(), "allocated");
    }
    assert_eq!(fixture.shell("c", "echo up; exec sleep 1000").line(), "up");
    let reading = fixture.sandbox.memory();
    about(reading.current_bytes, 96);
    about(reading.peak_bytes, 96);
    fixture.close().await;
}

async fn later_child() {
    let fixture = Fixture::new("later").await;
    let executable = std::env::current_exe().unwrap();
    let go = fixture.folder.path().join("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
    let script = format!("echo up; read x < go; '{}' {} allocate 64", executable.display(), crate::GUEST);
    let mut output = fixture.shell("it", &script);
    assert_eq!(output.line(), "up");
    assert!(fixture.sandbox.memory().current_bytes < 8 * MIB);
    std::fs::write(&go, "go\n").unwrap();
    assert_eq!(output.line(), "allocated");
    about(fixture.sandbox.memory().current_bytes, 64);
    fixture.close().await;
}

async fn forked_workers() {
    let fixture = Fixture::new("workers").await;
    // A subshell is a fork that executes nothing; it shares the variable of 32 MiB with its parent.
    let script = "x=$(head -c 33554432 /dev/zero | tr '\\0' a); for i in 1 2 3; do (echo up; read y < hold) & done; wait";
    rustix::fs::mkfifoat(rustix::fs::CWD, fixture.folder.path().join("hold"), rustix::fs::Mode::RWXU)
        .unwrap();
    let mut output = fixture.shell("it", script);
    for _ in 0..3 {
        assert_eq!(output.line(), "up");
    }
    let reading = fixture.sandbox.memory();
    let range = 32 * MIB..96 * MIB;
    assert!(range.contains(&reading.current_bytes), "{} MiB", reading.current_bytes / MIB);
    assert!(reading.peak_bytes >= reading.current_bytes);
    fixture.close().await;
}

async fn lost() {
    let mut fixture = Fixture::new("lost").await;
    assert_eq!(fixture.guest("it", &["allocate", "32"]).line(), "allocated");
    let pid = fixture.started().await;
    about(fixture.sandbox.memory().peak_bytes, 32);
    rustix::process::kill_process(fixture.first_process(pid), rustix::process::Signal::KILL).unwrap();
    assert_eq!(fixture.event().await, Event::Lost);
    let reading = fixture.sandbox.memory();
    assert_eq!(reading.current_bytes, 0);
    about(reading.peak_bytes, 32);
    fixture.close().await;
}
