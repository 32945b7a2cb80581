//! What the synchronous caller receives when a function fails: the table of failures, row by row.
//!
//! Each has status 200, `X-Amz-Function-Error: Unhandled`, and a body of exact bytes.

use serde_json::Value;

use crate::harness::client::Reply;
use crate::harness::function::Function;
use crate::harness::server::Server;

/// One invocation of a runtime that plays this script, and its log.
#[track_caller]
fn play(script: &str) -> (Reply, String) {
    Server::of(&Function::scripted(script), &["--timeout", "1"]).invoke_with_log("{}")
}

/// The line of the log that begins so.
#[track_caller]
fn line<'a>(log: &'a str, beginning: &str) -> &'a str {
    log.lines()
        .find(|line| line.starts_with(beginning))
        .unwrap_or_else(|| panic!("no {beginning} in:\n{log}"))
}

#[test]
fn a_timeout() {
    let (reply, log) = play("next_event()\ntime.sleep(60)");
    reply.failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
    let said = format!("Z {} Task timed out after 1.00 seconds", reply.request_id());
    assert!(log.lines().any(|line| line.ends_with(&said)), "{log}");
    assert!(line(&log, "REPORT").ends_with("\tStatus: timeout"), "{log}");
}

#[test]
fn an_exit_without_a_reason() {
    let (reply, log) = play("next_event()\nsys.exit(0)");
    reply.failed("Runtime.ExitError", "Runtime exited without providing a reason");
    assert!(line(&log, "REPORT").ends_with("\tStatus: error\tError Type: Runtime.ExitError"), "{log}");
    line(
        &log,
        &format!("RequestId: {} Error: Runtime exited without providing a reason", reply.request_id()),
    );
}

#[test]
fn an_exit_code() {
    let (reply, _) = play("next_event()\nsys.exit(127)");
    reply.failed("Runtime.ExitError", "Runtime exited with error: exit status 127");
}

#[test]
fn a_signal() {
    for (number, text) in [(9, "killed"), (15, "terminated"), (11, "segmentation fault"), (6, "aborted")] {
        let (reply, _) = play(&format!("next_event()\nos.kill(os.getpid(), {number})\ntime.sleep(60)"));
        reply.failed("Runtime.ExitError", &format!("Runtime exited with error: signal: {text}"));
    }
}

#[test]
fn an_exit_during_init() {
    for (script, text) in [
        ("sys.exit(0)", "Runtime exited without providing a reason"),
        ("sys.exit(1)", "Runtime exited with error: exit status 1"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
    ] {
        play(script).0.failed("Runtime.ExitError", text);
    }
}

#[test]
fn a_bootstrap_whose_interpreter_is_missing() {
    let function = Function::bootstrap("#!/no/such/interpreter\n");
    let reply = Server::of(&function, &[]).invoke("{}");
    let bootstrap = function.task_root().join("bootstrap");
    let text = format!("fork/exec {}: no such file or directory", bootstrap.display());
    reply.failed("Runtime.InvalidEntrypoint", &text);
}

#[test]
fn a_bootstrap_that_is_no_program() {
    let function = Function::bootstrap("neither a script nor a binary\n");
    let reply = Server::of(&function, &[]).invoke("{}");
    let bootstrap = function.task_root().join("bootstrap");
    reply.failed(
        "Runtime.InvalidEntrypoint",
        &format!("fork/exec {}: exec format error", bootstrap.display()),
    );
}

#[test]
fn an_init_error_that_was_reported() {
    let body = r#"{ "errorMessage":"no db", "errorType":"Function.NoDb", "requestId":"" }"#;
    let (reply, log) = play(&format!(
        "report_init('{body}', 'Lambda-Runtime-Function-Error-Type: Function.NoDb')\nsys.exit(1)"
    ));
    assert_eq!(reply.function_error(), body);
    assert!(line(&log, "REPORT").ends_with("\tStatus: error\tError Type: Function.NoDb"), "{log}");
}

#[test]
fn an_init_error_of_a_runtime_that_does_not_exit() {
    let (reply, _) = play("report_init('{\"errorType\":\"Stays\"}')\ntime.sleep(60)");
    assert_eq!(reply.function_error(), "{\"errorType\":\"Stays\"}");
}

#[test]
fn an_error_that_the_handler_reported() {
    let body = r#"{"errorMessage":"m","errorType":"MyError","stackTrace":["a","b"]}"#;
    let (reply, log) = play(&format!(
        "event = next_event()\nreport(event.id, '{body}', 'Lambda-Runtime-Function-Error-Type: MyError')\nnext_event()"
    ));
    assert_eq!(reply.function_error(), body);
    assert_eq!(reply.header("x-amz-executed-version"), Some("$LATEST"));
    assert!(!log.contains("Status:"), "the platform found nothing wrong: {log}");
}

#[test]
fn an_error_that_is_not_json_is_passed_on_all_the_same() {
    for body in ["", "plain words", "[1, 2"] {
        let (reply, _) = play(&format!("event = next_event()\nreport(event.id, '{body}')\nnext_event()"));
        assert_eq!(reply.function_error(), body);
    }
}

#[test]
fn an_error_with_its_cause_in_the_body() {
    let (reply, _) = play(
        r#"
event = next_event()
body = '{"errorMessage":"m","errorType":"T","errorCause":{"exceptions":[]}}'
report(event.id, body, "Content-Type: application/vnd.aws.lambda.error.cause+json")
next_event()
"#,
    );
    let error: Value = serde_json::from_str(&reply.function_error()).unwrap();
    assert_eq!(error, serde_json::json!({"errorMessage": "m", "errorType": "T"}));
}

#[test]
fn a_header_of_a_megabyte_is_no_obstacle() {
    let (reply, _) = play(
        r#"
event = next_event()
cause = '{"exceptions":[{"message":"' + "x" * 1048000 + '"}]}'
report(event.id, '{"errorType":"T"}', "Lambda-Runtime-Function-XRay-Error-Cause: " + cause)
next_event()
"#,
    );
    assert_eq!(reply.function_error(), r#"{"errorType":"T"}"#);
}

#[test]
fn a_response_may_be_6291556_bytes() {
    let function = Function::scripted("serve(lambda event: b'x' * 6291556)");
    let reply = Server::of(&function, &["--timeout", "60"]).invoke("{}");
    assert_eq!(reply.success().len(), 6_291_556);
}

#[test]
fn a_response_of_one_byte_more_is_too_large_and_the_runtime_goes_on() {
    let function = Function::scripted(
        r#"
event = next_event()
note(respond(event.id, b"x" * 6291557))
note(report(event.id, "{}"))
serve(lambda event: ME)
"#,
    );
    let server = Server::with_one_environment(&function, &["--timeout", "60"]);
    let (reply, log) = server.invoke_with_log("{}");
    assert_eq!(
        reply.function_error(),
        r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#
    );
    assert!(line(&log, "REPORT").contains("Error Type: Function.ResponseSizeTooLarge"), "{log}");
    let notes = function.notes();
    assert_eq!(
        notes[0],
        r#"413 {"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}"#
    );
    assert!(notes[1].starts_with("403 ") && notes[1].contains("InvalidStateTransition"), "{notes:?}");
    assert_eq!(server.invoke("{}").success(), server.invoke("{}").success(), "one process serves on");
    assert_eq!(server.log_of(3).matches("INIT_START").count(), 1);
}

#[test]
fn an_error_report_that_is_too_large() {
    let (reply, _) = play("event = next_event()\nreport(event.id, b'x' * 6291557)\nnext_event()");
    assert!(reply.function_error().contains("Function.ResponseSizeTooLarge"), "{}", reply.text());
}

#[test]
fn a_response_mode_that_does_not_exist() {
    let function = Function::scripted(
        r#"
event = next_event()
note(respond(event.id, "1", "Lambda-Runtime-Function-Response-Mode: Streaming"))
serve(lambda event: ME)
"#,
    );
    let server = Server::with_one_environment(&function, &[]);
    assert_eq!(server.invoke("{}").function_error(), "", "the log has the type, the caller nothing");
    server.logged("Status: error\tError Type: Runtime.InvalidResponseModeHeader");
    let refusal =
        r#"400 {"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}"#;
    assert_eq!(function.noted(1), [refusal]);
    server.invoke("{}").success();
    assert_eq!(server.log_of(2).matches("INIT_START").count(), 1, "the runtime goes on");
}

#[test]
fn a_response_that_is_cut_off() {
    let (reply, _) = play(
        r#"
event = next_event()
half = Connection()
half.send(("POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf" % (BASE, event.id)).encode())
half.close()
next_event()
"#,
    );
    let error: Value = serde_json::from_str(&reply.function_error()).unwrap();
    assert_eq!(error["errorType"], "Runtime.TruncatedResponse");
}

#[test]
fn a_stream_that_fails_in_its_middle() {
    let (reply, _) = play(
        r#"
event = next_event()
head = "POST %sinvocation/%s/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
head += "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
head += "Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n"
kept.send((head % (BASE, event.id)).encode() + b"5\r\nhello\r\n0\r\n")
# {"errorType":"Late"}
kept.send(b"Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJMYXRlIn0=\r\n\r\n")
note(kept.receive())
next_event()
"#,
    );
    assert_eq!(reply.function_error(), r#"{"errorType":"Late"}"#);
}

#[test]
fn a_failure_of_a_managed_runtimes_handler() {
    let function = Function::python("def lambda_handler(event, context):\n    return 1 / 0\n");
    let reply = Server::of(&function, &[]).invoke("{}");
    let error: Value = serde_json::from_str(&reply.function_error()).unwrap();
    assert_eq!(
        (&error["errorType"], &error["errorMessage"]),
        (&"ZeroDivisionError".into(), &"division by zero".into())
    );
    assert_eq!(error["requestId"], reply.request_id());
    assert!(error["stackTrace"][0].as_str().unwrap().contains("line 2, in lambda_handler"), "{error}");
}

#[test]
fn a_failure_of_a_managed_runtimes_init() {
    let function = Function::python("import no_such_module\n");
    let reply = Server::of(&function, &["--handler", "lambda_function.handler"]).invoke("{}");
    let error: Value = serde_json::from_str(&reply.function_error()).unwrap();
    assert_eq!(error["errorType"], "Runtime.ImportModuleError");
    assert_eq!(
        error["errorMessage"],
        "Unable to import module 'lambda_function': No module named 'no_such_module'"
    );
    assert_eq!(error["requestId"], "");
}
