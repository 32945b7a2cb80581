//! What a sandbox may use, and how it is measured.

use firesteel_sandbox::{CpuShare, Event, Exit, Limits};
use libtest_mimic::Trial;

use crate::fixture::{Fixture, LIMITS, MIB, eventually};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("memory ends at its limit and the kill is counted", memory_ends),
        test("what is written to tmp is no memory and ends at its size", tmp_ends),
        test("processes end at their limit", processes_end),
        test("a frozen sandbox stands still and goes on", frozen),
        test("processor time is held to its share", processor_time),
    ]
}

async fn memory_ends() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let take = |mib: u64| format!("head -c {}M /dev/zero | tail -c {}M | wc -c", mib + 1, mib);
    assert_eq!(sandbox.says(&take(96)).await, (96 * MIB).to_string());
    assert_eq!(sandbox.sandbox.out_of_memory_kills(), 0);
    let peak = sandbox.sandbox.memory().peak_bytes;
    assert!((96 * MIB..=128 * MIB).contains(&peak), "{peak}");
    let (_, said) = sandbox.run(&take(160)).await;
    assert!(said.lines().any(|line| line == "0"), "{said}");
    assert_eq!(sandbox.sandbox.out_of_memory_kills(), 1);
    // The first process is not who is ended: what comes next runs.
    assert_eq!(sandbox.says("echo on").await, "on");
    sandbox.close().await;
    fixture.close().await;
}

async fn tmp_ends() {
    let fixture = Fixture::new(0);
    for tmp_mib in [512, 600] {
        let limits = Limits { tmp_mib, memory_bytes: Some(128 * MIB), ..LIMITS };
        let mut sandbox = fixture.sandbox_with("a", limits, Vec::new()).await;
        let write =
            |mib: u32| format!("dd if=/dev/zero of=/tmp/file bs=1M count={mib} 2>&1 | tail -1; rm /tmp/file");
        assert!(sandbox.says(&write(tmp_mib)).await.contains("copied"));
        let (_, said) =
            sandbox.run(&format!("dd if=/dev/zero of=/tmp/file bs=1M count={}", tmp_mib + 40)).await;
        assert!(said.contains("No space left on device"), "{said}");
        assert_eq!(sandbox.sandbox.out_of_memory_kills(), 0);
        sandbox.close().await;
    }
    fixture.close().await;
}

async fn processes_end() {
    let fixture = Fixture::new(0);
    let mut sandbox = fixture.sandbox("a").await;
    let (_, said) = sandbox
        .run("exec 3>&1; i=0; while [ $i -lt 80 ]; do sleep 1000 >&- 2>&- 3>&- & i=$((i+1)); done; echo all")
        .await;
    assert!(said.contains("Resource temporarily unavailable") || said.contains("Cannot fork"), "{said}");
    sandbox.sandbox.end_all().unwrap();
    assert_eq!(sandbox.event().await, Event::Emptied);
    sandbox.close().await;
    fixture.close().await;
}

async fn frozen() {
    let fixture = Fixture::new(0);
    let sandbox = fixture.sandbox("a").await;
    let counter = fixture.folder.path().join("counter");
    std::fs::create_dir(&counter).unwrap();
    let script = "(setsid sh -c 'while :; do echo x; done' &); exec sleep 1000";
    let mut output = sandbox.start("counter", script);
    let mut chunk = [0; 4096];
    // Until the pipe is full it writes as fast as it is read.
    let mut read = move || std::io::Read::read(&mut output, &mut chunk).unwrap();
    assert!(read() > 0);
    assert!(sandbox.sandbox.freezes_at_once());
    sandbox.sandbox.freeze().unwrap();
    let before = processor_time_of("while :; do echo x");
    eventually("it stands still", || {
        let now = processor_time_of("while :; do echo x");
        std::thread::yield_now();
        now == processor_time_of("while :; do echo x") && now >= before
    })
    .await;
    let still = processor_time_of("while :; do echo x");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(processor_time_of("while :; do echo x"), still);
    sandbox.sandbox.thaw().unwrap();
    eventually("it goes on", || {
        read();
        processor_time_of("while :; do echo x") > still
    })
    .await;
    sandbox.close().await;
    fixture.close().await;
}

/// In ticks, of all processes whose command line holds a text.
fn processor_time_of(text: &str) -> u64 {
    let of = |pid: i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<u64> = stat
            .rsplit_once(") ")
            .map_or("", |(_, rest)| rest)
            .split(' ')
            .filter_map(|field| field.parse().ok())
            .collect();
        fields.get(10..12).map_or(0, |times| times.iter().sum())
    };
    crate::fixture::processes_with(text).into_iter().map(of).sum()
}

async fn processor_time() {
    let fixture = Fixture::new(0);
    let limits = Limits { cpu: Some(CpuShare::from_thousandths(100)), ..LIMITS };
    let mut sandbox = fixture.sandbox_with("a", limits, Vec::new()).await;
    // A shell that counts its own seconds, by the clock and of the processor.
    let script = "timeout 1 sh -c 'while :; do :; done'; times";
    let (exit, said) = sandbox.run(script).await;
    assert_eq!(exit, Exit::Code(0), "{said}");
    let children = said.lines().last().unwrap().split(' ').next().unwrap();
    let seconds: f64 = children.trim_start_matches("0m").trim_end_matches('s').parse().unwrap();
    assert!((0.05..0.2).contains(&seconds), "{said}");
    sandbox.close().await;
    fixture.close().await;
}
