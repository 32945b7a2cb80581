//! What the sandbox's operations cost: fastest, median and 99th percentile over many turns, one at a time.
//!
//! `cargo bench -p firesteel-sandbox`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use firesteel_sandbox::{Event, Events, InitProgram, Mounts, Process, Program, Sandbox, Spec};

const TURNS: usize = 300;

fn main() -> ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    runtime.block_on(async {
        life(&path, Vec::new(), "").await;
        life(&path, vec![path.clone()], ", read-only folder").await;
        memory(&path).await;
    });
    ExitCode::SUCCESS
}

async fn life(folder: &Path, read_only: Vec<PathBuf>, note: &str) {
    let [mut create, mut spawn, mut end_all, mut close] = [const { Vec::new() }; 4];
    for _ in 0..TURNS {
        let begin = Instant::now();
        let (sandbox, mut events) =
            Sandbox::create(spec(folder, read_only.clone())).await.expect("a sandbox");
        create.push(begin.elapsed());

        let begin = Instant::now();
        sandbox.spawn(sleep(folder, "a", "exec sleep 1000")).expect("sent");
        await_event(&mut events, |event| matches!(event, Event::Started { .. })).await;
        spawn.push(begin.elapsed());

        let begin = Instant::now();
        sandbox.end_all().expect("sent");
        await_event(&mut events, |event| *event == Event::Emptied).await;
        end_all.push(begin.elapsed());

        let begin = Instant::now();
        sandbox.close().await;
        close.push(begin.elapsed());
    }
    report(&format!("create to ready{note}"), create);
    report(&format!("spawn to started{note}"), spawn);
    report(&format!("end_all of one process{note}"), end_all);
    report(&format!("close when empty{note}"), close);
}

async fn memory(folder: &Path) {
    let (sandbox, mut events) = Sandbox::create(spec(folder, Vec::new())).await.expect("a sandbox");
    sandbox.spawn(sleep(folder, "a", "exec sleep 1000")).expect("sent");
    await_event(&mut events, |event| matches!(event, Event::Started { .. })).await;
    let time = |sandbox: &Sandbox| {
        let begin = Instant::now();
        assert!(sandbox.memory().current_bytes > 0);
        begin.elapsed()
    };
    report("memory, one process, nothing started since", (0..TURNS).map(|_| time(&sandbox)).collect());
    let after_a_start = (0..TURNS).map(|_| {
        std::thread::spawn(|| {}).join().expect("an empty thread ends");
        time(&sandbox)
    });
    report("memory, one process, host has started a task since", after_a_start.collect());

    let threads = "import threading as t\nfor i in range(10): t.Thread(target=t.Event().wait).start()";
    for (script, what) in [
        ("exec sleep 1000", "two processes"),
        (&*format!("exec python3 -c '{threads}'"), "three processes, one with 11 threads"),
    ] {
        let name = what;
        sandbox.spawn(sleep(folder, name, script)).expect("sent");
        await_event(&mut events, |event| matches!(event, Event::Started { .. })).await;
        if script.contains("python3") {
            until_threads(&sandbox).await;
        }
        report(&format!("memory, {what}, nothing since"), (0..TURNS).map(|_| time(&sandbox)).collect());
        let after_a_start = (0..TURNS).map(|_| {
            std::thread::spawn(|| {}).join().expect("an empty thread ends");
            time(&sandbox)
        });
        report(&format!("memory, {what}, task started since"), after_a_start.collect());
    }
    sandbox.close().await;
}

/// Until memory stays the same for a thousand readings: the interpreter has started its threads by then.
async fn until_threads(sandbox: &Sandbox) {
    let mut same = 0;
    let mut last = sandbox.memory();
    while same < 20_000 {
        let now = sandbox.memory();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        tokio::task::yield_now().await;
    }
}

fn spec(folder: &Path, read_only: Vec<PathBuf>) -> Spec {
    Spec {
        id: "bench".into(),
        folder: folder.to_owned(),
        mounts: Mounts { read_only, binds: Vec::new() },
        init: InitProgram::CurrentExe,
    }
}

fn sleep(folder: &Path, name: &str, script: &str) -> Process {
    let null = || std::fs::File::create("/dev/null").expect("a host has /dev/null").into();
    let program = Program {
        name: name.into(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        variables: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        working_dir: folder.to_owned(),
    };
    Process { program, stdout: null(), stderr: null() }
}

async fn await_event(events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    loop {
        let event = events.recv().await.expect("the sandbox lives");
        assert!(!matches!(event, Event::SpawnFailed { .. }), "{event:?}");
        if wanted(&event) {
            return;
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_nanos() as f64 / 1000.0;
    println!("{what:<60} fastest {:>8.1} µs   median {:>8.1} µs   p99 {:>8.1} µs", at(0), at(50), at(99));
}
