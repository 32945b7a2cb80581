//! `InvokeWithResponseStream`: what its callers receive, message by message.

use serde_json::{Value, json};

use crate::harness::client::{Client, Reply};
use crate::harness::event_stream::Message;
use crate::harness::function::{ECHO, Function};
use crate::harness::program::Program;
use crate::harness::server::{Server, streaming_invocations};

/// Asks for a streaming invocation of `f`, with its answer yet to be read.
fn ask(server: &Server, headers: &[(&str, &str)], event: &str) -> Client {
    let mut client = server.client();
    client.ask("POST", &streaming_invocations("f"), headers, event.as_bytes());
    client
}

/// The head of an answer that is a stream.
#[track_caller]
fn stream_head(client: &mut Client) -> Reply {
    let head = client.receive_head();
    assert_eq!((head.status, head.header("transfer-encoding")), (200, Some("chunked")));
    assert_eq!(head.header("content-type"), Some("application/vnd.amazon.eventstream"));
    head
}

/// All of a stream: its head, the function's bytes, the members of its end.
#[track_caller]
fn streamed(server: &Server, headers: &[(&str, &str)], event: &str) -> (Reply, Vec<u8>, Value) {
    let mut client = ask(server, headers, event);
    let head = stream_head(&mut client);
    let messages = Message::receive_all(&mut client);
    let (last, chunks) = messages.split_last().unwrap();
    (head, chunks.iter().flat_map(Message::chunk).copied().collect(), last.complete())
}

fn refused(server: &Server, headers: &[(&str, &str)], event: &str) -> Reply {
    ask(server, headers, event).receive()
}

#[test]
fn a_whole_answer_is_a_chunk_and_then_the_end() {
    let function = Function::scripted("serve(lambda event: event.id + ' ' + event.body.decode())");
    let server = Server::of(&function, &[]);
    let mut client = ask(&server, &[], "{\"a\": 1}");
    let head = stream_head(&mut client);
    assert_eq!(head.header("x-amz-executed-version"), Some("$LATEST"));
    assert!(head.header("x-amzn-trace-id").unwrap().starts_with("Root=1-"));
    let messages = Message::receive_all(&mut client);
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0].chunk(), format!("{} {{\"a\": 1}}", head.request_id()).as_bytes());
    assert_eq!(messages[1].complete(), json!({}));
    client.ask("POST", &streaming_invocations("f"), &[], b"");
    assert_eq!(stream_head(&mut client).status, 200, "the connection serves on");
}

#[test]
fn an_empty_answer_is_an_end_alone() {
    let server = Server::of(&Function::scripted("serve(lambda event: '')"), &[]);
    let (_, bytes, end) = streamed(&server, &[], "{}");
    assert_eq!((bytes.len(), end), (0, json!({})));
}

#[test]
fn a_large_answer_comes_in_chunks_that_readers_can_hold() {
    let function = Function::scripted("serve(lambda event: bytes(n % 251 for n in range(300000)))");
    let server = Server::of(&function, &[]);
    let mut client = ask(&server, &[], "{}");
    stream_head(&mut client);
    let messages = Message::receive_all(&mut client);
    let (_, chunks) = messages.split_last().unwrap();
    // As they came from the runtime; how many is the sockets' business.
    let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.chunk().len()).collect();
    assert!(lengths.len() > 1 && lengths.iter().all(|length| *length <= 131_072), "{lengths:?}");
    let bytes = chunks.iter().flat_map(Message::chunk);
    assert!(bytes.copied().eq((0..300_000_u32).map(|n| u8::try_from(n % 251).unwrap())));
}

#[test]
fn the_prelude_of_the_http_integration_comes_as_it_is() {
    let function = Function::scripted(
        "event = next_event()\nrespond(event.id, b'{}' + bytes(8) + b'body', 'Content-Type: application/vnd.awslambda.http-integration-response')\nnext_event()",
    );
    let (head, bytes, _) = streamed(&Server::of(&function, &[]), &[], "{}");
    assert_eq!(bytes, b"{}\0\0\0\0\0\0\0\0body");
    assert_eq!(head.header("content-type"), Some("application/vnd.amazon.eventstream"));
}

#[test]
fn a_streamed_answer_is_put_together_from_its_chunks() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('a')\nstream.write('bc')\nstream.end()\nnext_event()",
    );
    let (_, bytes, end) = streamed(&Server::of(&function, &[]), &[], "{}");
    assert_eq!((bytes, end), (b"abc".to_vec(), json!({})));
}

#[test]
fn the_log_is_in_the_end_if_it_was_asked_for() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    let (head, bytes, end) = streamed(&server, &[("X-Amz-Log-Type", "Tail")], "7");
    assert_eq!((bytes, head.header("x-amz-log-result")), (b"7".to_vec(), None));
    let log = Reply::decoded_log(end["LogResult"].as_str().unwrap());
    assert!(log.contains(&format!("REPORT RequestId: {}", head.request_id())), "{log}");
    assert_eq!(end.as_object().unwrap().len(), 1);
}

#[test]
fn a_function_that_fails_before_its_first_byte_is_told_of_by_the_end() {
    let function = Function::scripted(
        "event = next_event()\nreport(event.id, '{\"errorType\":\"Mine\"}')\nnext_event()",
    );
    let (_, bytes, end) = streamed(&Server::of(&function, &[]), &[], "{}");
    assert_eq!(bytes.len(), 0);
    assert_eq!(end, json!({"ErrorCode": "Unhandled", "ErrorDetails": "{\"errorType\":\"Mine\"}"}));
}

#[test]
fn a_timeout_before_the_first_byte_is_told_of_by_the_end() {
    let function = Function::scripted("next_event()\nwait_for_gate()");
    let server = Server::of(&function, &["--timeout", "1"]);
    let (head, bytes, end) = streamed(&server, &[("X-Amz-Log-Type", "Tail")], "{}");
    assert_eq!((bytes.len(), &end["ErrorCode"]), (0, &json!("Unhandled")));
    let details: Value = serde_json::from_str(end["ErrorDetails"].as_str().unwrap()).unwrap();
    let message = format!("RequestId: {} Error: Task timed out after 1.00 seconds", head.request_id());
    assert_eq!(details["errorMessage"], message);
    let log = Reply::decoded_log(end["LogResult"].as_str().unwrap());
    assert!(log.contains("Status: timeout"), "{log}");
}

#[test]
fn a_dry_run_runs_nothing() {
    let function = Function::scripted("note('run')\nserve(lambda event: '1')");
    let server = Server::of(&function, &[]);
    let reply = refused(&server, &[("X-Amz-Invocation-Type", "DryRun")], "{}");
    assert_eq!((reply.status, reply.body.len(), reply.request_id().len()), (204, 0, 36));
    assert_eq!(function.notes(), [""; 0]);
}

#[test]
fn what_is_wrong_before_the_stream_is_an_ordinary_error() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    let class = |headers: &[(&str, &str)], event: &str| {
        let reply = refused(&server, headers, event);
        assert_eq!(reply.request_id().len(), 36);
        (reply.status, reply.header("x-amzn-errortype").unwrap().to_owned(), reply.text())
    };
    let (status, name, text) = class(&[("X-Amz-Invocation-Type", "Event")], "{}");
    assert_eq!((status, &*name), (400, "ValidationException"));
    assert!(
        text.contains("'Event' at 'invocationType'") && text.contains("[RequestResponse, DryRun]"),
        "{text}"
    );
    let (status, name, _) = class(&[("X-Amz-Log-Type", "All")], "{}");
    assert_eq!((status, &*name), (400, "ValidationException"));
    let (status, name, _) = class(&[("X-Amz-Client-Context", "%")], "{}");
    assert_eq!((status, &*name), (400, "InvalidRequestContentException"));
    let (status, name, _) = class(&[], "{");
    assert_eq!((status, &*name), (400, "InvalidRequestContentException"));
    let (status, name, text) = class(&[], &format!("\"{}\"", "x".repeat(6_291_455)));
    assert_eq!((status, &*name), (413, "RequestEntityTooLargeException"));
    assert!(
        text.contains("6291457 byte payload is too large for the RequestResponse invocation type"),
        "{text}"
    );

    let unknown = server.client().post(&(streaming_invocations("f") + "?Qualifier=7"), &[], b"{}");
    let message = "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:7";
    unknown.refused(404, "ResourceNotFoundException", &json!({"Message": message, "Type": "User"}));
}

#[test]
fn a_caller_for_whom_there_is_no_room_is_throttled() {
    let function = Function::scripted(
        "event = next_event()\nnote('busy')\nwait_for_gate()\nrespond(event.id, '1')\nnext_event()",
    );
    let server = Server::of(&function, &["--max-environments", "1", "--timeout", "60"]);
    let mut client = ask(&server, &[], "{}");
    function.noted(1);
    let reply = refused(&server, &[], "{}");
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (429, Some("TooManyRequestsException")));
    function.open_gate();
    stream_head(&mut client);
    assert_eq!(Message::receive_all(&mut client).len(), 2);
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let function = Function::scripted(
        "event = next_event()\nnote('begun')\nwait_for_gate()\nnote(respond(event.id, '1'))\nserve(lambda event: ME)",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let client = ask(&server, &[], "{}");
    function.noted(1);
    drop(client);
    function.open_gate();
    assert_eq!(function.noted(2)[1], r#"202 {"status":"OK"}"#);
    server.logged("REPORT RequestId");
    server.invoke("{}").success();
}

#[test]
fn streams_can_be_as_slow_as_awss() {
    let function = Function::scripted("serve(lambda event: bytes(300000))");
    let server = Server::of(&function, &["--stream-bandwidth", "aws"]);
    assert_eq!(streamed(&server, &[], "{}").1.len(), 300_000);
    let run = Program::serve(&[&function.target(), "--stream-bandwidth", "fast"]).run();
    run.refused(2, &["--stream-bandwidth", "unlimited, aws"]);
}

#[test]
fn a_chunk_arrives_before_the_handler_has_ended() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\nwait_for_gate()\nstream.write('second')\nnote(stream.end())\nnext_event()",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let mut client = ask(&server, &[], "{}");
    stream_head(&mut client);
    assert_eq!(Message::receive(&mut client).unwrap().chunk(), b"first");
    function.open_gate();
    assert_eq!(Message::receive(&mut client).unwrap().chunk(), b"second");
    assert_eq!(Message::receive(&mut client).unwrap().complete(), json!({}));
    assert_eq!(Message::receive(&mut client), None);
    assert_eq!(function.noted(1), [r#"202 {"status":"OK"}"#]);
}

#[test]
fn a_function_that_fails_in_mid_stream_is_told_of_by_the_end() {
    // In base64: {"errorType":"Mine"}
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\nstream.end('Lambda-Runtime-Function-Error-Type: Mine', 'Lambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJNaW5lIn0=')\nnext_event()",
    );
    let (_, bytes, end) = streamed(&Server::of(&function, &[]), &[], "{}");
    assert_eq!(bytes, b"first");
    assert_eq!(end, json!({"ErrorCode": "Mine", "ErrorDetails": "{\"errorType\":\"Mine\"}"}));
}

#[test]
fn a_timeout_in_mid_stream_is_told_of_by_the_end() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\nwait_for_gate()",
    );
    let (_, bytes, end) = streamed(&Server::of(&function, &["--timeout", "1"]), &[], "{}");
    assert_eq!((&*bytes, &end["ErrorCode"]), (&b"first"[..], &json!("Sandbox.Timedout")));
    assert!(end["ErrorDetails"].as_str().unwrap().contains("Task timed out after 1.00 seconds"), "{end}");
}

#[test]
fn a_runtime_that_exits_in_mid_stream_is_told_of_by_the_end() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\nwait_for_gate()\nos._exit(7)",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let mut client = ask(&server, &[], "{}");
    stream_head(&mut client);
    assert_eq!(Message::receive(&mut client).unwrap().chunk(), b"first");
    function.open_gate();
    let end = Message::receive(&mut client).unwrap().complete();
    assert!(end["ErrorCode"].is_string() && end["ErrorDetails"].is_string(), "{end}");
    assert_eq!(Message::receive(&mut client), None);
}

#[test]
fn a_reader_that_goes_away_in_mid_stream_ends_nothing() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\nwait_for_gate()\nstream.write('second')\nnote(stream.end())\nserve(lambda event: ME)",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let mut client = ask(&server, &[], "{}");
    stream_head(&mut client);
    assert_eq!(Message::receive(&mut client).unwrap().chunk(), b"first");
    drop(client);
    function.open_gate();
    assert_eq!(function.noted(1), [r#"202 {"status":"OK"}"#]);
    server.logged("REPORT RequestId");
    server.invoke("{}").success();
}

/// 64 MiB do not fit into anything between the two.
#[test]
fn a_reader_that_waits_makes_the_runtime_wait() {
    let function = Function::scripted(
        "event = next_event()
stream = Stream(event.id)
kept.socket.settimeout(0.5)
rest = b'%x\\r\\n' % (64 << 20) + bytes(64 << 20) + b'\\r\\n'
while rest:
    try:
        rest = rest[kept.socket.send(rest[:1 << 20]):]
    except TimeoutError:
        note('waits')
kept.socket.settimeout(None)
stream.end()
next_event()",
    );
    // Room for what the runtime holds of it.
    let server = Server::of(&function, &["--timeout", "60", "--memory", "1024"]);
    let mut client = ask(&server, &[], "{}");
    stream_head(&mut client);
    function.noted(1);
    let messages = Message::receive_all(&mut client);
    let (last, chunks) = messages.split_last().unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.chunk().len()).sum::<usize>(), 64 << 20);
    assert_eq!(last.complete(), json!({}));
}

/// A runtime that writes more than anybody takes, unless it is asked for something else.
const ENDLESS: &str = "
def run(event):
    if event.body != b'1': return event.body
    stream = Stream(event.id)
    while True: stream.write(bytes(1 << 20))
serve(run)
";

#[test]
fn a_reader_that_never_reads_does_not_hold_up_a_timeout() {
    let server = Server::with_one_environment(&Function::scripted(ENDLESS), &["--timeout", "1"]);
    let mut client = ask(&server, &[], "1");
    // The environment is free again, and nothing of the stream was read.
    assert!(server.log_of(1).contains("Status: timeout"));
    assert_eq!(server.invoke("2").success(), "2");
    stream_head(&mut client);
    let messages = Message::receive_all(&mut client);
    assert_eq!(messages.last().unwrap().complete()["ErrorCode"], "Sandbox.Timedout");
}
