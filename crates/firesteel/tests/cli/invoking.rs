//! `firesteel invoke TARGET [EVENT]`.

use serde_json::{Value, json};

use crate::harness::function::{ECHO, Function, nodejs_is_there, zip};
use crate::harness::program::Program;
use crate::harness::{folder, skipped};

/// Answers with everything it was told.
const DESCRIBE: &str = r#"
import json
def describe(event):
    return json.dumps({"event": json.loads(event.body), "headers": event.headers, "variables": dict(os.environ)})
serve(describe)
"#;

/// What `DESCRIBE` says of a run with these arguments.
#[track_caller]
fn described(arguments: &[&str]) -> Value {
    let function = Function::scripted(DESCRIBE);
    let run = Program::invoke(&[&[function.target().as_str()], arguments].concat()).run();
    serde_json::from_str(run.success()).unwrap()
}

#[test]
fn the_response_alone_is_on_stdout_and_logs_are_on_stderr() {
    let function = Function::python(
        "import sys\ndef lambda_handler(event, context):\n    print('to stdout')\n    print('to stderr', file=sys.stderr)\n    return event\n",
    );
    let run = Program::invoke(&[&function.target(), r#"{"a": 1}"#]).run();
    assert_eq!(run.success(), "{\"a\": 1}\n");
    let said = [
        "handler lambda_function.lambda_handler",
        "INIT_START",
        "START RequestId",
        "to stdout",
        "to stderr",
        "END RequestId",
        "REPORT RequestId",
    ];
    let places: Vec<_> = said.iter().map(|words| run.stderr.find(words)).collect();
    assert!(places.iter().all(Option::is_some), "{}", run.stderr);
    // Both of the function's outputs are pipes of their own; nothing tells which was written to first.
    let (platform_before, platform_after) = (&places[..3], &places[5..]);
    assert!(platform_before.is_sorted() && platform_after.is_sorted(), "{}", run.stderr);
    assert!(places[2] < places[3].min(places[4]) && places[3].max(places[4]) < places[5], "{}", run.stderr);
}

#[test]
fn a_failed_function_is_exit_code_1_with_its_error_on_stdout() {
    let function = Function::python("def lambda_handler(event, context):\n    raise ValueError('no good')\n");
    let run = Program::invoke(&[&function.target()]).run();
    let error: Value = serde_json::from_str(run.function_error()).unwrap();
    assert_eq!(error["errorType"], "ValueError");
    assert_eq!(error["errorMessage"], "no good");
    assert!(run.stderr.contains("[ERROR] ValueError: no good"), "{}", run.stderr);
}

#[test]
fn a_failure_that_the_platform_finds_is_exit_code_1_too() {
    let run = Program::invoke(&[&Function::scripted("sys.exit(3)").target()]).run();
    assert!(run.function_error().contains("Runtime exited with error: exit status 3"), "{}", run.stdout);
}

#[test]
fn a_platform_that_fails_is_exit_code_3() {
    let run = Program::invoke(&["f", "--endpoint", "http://127.0.0.1:1"]).run();
    run.refused(3, &["http://127.0.0.1:1 could not be reached", "cause: ", "try: "]);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let run = Program::invoke(&["--no-such-flag"]).run();
    run.refused(2, &["--no-such-flag"]);
}

#[test]
fn an_event_is_given_inline_or_in_a_file_or_on_stdin_or_not_at_all() {
    let function = Function::scripted(ECHO);
    let target = function.target();
    assert_eq!(Program::invoke(&[&target, "[1, 2]"]).run().success(), "[1, 2]\n");
    assert_eq!(Program::invoke(&[&target, "-5"]).run().success(), "-5\n");
    let file = folder();
    let path = file.path().join("event.json");
    std::fs::write(&path, "{\"from\": \"a file\"}\n").unwrap();
    let argument = format!("@{}", path.display());
    assert_eq!(Program::invoke(&[&target, &argument]).run().success(), "{\"from\": \"a file\"}\n");
    let from_stdin = Program::invoke(&[&target, "-"]).stdin(b"\"from stdin\"").run();
    assert_eq!(from_stdin.success(), "\"from stdin\"\n");
    assert_eq!(Program::invoke(&[&target, "-"]).run().success(), "{}\n");
    assert_eq!(Program::invoke(&[&target]).run().success(), "{}\n");
}

#[test]
fn a_response_is_the_event_of_the_next_in_a_pipe() {
    let function = Function::scripted("serve(lambda event: b'[' + event.body.strip() + b']')");
    let first = Program::invoke(&[&function.target(), "1"]).run();
    let second = Program::invoke(&[&function.target(), "-"]).stdin(first.success().as_bytes()).run();
    assert_eq!(second.success(), "[[1]]\n");
}

#[test]
fn a_reader_that_closes_stdout_early_is_no_error() {
    let function = Function::scripted("serve(lambda event: b'\"' + b'x' * 5000000 + b'\"')");
    let run = Program::invoke(&[&function.target()]).run_with_closed_stdout();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("error:"), "{}", run.stderr);
}

#[test]
fn a_reader_that_closes_stderr_early_is_no_error() {
    let function =
        Function::python("def lambda_handler(event, context):\n    print('a line')\n    return 1\n");
    let run = Program::invoke(&[&function.target()]).run_with_closed_stderr();
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1\n"));
    let run = Program::invoke(&["./no/such/folder"]).run_with_closed_stderr();
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
}

#[test]
fn a_response_is_passed_on_byte_by_byte_and_ends_with_one_newline() {
    let function = Function::scripted(r#"serve(lambda event: '{ "a" :1 ,\n"\u00e9":2}')"#);
    assert_eq!(Program::invoke(&[&function.target()]).run().success(), "{ \"a\" :1 ,\n\"é\":2}\n");
    let function = Function::scripted(r"serve(lambda event: '1\n')");
    assert_eq!(Program::invoke(&[&function.target()]).run().success(), "1\n");
    let function = Function::scripted("serve(lambda event: '')");
    assert_eq!(Program::invoke(&[&function.target()]).run().success(), "\n");
}

#[test]
fn variables_come_from_a_file_and_the_command_line_goes_before_it() {
    let folder = folder();
    let file = folder.path().join(".env");
    std::fs::write(&file, "# mine\nexport COLOUR=red\nSHAPE=\"a circle\"\n").unwrap();
    let told = described(&["--env", "COLOUR=blue", "--env", "EMPTY=", "--env-file", file.to_str().unwrap()]);
    let variables = &told["variables"];
    assert_eq!((&variables["COLOUR"], &variables["SHAPE"]), (&json!("blue"), &json!("a circle")));
    assert_eq!(variables["EMPTY"], "");
}

#[test]
fn settings_reach_the_function() {
    let told = described(&[
        "{\"n\": 1}",
        "--memory",
        "512",
        "--timeout",
        "60",
        "--handler",
        "some.thing",
        "--runtime",
        "provided.al2",
        "--function-name",
        "greeter",
        "--region",
        "eu-west-1",
        "--account-id",
        "123456789012",
        "--client-context",
        "{\"custom\":\n{\"k\": \"é\"}}",
        "--trace-id",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    ]);
    assert_eq!(told["event"], json!({"n": 1}));
    let variables = &told["variables"];
    for (name, value) in [
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("_HANDLER", "some.thing"),
        ("AWS_LAMBDA_FUNCTION_NAME", "greeter"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/greeter"),
        ("AWS_REGION", "eu-west-1"),
    ] {
        assert_eq!(variables[name], value, "{name}");
    }
    let headers = &told["headers"];
    let arn = "arn:aws:lambda:eu-west-1:123456789012:function:greeter";
    assert_eq!(headers["lambda-runtime-invoked-function-arn"], arn);
    assert_eq!(
        headers["lambda-runtime-trace-id"],
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    );
    let context = headers["lambda-runtime-client-context"].as_str().unwrap();
    // The guest reads header bytes as Latin-1.
    let context: Vec<u8> = context.chars().map(|c| u8::try_from(c).unwrap()).collect();
    assert_eq!(serde_json::from_slice::<Value>(&context).unwrap(), json!({"custom": {"k": "é"}}));
}

#[test]
fn the_deadline_is_the_timeout_away() {
    let function = Function::scripted(
        "serve(lambda event: str(int(event.headers['lambda-runtime-deadline-ms']) - time.time() * 1000))",
    );
    let run = Program::invoke(&[&function.target(), "--timeout", "900"]).run();
    let left_ms: f64 = run.success().trim().parse().unwrap();
    assert!((840_000.0..=900_001.0).contains(&left_ms), "{left_ms}");
}

#[test]
fn the_name_is_made_from_the_target() {
    let function = Function::scripted("serve(lambda event: os.environ['AWS_LAMBDA_FUNCTION_NAME'])");
    assert_eq!(Program::invoke(&[&function.target()]).run().success(), "code\n");
}

#[test]
fn layers_lie_over_each_other_and_python_imports_from_them() {
    let function = Function::python(
        "import low, high\ndef lambda_handler(event, context):\n    return [low.NAME, high.NAME]\n",
    );
    let layer = Function::empty().with("python/low.py", "NAME = 'low'", 0o644).with(
        "python/high.py",
        "NAME = 'from the lower layer'",
        0o644,
    );
    let zipped = folder();
    let zipped = zipped.path().join("layer.zip");
    zip(&zipped, &[("python/high.py", b"NAME = 'high'", 0o644)]);
    let run = Program::invoke(&[
        &function.target(),
        "--layer",
        &layer.target(),
        "--layer",
        zipped.to_str().unwrap(),
    ])
    .run();
    assert_eq!(run.success(), "[\"low\", \"high\"]\n");
}

#[test]
fn a_bootstrap_may_come_from_a_layer() {
    let function = Function::empty().with("function.sh", "", 0o644);
    let layer = Function::scripted(ECHO);
    let run = Program::invoke(&[&function.target(), "7", "--layer", &layer.target()]).run();
    assert_eq!(run.success(), "7\n");
}

/// As the layer of the Lambda Web Adapter does: its wrapper starts what the handler names, and not the managed runtime.
#[test]
fn a_wrapper_from_a_layer_may_start_another_program() {
    let function = Function::python("");
    let program = function.bootstrap_playing("serve(lambda event: 'started by ' + os.environ['WRAPPED_BY'])");
    let function = function.with("run", &program, 0o755);
    let wrapper = "#!/bin/sh\nWRAPPED_BY=$0 exec \"$LAMBDA_TASK_ROOT/$_HANDLER\"\n";
    let layer = Function::empty().with("bootstrap", wrapper, 0o755);
    let run = Program::invoke(&[
        &function.target(),
        "--runtime",
        "python3.11",
        "--handler",
        "run",
        "--layer",
        &layer.target(),
        "--env",
        "AWS_LAMBDA_EXEC_WRAPPER=/opt/bootstrap",
    ])
    .run();
    let started = run.success();
    assert!(started.starts_with("started by /") && started.ends_with("/opt/bootstrap\n"), "{started}");
}

#[test]
fn a_handler_and_a_runtime_can_be_chosen() {
    let function = Function::empty().with(
        "package/app.py",
        "import sys\ndef other(event, context):\n    return [context.function_name, sys.version_info[:2]]\n",
        0o644,
    );
    let run = Program::invoke(&[
        &function.target(),
        "--runtime",
        "python3.11",
        "--handler",
        "package.app.other",
        "--function-name",
        "chosen",
    ])
    .run();
    assert_eq!(run.success(), "[\"chosen\", [3, 11]]\n");
    assert!(run.stderr.contains("python3.11 (as asked for"), "{}", run.stderr);
}

#[test]
fn the_log_is_json_when_asked_for() {
    let function = Function::python(
        "import logging\ndef lambda_handler(event, context):\n    logging.getLogger().warning('look')\n    return 1\n",
    );
    let run = Program::invoke(&[&function.target(), "--log-format", "json"]).run();
    assert_eq!(run.success(), "1\n");
    let lines: Vec<Value> = run.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let types: Vec<_> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(types, ["platform.initStart", "platform.start", "platform.report"]);
    let said = lines.iter().find(|line| line["message"] == "look").expect("the function's own line");
    assert_eq!(said["level"], "WARNING");
    assert_eq!(said["requestId"], lines.last().unwrap()["record"]["requestId"]);
    assert!(!run.stderr.contains("REPORT RequestId"), "{}", run.stderr);
}

#[test]
fn a_zip_is_a_target() {
    let function = Function::empty();
    let bootstrap = function.bootstrap_playing(ECHO);
    let folder = folder();
    let path = folder.path().join("zipped function.zip");
    zip(&path, &[("bootstrap", bootstrap.as_bytes(), 0o755), ("data/more.txt", b"more", 0o644)]);
    let run = Program::invoke(&[path.to_str().unwrap(), "{\"zip\": true}"]).run();
    assert_eq!(run.success(), "{\"zip\": true}\n");
}

#[test]
fn an_executable_is_a_target() {
    let function = Function::empty();
    let script = function.bootstrap_playing("serve(lambda event: os.environ['AWS_LAMBDA_FUNCTION_NAME'])");
    let path = function.write("greeter", script, 0o755);
    assert_eq!(Program::invoke(&[path.to_str().unwrap()]).run().success(), "greeter\n");
}

#[test]
fn a_shell_script_with_curl_is_a_runtime() {
    let tutorial = include_str!("../../../../examples/bash-runtime/bootstrap");
    let function = Function::bootstrap(tutorial).with(
        "function.sh",
        include_str!("../../../../examples/bash-runtime/function.sh"),
        0o755,
    );
    if !["curl", "bash"].iter().all(|tool| std::path::Path::new("/usr/bin").join(tool).exists()) {
        skipped("a_shell_script_with_curl_is_a_runtime", "no bash or no curl in /usr/bin");
        return;
    }
    let run =
        Program::invoke(&[&function.target(), "{\"name\": \"Ada\"}", "--handler", "function.handler"]).run();
    assert!(run.success().contains("Ada"), "{}", run.stdout);
}

#[test]
fn a_nodejs_function_is_a_target() {
    if !nodejs_is_there() {
        skipped("a_nodejs_function_is_a_target", "no Node.js of version 18 or later on PATH");
        return;
    }
    let function = Function::empty().with(
        "index.mjs",
        "export const handler = async (event) => { console.log('hello log'); return [event]; };\n",
        0o644,
    );
    let run = Program::invoke(&[&function.target(), "1", "--timeout", "20"]).run();
    assert_eq!(run.success(), "[1]\n");
    assert!(run.stderr.contains("\tINFO\thello log"), "{}", run.stderr);
    let function = Function::empty().with(
        "index.js",
        "exports.handler = async () => { throw new TypeError('no good'); };\n",
        0o644,
    );
    let run = Program::invoke(&[&function.target(), "--timeout", "20"]).run();
    let error: Value = serde_json::from_str(run.function_error()).unwrap();
    assert_eq!((&error["errorType"], &error["errorMessage"]), (&json!("TypeError"), &json!("no good")));
}
