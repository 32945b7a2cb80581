//! What the sandbox's operations cost: fastest, median and 99th percentile over many turns, one at a time.
//!
//! `cargo bench -p firesteel-sandbox`

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use firesteel_sandbox::{Bind, Event, Events, InitProgram, Limits, Mounts, Process, Program, Sandbox, Spec};
use firesteel_sandbox_init::tree;
use rustix::process::Pid;

const TURNS: usize = 300;

fn main() -> ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    runtime.block_on(async {
        let file = path.join("file");
        std::fs::write(&file, "").expect("the folder can be written to");
        let read_only = Mounts { read_only: vec![path.clone()], binds: Vec::new(), ..Mounts::default() };
        let binds = vec![Bind { from: file, at: "/etc/hosts".into(), read_only: true }];
        life(&path, &Mounts::default(), "").await;
        life(&path, &read_only, ", read-only folder").await;
        life(&path, &Mounts { binds, ..read_only.clone() }, ", read-only folder, a file").await;
        freezing(&path).await;
        memory(&path).await;
        #[cfg(target_os = "linux")]
        for (blanks, note) in [(1, "a blank"), (0, "made when asked for")] {
            roots(&path, blanks, note).await;
        }
        #[cfg(target_os = "linux")]
        for runtime in ["crun", "runc"] {
            containers(&path, runtime).await;
        }
    });
    #[cfg(target_os = "linux")]
    control_groups();
    ExitCode::SUCCESS
}

async fn life(folder: &Path, mounts: &Mounts, note: &str) {
    let [mut create, mut spawn, mut end_all, mut close] = [const { Vec::new() }; 4];
    for _ in 0..TURNS {
        let begin = Instant::now();
        let (sandbox, mut events) = Sandbox::create(spec(folder, mounts.clone())).await.expect("a sandbox");
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

/// Namespaces, with the system's folders and with a tree: from asking for a sandbox to a program that runs in it.
#[cfg(target_os = "linux")]
async fn roots(folder: &Path, blanks: usize, note: &str) {
    use firesteel_sandbox::Backend;
    use firesteel_sandbox::namespace::{Network, Settings};

    let folder = folder.join(format!("roots-{blanks}"));
    let tree = folder.join("tree");
    std::fs::create_dir_all(tree.join("bin")).expect("the folder can be written to");
    // Debian's busybox-static, which says so itself if it is missing.
    if std::fs::copy("/bin/busybox", tree.join("bin/sleep")).is_err() {
        return;
    }
    let settings = Settings {
        id: format!("bench-{}-roots-{blanks}", std::process::id()),
        folder: folder.clone(),
        blanks,
        network: Network::None,
        init: InitProgram::CurrentExe,
    };
    let Ok(backend) = Backend::namespace(settings) else { return };
    for (mounts, root) in [
        (Mounts::default(), "the system's folders"),
        (Mounts { tree: Some(tree), ..Mounts::default() }, "a tree"),
    ] {
        let mut started = Vec::new();
        for _ in 0..TURNS / 10 {
            // Fills the pool.
            backend.probe().await.expect("a sandbox");
            let wanted = Spec {
                limits: Limits { tmp_mib: 512, ..Limits::default() },
                ..spec(&folder, mounts.clone())
            };
            let begin = Instant::now();
            let (sandbox, mut events) = backend.create(wanted).await.expect("a sandbox");
            let mut process = sleep(Path::new("/tmp"), "a", "");
            process.program.program = "/bin/sleep".into();
            process.program.arguments = vec!["1000".into()];
            sandbox.spawn(process).expect("sent");
            await_event(&mut events, |event| matches!(event, Event::Started { .. })).await;
            started.push(begin.elapsed());
            sandbox.close().await;
        }
        report(&format!("namespace, {root}, {note}: create to started"), started);
    }
    backend.close().await;
}

/// Fewer turns: these are dear.
#[cfg(target_os = "linux")]
async fn containers(folder: &Path, runtime: &str) {
    use firesteel_sandbox::Backend;
    use firesteel_sandbox::namespace::{Network, Settings};
    use firesteel_sandbox::oci::OciRuntime;

    let Ok(found) = OciRuntime::find(Some(runtime)) else { return };
    let folder = folder.join(runtime);
    std::fs::create_dir(&folder).expect("the folder can be written to");
    let settings = Settings {
        id: format!("bench-{}-{runtime}", std::process::id()),
        folder: folder.clone(),
        blanks: 0,
        network: Network::None,
        init: InitProgram::CurrentExe,
    };
    let Ok(backend) = Backend::oci(settings, found) else { return };
    let [mut create, mut spawn, mut close] = [const { Vec::new() }; 3];
    for _ in 0..TURNS / 10 {
        let begin = Instant::now();
        let wanted =
            Spec { limits: Limits { tmp_mib: 512, ..Limits::default() }, ..spec(&folder, Mounts::default()) };
        let (sandbox, mut events) = backend.create(wanted).await.expect("a sandbox");
        create.push(begin.elapsed());

        let begin = Instant::now();
        sandbox.spawn(sleep(Path::new("/tmp"), "a", "exec sleep 1000")).expect("sent");
        await_event(&mut events, |event| matches!(event, Event::Started { .. })).await;
        spawn.push(begin.elapsed());

        let begin = Instant::now();
        sandbox.close().await;
        close.push(begin.elapsed());
    }
    report(&format!("{runtime}: create to ready"), create);
    report(&format!("{runtime}: spawn to started"), spawn);
    report(&format!("{runtime}: close with one process"), close);
}

async fn memory(folder: &Path) {
    let (sandbox, mut events) = Sandbox::create(spec(folder, Mounts::default())).await.expect("a sandbox");
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

/// Empty ones, and one with a process in it.
#[cfg(target_os = "linux")]
fn control_groups() {
    let groups = firesteel_sandbox::Groups::open(&format!("bench-{}", std::process::id()));
    let make = || groups.make("sandbox").expect("a host that lets groups be made");
    report("control group, make and drop", turns(|| drop(make())));
    let group = make();
    let small = firesteel_sandbox::CpuShare::from_thousandths(72);
    report("control group, limit memory", turns(|| group.limit_memory(128 << 20).expect("a limit")));
    report("control group, limit processes", turns(|| group.limit_processes(1024).expect("a limit")));
    report("control group, limit processor time", turns(|| group.limit_cpu(Some(small)).expect("a limit")));
    let again = turns(|| {
        group.limit_cpu(None).expect("no limit");
        group.limit_cpu(Some(small)).expect("a limit");
    });
    report("control group, no limit of processor time and one again", again);
    let mut moved = std::process::Command::new("sleep").arg("1000").spawn().expect("a program called sleep");
    let pid = Pid::from_child(&moved);
    let other = groups.make("other").expect("a host that lets groups be made");
    let enter = turns_with(|| group.enter(pid).expect("it lives"), || other.enter(pid).expect("it lives"));
    report("control group, enter v1", enter);
    drop(other);
    moved.wait().expect("it was killed");
    // One that runs all the time: of a sleeping one it cannot be seen whether it has gone on.
    let mut child =
        std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell");
    let pid = Pid::from_child(&child);
    group.limit_cpu(None).expect("no limit");
    group.enter_all(pid).expect("it lives");
    let until_frozen = || while !group.is_frozen().expect("cgroup2") {};
    let until_running = || {
        let before = processor_time(pid);
        while processor_time(pid) == before {}
    };
    let go_on = || {
        group.thaw().expect("cgroup2");
        until_running();
    };
    let freeze = || group.freeze().expect("cgroup2");
    let stand_still = || {
        freeze();
        until_frozen();
    };
    until_running();
    let freezing = turns_with(freeze, || {
        until_frozen();
        go_on();
    });
    report("control group, freeze, a running process", freezing);
    report("control group, freeze until it stands still", turns_with(stand_still, go_on));
    stand_still();
    let thawing = turns_with(
        || group.thaw().expect("cgroup2"),
        || {
            until_running();
            stand_still();
        },
    );
    report("control group, thaw", thawing);
    report(
        "control group, read memory and kills",
        turns(|| {
            group.memory().expect("counted");
            group.oom_kills().expect("counted");
        }),
    );
    drop(group);
    child.wait().expect("it was killed");
    let drops = std::iter::repeat_with(|| {
        let group = make();
        let mut child =
            std::process::Command::new("sleep").arg("1000").spawn().expect("a program called sleep");
        group.enter_all(Pid::from_child(&child)).expect("it lives");
        let begin = Instant::now();
        drop(group);
        let took = begin.elapsed();
        child.wait().expect("it was killed");
        took
    });
    report("control group, drop with a process in it", drops.take(TURNS).collect());
    report(
        "control groups, look for abandoned ones",
        turns(|| drop(firesteel_sandbox::Groups::remove_abandoned())),
    );
}

#[cfg(target_os = "linux")]
fn turns(mut act: impl FnMut()) -> Vec<Duration> {
    turns_with(&mut act, || ())
}

/// Only the first counts.
#[cfg(target_os = "linux")]
fn turns_with(mut act: impl FnMut(), mut between: impl FnMut()) -> Vec<Duration> {
    let time = || {
        let begin = Instant::now();
        act();
        let took = begin.elapsed();
        between();
        took
    };
    std::iter::repeat_with(time).take(TURNS).collect()
}

/// From the request until the kernel says so of every process, and how long the first process runs for it.
async fn freezing(folder: &Path) {
    let threads = "import threading as t\nfor i in range(4): t.Thread(target=t.Event().wait).start()";
    let one = format!("exec python3 -c '{threads}'");
    let twenty = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do sleep 1000 & done; wait";
    for (script, what) in [(&*one, "one process of 5 threads"), (twenty, "20 processes")] {
        let (sandbox, mut events) =
            Sandbox::create(spec(folder, Mounts::default())).await.expect("a sandbox");
        sandbox.spawn(sleep(folder, "a", script)).expect("sent");
        let started = await_event(&mut events, |event| matches!(event, Event::Started { .. })).await;
        let Event::Started { pid, .. } = started else { unreachable!() };
        until_threads(&sandbox).await;
        let leader = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a number of a process");
        let first_process = parent(leader);
        let tree: Vec<_> = tree::below(first_process).iter().map(|found| found.pid).collect();
        let [mut freeze, mut thaw, mut freeze_cpu, mut thaw_cpu] = [const { Vec::new() }; 4];
        for _ in 0..TURNS {
            let ran = processor_time(first_process);
            let begin = Instant::now();
            sandbox.freeze().expect("sent");
            until(|| tree.iter().all(|pid| state(*pid) == 'T')).await;
            freeze.push(begin.elapsed());
            rest(first_process).await;
            freeze_cpu.push(processor_time(first_process) - ran);

            let ran = processor_time(first_process);
            let begin = Instant::now();
            sandbox.thaw().expect("sent");
            until(|| tree.iter().all(|pid| state(*pid) != 'T')).await;
            thaw.push(begin.elapsed());
            rest(first_process).await;
            thaw_cpu.push(processor_time(first_process) - ran);
        }
        report(&format!("freeze to all stopped, {what}"), freeze);
        report(&format!("freeze, processor time of the first process, {what}"), freeze_cpu);
        report(&format!("thaw to all going on, {what}"), thaw);
        report(&format!("thaw, processor time of the first process, {what}"), thaw_cpu);
        sandbox.close().await;
    }
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

/// Until it has not run for a millisecond.
async fn rest(process: Pid) {
    let mut last = None;
    while last.replace(processor_time(process)) != Some(processor_time(process)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn processor_time(process: Pid) -> Duration {
    let line = std::fs::read_to_string(format!("/proc/{}/schedstat", process.as_raw_pid()));
    let line = line.expect("a kernel that accounts for processor time");
    Duration::from_nanos(line.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number"))
}

fn state(process: Pid) -> char {
    stat_field(process, 0).chars().next().expect("a state")
}

fn parent(of: Pid) -> Pid {
    Pid::from_raw(stat_field(of, 1).parse().expect("a number")).expect("a parent")
}

fn stat_field(process: Pid, index: usize) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_pid())).expect("it lives");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
    fields.split(' ').nth(index).expect("a field").to_owned()
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

fn spec(folder: &Path, mounts: Mounts) -> Spec {
    let limits = Limits::default();
    Spec { id: "bench".into(), folder: folder.to_owned(), mounts, limits, init: InitProgram::CurrentExe }
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

async fn await_event(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.recv().await.expect("the sandbox lives");
        assert!(!matches!(event, Event::SpawnFailed { .. }), "{event:?}");
        if wanted(&event) {
            return event;
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100].as_nanos() as f64 / 1000.0;
    println!("{what:<60} fastest {:>8.1} µs   median {:>8.1} µs   p99 {:>8.1} µs", at(0), at(50), at(99));
}
