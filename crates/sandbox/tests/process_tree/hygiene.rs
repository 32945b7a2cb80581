//! What sandboxes cost the server that makes them: nothing that stays.

use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::fixture::{Fixture, eventually, status_field};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("two_hundred_sandboxes_leave_no_descriptors_and_no_dead", two_hundred_in_turn),
        test("fifty_sandboxes_live_at_once", fifty_at_once),
        test("a_first_process_keeps_nothing_of_the_servers", first_process_is_clean),
    ]
}

/// In a process of its own, where nobody else opens descriptors.
async fn two_hundred_in_turn() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([crate::GUEST, "cycles", "200"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The body of the above, as a guest.
pub(crate) async fn cycles(n: usize) {
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut before = None;
    for turn in 0..n {
        let mut fixture = Fixture::new("cycle").await;
        fixture.shell("it", "exec sleep 1000");
        let pid = fixture.started().await;
        assert!(fixture.sandbox.memory().peak_bytes > 0);
        // Some are lost instead of closed.
        if turn % 10 == 9 {
            let first_process = fixture.first_process(pid);
            rustix::process::kill_process(first_process, Signal::KILL).unwrap();
            assert_eq!(fixture.event().await, firesteel_sandbox::Event::Lost);
        }
        fixture.close().await;
        // The first turn makes the async runtime open what it keeps.
        before.get_or_insert_with(count);
    }
    eventually("as few descriptors as after the first", || Some(count()) <= before).await;
    assert_eq!(firesteel_sandbox_init::tree::children(rustix::process::getpid()), []);
}

async fn fifty_at_once() {
    let creations: Vec<_> =
        (0..50).map(|n| tokio::spawn(async move { Fixture::new(&format!("of-fifty-{n}")).await })).collect();
    let mut fixtures = Vec::new();
    for creation in creations {
        fixtures.push(creation.await.unwrap());
    }
    let mut pids = Vec::new();
    for (n, fixture) in fixtures.iter_mut().enumerate() {
        let mut output = fixture.shell("it", &format!("echo {n}; exec sleep 1000"));
        assert_eq!(output.line(), n.to_string());
        pids.push(fixture.started().await);
    }
    let closings: Vec<_> = fixtures.into_iter().map(|fixture| tokio::spawn(fixture.close())).collect();
    for closing in closings {
        closing.await.unwrap();
    }
    assert!(!pids.into_iter().any(crate::fixture::exists));
}

async fn first_process_is_clean() {
    // Not close-on-exec, as a careless library would open it.
    let leaked = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let mut fixture = Fixture::new("clean").await;
    fixture.shell("it", "exec sleep 1000");
    let pid = fixture.started().await;
    let first_process = fixture.first_process(pid);
    let folder = format!("/proc/{}", first_process.as_raw_pid());
    for entry in std::fs::read_dir(format!("{folder}/fd")).unwrap().flatten() {
        let target = std::fs::read_link(entry.path()).unwrap();
        let target = target.to_str().unwrap();
        assert!(target == "/dev/null" || target.starts_with("socket:"), "{target}");
    }
    assert_eq!(std::fs::read(format!("{folder}/environ")).unwrap(), b"");
    assert_eq!(rustix::process::getsid(Some(first_process)).unwrap(), first_process);
    assert_eq!(status_field(first_process, "Threads:").as_deref(), Some("1"));
    let title = std::fs::read_to_string(format!("{folder}/cmdline")).unwrap();
    assert!(title.starts_with("firesteel: sandbox clean\0"), "{title}");
    assert_eq!(status_field(first_process, "Name:").as_deref(), Some("sandbox-init"));
    fixture.close().await;
}
