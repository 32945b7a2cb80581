//! Which process and which environment serve an invocation: reuse, reset, init once more.

use rustix::process::{Signal, kill_process};

use crate::harness::client::Reply;
use crate::harness::function::{Function, WHO};
use crate::harness::isolation::isolated;
use crate::harness::process::{self, eventually};
use crate::harness::server::Server;

/// Who answers: the names of process and environment. Waits until the invocation is over, so that the next one
/// can find the environment idle.
#[track_caller]
fn who_answers(server: &Server, event: &str) -> (String, String) {
    who(&server.invoke_with_log(event).0)
}

#[track_caller]
fn who(reply: &Reply) -> (String, String) {
    let text = reply.success();
    let (process, environment) = text.split_once(' ').unwrap();
    (process.to_owned(), environment.to_owned())
}

/// In its own process and environment, as `WHO`; an event that is a word makes it do that first.
const OBEDIENT: &str = r#"
def obey(event):
    word = event.body.decode().strip('"')
    if word == "exit": sys.exit(1)
    if word == "sleep": time.sleep(60)
    if word == "error":
        report(event.id, '"reported"')
        return None
    return ME + " " + ENVIRONMENT
note("init")
while True:
    event = next_event()
    answer = obey(event)
    if answer: respond(event.id, answer)
"#;

#[test]
fn an_idle_environment_is_reused_with_its_process() {
    let server = Server::with_one_environment(&Function::scripted(WHO), &[]);
    let first = who_answers(&server, "{}");
    for _ in 0..5 {
        assert_eq!(who_answers(&server, "{}"), first);
    }
    assert_eq!(server.environments(), 1);
    assert_eq!(server.log_of(6).matches("INIT_START").count(), 1);
}

#[test]
fn the_most_recently_used_environment_is_reused_first() {
    let function = Function::scripted(
        "def run(event):\n    if event.body == b'\"wait\"':\n        note('waits')\n        wait_for_gate()\n    return ME + ' ' + ENVIRONMENT\nserve(run)",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let (slow, fast) = std::thread::scope(|scope| {
        let slow = scope.spawn(|| who_answers(&server, "\"wait\""));
        function.noted(1);
        let fast = who_answers(&server, "{}");
        assert_eq!(who_answers(&server, "{}"), fast, "the other is busy");
        function.open_gate();
        (slow.join().unwrap(), fast)
    });
    assert_ne!(slow, fast);
    // The slow one became idle last; when exactly is told by its REPORT.
    server.log_of(3);
    assert_eq!(who_answers(&server, "{}"), slow);
    assert_eq!(who_answers(&server, "{}"), slow);
}

#[test]
fn an_error_of_the_handler_resets_nothing() {
    let server = Server::with_one_environment(&Function::scripted(OBEDIENT), &[]);
    let before = who_answers(&server, "{}");
    assert_eq!(server.invoke("\"error\"").function_error(), "\"reported\"");
    assert_eq!(who_answers(&server, "{}"), before);
}

#[test]
fn a_crash_resets_the_environment_and_the_next_invocation_starts_the_process_inside_itself() {
    let function = Function::scripted(OBEDIENT);
    let server = Server::with_one_environment(&function, &[]);
    let before = who_answers(&server, "{}");
    server.invoke("\"exit\"").failed("Runtime.ExitError", "Runtime exited with error: exit status 1");
    let (reply, log) = server.invoke_with_log("{}");
    let after = who(&reply);
    assert_eq!(after.1, before.1, "the environment stays, with all it has kept");
    assert_ne!(after.0, before.0, "the process is another");
    assert!(log.contains("REPORT") && !log.contains("Init Duration"), "its time is part of Duration: {log}");
    assert_eq!(who_answers(&server, "{}"), after);
    assert_eq!(function.notes(), ["init", "init"]);
}

#[test]
fn what_is_in_tmp_outlives_a_reset() {
    // The name is this test's own, for a host on which `/tmp` is everybody's.
    let function = Function::scripted(
        r#"
import hashlib
PATH = "/tmp/kept-" + hashlib.sha1(str(NOTES).encode()).hexdigest()
def run(event):
    if not os.path.exists(PATH):
        open(PATH, "w").close()
        sys.exit(1)
    os.unlink(PATH)
    return "kept"
serve(run)
"#,
    );
    let server = Server::with_one_environment(&function, &[]);
    server.invoke("{}").failed("Runtime.ExitError", "Runtime exited with error: exit status 1");
    assert_eq!(server.invoke("{}").success(), "kept");
}

#[test]
fn a_timeout_resets_the_environment_likewise() {
    let function = Function::scripted(OBEDIENT);
    let server = Server::with_one_environment(&function, &["--timeout", "1"]);
    let before = who_answers(&server, "{}");
    server.invoke("\"sleep\"").failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
    let after = who_answers(&server, "{}");
    assert_eq!(after.1, before.1);
    assert_ne!(after.0, before.0);
}

#[test]
fn a_crash_between_invocations_is_met_with_a_new_process() {
    let function = Function::scripted(
        r#"
note("init")
if len(notes()) == 1 and os.fork() == 0: time.sleep(600)
serve(lambda event: ME + " " + ENVIRONMENT)
"#,
    );
    let server = Server::with_one_environment(&function, &[]);
    let before = who_answers(&server, "{}");
    let (runtime, _) = process::runtime_and_first(&before.1);
    assert_eq!(process::of_environment(&before.1).len(), 2, "the runtime, blocked in `next`, and its child");
    kill_process(runtime, Signal::KILL).unwrap();
    // The child is ended only when the server has noticed. The sandbox stays.
    eventually("what is left of the runtime is ended", || process::of_environment(&before.1).is_empty());
    let (reply, log) = server.invoke_with_log("{}");
    let after = who(&reply);
    assert_eq!(after.1, before.1);
    assert_ne!(after.0, before.0);
    assert!(!log.contains("Init Duration"), "{log}");
}

#[test]
fn an_init_that_fails_is_run_again_inside_the_invocation() {
    let function = Function::scripted(
        "note('init')\nif len(notes()) == 1: sys.exit(7)\nserve(lambda event: ME + ' ' + ENVIRONMENT)",
    );
    let server = Server::of(&function, &[]);
    who_answers(&server, "{}");
    assert_eq!(function.notes(), ["init", "init"]);
    let log = server.log_of(1);
    let order: Vec<&str> = log
        .lines()
        .filter_map(|line| {
            ["INIT_START", "INIT_REPORT", "START", "END", "REPORT"]
                .into_iter()
                .find(|word| line.starts_with(&format!("{word} ")))
        })
        .collect();
    assert_eq!(order, ["INIT_START", "INIT_REPORT", "INIT_START", "START", "END", "REPORT"], "{log}");
    assert!(log.contains("\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"), "{log}");
}

#[test]
fn an_init_that_fails_twice_fails_the_invocation_and_is_tried_anew_by_the_next() {
    let function = Function::scripted("note('init')\nreport_init('{\"n\":%d}' % len(notes()))\nsys.exit(1)");
    let server = Server::with_one_environment(&function, &[]);
    assert_eq!(server.invoke("{}").function_error(), "{\"n\":2}", "the second run's error is the caller's");
    let log = server.log_of(1);
    let starts = log.find("START RequestId").unwrap();
    let reports: Vec<_> = log.match_indices("INIT_REPORT").map(|(at, _)| at).collect();
    assert!(reports.len() == 2 && reports[1] < starts, "{log}");
    assert!(
        log.contains("\tPhase: init\tStatus: error") && log.contains("\tPhase: invoke\tStatus: error"),
        "{log}"
    );
    assert_eq!(server.invoke("{}").function_error(), "{\"n\":3}", "the environment is reset already");
}

#[test]
fn a_suppressed_init_runs_under_the_functions_timeout() {
    let function = Function::scripted("note('init')\nif len(notes()) == 1: sys.exit(1)\ntime.sleep(60)");
    let server = Server::of(&function, &["--timeout", "1"]);
    let (reply, log) = server.invoke_with_log("{}");
    reply.failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
    assert!(log.contains("Billed Duration: 1000 ms"), "capped at the timeout: {log}");
}

/// The only test that waits for the ten seconds an init may take: the limit is AWS's and cannot be set.
#[test]
fn an_init_of_more_than_ten_seconds_is_aborted_and_run_again_inside_the_invocation() {
    let function = Function::scripted(
        "note('init')\nif len(notes()) == 1: time.sleep(60)\nserve(lambda event: ME + ' ' + ENVIRONMENT)",
    );
    let server = Server::of(&function, &["--timeout", "1"]);
    who_answers(&server, "{}");
    let log = server.log_of(1);
    let report = log.lines().find(|line| line.starts_with("INIT_REPORT")).unwrap();
    assert!(report.ends_with("\tPhase: init\tStatus: timeout"), "{report}");
    let duration_ms: f64 = report.split(' ').nth(3).unwrap().parse().unwrap();
    assert!((10_000.0..14_000.0).contains(&duration_ms), "{report}");
}

#[test]
fn what_a_runtime_left_running_is_gone_after_a_reset() {
    let function = Function::scripted(
        r#"
note("init")
event = next_event()
if len(notes()) == 1:
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    sys.exit(1)
respond(event.id, ENVIRONMENT)
next_event()
"#,
    );
    let server = Server::with_one_environment(&function, &[]);
    server.invoke("{}").failed("Runtime.ExitError", "Runtime exited with error: exit status 1");
    let environment = server.invoke("{}").success();
    assert_eq!(process::of_environment(&environment).len(), 1, "the new runtime");
    if !isolated() {
        // Where none are made ahead: the server itself, the sandbox's first process, the new runtime.
        assert_eq!(process::marked(&server.mark()).len(), 3);
    }
}

#[test]
fn environments_do_not_share_a_process() {
    let function = Function::scripted(
        "def run(event):\n    note('in')\n    wait_for_gate()\n    return ME + ' ' + ENVIRONMENT\nserve(run)",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let mut served = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..3).map(|_| scope.spawn(|| who_answers(&server, "{}"))).collect();
        function.noted(3);
        function.open_gate();
        calls.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
    });
    served.sort();
    served.dedup_by(|one, two| one.0 == two.0 || one.1 == two.1);
    assert_eq!(served.len(), 3);
}
