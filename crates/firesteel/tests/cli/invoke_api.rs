//! `Invoke` of the Lambda HTTP API: requests, answers, refusals. What functions do wrong is in `failures`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::harness::client::Reply;
use crate::harness::function::{ECHO, Function};
use crate::harness::server::{Server, invocations, streaming_invocations};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
const SYNCHRONOUS_LIMIT_BYTES: usize = 6_291_456;
const ASYNCHRONOUS_LIMIT_BYTES: usize = 1_048_576;

/// JSON of exactly this many bytes.
fn json_of(size_bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(size_bytes - 2))
}

#[track_caller]
fn not_found(reply: &Reply, arn: &str) {
    reply.refused(
        404,
        "ResourceNotFoundException",
        &json!({"Message": format!("Function not found: {arn}"), "Type": "User"}),
    );
}

/// A refusal whose text is AWS's with the value in it; the pattern that follows is long.
#[track_caller]
fn invalid(reply: &Reply, text: &str) {
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (400, Some("ValidationException")));
    let body = reply.json();
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("1 validation error detected: Value {text}")), "{message}");
    assert_eq!(body.as_object().unwrap().len(), 1, "no Type");
}

#[test]
fn a_success_has_awss_headers_and_the_handlers_bytes() {
    let function = Function::scripted("serve(lambda event: b'{ \"n\" : 1 }\\n')");
    let reply = Server::of(&function, &[]).invoke("{}");
    assert_eq!(reply.success(), "{ \"n\" : 1 }\n");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"));
    assert_eq!(reply.request_id().len(), 36);
    assert!(reply.header("x-amzn-trace-id").unwrap().starts_with("Root=1-"));
    assert_eq!(reply.header("x-amz-log-result"), None);
}

#[test]
fn the_request_id_of_the_answer_is_the_functions() {
    let function = Function::scripted("serve(lambda event: event.id)");
    let server = Server::with_one_environment(&function, &[]);
    let (one, two) = (server.invoke("{}"), server.invoke("{}"));
    assert_eq!(one.success(), one.request_id());
    assert_eq!(two.success(), two.request_id());
    assert_ne!(one.request_id(), two.request_id());
}

#[test]
fn a_legitimate_result_that_looks_like_an_error_is_a_success() {
    let function = Function::scripted(ECHO);
    let server = Server::of(&function, &[]);
    for payload in
        [r#"{"errorType":"x"}"#, r#"{"errorMessage":"m","errorType":"Runtime.ExitError","stackTrace":[]}"#]
    {
        assert_eq!(server.invoke(payload).success(), payload);
    }
}

#[test]
fn the_event_arrives_unchanged() {
    let function = Function::scripted(ECHO);
    let server = Server::of(&function, &[]);
    for event in
        ["{ \"b\":1,\n \"a\" : 2.50 }", "\"\\u00e9é😀\"", " null ", "[]", "1e400", "{\"a\":1,\"a\":2}"]
    {
        assert_eq!(server.invoke(event).success(), event);
    }
}

#[test]
fn an_empty_body_is_an_empty_object() {
    assert_eq!(Server::of(&Function::scripted(ECHO), &[]).invoke("").success(), "{}");
}

#[test]
fn an_event_that_is_not_json_is_refused_and_not_run() {
    let function = Function::scripted("note('ran')\nserve(lambda event: event.body)");
    let server = Server::of(&function, &[]);
    for event in [&b"{"[..], b"hello", b"{} {}", b"\xff", b"\"\x01\""] {
        let reply = server.client().post(&invocations("f"), &[], event);
        assert_eq!(reply.header("x-amzn-errortype"), Some("InvalidRequestContentException"));
        assert_eq!((reply.status, &reply.json()["Type"]), (400, &json!("User")));
        let text = "Could not parse request body into json: Could not parse payload into json: ";
        assert!(reply.json()["message"].as_str().unwrap().starts_with(text), "{}", reply.text());
    }
    assert_eq!(function.notes(), [""; 0]);
}

#[test]
fn an_asynchronous_event_is_accepted_and_runs() {
    let function = Function::scripted(
        "event = next_event()\nwait_for_gate()\nnote(event.id + ' ' + event.body.decode())\nrespond(event.id, '1')\nnext_event()",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let reply = server.invoke_with(&[("X-Amz-Invocation-Type", "Event")], "{\"a\":1}");
    assert_eq!((reply.status, reply.text()), (202, String::new()));
    assert_eq!(reply.header("x-amz-executed-version"), None);
    assert_eq!(reply.header("x-amz-function-error"), None);
    assert_eq!(function.notes(), [""; 0], "the answer does not wait for the run");
    function.open_gate();
    assert_eq!(function.noted(1), [format!("{} {{\"a\":1}}", reply.request_id())]);
}

#[test]
fn an_asynchronous_event_waits_for_room() {
    let function =
        Function::scripted("def run(event):\n    note(event.body.decode())\n    return '1'\nserve(run)");
    let server = Server::of(&function, &["--max-environments", "1"]);
    for event in ["1", "2", "3"] {
        assert_eq!(server.invoke_with(&[("X-Amz-Invocation-Type", "Event")], event).status, 202);
    }
    let mut ran = function.noted(3);
    ran.sort();
    assert_eq!(ran, ["1", "2", "3"]);
}

#[test]
fn a_dry_run_checks_and_runs_nothing() {
    let function = Function::scripted("note('ran')\nserve(lambda event: event.body)");
    let server = Server::with_one_environment(&function, &[]);
    let dry = [("X-Amz-Invocation-Type", "DryRun")];
    let reply = server.invoke_with(&dry, "{}");
    assert_eq!((reply.status, reply.text()), (204, String::new()));
    not_found(
        &server.invoke_named("g", &dry, "{}"),
        "arn:aws:lambda:us-east-1:000000000000:function:g:$LATEST",
    );
    assert_eq!(server.invoke_with(&dry, "{").status, 400);
    assert_eq!(function.notes(), [""; 0]);
}

#[test]
fn the_log_tail_goes_from_start_to_report() {
    let function =
        Function::scripted("def run(event):\n    print('héllo', flush=True)\n    return '1'\nserve(run)");
    let server = Server::with_one_environment(&function, &[]);
    server.invoke("{}").success();
    let (reply, log) = server.invoke_with_log("{}");
    assert_eq!(reply.success(), "1");
    assert_eq!(log.matches(reply.request_id()).count(), 3, "{log}");
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("START RequestId: ") && lines[0].ends_with(" Version: $LATEST"), "{log}");
    assert_eq!(lines[1], "héllo");
    assert!(lines[2].starts_with("END RequestId: ") && lines[3].starts_with("REPORT RequestId: "), "{log}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn the_log_tail_is_the_last_4096_bytes() {
    let function = Function::scripted(
        "def run(event):\n    for n in range(1000): print('line %d' % n)\n    sys.stdout.flush()\n    return '1'\nserve(run)",
    );
    let (reply, log) = Server::of(&function, &[]).invoke_with_log("{}");
    assert_eq!(log.len(), 4096);
    assert!(!log.contains("START") && log.contains("line 999\nEND"), "{log}");
    assert!(log.contains(&format!("REPORT RequestId: {}", reply.request_id())), "{log}");
}

#[test]
fn the_client_context_is_decoded_for_the_function() {
    let function =
        Function::scripted("serve(lambda event: event.headers.get('lambda-runtime-client-context', 'none'))");
    let server = Server::with_one_environment(&function, &[]);
    let encoded = BASE64_STANDARD.encode(r#"{"client": {"app_title": "t"}, "custom": {"k": "v"}}"#);
    let reply = server.invoke_with(&[("X-Amz-Client-Context", &encoded)], "{}");
    assert_eq!(reply.success(), r#"{"client": {"app_title": "t"}, "custom": {"k": "v"}}"#);
    assert_eq!(server.invoke("{}").success(), "none");
}

#[test]
fn a_client_context_that_is_none_is_refused() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    let long = encoded(&format!("{{\"a\":\"{}\"}}", "x".repeat(2680)));
    for context in ["%%%".to_owned(), encoded("not json"), encoded("[1]"), encoded("\"text\""), long] {
        let reply = server.invoke_with(&[("X-Amz-Client-Context", &context)], "{}");
        let body =
            json!({"Type": "User", "message": "Client context must be a valid Base64-encoded JSON object."});
        reply.refused(400, "InvalidRequestContentException", &body);
    }
}

#[test]
fn a_trace_is_continued_or_begun() {
    let function = Function::scripted("serve(lambda event: event.headers['lambda-runtime-trace-id'])");
    let server = Server::with_one_environment(&function, &[]);
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
    let reply = server.invoke_with(&[("X-Amzn-Trace-Id", trace)], "{}");
    assert_eq!((reply.success().as_str(), reply.header("x-amzn-trace-id")), (trace, Some(trace)));
    let begun = server.invoke_with(&[("X-Amzn-Trace-Id", "nonsense")], "{}").success();
    assert!(
        begun.starts_with("Root=1-") && begun.contains(";Parent=") && begun.contains(";Sampled="),
        "{begun}"
    );
}

#[test]
fn every_spelling_of_the_name_reaches_the_function() {
    let function =
        Function::scripted("serve(lambda event: event.headers['lambda-runtime-invoked-function-arn'])");
    let server = Server::of(&function, &[]);
    let qualified = format!("{ARN}:$LATEST");
    for (path, arn) in [
        (invocations("f"), ARN),
        (invocations("f:$LATEST"), &*qualified),
        (invocations("f%3A%24LATEST"), &qualified),
        (invocations("f") + "?Qualifier=$LATEST", &qualified),
        (invocations("f") + "?Qualifier=%24LATEST", &qualified),
        (invocations("f:$LATEST") + "?Qualifier=$LATEST", &qualified),
        (invocations("000000000000:function:f"), ARN),
        (invocations("000000000000%3Afunction%3Af:$LATEST"), &qualified),
        (invocations(ARN), ARN),
        (invocations(&ARN.replace(':', "%3A")), ARN),
        (invocations(&qualified), &qualified),
        // As the emulator's users write it.
        (invocations("function"), ARN),
    ] {
        let reply = server.client().post(&path, &[], b"{}");
        assert_eq!(reply.success(), arn, "{path}");
        assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"), "{path}");
    }
}

#[test]
fn the_name_function_means_nothing_when_there_are_two() {
    let (one, two) = (Function::scripted(ECHO), Function::scripted(ECHO));
    let server = Server::of_several(&[("one", &one), ("two", &two)], &[]);
    not_found(&server.invoke("{}"), &format!("{ARN}:$LATEST"));
    not_found(
        &server.invoke_named("function", &[], "{}"),
        "arn:aws:lambda:us-east-1:000000000000:function:function:$LATEST",
    );
}

#[test]
fn what_does_not_exist_is_not_found() {
    let server = Server::with_one_environment(&Function::scripted(ECHO), &[]);
    let unknown = "arn:aws:lambda:us-east-1:000000000000:function:unknown:$LATEST";
    not_found(&server.invoke_named("unknown", &[], "{}"), unknown);
    not_found(&server.invoke_named("f:7", &[], "{}"), &format!("{ARN}:7"));
    not_found(
        &server.client().post(&(invocations("f") + "?Qualifier=prod"), &[], b"{}"),
        &format!("{ARN}:prod"),
    );
    let event = [("X-Amz-Invocation-Type", "Event")];
    not_found(&server.invoke_named("unknown", &event, "{}"), unknown);
}

#[test]
fn functions_of_other_regions_and_accounts_are_out_of_reach() {
    let server = Server::with_one_environment(&Function::scripted(ECHO), &[]);
    let elsewhere = ARN.replace("us-east-1", "eu-west-1");
    server.invoke_named(&elsewhere, &[], "{}").refused(
        404,
        "ResourceNotFoundException",
        &json!({
            "Message": "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
            "Type": "User"
        }),
    );
    let reply = server.invoke_named("111122223333:function:f", &[], "{}");
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (403, Some("AccessDeniedException")));
}

#[test]
fn qualifiers_that_differ_are_refused() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    let reply = server.client().post(&(invocations("f:$LATEST") + "?Qualifier=7"), &[], b"{}");
    let message = "The derived qualifier from the function name does not match the specified qualifier.";
    reply.refused(400, "InvalidParameterValueException", &json!({"Type": "User", "message": message}));
}

#[test]
fn names_that_are_none_are_refused() {
    let server = Server::with_one_environment(&Function::scripted(ECHO), &[]);
    for name in ["a%20b", "f:a:b", "arn:aws:s3:f", "%C3%A9", "f%2Fg"] {
        let reply = server.invoke_named(name, &[], "{}");
        assert_eq!(
            (reply.status, reply.header("x-amzn-errortype")),
            (400, Some("ValidationException")),
            "{name}"
        );
        invalid(&reply, "'");
        assert!(reply.text().contains("at 'functionName' failed to satisfy constraint"), "{}", reply.text());
    }
    // A qualifier is none or has a character, by the model.
    let reply = server.client().post(&(invocations("f") + "?Qualifier="), &[], b"{}");
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (400, Some("ValidationException")));
    assert!(
        reply.text().contains("2 validation errors detected: Value '' at 'qualifier'"),
        "{}",
        reply.text()
    );
    let long = "n".repeat(257);
    invalid(&server.invoke_named(&long, &[], "{}"), &format!("'{long}' at 'functionName'"));
}

#[test]
fn header_values_outside_the_model_are_refused() {
    let server = Server::with_one_environment(&Function::scripted(ECHO), &[]);
    let reply = server.invoke_with(&[("X-Amz-Invocation-Type", "event")], "{}");
    invalid(
        &reply,
        "'event' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: ",
    );
    let reply = server.invoke_with(&[("X-Amz-Log-Type", "All")], "{}");
    invalid(&reply, "'All' at 'logType' failed to satisfy constraint");
    server
        .invoke_with(&[("X-Amz-Invocation-Type", "RequestResponse"), ("X-Amz-Log-Type", "None")], "{}")
        .success();
}

#[test]
fn a_synchronous_event_may_be_6291456_bytes_and_no_more() {
    let function = Function::scripted("serve(lambda event: str(len(event.body)))");
    let server = Server::of(&function, &["--timeout", "60"]);
    let mut client = server.client();
    let largest = json_of(SYNCHRONOUS_LIMIT_BYTES);
    assert_eq!(client.post(&invocations("f"), &[], largest.as_bytes()).success(), "6291456");
    let too_large = json_of(SYNCHRONOUS_LIMIT_BYTES + 1);
    client.post(&invocations("f"), &[], too_large.as_bytes()).refused(
        413,
        "RequestEntityTooLargeException",
        &json!({"Message": "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"}),
    );
    assert_eq!(client.post(&invocations("f"), &[], b"{}").success(), "2", "the connection serves on");
}

#[test]
fn an_asynchronous_event_may_be_1048576_bytes_and_no_more() {
    let function =
        Function::scripted("def run(event):\n    note(len(event.body))\n    return '1'\nserve(run)");
    let server = Server::with_one_environment(&function, &["--timeout", "60"]);
    let event = [("X-Amz-Invocation-Type", "Event")];
    assert_eq!(server.invoke_with(&event, &json_of(ASYNCHRONOUS_LIMIT_BYTES)).status, 202);
    server.invoke_with(&event, &json_of(ASYNCHRONOUS_LIMIT_BYTES + 1)).refused(
        413,
        "RequestEntityTooLargeException",
        &json!({"Message": "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"}),
    );
    assert_eq!(function.noted(1), ["1048576"]);
}

#[test]
fn a_chunked_request_is_read_like_any_other() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    let mut client = server.client();
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", invocations("f"));
    client.send(format!("{head}1\r\n[\r\n3\r\n1,2\r\n1\r\n]\r\n0\r\n\r\n").as_bytes());
    assert_eq!(client.receive().success(), "[1,2]");
}

/// SDKs understand errors with a class; words of the HTTP framework have none.
#[test]
fn a_path_or_query_that_is_odd_is_answered_as_the_api_answers() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    for path in [invocations("f"), streaming_invocations("f")] {
        let post = |path: &str| server.client().post(path, &[], b"{}");
        let reply = post(&path.replace("/f/", "/%ff/"));
        let error_type = reply.header("x-amzn-errortype");
        assert_eq!((reply.status, error_type), (404, Some("UnknownOperationException")), "{}", reply.text());
        let reply = post(&format!("{path}?Qualifier=%ff"));
        let error_type = reply.header("x-amzn-errortype");
        assert_eq!((reply.status, error_type), (400, Some("ValidationException")), "{}", reply.text());
    }
    let twice = format!("{}?other&Qualifier=$LATEST&Qualifier=7", invocations("f"));
    server.client().post(&twice, &[], b"{}").success();
}

#[test]
fn other_paths_and_methods_are_unknown_operations() {
    let server = Server::of(&Function::scripted(ECHO), &[]);
    let path = invocations("f");
    for (method, path) in
        [("GET", path.as_str()), ("POST", "/"), ("POST", "/2015-03-31/function"), ("PUT", "/x/%zz")]
    {
        let reply = server.client().request(method, path, &[], b"");
        let message = format!("Firesteel has no operation for {method} {path}");
        reply.refused(404, "UnknownOperationException", &json!({"message": message}));
    }
}

#[test]
fn a_caller_that_goes_away_ends_nothing() {
    let function = Function::scripted(
        "event = next_event()\nnote('begun')\nwait_for_gate()\nnote(str(respond(event.id, '1')))\nserve(lambda event: ME)",
    );
    let server = Server::of(&function, &["--timeout", "60"]);
    let mut client = server.client();
    client.send(
        format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}", invocations("f")).as_bytes(),
    );
    function.noted(1);
    drop(client);
    function.open_gate();
    assert_eq!(function.noted(2)[1], r#"202 {"status":"OK"}"#);
    server.logged("REPORT RequestId");
    server.invoke("{}").success();
}
