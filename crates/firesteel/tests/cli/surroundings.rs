//! What a function finds around itself: variables, descriptors, folders.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::function::{Function, python};
use crate::harness::server::{Server, host_protects_folders};
use crate::harness::{FIRESTEEL, skipped};

/// Variables of an OS-only function on AWS.
const OS_ONLY: [&str; 25] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "LD_LIBRARY_PATH",
    "PATH",
    "TZ",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
];

/// As the kernel has them, untouched by any interpreter.
const VARIABLES: &str = r#"
import json
block = open("/proc/self/environ", "rb").read().decode().split("\0")
serve(lambda event: json.dumps(dict(line.split("=", 1) for line in block if line)))
"#;

#[track_caller]
fn variables(server: &Server) -> BTreeMap<String, String> {
    serde_json::from_str(&server.invoke("{}").success()).unwrap()
}

#[test]
fn the_variables_are_those_of_aws_and_no_others() {
    let function = Function::scripted(VARIABLES);
    let server = Server::of(&function, &["--region", "eu-central-1"]);
    let all = variables(&server);
    assert_eq!(all.keys().map(String::as_str).collect::<Vec<_>>(), OS_ONLY);
    for (name, value) in [
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ("TZ", ":UTC"),
        ("_HANDLER", "function.handler"),
    ] {
        assert_eq!(all[name], value, "{name}");
    }
    let stream = all["AWS_LAMBDA_LOG_STREAM_NAME"].split_once("/[$LATEST]").expect("date, version, id");
    assert!(stream.0.len() == "2026/11/21".len() && stream.1.len() == 32, "{stream:?}");
    assert_eq!(all["AWS_LAMBDA_METADATA_TOKEN"].len(), 36);
    assert_eq!(all["AWS_LAMBDA_METADATA_API"], all["AWS_LAMBDA_RUNTIME_API"]);
    assert!(all["AWS_LAMBDA_RUNTIME_API"].parse::<std::net::SocketAddr>().is_ok(), "no scheme");
}

#[test]
fn no_variable_of_the_host_leaks_in() {
    // The harness sets one for the server, and the server has its own besides.
    let all = variables(&Server::of(&Function::scripted(VARIABLES), &[]));
    assert!(!all.values().any(|value| value == "sings"), "{all:?}");
    for name in ["FIRESTEEL_TEST_CANARY", "HOME", "USER", "PWD", "CARGO", "FIRESTEEL_LOG"] {
        assert!(!all.contains_key(name), "{name}");
    }
}

#[test]
fn variables_of_the_function_may_replace_defaults_and_no_more() {
    let function = Function::scripted(VARIABLES);
    let server = Server::of(
        &function,
        &[
            "--env",
            "TZ=Asia/Tokyo",
            "--env",
            "PATH=/mine",
            "--env",
            "MINE=a=b c",
            "--env",
            "AWS_LAMBDA_LOG_LEVEL=DEBUG",
        ],
    );
    let all = variables(&server);
    assert_eq!(
        (all["TZ"].as_str(), all["PATH"].as_str(), all["MINE"].as_str()),
        ("Asia/Tokyo", "/mine", "a=b c")
    );
    assert_eq!(all["AWS_LAMBDA_LOG_LEVEL"], "DEBUG");
    assert_eq!(all.len(), OS_ONLY.len() + 2);
}

#[test]
fn a_managed_runtime_has_its_own_variables_too() {
    let function = Function::python(
        "import os\ndef lambda_handler(event, context):\n    return {**dict(os.environ), 'arn': context.invoked_function_arn}\n",
    );
    let all = variables(&Server::of(&function, &["--runtime", "python3.11"]));
    assert_eq!(all["AWS_EXECUTION_ENV"], "AWS_Lambda_python3.11");
    assert_eq!(all["_HANDLER"], "lambda_function.lambda_handler");
    assert_eq!(all["PYTHONPATH"], all["LAMBDA_RUNTIME_DIR"]);
    assert!(all["_X_AMZN_TRACE_ID"].starts_with("Root=1-"), "set by the runtime for each invocation");
    let extra: Vec<&str> = all.keys().map(String::as_str).filter(|name| !OS_ONLY.contains(name)).collect();
    // LC_CTYPE is Python's own doing where the host has no en_US.UTF-8.
    let extra: Vec<&str> = extra.into_iter().filter(|name| *name != "LC_CTYPE").collect();
    assert_eq!(extra, ["AWS_EXECUTION_ENV", "PYTHONPATH", "_X_AMZN_TRACE_ID", "arn"]);
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    // Looked at before the script opens any; the fourth is that of the look itself.
    let function = Function::bootstrap(&Function::empty().bootstrap_playing("").replacen(
        "\nNOTES",
        "\nimport os\nOPEN = sorted(os.listdir('/proc/self/fd'))\nSTDIN = os.readlink('/proc/self/fd/0')\nNOTES",
        1,
    ));
    let bootstrap = std::fs::read_to_string(function.code().join("bootstrap")).unwrap();
    function.write("bootstrap", bootstrap + "\nserve(lambda event: repr(OPEN) + STDIN)\n", 0o755);
    let open = Server::of(&function, &[]).invoke("{}").success();
    // The interpreter has its script open as 3.
    assert!(
        open == "['0', '1', '2', '3']/dev/null" || open == "['0', '1', '2', '3', '4']/dev/null",
        "{open}"
    );
}

#[test]
fn a_process_may_have_1024_descriptors() {
    let function = Function::scripted(
        "import resource\nserve(lambda event: str(resource.getrlimit(resource.RLIMIT_NOFILE)))",
    );
    assert_eq!(Server::of(&function, &[]).invoke("{}").success(), "(1024, 1024)");
}

#[test]
fn it_works_in_its_code_folder_which_is_the_true_one() {
    let function = Function::scripted(
        "import json\nserve(lambda event: json.dumps([os.getcwd(), os.environ['LAMBDA_TASK_ROOT'], sorted(os.listdir('.'))]))",
    )
    .with("data.txt", "", 0o644);
    let told: Value = Server::of(&function, &[]).invoke("{}").json();
    let folder = function.task_root();
    assert_eq!(told, json!([folder, folder, ["bootstrap", "data.txt"]]));
}

#[test]
fn layers_are_at_opt_too_and_the_names_of_its_machine_are_known() {
    let test = "layers_are_at_opt_too_and_the_names_of_its_machine_are_known";
    if !host_protects_folders() {
        return skipped(test, "this host does not let processes mount folders");
    }
    let function = Function::scripted(
        r#"
import json, socket
def look(event):
    hosts = [socket.gethostbyname(name) for name in ("sandbox.localdomain", "sandbox", "localhost")]
    return json.dumps([open("/opt/share/data.txt").read(), os.listdir("/opt")] + hosts)
serve(look)
"#,
    );
    let opt = Path::new("/opt");
    if !opt.is_dir()
        || [python(), &function.code(), Path::new(FIRESTEEL)].iter().any(|path| path.starts_with(opt))
    {
        return skipped(test, "this host has no /opt, or these tests need what is in it");
    }
    let layer = Function::empty().with("share/data.txt", "of a layer", 0o644);
    let told: Value = Server::of(&function, &["--layer", &layer.target()]).invoke("{}").json();
    assert_eq!(told, json!(["of a layer", ["share"], "127.0.0.1", "127.0.0.1", "127.0.0.1"]));
}

#[test]
fn its_code_cannot_be_written_to() {
    if !host_protects_folders() {
        skipped("its_code_cannot_be_written_to", "this host does not let processes mount folders");
        return;
    }
    let function = Function::scripted(
        r#"
import errno
def attempts(event):
    def attempt(action):
        try:
            action()
            return "allowed"
        except OSError as error:
            return errno.errorcode[error.errno]
    roots = [os.environ["LAMBDA_TASK_ROOT"], os.environ["LAMBDA_RUNTIME_DIR"], OPT]
    return " ".join(attempt(lambda: open(root + "/new", "w")) for root in roots) + " " + \
        attempt(lambda: os.remove("data.txt")) + " " + attempt(lambda: os.chmod("data.txt", 0o777))
# The last entry is the layers' folder for libraries.
OPT = os.environ["LD_LIBRARY_PATH"].rsplit(":", 1)[1][:-len("/lib")]
serve(attempts)
"#,
    )
    .with("data.txt", "precious", 0o644);
    let layer = Function::empty().with("lib/some.so", "", 0o644);
    let server = Server::of(&function, &["--layer", &layer.target()]);
    assert_eq!(server.invoke("{}").success(), "EROFS EROFS EROFS EROFS EROFS");
    assert_eq!(std::fs::read_to_string(function.code().join("data.txt")).unwrap(), "precious");
    // The protection is the function's, not the host's.
    function.write("data.txt", "changed", 0o644);
}
