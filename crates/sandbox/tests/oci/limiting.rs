//! What a guest may use, and how it stands still.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use firesteel_sandbox::{Bind, CpuShare, Event, Exit, Limits, Mounts};

use crate::Test;
use crate::fixture::{Host, eventually};

pub(crate) const TESTS: &[Test] = &[
    ("memory_is_limited_and_counted", |host| Box::pin(memory_is_limited_and_counted(host))),
    ("processes_are_limited", |host| Box::pin(processes_are_limited(host))),
    ("a_frozen_sandbox_stands_still_and_is_spoken_to", |host| {
        Box::pin(a_frozen_sandbox_stands_still_and_is_spoken_to(host))
    }),
];

const MIB: u64 = 1 << 20;

async fn memory_is_limited_and_counted(host: Host) {
    let limits = Limits { memory_bytes: Some(64 * MIB), tmp_mib: 16, ..Limits::default() };
    let mut guest = host.try_guest("hungry", limits, Mounts::default()).await.unwrap();
    // What the runtime itself has used is not the guest's.
    let (_, status) = guest.run("true").await;
    assert_eq!(status, Exit::Code(0));
    let before = guest.sandbox.memory();
    assert!(before.peak_bytes < 24 * MIB, "{before:?}");

    let (_, status) = guest.run("x=$(head -c 30M /dev/zero | tr '\\0' x)").await;
    assert_eq!(status, Exit::Code(0));
    assert_eq!(guest.sandbox.out_of_memory_kills(), 0);
    assert!(guest.sandbox.memory().peak_bytes > 30 * MIB);

    let (_, status) = guest.run("exec tail /dev/zero").await;
    assert_eq!(status, Exit::Signal(9));
    assert_eq!(guest.sandbox.out_of_memory_kills(), 1);
    // The first process is not who goes.
    let (text, _) = guest.run("echo alive").await;
    assert_eq!(text, "alive\n");
    guest.close().await;
    host.close().await;
}

async fn processes_are_limited(host: Host) {
    let limits = Limits { processes: Some(20), tmp_mib: 16, ..Limits::default() };
    let mut guest = host.try_guest("many", limits, Mounts::default()).await.unwrap();
    // Unlike bash, sh does not try again.
    let script = "sh -c 'for n in $(seq 40); do sleep 1000 >/dev/null 2>&1 & echo $n; done' 2>&1";
    let (text, _) = guest.run(script).await;
    assert!(text.contains("Cannot fork"), "{text}");
    // bash itself may have become sh.
    assert!(matches!(text.lines().count(), 19..=20), "{text}");
    guest.close().await;
    host.close().await;
}

async fn a_frozen_sandbox_stands_still_and_is_spoken_to(host: Host) {
    let folder = host.folder.path().join("counts");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let mounts = Mounts {
        binds: vec![Bind { from: folder.clone(), at: "/mnt/counts".into(), read_only: false }],
        ..Mounts::default()
    };
    let limits = Limits { cpu: Some(CpuShare::from_thousandths(1000)), tmp_mib: 16, ..Limits::default() };
    let mut guest = host.try_guest("counting", limits, mounts).await.unwrap();
    let _output = guest.shell("counter", "n=0; while :; do n=$((n + 1)); echo $n >>/mnt/counts/n; done");
    assert!(matches!(guest.event().await, Event::Started { .. }));
    let count = || fs::metadata(folder.join("n")).map_or(0, |found| found.len());
    eventually("it counts", || count() > 0).await;

    guest.sandbox.freeze().unwrap();
    let group = host.groups().into_iter().find_map(|group| {
        group.join("counting/cgroup.events").exists().then(|| group.join("counting/cgroup.events"))
    });
    let group = group.expect("a group that freezes");
    eventually("it is frozen", || fs::read_to_string(&group).unwrap().contains("frozen 1")).await;
    let frozen = count();
    // Another sandbox is made and ended meanwhile: dozens of milliseconds.
    host.guest("meanwhile").await.close().await;
    assert_eq!(count(), frozen);
    assert!(guest.sandbox.memory().current_bytes > 0);

    guest.sandbox.thaw().unwrap();
    eventually("it counts on", || count() > frozen).await;

    // The first process hears what is said while all else stands still.
    guest.sandbox.freeze().unwrap();
    guest.sandbox.end_all().unwrap();
    assert!(matches!(guest.event().await, Event::Exited { status: Exit::Signal(9), .. }));
    assert_eq!(guest.event().await, Event::Emptied);
    guest.sandbox.freeze().unwrap();
    guest.close().await;
    host.close().await;
}
