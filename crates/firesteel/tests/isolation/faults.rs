//! kill -9 of the server, of first processes, runtimes and the spawner, while invocations go on, at moments drawn from a
//! seed.
//!
//! `FIRESTEEL_CHAOS_SEED` chooses other moments; the one that was used is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::guests;
use crate::harness::client::{Client, Reply};
use crate::harness::process::{eventually, marked};
use crate::harness::server::{Server, invocations};
use crate::harness::{self};
use crate::run::{self, Member, Run};

/// Takes its time, and answers with its event.
const SLOW: &str = r#"
def answer(event):
    time.sleep(0.003)
    return event.body
serve(answer)
"#;

/// Kills of what a server has made, each beside invocations.
const KILLS: usize = 200;

/// Kills of servers.
const SERVERS: usize = 60;

/// When enough was killed, however few those were. A machine that does much else is not to be kept for ever.
const AT_MOST: Duration = Duration::from_secs(45);

/// Numbers that look random, and are the same for the same seed.
struct Drawn(u64);

impl Drawn {
    #[track_caller]
    fn new(test: &str) -> Self {
        let seed = std::env::var("FIRESTEEL_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        let _ = writeln!(std::io::stderr(), "{test}: FIRESTEEL_CHAOS_SEED={seed}");
        Drawn(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(end).unwrap()).unwrap()
    }

    /// Lets some time pass.
    fn pass(&mut self, most: Duration) {
        let moment =
            Instant::now() + most.mul_f64(f64::from(u32::try_from(self.below(1000)).unwrap()) / 1000.0);
        while let Some(rest) = moment.checked_duration_since(Instant::now()) {
            park_timeout(rest);
        }
    }
}

/// Which kind of answer this is; or what is wrong with it.
fn kind(reply: &Reply, event: &str) -> Result<&'static str, String> {
    let failed = reply.header("x-amz-function-error").is_some();
    let text = reply.text();
    match (reply.status, failed) {
        (200, false) if text == event => Ok("answered"),
        (200, true) if text.contains("Runtime.ExitError") && text.contains("signal: killed") => {
            Ok("runtime killed")
        }
        // The first process, and all with it.
        (500, false) if reply.header("x-amzn-errortype") == Some("ServiceException") => Ok("sandbox killed"),
        (status, _) => Err(format!("{status} {text}, not {event}")),
    }
}

/// What one is to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    FirstProcess,
    Runtime,
    Spawner,
}

fn kill_one(victim: Victim, run: &Run, server: &Server, drawn: &mut Drawn) -> bool {
    let mut found: Vec<Member> = run.members();
    match victim {
        Victim::FirstProcess => found.retain(|member| member.inner_pid == 1),
        Victim::Runtime => found.retain(|member| member.inner_pid != 1),
        Victim::Spawner => {
            return spawner_of(server)
                .is_some_and(|pid| run::kill_if(pid, || spawner_of(server) == Some(pid)));
        }
    }
    !found.is_empty() && run.kill(found[drawn.below(found.len())])
}

fn spawner_of(server: &Server) -> Option<u32> {
    children_of(server).into_iter().find(|pid| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // First processes are copies of it, in namespaces of their own: those have two numbers.
        let numbers = read("status")
            .lines()
            .find_map(|line| Some(line.strip_prefix("NSpid:")?.split_whitespace().count()));
        read("cmdline").starts_with("firesteel: spawner") && numbers == Some(1)
    })
}

fn children_of(server: &Server) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).into_iter().flatten().flatten();
    let lists: Vec<_> =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok()).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).filter_map(|pid| pid.parse().ok()).collect()
}

/// Those that nobody has reaped.
fn ended_children_of(server: &Server) -> Vec<u32> {
    let has_ended = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('Z'))
    };
    children_of(server).into_iter().filter(has_ended).collect()
}

#[test]
fn what_the_server_has_made_is_killed_and_it_goes_on() {
    let Some(backend) = Backend::for_test("what_the_server_has_made_is_killed_and_it_goes_on") else {
        return;
    };
    let mut drawn = Drawn::new("kills of what a server has made");
    let mut victims = vec![Victim::FirstProcess, Victim::FirstProcess, Victim::Runtime, Victim::Runtime];
    if backend.has_spawner() {
        victims.push(Victim::Spawner);
    }
    let arguments = ["--timeout", "20", "--memory", "884", "--max-environments", "6", "--wait-ms", "25000"];
    let server = Server::of(&guests::scripted(SLOW), &[&backend.arguments()[..], &arguments].concat());
    let run = Run::of(&server);
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (killed, answers) = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut client, mut kinds) = (server.client(), BTreeMap::new());
                    while !stop.load(Ordering::Relaxed) {
                        let event = format!("\"{}\"", asked.fetch_add(1, Ordering::Relaxed));
                        let reply = client.post(&invocations("f"), &[], event.as_bytes());
                        match kind(&reply, &event) {
                            Ok(kind) => *kinds.entry(kind).or_insert(0_usize) += 1,
                            Err(wrong) => return Err(wrong),
                        }
                    }
                    Ok(kinds)
                })
            })
            .collect();
        let mut killed = BTreeMap::new();
        let end = Instant::now() + AT_MOST;
        while killed.values().sum::<usize>() < KILLS && Instant::now() < end {
            drawn.pass(Duration::from_millis(100));
            let victim = victims[drawn.below(victims.len())];
            if kill_one(victim, &run, &server, &mut drawn) {
                *killed.entry(victim).or_insert(0) += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        let answers: Vec<_> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
        (killed, answers)
    });
    let _ = writeln!(std::io::stderr(), "killed {killed:?}; {answers:?}");
    let wrong: Vec<_> = answers.iter().filter_map(|answers| answers.as_ref().err()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(victims.iter().all(|victim| killed.contains_key(victim)), "{killed:?}");
    eventually("every process that was killed is reaped", || ended_children_of(&server).is_empty());
    // All is as ever.
    eventually("it answers again", || kind(&server.invoke("\"x\""), "\"x\"") == Ok("answered"));
    let namespaces = run.namespaces();
    drop(server);
    run.left_nothing(&namespaces);
}

/// The spawner alone: nobody is told of its end.
#[test]
fn callers_do_not_notice_the_end_of_the_spawner() {
    let Some(backend) = Backend::for_test("callers_do_not_notice_the_end_of_the_spawner") else { return };
    if !backend.has_spawner() {
        return;
    }
    let arguments = ["--timeout", "20", "--max-environments", "100"];
    let server = Server::of(
        &guests::scripted("serve(lambda event: (time.sleep(0.1), event.body)[1])"),
        &[&backend.arguments()[..], &arguments].concat(),
    );
    let run = Run::of(&server);
    server.invoke("1").success();
    for round in 1..=3 {
        let spawner = spawner_of(&server).unwrap();
        assert!(run::kill_if(spawner, || spawner_of(&server) == Some(spawner)));
        eventually("it has ended", || !Path::new(&format!("/proc/{spawner}/exe")).exists());
        // More at a time than there are idle and blank ones.
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..round * 8).map(|_| scope.spawn(|| server.invoke("2"))).collect();
            calls.into_iter().for_each(|call| assert_eq!(call.join().unwrap().success(), "2"));
        });
        eventually("there is another", || spawner_of(&server).is_some_and(|pid| pid != spawner));
    }
    let namespaces = run.namespaces();
    drop(server);
    run.left_nothing(&namespaces);
}

#[test]
fn servers_are_killed_and_the_next_start_is_clean() {
    let Some(backend) = Backend::for_test("servers_are_killed_and_the_next_start_is_clean") else { return };
    let mut drawn = Drawn::new("kills of servers");
    let data = Arc::new(harness::folder());
    let function = guests::scripted(SLOW);
    let arguments =
        [&backend.arguments()[..], &["--timeout", "20", "--memory", "884", "--wait-ms", "9000"]].concat();
    let mut former: Vec<Run> = Vec::new();
    let (started, mut killed) = (Instant::now(), 0);
    while killed < SERVERS && started.elapsed() < AT_MOST {
        if drawn.below(3) == 0 {
            killed_while_it_starts(&backend, data.path(), &function.target(), &mut drawn);
            killed += 1;
            former.extend(Run::all_in(data.path()));
            continue;
        }
        let server = Server::start_in(Arc::clone(&data), &[("f", &function)], &arguments);
        let run = Run::of(&server);
        is_clean_start(&run, &former, data.path());
        let callers: Vec<_> = (0..drawn.below(6)).map(|n| begin(&server, n)).collect();
        let most_ms = [60, 300][drawn.below(2)];
        drawn.pass(Duration::from_millis(most_ms));
        let namespaces = run.namespaces();
        server.kill();
        killed += 1;
        drop(callers);
        run.is_over(&namespaces);
        former.push(run);
    }
    let _ = writeln!(std::io::stderr(), "{killed} servers were killed in {:?}", started.elapsed());
    assert!(killed >= 20, "only {killed}");
    let server = Server::start_in(Arc::clone(&data), &[("f", &function)], &arguments);
    let run = Run::of(&server);
    is_clean_start(&run, &former, data.path());
    server.invoke("\"x\"").success();
    let namespaces = run.namespaces();
    drop(server);
    run.left_nothing(&namespaces);
}

/// Nothing is left of the former runs, and only this one has a folder.
#[track_caller]
fn is_clean_start(run: &Run, former: &[Run], data: &Path) {
    run::left_no_groups(former);
    assert_eq!(Run::all_in(data).iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [run.id.as_str()]);
}

/// An invocation, whose answer nobody waits for.
fn begin(server: &Server, n: usize) -> Client {
    let mut client = server.client();
    client.ask("POST", &invocations("f"), &[], format!("\"{n}\"").as_bytes());
    client
}

/// From its first moments to about when it listens.
fn killed_while_it_starts(backend: &Backend, data: &Path, target: &str, drawn: &mut Drawn) {
    let mut command = Command::new(harness::FIRESTEEL);
    command.args(["serve", target, "--listen", "127.0.0.1:0", "--data"]).arg(data).args(backend.arguments());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = {
        let _guard = harness::forking();
        command.spawn().unwrap()
    };
    drawn.pass(Duration::from_millis(80));
    child.kill().unwrap();
    child.wait().unwrap();
    let mark = data.to_str().unwrap();
    eventually("every process of the killed server ends", || marked(mark).is_empty());
    Run::all_in(data).iter().for_each(|run| run.is_over(&BTreeSet::new()));
}
