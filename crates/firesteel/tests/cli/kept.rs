//! What a data folder keeps over the end of a server, however it came; and what it does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::function::{ECHO, Function};
use crate::harness::process::eventually;
use crate::harness::program::Program;
use crate::harness::server::Server;

const EVENT: (&str, &str) = ("X-Amz-Invocation-Type", "Event");

/// All that the API tells of functions, versions and aliases.
#[track_caller]
fn told(server: &Server) -> Value {
    let get = |path: &str| server.call("GET", path, &Value::Null).json();
    let functions = get("/2015-03-31/functions?FunctionVersion=ALL");
    let names = functions["Functions"].as_array().unwrap().iter().map(|function| &function["FunctionName"]);
    let aliases: Vec<Value> =
        names.map(|name| get(&format!("/2015-03-31/functions/{}/aliases", name.as_str().unwrap()))).collect();
    json!({ "functions": functions, "aliases": aliases })
}

/// A server with `f`, of which version 1 and alias `live` have this code and the unpublished one the next.
fn with_versions(first: &Function, next: &Function) -> Server {
    let server = Server::without_functions(&[first, next], &[]);
    server.deploy("f", first, &["--publish", "--env", "NAME=value", "--memory", "256"]);
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    assert_eq!(server.call("POST", "/2015-03-31/functions/f/aliases", &alias).status, 201);
    server.deploy("f", next, &[]);
    server
}

fn functions() -> [Function; 2] {
    ["first ", "next "]
        .map(|name| Function::scripted(&format!("serve(lambda event: {name:?} + os.environ['NAME'])")))
}

/// The same is told of the same functions, and they run.
#[track_caller]
fn everything_is_there(server: &Server, before: &Value) {
    assert_eq!(told(server), *before);
    for (name, answer) in [("f", "next value"), ("f:1", "first value"), ("f:live", "first value")] {
        assert_eq!(server.invoke_named(name, &[], "{}").success(), answer);
    }
}

#[test]
fn functions_their_code_versions_and_aliases_survive_sigterm() {
    let [first, next] = functions();
    let mut server = with_versions(&first, &next);
    let (before, data) = (told(&server), server.data());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    everything_is_there(&Server::without_functions_in(data, &[&first, &next], &[]), &before);
}

#[test]
fn functions_their_code_versions_and_aliases_survive_kill_9() {
    let [first, next] = functions();
    let server = with_versions(&first, &next);
    server.invoke("{}").success();
    let (before, data) = (told(&server), server.data());
    server.kill();
    everything_is_there(&Server::without_functions_in(data, &[&first, &next], &[]), &before);
}

#[test]
fn a_number_of_a_version_is_given_once() {
    let [first, next] = functions();
    let server = with_versions(&first, &next);
    Program::asking(&server, &["delete", "f", "--alias", "live"]).run().success();
    Program::asking(&server, &["delete", "f", "--version", "1"]).run().success();
    let data = server.data();
    server.kill();
    let server = Server::without_functions_in(data, &[&first, &next], &[]);
    let published = Program::asking(&server, &["publish", "f"]).run();
    assert!(published.success().ends_with(":f:2\n"), "{}", published.stdout);
}

#[test]
fn a_second_server_on_the_folder_is_refused_and_told_who_has_it() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &[]);
    let data = server.data();
    let second = Program::serve(&["--listen", "127.0.0.1:0"]).data(data.path()).run();
    let owner = format!("is in use by process {}", server.pid());
    second.refused(2, &[data.path().to_str().unwrap(), &owner, "try:   another folder by --data"]);
    assert_eq!(server.invoke("5").success(), "5", "which goes on");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--env", "AA=1"]);
    let data = server.data();
    let key = data.path().join("catalog.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    drop(server);
    let serve = || Program::serve(&["--listen", "127.0.0.1:0"]).data(data.path()).run();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    serve().refused(2, &["catalog.key", "mode 644", &format!("try:   chmod 600 {}", key.display())]);
    fs::remove_file(&key).unwrap();
    serve().refused(2, &["catalog.key is missing", "try:   the key file from a copy of the folder"]);
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    serve().refused(2, &["is not the one with which this catalog was written", "try:   the key file"]);
}

#[test]
fn variables_are_nowhere_in_clear() {
    const SECRET: &str = "unlikely-4f1c9e-secret";
    let function = Function::scripted("serve(lambda event: os.environ['TOKEN'])");
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("secretive", &function, &["--publish", "--env", &format!("TOKEN={SECRET}")]);
    assert_eq!(server.invoke_named("secretive", &[], "{}").success(), SECRET);
    let data = server.data();
    // What is below `runs` ends with the run; a disk for /tmp is there, whose size is a function's to choose.
    let kept =
        || files_below(data.path()).into_iter().filter(|path| !path.starts_with(data.path().join("runs")));
    let holds = |text: &str| -> Vec<PathBuf> {
        let has = |path: &PathBuf| {
            fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
        };
        kept().filter(has).collect()
    };
    let wal = data.path().join("catalog.sqlite-wal");
    assert!(holds("secretive").contains(&wal), "it has been written, and not yet into the main file");
    assert_eq!(holds(SECRET), Vec::<PathBuf>::new());
    drop(server);
    assert!(holds("secretive").contains(&data.path().join("catalog.sqlite")));
    assert_eq!(holds(SECRET), Vec::<PathBuf>::new());
}

#[test]
fn functions_of_the_command_line_end_with_the_server() {
    let (given, deployed) = (Function::scripted("serve(lambda event: 'given')"), Function::scripted(ECHO));
    let server = Server::of_several(&[("given", &given)], &[]);
    server.deploy("deployed", &deployed, &[]);
    assert_eq!(server.invoke_named("given", &[], "1").success(), "given");
    let data = server.data();
    drop(server);

    let target = format!("deployed={}", given.target());
    let taken = Program::serve(&[&target, "--listen", "127.0.0.1:0"]).data(data.path()).run();
    taken.refused(2, &["has a function named `deployed` already", "try:   another name: NAME=TARGET"]);

    let server = Server::without_functions_in(Arc::clone(&data), &[&deployed], &[]);
    assert_eq!(server.invoke_named("given", &[], "{}").status, 404);
    assert_eq!(server.invoke_named("deployed", &[], "5").success(), "5");
    server.deploy("given", &deployed, &[]);
    assert_eq!(server.invoke_named("given", &[], "6").success(), "6", "its name is anybody's");
}

#[test]
fn the_code_of_a_deleted_function_goes_and_what_runs_of_it_goes_on() {
    let function = Function::scripted(
        "def run(event):\n    note('in')\n    wait_for_gate()\n    return open(os.environ['LAMBDA_TASK_ROOT'] + '/text').read()\nserve(run)",
    )
    .with("text", "still there", 0o644);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--timeout", "60"]);
    let code = server.data().path().join("code");
    let entries = |name: &str| fs::read_dir(code.join(name)).map_or(0, Iterator::count);
    assert_eq!((entries("packages"), entries("trees")), (1, 1));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.invoke("{}"));
        function.noted(1);
        Program::asking(&server, &["delete", "f"]).run().success();
        assert_eq!(entries("packages"), 0);
        assert_eq!(server.invoke("{}").status, 404);
        function.open_gate();
        assert_eq!(running.join().unwrap().success(), "still there");
    });
    eventually("its folder goes with its environment", || {
        entries("trees") == 0 && server.environments() == 0
    });
}

#[test]
fn code_that_two_functions_share_goes_with_the_last() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &[]);
    let packages = server.data().path().join("code/packages");
    let count = || fs::read_dir(&packages).unwrap().count();
    server.deploy("a", &function, &[]);
    server.deploy("b", &function, &[]);
    assert_eq!(count(), 1);
    Program::asking(&server, &["delete", "a"]).run().success();
    assert_eq!(count(), 1);
    assert_eq!(server.invoke_named("b", &[], "5").success(), "5");
    Program::asking(&server, &["delete", "b"]).run().success();
    assert_eq!(count(), 0);
}

#[test]
fn without_data_nothing_is_left_but_logs() {
    let function = Function::scripted("print('a line', flush=True)\nserve(lambda event: event.body)");
    let server = Server::that_keeps_nothing(&[&function]);
    server.logged("functions that are created end with this server; --data DIR keeps them");
    server.deploy("f", &function, &["--env", "AA=1"]);
    assert_eq!(server.invoke("5").success(), "5");
    assert_eq!(server.invoke_with(&[EVENT], "6").status, 202);
    server.log_of(2);
    let data = server.data();
    drop(server);
    let left = files_below(data.path());
    let logs = data.path().join("firesteel/logs");
    assert!(!left.is_empty() && left.iter().all(|path| path.starts_with(&logs)), "{left:?}");
}

#[test]
fn an_event_that_was_accepted_runs_although_the_server_was_killed() {
    let function = Function::scripted(
        "def run(event):\n    note('in')\n    wait_for_gate()\n    note(event.body.decode())\n    return '1'\nserve(run)",
    );
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--timeout", "60"]);
    assert_eq!(server.invoke_with(&[EVENT], "\"first\"").status, 202);
    function.noted(1);
    // One that runs, and one of which nobody knows how far it has come.
    assert_eq!(server.invoke_with(&[EVENT], "\"second\"").status, 202);
    let data = server.data();
    server.kill();
    assert!(function.notes().iter().all(|note| note == "in"));
    function.open_gate();
    let _again = Server::without_functions_in(data, &[&function], &[]);
    let has = |text: &str| function.notes().iter().any(|note| note == text);
    eventually("both have run", || has("\"first\"") && has("\"second\""));
}

#[test]
fn an_event_has_its_number_of_attempts_over_all_servers() {
    let function = Function::scripted("event = next_event()\nnote(event.id)\nsys.exit(1)");
    let server = Server::without_functions(&[&function], &["--event-time-scale", "0.001"]);
    server.deploy("f", &function, &[]);
    let once = json!({"MaximumRetryAttempts": 1});
    assert_eq!(server.call("PUT", "/2019-09-25/functions/f/event-invoke-config", &once).status, 200);
    let id = server.invoke_with(&[EVENT], "{}").request_id().to_owned();
    assert_eq!(function.noted(2), [id.as_str(); 2], "with the number that the caller was told");
    server.log_of(2);
    let data = server.data();
    drop(server);
    // Whatever ran again of it would be before this one.
    let server = Server::without_functions_in(data, &[&function], &["--event-time-scale", "0.001"]);
    let other = server.invoke("{}").request_id().to_owned();
    assert_eq!(function.noted(3), [id.as_str(), id.as_str(), other.as_str()]);
}

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}
