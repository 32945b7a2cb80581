//! Restores as with SnapStart (`--snap-start`).

use crate::harness::client::Reply;
use crate::harness::function::Function;
use crate::harness::program::Program;
use crate::harness::server::Server;

/// Waits to be restored, and runs what a test puts in the place of hooks.
fn restored(hooks: &str) -> Function {
    Function::scripted(&format!(
        "note('init')\nnote(kept.call('GET', BASE + 'restore/next').status)\n{hooks}\nserve(lambda event: 'done')"
    ))
}

#[track_caller]
fn failed(reply: &Reply, status: u16, class: &str, words: &str) {
    assert_eq!((reply.status, reply.header("x-amzn-errortype")), (status, Some(class)), "{}", reply.text());
    assert!(reply.text().contains(words), "{}", reply.text());
}

#[test]
fn hooks_run_between_init_and_the_first_invocation_and_are_reported() {
    let function = restored("note('hook')\ntime.sleep(0.05)");
    let server = Server::of(&function, &["--snap-start"]);
    let (reply, tail) = server.invoke_with_log("{}");
    assert_eq!(reply.success(), "done");
    assert_eq!(function.notes(), ["init", "200", "hook"]);
    let log = server.log_of(1);
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} is not in:\n{log}"));
    assert!(at("INIT_START ") < at("RESTORE_START Runtime Version: "));
    assert!(at("RESTORE_START ") < at("RESTORE_REPORT Restore Duration: "));
    assert!(at("RESTORE_REPORT ") < at("START RequestId: "));

    let report = tail.lines().find(|line| line.starts_with("REPORT ")).unwrap();
    let column = |name: &str| -> f64 {
        let value = report.split('\t').find_map(|column| column.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_else(|| panic!("{name} in {report}")).split(' ').next().unwrap().parse().unwrap()
    };
    assert!(column("Restore Duration") >= 50.0, "{report}");
    assert!(column("Billed Restore Duration") >= 50.0, "{report}");
    assert!(column("Billed Duration") >= 50.0, "{report}");
    assert!(!report.contains("Init Duration"), "it went into the snapshot: {report}");
    let (_, warm) = server.invoke_with_log("{}");
    assert!(!warm.contains("Restore Duration"), "{warm}");
}

#[test]
fn credentials_come_from_an_endpoint_and_not_from_variables() {
    let function = restored(
        "names = ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_LAMBDA_LOG_STREAM_NAME')
note([name for name in names if name in os.environ])
note(os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'])
path = os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'].split(PORT, 1)[1]
note(kept.call('GET', path).status)
note(kept.call('GET', path, headers=('Authorization: ' + os.environ['AWS_CONTAINER_AUTHORIZATION_TOKEN'],)))",
    );
    let server = Server::of(&function, &["--snap-start", "--env", "AWS_ACCESS_KEY_ID=AKIAMINE"]);
    server.invoke("{}").success();
    let notes = function.notes();
    assert_eq!(notes[2..5], ["[]", "snap-start", "404"], "{notes:?}");
    assert!(notes[5].starts_with("200 ") && notes[5].contains("AKIAMINE"), "{notes:?}");
}

#[test]
fn a_hook_that_fails_is_told_to_the_caller() {
    let function = restored(
        "kept.call('POST', BASE + 'restore/error', '{\"errorMessage\":\"no hook\"}', ('Lambda-Runtime-Function-Error-Type: Runtime.MyHook',))\nsys.exit(1)",
    );
    let server = Server::of(&function, &["--snap-start"]);
    failed(&server.invoke("{}"), 400, "SnapStartException", "no hook");
    server.logged("RESTORE_REPORT Restore Duration: ");
    assert!(server.logged("RESTORE_REPORT").contains("Error Type: Runtime.MyHook"));
    let run = Program::invoke(&[&function.target(), "--snap-start"]).run();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
}

#[test]
fn hooks_have_ten_seconds() {
    let server = Server::of(&restored("time.sleep(60)"), &["--snap-start"]);
    failed(&server.invoke("{}"), 408, "SnapStartTimeoutException", "10 seconds");
    assert!(server.logged("RESTORE_REPORT").contains("Status: timeout"));
}

#[test]
fn a_runtime_that_knows_no_restore_is_invoked_as_any() {
    let function = Function::scripted("serve(lambda event: os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'])");
    let run = Program::invoke(&[&function.target(), "--snap-start"]).run();
    assert_eq!(run.success().trim(), "snap-start");
}
