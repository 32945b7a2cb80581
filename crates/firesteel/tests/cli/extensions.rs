//! Extensions: when they begin, what they are told, what their failures do, how they end.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::event_stream::Message;
use crate::harness::function::{ECHO, Function};
use crate::harness::server::{Server, streaming_invocations};

/// Follows every invocation and the end, and notes both.
const FOLLOWER: &str = r#"
id, _ = register("follower", ["INVOKE", "SHUTDOWN"])
note("follower registered")
while True:
    kind, event = extension_event(id)
    note("follower " + event)
    if kind == "SHUTDOWN": sys.exit(0)
"#;

/// A server of one environment with the function's layer.
fn server(function: &Function, arguments: &[&str]) -> Server {
    Server::with_one_environment(function, &[&["--layer", &function.layer()], arguments].concat())
}

/// What `NAME` noted, as JSON.
fn events(function: &Function, name: &str) -> Vec<Value> {
    let of_name = |note: String| note.strip_prefix(name)?.trim_start().parse().ok();
    function.notes().into_iter().filter_map(of_name).collect()
}

#[test]
fn an_extension_is_told_of_invocations_and_of_the_end() {
    let function =
        Function::scripted(&format!("note('runtime started')\n{ECHO}")).with_extension("follower", FOLLOWER);
    let mut server = server(&function, &["--timeout", "7"]);
    let reply = server.invoke("{}");
    reply.success();
    server.invoke_with_log("{}").0.success();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));

    let notes = function.notes();
    assert_eq!(notes[..2], ["follower registered", "runtime started"], "extensions come first");
    let events = events(&function, "follower");
    assert_eq!(events.len(), 3, "{events:?}");
    assert_eq!(events[0]["eventType"], "INVOKE");
    assert_eq!(events[0]["requestId"], reply.request_id());
    assert_eq!(events[0]["invokedFunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f");
    assert_eq!(events[0]["tracing"]["type"], "X-Amzn-Trace-Id");
    assert_eq!(events[0]["tracing"]["value"].as_str(), reply.header("x-amzn-trace-id"));
    assert_eq!(events[2]["eventType"], "SHUTDOWN");
    assert_eq!(events[2]["shutdownReason"], "spindown");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let deadline = u128::from(events[2]["deadlineMs"].as_u64().unwrap());
    assert!(deadline > now - 60_000 && deadline < now + 2_000, "{deadline} at {now}");
}

#[test]
fn the_answer_leaves_before_the_extension_is_done_and_the_next_invocation_waits_for_it() {
    let function = Function::scripted("serve(lambda event: str(len(notes())))").with_extension(
        "slow",
        r#"
id, _ = register("slow", ["INVOKE"])
while True:
    extension_event(id)
    note("has it")
    wait_for_gate()
    note("is done")
"#,
    );
    let server = server(&function, &["--timeout", "60"]);
    server.invoke("{}").success();
    function.noted(1);
    let second = std::thread::scope(|scope| {
        let second = scope.spawn(|| server.invoke("{}").success());
        function.open_gate();
        second.join().unwrap()
    });
    assert!(second.parse::<u32>().unwrap() >= 2, "it came after `is done`: {second}");
}

#[test]
fn one_that_wants_no_invocations_is_told_of_none() {
    let function = Function::scripted(ECHO).with_extension(
        "quiet",
        "id, _ = register('quiet', ['SHUTDOWN'])\nnote('quiet ' + extension_event(id)[1])",
    );
    let mut server = server(&function, &[]);
    for _ in 0..3 {
        server.invoke("{}").success();
    }
    server.signal(Signal::TERM);
    server.wait();
    assert_eq!(events(&function, "quiet").len(), 1);
}

/// An extension that does this at its second event.
fn failing(act: &str) -> Function {
    let script = format!(
        "id, _ = register('bad', ['INVOKE'])\nextension_event(id)\nextension_event(id)\n{act}\ntime.sleep(60)"
    );
    Function::scripted("serve(lambda event: event.body if event.body != b'2' else time.sleep(60))")
        .with_extension("bad", &script)
}

#[test]
fn its_end_is_the_invocations() {
    for (act, error_type, text) in [
        ("sys.exit(0)", "Extension.Crash", "exit code 0"),
        ("sys.exit(3)", "Extension.Crash", "exit status 3"),
        ("os.kill(os.getpid(), 9)", "Extension.Crash", "signal: killed"),
        (
            "extension_report(id, 'exit', 'Extension.Mine')\nsys.exit(5)",
            "Extension.ExitError",
            "exit status 5",
        ),
    ] {
        let function = failing(act);
        let server = server(&function, &["--timeout", "30"]);
        server.invoke_with_log("1").0.success();
        server.invoke("2").failed(error_type, text);
        // A new one in the same environment, which goes on.
        server.invoke("1").success();
    }
}

#[test]
fn an_init_that_fails_because_of_one_is_done_again_and_then_fails() {
    for (script, error_type, text) in [
        ("sys.exit(4)", "Extension.Crash", "exit status 4"),
        ("id, _ = register('bad', [])\nsys.exit(0)", "Extension.Crash", "exit code 0"),
        (
            "id, _ = register('bad', [])\nextension_report(id, 'init', 'Extension.NoLicence')\nsys.exit(6)",
            "Extension.InitError",
            "exit status 6",
        ),
    ] {
        let script = format!("note('begins')\n{script}");
        let function = Function::scripted(ECHO).with_extension("bad", &script);
        let server = server(&function, &["--timeout", "30"]);
        server.invoke("{}").failed(error_type, text);
        assert_eq!(function.notes(), ["begins", "begins"]);
    }
}

#[test]
fn one_that_cannot_be_started_fails_the_invocation() {
    let function = Function::scripted(ECHO).with_extension("bad", "");
    function.write("../layer/extensions/bad", "#!/bin/sh\n", 0o644);
    let server = server(&function, &[]);
    server.invoke("{}").failed("Extension.LaunchError", "fork/exec /opt/extensions/bad: permission denied");
}

#[test]
fn more_than_ten_are_too_many() {
    let mut function = Function::scripted(ECHO);
    for n in 0..11 {
        function = function.with_extension(&format!("e{n:02}"), "time.sleep(60)");
    }
    server(&function, &[])
        .invoke("{}")
        .failed("Extension.LaunchError", "fork/exec /opt/extensions/e10: too many extensions");
}

#[test]
fn a_timeout_ends_it_with_its_reason_and_a_new_one_follows() {
    let function = Function::scripted(
        "note('init')\nserve(lambda event: event.body if event.body == b'1' else time.sleep(60))",
    )
    .with_extension("follower", FOLLOWER);
    let server = server(&function, &["--timeout", "1"]);
    server.invoke("2").failed("Sandbox.Timedout", "Task timed out after 1.00 seconds");
    server.invoke("1").success();
    let events = events(&function, "follower");
    let reasons: Vec<_> = events.iter().filter_map(|event| event["shutdownReason"].as_str()).collect();
    assert_eq!(reasons, ["timeout"]);
    assert_eq!(function.notes().iter().filter(|note| *note == "init").count(), 2);
}

/// A runtime that notes SIGTERM and ends upon it.
const POLITE: &str = r#"
import signal
def ends(*_):
    note("runtime told")
    os._exit(0)
signal.signal(signal.SIGTERM, ends)
"#;

#[test]
fn the_runtime_ends_first_and_then_the_extensions() {
    let function = Function::scripted(&format!("{POLITE}\n{ECHO}")).with_extension("follower", FOLLOWER);
    let mut server = server(&function, &[]);
    server.invoke("{}").success();
    server.signal(Signal::TERM);
    server.wait();
    let notes = function.notes();
    let place = |what: &str| notes.iter().position(|note| note.contains(what)).unwrap();
    assert!(place("runtime told") < place("SHUTDOWN"), "{notes:?}");
}

#[test]
fn a_runtime_and_an_extension_that_do_not_end_are_killed_in_time() {
    let deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n";
    let function = Function::scripted(&format!("{deaf}{ECHO}")).with_extension(
        "deaf",
        "id, _ = register('deaf', ['INVOKE', 'SHUTDOWN'])\nwhile True: note('deaf ' + extension_event(id)[1])",
    );
    let mut server = server(&function, &[]);
    server.invoke("{}").success();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(events(&function, "deaf").last().unwrap()["eventType"], "SHUTDOWN");
}

#[test]
fn an_internal_one_gives_the_runtime_time_to_end() {
    let register = "id, answer = register('mine', [])\nnote(answer.status)\n";
    let waits = "import threading\nthreading.Thread(target=lambda: Connection().call('GET', '/2020-01-01/extension/event/next', headers=(id,)), daemon=True).start()\n";
    let function = Function::scripted(&format!("{POLITE}{register}{waits}{ECHO}"));
    let mut server = Server::with_one_environment(&function, &[]);
    server.invoke("{}").success();
    server.signal(Signal::TERM);
    server.wait();
    assert_eq!(function.notes(), ["200", "runtime told"]);
}

#[test]
fn without_extensions_the_runtime_is_killed_at_once() {
    let function = Function::scripted(&format!("{POLITE}{ECHO}"));
    let mut server = Server::with_one_environment(&function, &[]);
    server.invoke("{}").success();
    server.signal(Signal::TERM);
    server.wait();
    assert_eq!(function.notes(), [""; 0]);
}

#[test]
fn it_has_variables_of_its_own() {
    let function = Function::scripted(ECHO).with_extension(
        "curious",
        "note(' '.join(sorted(os.environ)))\nnote(os.getcwd() + ' ' + ' '.join(sys.argv))\nregister('curious', [])\ntime.sleep(60)",
    );
    let server = server(&function, &["--env", "MINE=1", "--timeout", "1"]);
    server.invoke("{}").function_error();
    let notes = function.notes();
    let expected = "AWS_ACCESS_KEY_ID AWS_DEFAULT_REGION AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_NAME \
        AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_METADATA_API AWS_LAMBDA_METADATA_TOKEN \
        AWS_LAMBDA_RUNTIME_API AWS_REGION AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN LANG LC_CTYPE? LD_LIBRARY_PATH MINE \
        PATH TZ";
    let (names, optional): (Vec<_>, Vec<_>) =
        expected.split_whitespace().partition(|name| !name.ends_with('?'));
    let given: Vec<_> =
        notes[0].split(' ').filter(|name| !optional.contains(&format!("{name}?").as_str())).collect();
    assert_eq!(given, names);
    assert!(notes[1].starts_with("/ /") && notes[1].ends_with("/extensions/curious"), "{}", notes[1]);
}

#[test]
fn one_that_floods_its_log_does_not_stop_the_runtime_at_its_own() {
    let function = Function::scripted(
        r#"
def run(event):
    # More than its pipe holds.
    for _ in range(100): os.write(1, b"x" * 9999 + b"\n")
    return event.body
serve(run)
"#,
    )
    .with_extension(
        "flood",
        r#"
if os.fork() == 0:
    while True: os.write(1, b"y\n" * 32768)
id, _ = register("flood", [])
extension_event(id)
"#,
    );
    let server = server(&function, &["--timeout", "20"]);
    assert_eq!(server.invoke("1").success(), "1");
}

#[test]
fn what_it_reported_first_is_told_whatever_else_it_tries_to_report() {
    let function = Function::scripted(ECHO).with_extension(
        "bad",
        "id, _ = register('bad', [])\nextension_report(id, 'init', 'Extension.First')\nnote(extension_report(id, 'exit', 'Extension.Second').status)\nsys.exit(1)",
    );
    let server = server(&function, &[]);
    server.invoke("{}").failed("Extension.InitError", "exit status 1");
    assert_eq!(function.notes()[0], "403");
    let told = server.logged("EXTENSION\tName: bad");
    assert!(told.ends_with("State: InitError\tEvents: []\tError Type: Extension.First"), "{told}");
}

#[test]
fn of_two_calls_for_an_event_at_once_one_is_answered_and_one_refused() {
    // No event before the second call is refused.
    let runtime = format!("while not notes(): time.sleep(0.002)\n{ECHO}");
    let function = Function::scripted(&runtime).with_extension(
        "twice",
        r#"
import _thread
id, _ = register("twice", ["INVOKE"])
def ask(): note(Connection().call("GET", "/2020-01-01/extension/event/next", headers=(id,)))
_thread.start_new_thread(ask, ())
_thread.start_new_thread(ask, ())
time.sleep(60)
"#,
    );
    let server = server(&function, &["--timeout", "2"]);
    server.invoke("1").success();
    let notes = function.noted(2);
    assert!(
        notes[0].starts_with("403 ") && notes[0].contains("Extension.InvalidExtensionState"),
        "{notes:?}"
    );
    assert!(notes[1].starts_with("200 {\"eventType\":\"INVOKE\""), "{notes:?}");
}

#[test]
fn a_runtime_that_exits_right_after_its_answer_ends_the_extensions_too() {
    let function = Function::scripted("event = next_event()\nrespond(event.id, event.body)\nos._exit(0)")
        .with_extension("follower", FOLLOWER);
    let server = server(&function, &[]);
    for n in 0..3 {
        let reply = server.invoke(&n.to_string());
        assert_eq!(reply.success(), n.to_string());
    }
    let told = server.log_of(3);
    assert_eq!(told.matches("Status: error\tError Type: Runtime.ExitError").count(), 3, "{told}");
    drop(server);
    let events = events(&function, "follower");
    let reasons: Vec<_> = events.iter().filter_map(|event| event["shutdownReason"].as_str()).collect();
    assert_eq!(reasons, ["failure"; 3]);
}

#[test]
fn files_that_are_no_programs_fail_the_invocation_and_folders_are_passed_over() {
    for (name, content, reason) in [
        ("no-shebang", Some("echo hello\n"), "exec format error"),
        ("with spaces", Some("#!/nowhere\n"), "no such file or directory"),
        ("dangling", None, "no such file or directory"),
    ] {
        let function = Function::scripted(ECHO).with_extension("folder/inside", "");
        let path = function.write(&format!("../layer/extensions/{name}"), content.unwrap_or_default(), 0o755);
        if content.is_none() {
            fs::remove_file(&path).unwrap();
            symlink("missing", &path).unwrap();
        }
        let message = format!("fork/exec /opt/extensions/{name}: {reason}");
        server(&function, &[]).invoke("{}").failed("Extension.LaunchError", &message);
    }
}

#[test]
fn one_whose_listener_never_answers_is_told_of_the_end_all_the_same() {
    let function = Function::scripted(ECHO).with_extension(
        "mute",
        r#"
listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
listener.listen(9)
id, _ = register("mute", ["SHUTDOWN"])
body = '{"schemaVersion":"2022-12-13","types":["platform"],"buffering":{"timeoutMs":25},"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:%d"}}' % listener.getsockname()[1]
note(kept.call("PUT", "/2022-07-01/telemetry", body, (id, "Content-Length: %d" % len(body))))
note("mute " + extension_event(id)[1])
"#,
    );
    let mut server = server(&function, &[]);
    server.invoke("{}").success();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(function.notes()[0], "200 \"OK\"");
    assert_eq!(events(&function, "mute")[0]["eventType"], "SHUTDOWN");
}

#[test]
fn its_end_in_mid_stream_is_told_of_by_the_end() {
    let function = Function::scripted(
        "event = next_event()\nstream = Stream(event.id)\nstream.write('first')\ntime.sleep(60)",
    )
    .with_extension(
        "bad",
        "id, _ = register('bad', ['INVOKE'])\nextension_event(id)\nwait_for_gate()\nsys.exit(3)",
    );
    let server = server(&function, &["--timeout", "30"]);
    let mut client = server.client();
    client.ask("POST", &streaming_invocations("f"), &[], b"{}");
    client.receive_head();
    assert_eq!(Message::receive(&mut client).unwrap().chunk(), b"first");
    function.open_gate();
    let end = Message::receive(&mut client).unwrap().complete();
    assert_eq!(end["ErrorCode"], "Extension.Crash");
    assert!(end["ErrorDetails"].as_str().unwrap().contains("exit status 3"), "{end}");
}

#[test]
fn a_name_that_is_no_text_fails_the_invocation() {
    let function = Function::scripted(ECHO).with_extension("good", "");
    let good = function.code().join("../layer/extensions/good");
    fs::rename(&good, good.with_file_name(OsStr::from_bytes(b"caf\xe9"))).unwrap();
    let reply = server(&function, &[]).invoke("{}");
    reply.failed("Extension.LaunchError", "fork/exec /opt/extensions/caf\u{fffd}: no such file or directory");
}
