//! `firesteel invoke NAME --endpoint URL`, the client of a server that runs.

use crate::harness::function::{ECHO, Function};
use crate::harness::program::{Program, Run};
use crate::harness::server::Server;

#[track_caller]
fn invoke(server: &Server, arguments: &[&str]) -> Run {
    let url = format!("http://{}", server.address);
    Program::invoke(&[arguments, &["--endpoint", &url]].concat()).run()
}

#[test]
fn a_success_is_on_stdout_and_the_log_on_stderr() {
    let function = Function::scripted("print('hello log', flush=True)\nserve(lambda event: event.body)");
    let server = Server::of(&function, &[]);
    let run = invoke(&server, &["f", "{\"a\": 1}"]);
    assert_eq!(run.success(), "{\"a\": 1}\n");
    assert!(
        run.stderr.contains("START RequestId") && run.stderr.contains("REPORT RequestId"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_function_error_is_exit_code_1() {
    let function = Function::scripted(
        "event = next_event()\nreport(event.id, '{\"errorType\":\"Mine\"}')\nnext_event()",
    );
    let run = invoke(&Server::of(&function, &[]), &["f"]);
    assert_eq!(run.function_error(), "{\"errorType\":\"Mine\"}\n");
}

#[test]
fn names_and_contexts_and_traces_are_passed_on() {
    let function = Function::scripted(
        "serve(lambda event: ' '.join(event.headers['lambda-runtime-' + name] for name in ('invoked-function-arn', 'client-context', 'trace-id')))",
    );
    let server = Server::of(&function, &[]);
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST";
    let run = invoke(&server, &[arn, "{}", "--client-context", "{\"a\":1}", "--trace-id", trace]);
    assert_eq!(run.success(), format!("{arn} {{\"a\":1}} {trace}\n"));
}

#[test]
fn an_unknown_function_is_exit_code_2() {
    let function = Function::scripted(ECHO);
    let run = invoke(&Server::of(&function, &[]), &["unknown"]);
    run.refused(
        2,
        &[
            "ResourceNotFoundException",
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:unknown",
        ],
    );
}

#[test]
fn a_throttled_call_is_exit_code_3_and_says_why() {
    let function = Function::scripted(
        "event = next_event()\nnote('busy')\nwait_for_gate()\nrespond(event.id, '1')\nnext_event()",
    );
    let server = Server::of(&function, &["--max-environments", "1", "--timeout", "60"]);
    std::thread::scope(|scope| {
        scope.spawn(|| server.invoke("{}").success());
        function.noted(1);
        invoke(&server, &["f"])
            .refused(3, &["TooManyRequestsException", "ConcurrentInvocationLimitExceeded"]);
        function.open_gate();
    });
}

#[test]
fn an_address_without_a_server_is_exit_code_3() {
    let run = Program::invoke(&["f", "--endpoint", "http://127.0.0.1:1"]).run();
    run.refused(
        3,
        &["could not be reached", "cause: ", "Connection refused", "try:   is it running? firesteel serve"],
    );
}

#[test]
fn what_is_no_url_of_a_server_is_exit_code_2() {
    for url in ["127.0.0.1:9000", "ftp://127.0.0.1:9000", "", "http://", "::"] {
        let run = Program::invoke(&["f", "--endpoint", url]).run();
        run.refused(2, &["is not the URL of a server", "try:   --endpoint http://127.0.0.1:9000"]);
    }
}

#[test]
fn what_only_a_local_function_has_is_refused() {
    for flag in [
        ["--memory", "256"],
        ["--ephemeral-storage", "1024"],
        ["--env", "AB=1"],
        ["--layer", "/tmp"],
        ["--log-format", "json"],
        ["--log-level", "info"],
        ["--system-log-level", "info"],
    ] {
        let run = Program::invoke(&["f", "--endpoint", "http://127.0.0.1:1", flag[0], flag[1]]).run();
        run.refused(2, &[flag[0], "cannot be used with"]);
    }
}
