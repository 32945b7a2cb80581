//! Nothing outlives its sandbox, whoever dies first and whatever the processes try.

use std::io::Read;
use std::process::{Command, Stdio};

use firesteel_sandbox::{Event, Mounts, RequestError};
use libtest_mimic::Trial;
use rustix::process::Signal;

use crate::fixture::{Fixture, eventually, exists, pid_of, watch};
use crate::test;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("end_all_reaches_every_kind_of_descendant", end_all_reaches_all),
        test("end_all_wins_against_a_tree_that_keeps_forking", end_all_wins_against_forking),
        test("end_all_of_nothing_is_emptied", end_all_of_nothing),
        test("a_sandbox_is_usable_after_end_all", usable_after_end_all),
        test("close_leaves_nothing", close_leaves_nothing),
        Trial::test("a_first_process_that_is_kept_from_running_is_killed", || {
            // One thread, as a paused clock wants it.
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(kept_from_running());
            Ok(())
        }),
        test("drop_leaves_nothing", drop_leaves_nothing),
        test("a_cancelled_creation_leaves_nothing", cancelled_creation),
        test("a_stopped_first_process_does_not_hold_up_close", stopped_first_process),
        test("signals_do_not_end_the_first_process", first_process_ignores_signals),
        test("a_killed_first_process_takes_everything_with_it", killed_first_process),
        test("a_killed_first_process_takes_no_one_elses_processes", killed_first_process_spares_others),
        test("a_killed_server_takes_everything_with_it", killed_server),
    ]
}

/// Says one process number per line: itself, a child, one that ignores SIGTERM, a daemon (forked twice, in
/// its own session), one in its own process group.
const FAMILY: &str = "
    echo $$
    sleep 1000 & echo $!
    sh -c 'trap \"\" TERM HUP INT; echo $$; while :; do sleep 1000; done' &
    (setsid sh -c 'sh -c \"echo \\$\\$; exec sleep 1000\" & ' &)
    setsid sh -c 'echo $$; exec sleep 1000' &
    wait; while :; do sleep 1000; done";
const FAMILY_SIZE: usize = 5;

async fn end_all_reaches_all() {
    let mut fixture = Fixture::new("family").await;
    let mut output = fixture.shell("family", FAMILY);
    let family: Vec<_> = (0..FAMILY_SIZE).map(|_| output.pid()).collect();
    let watched: Vec<_> = family.iter().map(|&pid| watch(pid)).collect();
    let leader = fixture.started().await;
    assert!(family.contains(&leader));
    fixture.sandbox.end_all().unwrap();
    assert!(matches!(fixture.event().await, Event::Exited { name, .. } if name == "family"));
    assert_eq!(fixture.event().await, Event::Emptied);
    assert!(watched.iter().all(crate::fixture::Watched::ended), "emptied means ended");
    assert!(!family.into_iter().any(exists), "and reaped");
    fixture.close().await;
}

async fn end_all_wins_against_forking() {
    let mut fixture = Fixture::new("forking").await;
    // Each generation starts the next in a new session and ends; bounded, should nobody stop it.
    let script = "
        cat > step <<'END'
        n=$1
        [ $n -gt 0 ] && setsid sh ./step $((n - 1)) &
        exit
END
        echo begun
        for i in 1 2 3 4; do setsid sh ./step 2000 & done
        i=0; while [ $i -lt 5000 ]; do sleep 1000 & i=$((i + 1)); done; wait";
    let mut output = fixture.shell("forking", script);
    assert_eq!(output.line(), "begun");
    fixture.started().await;
    fixture.sandbox.end_all().unwrap();
    assert!(matches!(fixture.event().await, Event::Exited { .. }));
    assert_eq!(fixture.event().await, Event::Emptied);
    // Held open by whoever lives.
    output.all();
    fixture.close().await;
}

async fn end_all_of_nothing() {
    let mut fixture = Fixture::new("nothing").await;
    fixture.sandbox.end_all().unwrap();
    assert_eq!(fixture.event().await, Event::Emptied);
    fixture.close().await;
}

async fn usable_after_end_all() {
    let mut fixture = Fixture::new("again").await;
    for _ in 0..3 {
        fixture.shell("it", "exec sleep 1000");
        fixture.started().await;
        fixture.sandbox.end_all().unwrap();
        assert!(matches!(fixture.event().await, Event::Exited { .. }));
        assert_eq!(fixture.event().await, Event::Emptied);
    }
    fixture.close().await;
}

async fn close_leaves_nothing() {
    let mut fixture = Fixture::new("close").await;
    let mut output = fixture.shell("family", FAMILY);
    let mut family: Vec<_> = (0..FAMILY_SIZE).map(|_| output.pid()).collect();
    let leader = fixture.started().await;
    family.push(fixture.first_process(leader));
    let Fixture { sandbox, mut events, .. } = fixture;
    sandbox.close().await;
    assert!(!family.into_iter().any(exists));
    assert!(matches!(events.recv().await, Some(Event::Exited { .. })));
    assert_eq!(events.recv().await, Some(Event::Emptied));
    assert_eq!(events.recv().await, None);
}

async fn drop_leaves_nothing() {
    let mut fixture = Fixture::new("drop").await;
    let mut output = fixture.shell("family", FAMILY);
    let mut family: Vec<_> = (0..FAMILY_SIZE).map(|_| output.pid()).collect();
    let leader = fixture.started().await;
    family.push(fixture.first_process(leader));
    drop(fixture);
    eventually("all gone, dead ones too", || !family.iter().any(|&pid| exists(pid))).await;
}

async fn cancelled_creation() {
    let folder = tempfile::tempdir().unwrap();
    // Each look at the future gets one step further; at every step it is given up once.
    for steps in 0..6 {
        let spec = firesteel_sandbox::Spec {
            id: format!("cancelled-{steps}"),
            folder: folder.path().to_owned(),
            mounts: Mounts::default(),
            limits: firesteel_sandbox::Limits::default(),
            init: firesteel_sandbox::InitProgram::CurrentExe,
        };
        let mut creation = Box::pin(firesteel_sandbox::Sandbox::create(spec));
        for _ in 0..steps {
            let looked = std::future::poll_fn(|context| {
                std::task::Poll::Ready(creation.as_mut().poll(context).is_ready())
            });
            if looked.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    eventually("no first process is left", || first_processes("cancelled-") == 0).await;
}

/// How many processes, dead or alive, say that they are such sandboxes.
fn first_processes(id: &str) -> usize {
    let title = format!("firesteel: sandbox {id}");
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line.starts_with(title.as_bytes()))
        .count()
}

async fn stopped_first_process() {
    let mut fixture = Fixture::new("stopped").await;
    fixture.shell("it", "exec sleep 1000");
    let pid = fixture.started().await;
    let first_process = fixture.first_process(pid);
    rustix::process::kill_process(first_process, Signal::STOP).unwrap();
    eventually("the first process is stopped", || {
        crate::fixture::status_field(first_process, "State:").is_some_and(|state| state.starts_with('T'))
    })
    .await;
    fixture.close().await;
    assert!(!exists(pid) && !exists(first_process));
}

async fn kept_from_running() {
    let mut fixture = Fixture::new("kept").await;
    let mut output = fixture.shell("it", "(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000");
    let pid = fixture.started().await;
    let daemon = output.pid();
    let first_process = fixture.first_process(pid);
    let stopper = fixture.shell("stopper", "while kill -STOP $PPID; do :; done");
    eventually("the first process is stopped", || {
        crate::fixture::status_field(first_process, "State:").is_some_and(|state| state.starts_with('T'))
    })
    .await;
    // The time it is given passes at once.
    tokio::time::pause();
    fixture.sandbox.close().await;
    assert!(![daemon, pid, first_process].into_iter().any(exists));
    // Held open by the stopper, as long as it lives.
    stopper.all();
}

async fn first_process_ignores_signals() {
    let mut fixture = Fixture::new("stubborn").await;
    let script = "for s in TERM INT HUP QUIT ALRM USR1 USR2 PIPE; do kill -$s $PPID; done; exit 3";
    fixture.shell("it", script);
    fixture.started().await;
    assert!(matches!(fixture.event().await, Event::Exited { status: firesteel_sandbox::Exit::Code(3), .. }));
    fixture.close().await;
}

async fn killed_first_process() {
    let mut fixture = Fixture::new("killed").await;
    let mut output = fixture.shell("family", FAMILY);
    let mut family: Vec<_> = (0..FAMILY_SIZE).map(|_| output.pid()).collect();
    let leader = fixture.started().await;
    let first_process = fixture.first_process(leader);
    family.push(first_process);
    rustix::process::kill_process(first_process, Signal::KILL).unwrap();
    assert_eq!(fixture.event().await, Event::Lost);
    assert!(!family.into_iter().any(exists), "lost means that all is over");
    assert_eq!(fixture.end_or_event().await, None);
    assert!(matches!(fixture.sandbox.end_all(), Err(RequestError::Gone { .. })));
    fixture.close().await;
}

async fn killed_first_process_spares_others() {
    // A helper of the server's own, and another sandbox; meanwhile, sandboxes are being created.
    let mut helper = tokio::process::Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    let mut other = Fixture::new("bystander").await;
    other.shell("it", "exec sleep 1000");
    let bystander = watch(other.started().await);
    let creating = tokio::spawn(async {
        for _ in 0..20 {
            Fixture::new("newborn").await.close().await;
        }
    });
    for _ in 0..10 {
        let mut fixture = Fixture::new("victim").await;
        let mut output = fixture.shell("it", "(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000");
        let daemon = watch(output.pid());
        let pid = fixture.started().await;
        rustix::process::kill_process(fixture.first_process(pid), Signal::KILL).unwrap();
        assert_eq!(fixture.event().await, Event::Lost);
        assert!(daemon.ended());
        fixture.close().await;
    }
    creating.await.unwrap();
    assert!(!bystander.ended());
    assert_eq!(helper.try_wait().unwrap(), None);
    helper.kill().await.unwrap();
    other.close().await;
}

async fn killed_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args([crate::GUEST, "server", folder.path().to_str().unwrap(), FAMILY])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = server.stdout.take().unwrap();
    let mut text = Vec::new();
    while text.iter().filter(|&&byte| byte == b'\n').count() < FAMILY_SIZE {
        let mut chunk = [0; 64];
        let n = stdout.read(&mut chunk).unwrap();
        assert!(n > 0, "the server lives");
        text.extend_from_slice(&chunk[..n]);
    }
    let mut family: Vec<_> =
        String::from_utf8(text).unwrap().lines().map(|line| pid_of(line.trim().parse().unwrap())).collect();
    family.extend(crate::fixture::parent(family[0]));
    let watched: Vec<_> = family.iter().map(|&pid| watch(pid)).collect();
    server.kill().unwrap();
    server.wait().unwrap();
    for one in &watched {
        one.ends();
    }
}
