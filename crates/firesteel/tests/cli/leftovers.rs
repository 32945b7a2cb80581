//! However the program ends, and whatever the function has started: nothing is left.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};

use crate::harness;
use crate::harness::client::Client;
use crate::harness::function::{ECHO, Function};
use crate::harness::isolation::{Isolation, isolated};
use crate::harness::leftovers::Runs;
use crate::harness::process::{ended, eventually, marked, runtime_and_first, signal};
use crate::harness::server::Server;

/// Starts what is hard to end, each with `MARK` on its command line: a grandchild, one that left its session and
/// its parent, one that does so and forgets its environment, one that ignores what can be ignored, one that
/// starts another again and again.
const CLINGING: &str = r#"
import signal
MARK = NOTES
def clinging(body):
    return [sys.executable, "-SEc", "import os, signal, time, sys\n" + body + "\ntime.sleep(600)", MARK]

def start(arguments, environment=None, daemon=False):
    if os.fork() == 0:
        if daemon:
            os.setsid()
            if os.fork() != 0: os._exit(0)
        os.execve(arguments[0], arguments, environment or os.environ)
    if daemon: os.wait()

def started(event):
    ready = "open(sys.argv[1] + '/ready.' + str(os.getpid()), 'w')"
    start(clinging("if os.fork() == 0: %s" % ready))
    start(clinging(ready), daemon=True)
    start(clinging(ready), environment={"NOTHING": "else"}, daemon=True)
    start(clinging("[signal.signal(n, signal.SIG_IGN) for n in range(1, 32) if n not in (9, 17, 19)]\n" + ready), daemon=True)
    start(clinging(ready + "\nwhile True:\n    time.sleep(0.01)\n    if os.fork() == 0: os._exit(0)"))
    while len([name for name in os.listdir(MARK) if name.startswith("ready.")]) < 5:
        time.sleep(0.005)
    return "1"
serve(started)
"#;

/// A server with an idle environment full of clinging processes, and their mark.
#[track_caller]
fn clung_to() -> (Server, String) {
    let function = Function::scripted(CLINGING);
    let mark = function.notes_folder().to_str().unwrap().to_owned();
    let server = Server::of(&function, &["--timeout", "60"]);
    server.invoke("{}").success();
    assert!(marked(&mark).len() >= 5, "{:?}", marked(&mark));
    (server, mark)
}

#[test]
fn after_sigterm() {
    let (mut server, mark) = clung_to();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(marked(&mark), [0; 0]);
}

#[test]
fn after_ctrl_c() {
    let (mut server, mark) = clung_to();
    server.signal(Signal::INT);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(marked(&mark), [0; 0]);
}

#[test]
fn after_kill_9_of_the_server() {
    let (server, mark) = clung_to();
    server.kill();
    eventually("everything that clung is gone", || marked(&mark).is_empty());
}

/// In a container, or under a supervisor, the session's leader may be out of sight: then the session's number is 0.
#[test]
fn after_a_first_process_was_killed_where_the_session_has_no_number() {
    let function = Function::scripted("next_event()\nnote(ENVIRONMENT)\ntime.sleep(600)");
    let data = harness::folder();
    // Ends with the number of processes that still have the mark in their environment.
    let script = r#"
"$1" invoke "$2" --data "$3" --env MARK="$2" --timeout 20 $4 >&2
echo "exit $?"
grep -l "MARK=$2" /proc/[0-9]*/environ 2>/dev/null | wc -l
"#;
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh", harness::FIRESTEEL]);
    let isolation = Isolation::of_this_run();
    let mounts = isolation.mounts([function.code().as_path()].into_iter()).join(" ");
    command.env("FIRESTEEL_ISOLATION", isolation.name());
    command.arg(function.target()).arg(data.path()).arg(mounts).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = {
        let _guard = harness::forking();
        command.spawn().unwrap()
    };
    // From outside, since not every sandbox lets a function do it.
    eventually("the function runs, or cannot", || {
        !function.notes().is_empty() || child.try_wait().unwrap().is_some()
    });
    if let [environment] = function.notes().as_slice() {
        let (_, first) = runtime_and_first(environment);
        kill_process(first, Signal::KILL).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if said.is_empty() {
        return harness::skipped("after_a_first_process_was_killed…", "no pid namespace can be made here");
    }
    assert_eq!(said, "exit 3\n0\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// Sends an invocation and does not wait for its answer.
fn begin(server: &Server) -> Client {
    let mut client = server.client();
    client
        .send(b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    client
}

#[test]
fn after_kill_9_in_the_middle_of_an_invocation() {
    let function = Function::scripted("def run(event):\n    note('in')\n    time.sleep(600)\nserve(run)");
    let server = Server::of(&function, &["--timeout", "900"]);
    let _client = begin(&server);
    function.noted(1);
    server.kill();
}

#[test]
fn after_kill_9_in_the_middle_of_init() {
    let function = Function::scripted("note('in')\ntime.sleep(600)");
    let server = Server::of(&function, &[]);
    let mut client = server.client();
    client
        .send(b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    function.noted(1);
    server.kill();
}

#[test]
fn the_next_run_removes_the_files_and_control_groups_of_a_killed_one() {
    let function = Function::scripted(ECHO);
    let killed = Server::of(&function, &[]);
    killed.invoke("{}").success();
    let (data, left) = (killed.data(), killed.run_folder());
    let mut runs = Runs::of(data.path());
    runs.look();
    // Before the end: any other server that starts at this moment may be the one that removes them.
    let groups = runs.control_groups();
    killed.kill();
    assert!(left.join("environments").exists());
    let next = Server::start_in(data, &[("f", &function)], &[]);
    assert!(!left.exists());
    eventually("its control groups are removed", || runs.control_groups().is_empty());
    if isolated() && groups.is_empty() {
        harness::skipped(
            "the_next_run_removes_the_files_and_control_groups…",
            "this host lets nobody make control groups",
        );
    }
    next.invoke("{}").success();
}

#[test]
fn sigterm_lets_the_invocation_in_flight_be_answered() {
    let function = Function::scripted(
        "def run(event):\n    note('in')\n    wait_for_gate()\n    return '\"answered\"'\nserve(run)",
    );
    let mut server = Server::of(&function, &["--timeout", "60"]);
    let mut client = begin(&server);
    function.noted(1);
    server.signal(Signal::TERM);
    server.logged("finishing what runs");
    eventually("no new connection is taken", || TcpStream::connect(server.address).is_err());
    function.open_gate();
    assert_eq!(client.receive().success(), "\"answered\"");
    assert_eq!(server.wait().code(), Some(0));
    server.logged("REPORT RequestId");
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let function = Function::scripted(
        "def run(event):\n    note('in')\n    wait_for_gate()\n    return '1'\nserve(run)",
    );
    let mut server = Server::with_one_environment(&function, &["--timeout", "60"]);
    let mut client = server.close_log_after(|| begin(&server));
    function.noted(1);
    server.signal(Signal::TERM);
    eventually("no new connection is taken", || TcpStream::connect(server.address).is_err());
    function.open_gate();
    assert_eq!(client.receive().success(), "1");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn sigterm_lets_an_accepted_event_run() {
    let function = Function::scripted(
        "def run(event):\n    note('in')\n    wait_for_gate()\n    note('done')\n    return '1'\nserve(run)",
    );
    let mut server = Server::of(&function, &["--timeout", "60"]);
    assert_eq!(server.invoke_with(&[("X-Amz-Invocation-Type", "Event")], "{}").status, 202);
    function.noted(1);
    server.signal(Signal::TERM);
    server.logged("finishing what runs");
    function.open_gate();
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(function.notes(), ["in", "done"]);
}

const SLEEPS: &str = "def run(event):\n    note('in')\n    time.sleep(600)\nserve(run)";

#[test]
fn draining_has_an_end() {
    let function = Function::scripted(SLEEPS);
    let mut server = Server::of(&function, &["--timeout", "900", "--drain-timeout", "1"]);
    let mut client = begin(&server);
    function.noted(1);
    server.signal(Signal::TERM);
    assert_eq!(client.receive().status, 500, "the fault is the platform's");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_draining() {
    let function = Function::scripted(SLEEPS);
    let mut server = Server::of(&function, &["--timeout", "900", "--drain-timeout", "900"]);
    let mut client = begin(&server);
    function.noted(1);
    server.signal(Signal::INT);
    server.logged("finishing what runs");
    server.signal(Signal::INT);
    assert_eq!(client.receive().status, 500);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_accepted_event_does_not_hold_the_end_up_for_ever() {
    let function = Function::scripted(SLEEPS);
    let mut server = Server::of(&function, &["--timeout", "900", "--drain-timeout", "1"]);
    assert_eq!(server.invoke_with(&[("X-Amz-Invocation-Type", "Event")], "{}").status, 202);
    function.noted(1);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn invoke_ended_by_a_signal_leaves_nothing_either() {
    for (number, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let function = Function::scripted("note('in')\ntime.sleep(600)");
        let data = crate::harness::folder();
        let isolation = Isolation::of_this_run();
        let mut child = {
            let _guard = crate::harness::forking();
            std::process::Command::new(crate::harness::FIRESTEEL)
                .args(["invoke", &function.target(), "--data"])
                .arg(data.path())
                .args(isolation.mounts([function.code().as_path()].into_iter()))
                .env("FIRESTEEL_ISOLATION", isolation.name())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        };
        function.noted(1);
        signal(&child, number);
        assert_eq!(ended(&mut child).code(), Some(code));
        assert_eq!(marked(data.path().to_str().unwrap()), [0; 0]);
        assert_eq!(std::fs::read_dir(data.path().join("runs")).unwrap().count(), 0);
    }
}
