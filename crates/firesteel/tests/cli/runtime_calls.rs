//! Sequences of Runtime API calls, seen by the runtime that makes them and by the caller who waits.

use crate::harness::function::Function;
use crate::harness::process::eventually;
use crate::harness::server::Server;

/// Plays a script for one invocation; returns the caller's payload and the function's notes.
#[track_caller]
fn play(script: &str) -> (String, Vec<String>) {
    let function = Function::scripted(script);
    let server = Server::of(&function, &["--timeout", "20"]);
    let payload = server.invoke("{\"the\":\"event\"}").success();
    drop(server);
    (payload, function.notes())
}

fn transition(from: &str, to: &str) -> String {
    format!(
        r#"403 {{"errorMessage":"State transition from {from} to {to} failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}}"#
    )
}

const INVALID_ID: &str = r#"400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#;
const ACCEPTED: &str = r#"202 {"status":"OK"}"#;

#[test]
fn an_event_is_delivered_again_to_a_second_next() {
    let (payload, notes) = play(
        r#"
one, two, three = next_event(), next_event(), Connection().call("GET", BASE + "invocation/next")
same = lambda event: (event.id, event.body, event.headers["lambda-runtime-deadline-ms"])
note(same(one) == same(two) == same(three))
note(respond(one.id, one.body))
next_event()
"#,
    );
    assert_eq!(payload, "{\"the\":\"event\"}");
    assert_eq!(notes, ["True", ACCEPTED]);
}

#[test]
fn two_nexts_that_wait_both_get_the_event() {
    let function = Function::scripted(
        r#"
other = Connection()
other.send(("GET %sinvocation/next HTTP/1.1\r\nHost: x\r\n\r\n" % BASE).encode())
one, two = next_event(), other.receive()
note(one.id == two.id)
respond(one.id, "1")
next_event()
"#,
    );
    let server = Server::of(&function, &[]);
    assert_eq!(server.invoke("{}").success(), "1");
    assert_eq!(function.notes(), ["True"]);
}

#[test]
fn a_wrong_id_is_refused_and_changes_nothing() {
    let (payload, notes) = play(
        r#"
note(respond("00000000-0000-0000-0000-000000000000", "early"))
event = next_event()
for id in ("00000000-0000-0000-0000-000000000000", "nonsense", "", event.id.replace("-", ".")):
    note(respond(id, '"wrong"'))
    note(report(id, '"wrong"'))
note(respond(event.id, '"right"'))
note(respond("00000000-0000-0000-0000-000000000000", "late"))
next_event()
"#,
    );
    assert_eq!(payload, "\"right\"");
    let mut expected = vec![INVALID_ID; 9];
    expected.extend([ACCEPTED, INVALID_ID]);
    assert_eq!(notes, expected);
}

#[test]
fn an_answer_of_another_attempt_is_refused_and_changes_nothing() {
    let (payload, notes) = play(
        r#"
event = next_event()
header = "Lambda-Runtime-Invocation-Id: "
other = header + "00000000-0000-0000-0000-000000000000"
note(respond(event.id, "1", other))
note(report(event.id, "{}", other))
note(respond(event.id, "2", header + event.headers["lambda-runtime-invocation-id"]))
next_event()
"#,
    );
    assert_eq!(payload, "2");
    assert_eq!(notes, [INVALID_ID, INVALID_ID, ACCEPTED]);
}

#[test]
fn a_second_answer_is_refused() {
    for (first, second, to) in
        [("respond", "respond", "InvocationResponse"), ("respond", "report", "InvocationErrorResponse")]
    {
        let (payload, notes) = play(&format!(
            "event = next_event()\nnote({first}(event.id, '1'))\nnote({second}(event.id, '2'))\nnext_event()"
        ));
        assert_eq!(payload, "1");
        assert_eq!(notes, [ACCEPTED.to_owned(), transition("RuntimeResponseSentState", to)]);
    }
}

#[test]
fn an_init_error_is_refused_once_an_event_was_asked_for() {
    let (payload, notes) = play(
        "event = next_event()\nnote(report_init('{}'))\nnote(respond(event.id, '1'))\nnote(report_init('{}'))\nnext_event()",
    );
    assert_eq!(payload, "1");
    let refused = [transition("Running", "InitError"), transition("RuntimeResponseSentState", "InitError")];
    assert_eq!(notes, [&refused[0], ACCEPTED, &refused[1]]);
}

#[test]
fn an_id_is_invalid_once_the_next_event_was_asked_for() {
    let function = Function::scripted(
        r#"
first = next_event()
respond(first.id, "1")
second = next_event()
note(respond(first.id, '"of the first"'))
respond(second.id, "2")
next_event()
"#,
    );
    let server = Server::with_one_environment(&function, &[]);
    assert_eq!(server.invoke("{}").success(), "1");
    assert_eq!(server.invoke("{}").success(), "2");
    assert_eq!(function.notes(), [INVALID_ID]);
}

#[test]
fn the_environment_is_busy_until_the_runtime_asks_again() {
    let function = Function::scripted(
        "event = next_event()\nrespond(event.id, '1')\nnote('answered')\nwait_for_gate()\nserve(lambda event: '2')",
    );
    let server = Server::of(&function, &["--max-environments", "1", "--timeout", "60"]);
    assert_eq!(server.invoke("{}").success(), "1", "the caller does not wait for that");
    function.noted(1);
    assert_eq!(server.invoke("{}").status, 429);
    assert!(!server.log().contains("REPORT"), "{}", server.log());
    function.open_gate();
    server.logged("REPORT RequestId");
    assert_eq!(server.invoke("{}").success(), "2");
}

#[test]
fn a_child_of_the_runtime_may_answer() {
    let (payload, notes) = play(
        r#"
event = next_event()
child = os.fork()
if child == 0:
    note(Connection().call("POST", BASE + "invocation/%s/response" % event.id, '"from the child"'))
    os._exit(0)
os.waitpid(child, 0)
next_event()
"#,
    );
    assert_eq!(payload, "\"from the child\"");
    assert_eq!(notes, [ACCEPTED]);
}

#[test]
fn a_runtime_may_close_its_connection_after_every_call() {
    let function = Function::scripted(
        r#"
def once(*call):
    connection = Connection()
    answer = connection.call(*call, headers=["Connection: close"])
    assert connection.socket.recv(1) == b"", "the server closes too"
    return answer
kept.close()
while True:
    event = once("GET", BASE + "invocation/next")
    once("POST", BASE + "invocation/%s/response" % event.id, event.body)
"#,
    );
    let server = Server::with_one_environment(&function, &[]);
    for n in 0..20 {
        assert_eq!(server.invoke(&n.to_string()).success(), n.to_string());
    }
    assert_eq!(server.log_of(20).matches("INIT_START").count(), 1);
}

#[test]
fn a_runtime_may_lose_its_connection_in_next_and_ask_again() {
    let function = Function::scripted(
        r#"
lost = Connection()
lost.send(("GET %sinvocation/next HTTP/1.1\r\nHost: x\r\n\r\n" % BASE).encode())
lost.close()
note("lost")
wait_for_gate()
serve(lambda event: event.body)
"#,
    );
    let server = Server::of(&function, &[]);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.invoke("7").success());
        function.noted(1);
        function.open_gate();
        assert_eq!(call.join().unwrap(), "7");
    });
}

#[test]
fn a_slow_chunked_response_arrives_whole() {
    let (payload, notes) = play(
        r#"
event = next_event()
kept.send(("POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % (BASE, event.id)).encode())
for part in (b'"', b"o", b"n", b"e", b" by one", b'"'):
    for byte in b"%x\r\n%s\r\n" % (len(part), part):
        kept.send(bytes([byte]))
        time.sleep(0.002)
kept.send(b"0\r\n\r\n")
note(kept.receive())
next_event()
"#,
    );
    assert_eq!(payload, "\"one by one\"");
    assert_eq!(notes, [ACCEPTED]);
}

#[test]
fn a_streamed_response_is_collected_for_a_caller_that_does_not_stream() {
    let (payload, _) = play(
        r#"
event = next_event()
head = "POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
kept.send((head % (BASE, event.id)).encode() + b"3\r\n\"a \r\n2\r\nb\"\r\n0\r\n\r\n")
kept.receive()
next_event()
"#,
    );
    assert_eq!(payload, "\"a b\"");
}

#[test]
fn a_response_that_waits_for_continue_gets_it() {
    let (payload, _) = play(
        r#"
event = next_event()
kept.send(("POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n" % (BASE, event.id)).encode())
assert kept.receive().status == 100
kept.send(b"[1]")
kept.receive()
next_event()
"#,
    );
    assert_eq!(payload, "[1]");
}

#[test]
fn an_answer_in_the_middle_of_which_the_timeout_passes_is_not_waited_for() {
    let function = Function::scripted(
        r#"
event = next_event()
kept.send(("POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf" % (BASE, event.id)).encode())
time.sleep(60)
"#,
    );
    let server = Server::of(&function, &["--timeout", "1"]);
    server.invoke("{}").failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
}

#[test]
fn a_post_after_the_timeout_reaches_nobody() {
    let function = Function::scripted(
        r#"
note("init")
if len(notes()) == 1:
    # Out of reach of its group's end, it tries to answer for the old invocation during the next.
    event = next_event()
    if os.fork() == 0:
        os.setsid()
        wait_for_gate()
        note(respond(event.id, '"late"'))
        os._exit(0)
    time.sleep(60)
def run(event):
    time.sleep(0.2)
    return '"of the second"'
serve(run)
"#,
    );
    let server = Server::with_one_environment(&function, &["--timeout", "1"]);
    server.invoke("{}").failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
    function.open_gate();
    assert_eq!(server.invoke("{}").success(), "\"of the second\"");
    // It is ended with the rest. If it was quicker, it named an invocation that is over.
    let mut notes = function.notes();
    notes.retain(|note| note != INVALID_ID);
    assert_eq!(notes, ["init", "init"]);
}

#[test]
fn an_answer_posted_before_the_process_ends_counts() {
    let function =
        Function::scripted("event = next_event()\nrespond(event.id, '\"last words\"')\nos._exit(129)");
    let server = Server::with_one_environment(&function, &[]);
    assert_eq!(server.invoke("{}").success(), "\"last words\"");
    let report = server.logged("REPORT RequestId");
    assert!(report.contains("Error Type: Runtime.ExitError"), "{report}");
    eventually("the next invocation has a process again", || {
        server.invoke("{}").success() == "\"last words\""
    });
}

#[test]
fn ping_and_metadata_answer_at_any_time() {
    let (payload, notes) = play(
        r#"
note(kept.call("GET", "/2018-06-01/ping"))
event = next_event()
token = "Authorization: Bearer " + os.environ["AWS_LAMBDA_METADATA_TOKEN"]
note(kept.call("GET", "/2026-01-15/metadata/execution-environment", headers=[token]))
note(kept.call("GET", "/2018-06-01/runtime/restore/next").status)
respond(event.id, "1")
next_event()
"#,
    );
    assert_eq!(payload, "1");
    assert_eq!(notes, ["200 pong", r#"200 {"AvailabilityZoneID":"use1-az1"}"#, "404"]);
}
