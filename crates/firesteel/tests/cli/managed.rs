//! Several invocations at a time in one environment (`--max-concurrency`).

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::event_stream::Message;
use crate::harness::function::Function;
use crate::harness::process::eventually;
use crate::harness::program::Program;
use crate::harness::server::{Server, streaming_invocations};

/// A runtime with a thread and a connection for each slot; what it does is `run`.
const SLOTS: &str = r#"
import _thread
def slot():
    connection = Connection()
    while True:
        event = connection.call("GET", BASE + "invocation/next")
        answer = run(event, connection)
        if answer is not None:
            connection.call("POST", BASE + "invocation/%s/response" % event.id, answer)
for _ in range(int(os.environ["AWS_LAMBDA_MAX_CONCURRENCY"]) - 1):
    _thread.start_new_thread(slot, ())
slot()
"#;

fn scripted(run: &str) -> Function {
    Function::scripted(&format!("{run}\n{SLOTS}"))
}

/// With one environment at most, for which nobody waits.
fn server(function: &Function, slots: u16, arguments: &[&str]) -> Server {
    let slots = slots.to_string();
    let own = ["--max-concurrency", &slots, "--max-environments", "1"];
    Server::of(function, &[&own, arguments].concat())
}

#[test]
fn sixty_four_invocations_share_an_environment_and_each_has_its_own_answer() {
    // Nobody is answered before all are there.
    let function = scripted(
        "def run(event, _):\n    note('in')\n    wait_for_gate()\n    return event.body.decode() + ' ' + ME",
    );
    let server = Server::of(&function, &["--max-concurrency", "64", "--timeout", "60"]);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..64)
            .map(|n| {
                (
                    n,
                    scope.spawn({
                        let server = &server;
                        move || server.invoke(&n.to_string())
                    }),
                )
            })
            .collect();
        function.noted(64);
        assert_eq!(server.environments(), 1, "a cold burst makes one environment");
        function.open_gate();
        let mut runtimes = std::collections::BTreeSet::new();
        for (n, call) in calls {
            let answer = call.join().unwrap().success();
            let (event, runtime) = answer.split_once(' ').unwrap();
            assert_eq!(event, n.to_string());
            runtimes.insert(runtime.to_owned());
        }
        assert_eq!(runtimes.len(), 1);
    });
    server.invoke("{}").success();
}

#[test]
fn beyond_its_slots_there_is_another_environment_or_none() {
    let function = scripted("def run(event, _):\n    note('in')\n    wait_for_gate()\n    return ME");
    let server =
        Server::of(&function, &["--max-concurrency", "2", "--max-environments", "2", "--timeout", "60"]);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| server.invoke("{}"))).collect();
        function.noted(4);
        assert_eq!((server.environments(), server.invoke("{}").status), (2, 429));
        function.open_gate();
        let answers: Vec<_> = calls.into_iter().map(|call| call.join().unwrap().success()).collect();
        let runtimes: std::collections::BTreeSet<_> = answers.iter().collect();
        assert!(runtimes.iter().all(|one| answers.iter().filter(|other| *other == *one).count() == 2));
    });
}

#[test]
fn its_variables_tell_of_it_and_its_log_is_json() {
    let function = scripted(
        "def run(event, _):\n    print('mine', flush=True)\n    return '|'.join(os.environ.get(name, '') for name in \
         ('AWS_LAMBDA_MAX_CONCURRENCY', 'AWS_LAMBDA_INITIALIZATION_TYPE', 'AWS_LAMBDA_LOG_FORMAT', '_X_AMZN_TRACE_ID'))",
    );
    let server = server(&function, 2, &[]);
    let (reply, log) = server.invoke_with_log("{}");
    assert_eq!(reply.success(), "2|lambda-managed-instances|JSON|");

    // Its own lines are nobody's: in the log, and in no tail.
    server.logged("mine");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["platform.start", "platform.report"]);
    let report = &lines[1]["record"];
    assert_eq!(report["requestId"], reply.request_id());
    assert_eq!(report["metrics"].as_object().unwrap().keys().collect::<Vec<_>>(), ["durationMs"]);
    let spans: Vec<_> = report["spans"].as_array().unwrap().iter().map(|span| &span["name"]).collect();
    assert_eq!(spans, ["responseLatency", "responseDuration"]);
    assert!(!server.log().contains("platform.runtimeDone"));
}

#[test]
fn one_that_runs_out_of_time_does_not_touch_the_others() {
    let function = scripted(
        "def run(event, connection):
    if event.body == b'\"slow\"':
        time.sleep(1.5)
        note('half')
    wait_for_gate()
    if event.body == b'\"slow\"':
        for _ in range(2):
            note(connection.call('POST', BASE + 'invocation/%s/response' % event.id, 'late'))
        return None
    return ME",
    );
    let server = server(&function, 2, &["--timeout", "3"]);
    let runtime = std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.invoke("\"slow\""));
        function.noted(1);
        let other = scope.spawn(|| server.invoke("\"other\""));
        slow.join().unwrap().failed("Sandbox.Timedout", "Task timed out after 3.00 seconds");
        function.open_gate();
        other.join().unwrap().success()
    });
    let notes = function.noted(3);
    assert!(notes[1].starts_with("410 ") && notes[1].contains("InvokeTimeout"), "{notes:?}");
    assert!(notes[2].starts_with("400 ") && notes[2].contains("InvalidRequestID"), "{notes:?}");
    assert_eq!(server.invoke("{}").success(), runtime, "nothing was reset");
}

#[test]
fn an_environment_whose_slots_are_all_lost_is_replaced() {
    let function = scripted(
        "note('started')
def run(event, _):
    if event.body == b'\"hangs\"': time.sleep(60)
    return ME",
    );
    let server = server(&function, 1, &["--timeout", "1", "--wait-ms", "20000"]);
    server.invoke("\"hangs\"").failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
    server.invoke("{}").success();
    assert_eq!(function.notes().len(), 2);
}

#[test]
fn a_crash_fails_all_that_is_under_way_and_the_next_has_a_new_environment() {
    let function = scripted(
        "def run(event, _):
    note('in')
    if event.body == b'\"last\"':
        while len(notes()) < 3: time.sleep(0.002)
        os._exit(7)
    if event.body == b'\"waits\"': time.sleep(60)
    return ME",
    );
    let server = server(&function, 3, &["--timeout", "60", "--wait-ms", "20000"]);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..2).map(|_| scope.spawn(|| server.invoke("\"waits\""))).collect();
        function.noted(2);
        let reply = server.invoke("\"last\"");
        reply.failed("Runtime.ExitError", "Runtime exited with error: exit status 7");
        for call in waiting {
            let reply = call.join().unwrap();
            reply.failed("Runtime.ExitError", "Runtime exited with error: exit status 7");
        }
    });
    server.invoke("\"again\"").success();
}

#[test]
fn a_failed_init_is_told_to_those_that_wait_and_is_not_done_again() {
    let function = Function::scripted(
        "note('init')\nreport_init('{\"errorMessage\":\"no\"}', 'Lambda-Runtime-Function-Error-Type: Runtime.Mine')\ntime.sleep(60)",
    );
    let server = server(&function, 2, &[]);
    assert_eq!(server.invoke("{}").function_error(), r#"{"errorMessage":"no"}"#);
    assert_eq!(function.notes(), ["init"]);
    eventually("the environment ends", || server.environments() == 0);
}

#[test]
fn ids_and_surplus_calls_are_refused_as_aws_refuses_them() {
    let function = scripted(
        "def run(event, connection):
    path = BASE + 'invocation/%s/' % event.id
    note(connection.call('POST', BASE + 'invocation/00000000-0000-0000-0000-000000000000/response', '1'))
    note(connection.call('POST', path + 'response', 'mine'))
    note(connection.call('POST', path + 'response', 'mine'))
    note(connection.call('POST', path + 'error', '{}'))
    if int(event.body) == 2:
        # One `next` waits in the other slot, this is the second, and there are two.
        surplus = [Connection() for _ in range(2)]
        for one in surplus: one.send(('GET %sinvocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' % BASE).encode())
        import select
        ready = select.select([one.socket for one in surplus], [], [])[0][0]
        note([one for one in surplus if one.socket is ready][0].receive())
    return None",
    );
    let server = server(&function, 2, &[]);
    assert_eq!(server.invoke("1").success(), "mine");
    let notes = function.noted(4);
    for (note, expected) in notes.iter().zip(["400 ", "202 ", "400 ", "400 "]) {
        assert!(note.starts_with(expected), "{notes:?}");
    }
    assert_eq!(server.invoke("2").success(), "mine");
    assert!(function.noted(9)[8].starts_with("500 "), "{:?}", function.notes());
}

#[test]
fn an_error_takes_the_place_of_a_stream_that_was_begun() {
    let function = scripted(
        "def run(event, connection):
    global kept
    kept = Connection()
    stream = Stream(event.id)
    stream.write('begun')
    wait_for_gate()
    headers = ('Lambda-Runtime-Function-Error-Type: Function.Mine',)
    note(connection.call('POST', BASE + 'invocation/%s/error' % event.id, '{\"errorMessage\":\"no\"}', headers))
    note(stream.end())
    return None",
    );
    let server = server(&function, 1, &[]);
    let mut client = server.client();
    client.ask("POST", &streaming_invocations("f"), &[], b"{}");
    assert_eq!(client.receive_head().status, 200);
    assert_eq!(Message::receive(&mut client).unwrap().chunk(), b"begun");
    function.open_gate();
    let end = Message::receive(&mut client).unwrap().complete();
    assert_eq!(end["ErrorCode"], "Function.Mine");
    let notes = function.noted(2);
    assert!(notes[0].starts_with("202 ") && notes[1].starts_with("400 "), "{notes:?}");
}

#[test]
fn an_extension_may_not_follow_invocations_and_the_runtime_is_asked_to_end() {
    let function = scripted(
        "import signal
def ended(*_):
    note('terminated')
    os._exit(0)
signal.signal(signal.SIGTERM, ended)
def run(event, _): return '1'",
    )
    .with_extension(
        "follower",
        "id, answer = register('follower', ['INVOKE', 'SHUTDOWN'])
note('refused %s' % answer)
id, _ = register('follower', ['SHUTDOWN'])
kind, event = extension_event(id)
note('told ' + kind)",
    );
    let mut server = server(&function, 2, &["--layer", &function.layer()]);
    server.invoke("{}").success();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let notes = function.notes();
    assert!(
        notes[0].starts_with("refused 403 ") && notes[0].contains("Extension.InvalidEventType"),
        "{notes:?}"
    );
    assert_eq!(notes[1..], ["terminated", "told SHUTDOWN"]);
}

#[test]
fn settings_that_exclude_each_other_are_mistakes() {
    let function = scripted("def run(event, _): return '1'");
    let served = format!("f={}", function.target());
    for (arguments, word) in [
        (&["--max-concurrency", "2", "--log-format", "text"][..], "the log is JSON"),
        (&["--max-concurrency", "2", "--snap-start"], "cannot be used with"),
        (&["--max-concurrency", "0"], "not between 1 and 1600"),
        (&["--max-concurrency", "1601"], "not between 1 and 1600"),
        (&["--max-concurrency", "2", "--provisioned", "f=1"], "lambda-managed-instances"),
    ] {
        let run = Program::serve(&[&[served.as_str()], arguments].concat()).run();
        run.refused(2, &[word]);
    }
    let python = Function::python("def lambda_handler(event, context): return 1");
    let run = Program::serve(&[&python.target(), "--max-concurrency", "2"]).run();
    run.refused(2, &["takes one invocation at a time here", "try:"]);
}
