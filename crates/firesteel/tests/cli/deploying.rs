//! `firesteel deploy`, `publish`, `functions`, `versions`, `aliases`, `delete`: a function's life, as a server that was
//! started without any has it from those who have no AWS CLI.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness;
use crate::harness::function::{ECHO, Function, zip};
use crate::harness::program::{Program, Run};
use crate::harness::server::Server;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function";

#[track_caller]
fn ask(server: &Server, arguments: &[&str]) -> Run {
    Program::asking(server, arguments).run()
}

/// What a command tells with `--json`.
#[track_caller]
fn json_of(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(ask(server, &[arguments, &["--json"]].concat()).success()).unwrap()
}

/// The cells of a table, line by line.
#[track_caller]
fn table_of(server: &Server, arguments: &[&str]) -> Vec<Vec<String>> {
    let run = ask(server, arguments);
    run.success()
        .lines()
        .map(|line| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}

fn answers(text: &str) -> Function {
    Function::scripted(&format!("serve(lambda event: {text:?})"))
}

#[test]
fn a_folder_a_zip_and_an_executable_become_functions() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &[]);
    let folder = harness::folder();
    let archive = folder.path().join("code.zip");
    let program = function.code().join("bootstrap");
    zip(&archive, &[("bootstrap", &std::fs::read(&program).unwrap(), 0o755)]);
    for (name, target) in [("folder", function.code()), ("zip", archive), ("executable", program)] {
        let run = ask(&server, &["deploy", target.to_str().unwrap(), "--name", name]);
        assert_eq!(run.success(), format!("{ARN}:{name}\n"));
        let why = run.stderr.trim_end();
        assert!(
            why.starts_with("firesteel: ") && why.contains("bootstrap") && why.lines().count() == 1,
            "{why}"
        );
        let invoked = ask(&server, &["invoke", name, "{\"a\": 1}"]);
        assert_eq!(invoked.success(), "{\"a\": 1}\n");
    }
}

#[test]
fn without_a_name_it_is_the_targets() {
    let server = Server::without_functions(&[], &[]);
    let function = Function::python("def lambda_handler(event, context): return 1");
    assert_eq!(ask(&server, &["deploy", &function.target()]).success(), format!("{ARN}:code\n"));
}

#[test]
fn deployed_again_without_a_change_it_is_the_same_version() {
    let function = answers("same");
    let server = Server::without_functions(&[&function], &[]);
    assert_eq!(server.deploy("f", &function, &["--publish"]), format!("{ARN}:f:1"));
    assert_eq!(server.deploy("f", &function, &["--publish"]), format!("{ARN}:f:1"));
    let versions = json_of(&server, &["versions", "f"]);
    let versions: Vec<_> = versions.as_array().unwrap().iter().map(|version| &version["Version"]).collect();
    assert_eq!(versions, ["$LATEST", "1"]);
}

#[test]
fn deployed_with_a_change_it_runs_anew_and_what_was_published_stays() {
    let function = answers("first");
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--publish"]);
    assert_eq!(server.invoke("{}").success(), "first");
    let second = answers("second");
    assert_eq!(server.deploy("f", &second, &["--publish"]), format!("{ARN}:f:2"));
    assert_eq!(server.invoke("{}").success(), "second");
    assert_eq!(server.invoke_named("f:1", &[], "{}").success(), "first");
    assert_eq!(server.invoke_named("f:2", &[], "{}").success(), "second");
}

#[test]
fn of_a_function_that_is_there_only_what_is_given_changes() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy(
        "f",
        &function,
        &["--memory", "256", "--env", "AA=1", "--env", "BB=2", "--description", "one"],
    );
    server.deploy("f", &function, &["--timeout", "7"]);
    let configuration = |members: &[&str]| -> BTreeMap<String, Value> {
        let functions = json_of(&server, &["functions"]);
        members.iter().map(|member| ((*member).to_owned(), functions[0][*member].clone())).collect()
    };
    let now = Value::from_iter(configuration(&["MemorySize", "Timeout", "Description", "Environment"]));
    let expected = json!({"MemorySize": 256, "Timeout": 7, "Description": "one", "Environment": {"Variables": {"AA": "1", "BB": "2"}}});
    assert_eq!(now, expected);
    server.deploy("f", &function, &["--env", "AA=3"]);
    let now = Value::from_iter(configuration(&["Environment", "Timeout"]));
    assert_eq!(now, json!({"Environment": {"Variables": {"AA": "3"}}, "Timeout": 7}));
}

#[test]
fn functions_versions_and_aliases_are_tables() {
    let function = answers("x");
    let server = Server::without_functions(&[&function], &[]);
    let head = ["NAME", "RUNTIME", "HANDLER", "MEMORY MB", "TIMEOUT S", "MODIFIED"];
    assert_eq!(table_of(&server, &["functions"]), [head]);
    assert_eq!(json_of(&server, &["functions"]), json!([]));

    server.deploy("b", &function, &["--memory", "256"]);
    server.deploy(
        "a",
        &Function::python("def lambda_handler(event, context): return 1"),
        &["--timeout", "9"],
    );
    let functions = table_of(&server, &["functions"]);
    let known: Vec<_> = functions.iter().skip(1).map(|row| [&row[0], &row[3], &row[4]]).collect();
    assert_eq!(known, [["a", "128", "9"], ["b", "256", "3"]]);
    assert!(functions[1][1].starts_with("python3.") && functions[1][2] == "lambda_function.lambda_handler");
    assert!(functions[2][1].starts_with("provided."), "{functions:?}");

    let published = ask(&server, &["publish", "b", "--description", "the first"]);
    assert_eq!(published.success(), format!("{ARN}:b:1\n"));
    server.deploy("b", &answers("y"), &["--publish"]);
    let versions = table_of(&server, &["versions", "b"]);
    assert_eq!(versions[0], ["VERSION", "RUNTIME", "MEMORY MB", "CODE BYTES", "MODIFIED", "DESCRIPTION"]);
    let numbered: Vec<_> =
        versions.iter().skip(1).map(|row| (row[0].as_str(), row.last().unwrap().as_str())).collect();
    assert_eq!(numbered, [("$LATEST", "-"), ("1", "the first"), ("2", "-")]);

    let alias = json!({"Name": "live", "FunctionVersion": "1", "Description": "for all",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}}});
    assert_eq!(server.call("POST", "/2015-03-31/functions/b/aliases", &alias).status, 201);
    let aliases = table_of(&server, &["aliases", "b"]);
    let expected = [["ALIAS", "VERSION", "ALSO", "DESCRIPTION"], ["live", "1", "2 at 25 %", "for all"]];
    assert_eq!(aliases, expected);
    assert_eq!(json_of(&server, &["aliases", "b"])[0]["AliasArn"], format!("{ARN}:b:live"));
    assert_eq!(json_of(&server, &["publish", "b"])["Version"], "2", "nothing has changed since");
}

#[test]
fn more_functions_than_a_page_holds_are_all_listed() {
    let function = Function::python("def lambda_handler(event, context): return 1");
    let server = Server::without_functions(&[], &[]);
    server.deploy("f-000", &function, &[]);
    let got = server.call("GET", "/2015-03-31/functions/f-000", &Value::Null).json();
    let runtime = &got["Configuration"]["Runtime"];
    let folder = harness::folder();
    let archive = folder.path().join("code.zip");
    zip(&archive, &[("lambda_function.py", b"def lambda_handler(event, context): return 1", 0o644)]);
    let code = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, std::fs::read(&archive).unwrap());
    for number in 1..60 {
        let function = json!({"FunctionName": format!("f-{number:03}"), "Runtime": runtime, "Handler": "lambda_function.lambda_handler",
            "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile": code}});
        let reply = server.call("POST", "/2015-03-31/functions", &function);
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    let names: Vec<String> =
        table_of(&server, &["functions"]).into_iter().skip(1).map(|row| row[0].clone()).collect();
    let expected: Vec<String> = (0..60).map(|number| format!("f-{number:03}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn an_alias_a_version_and_all_of_a_function_are_deleted() {
    let function = answers("x");
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--publish"]);
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    assert_eq!(server.call("POST", "/2015-03-31/functions/f/aliases", &alias).status, 201);
    ask(&server, &["invoke", "f:live"]).success();

    ask(&server, &["delete", "f", "--version", "1"]).refused(2, &["ResourceConflictException", "live"]);
    let run = ask(&server, &["delete", "f", "--alias", "live"]);
    assert_eq!((run.success(), run.stderr.as_str()), ("", "firesteel: deleted alias live of f\n"));
    ask(&server, &["invoke", "f:live"]).refused(2, &["ResourceNotFoundException"]);
    let run = ask(&server, &["delete", "f", "--version", "1"]);
    assert_eq!((run.success(), run.stderr.as_str()), ("", "firesteel: deleted version 1 of f\n"));
    assert_eq!(server.invoke_named("f:1", &[], "{}").status, 404);
    server.invoke("{}").success();
    let run = ask(&server, &["delete", "f"]);
    assert_eq!((run.success(), run.stderr.as_str()), ("", "firesteel: deleted f with all its versions\n"));
    assert_eq!(server.invoke("{}").status, 404);
    assert_eq!(json_of(&server, &["functions"]), json!([]));
}

#[test]
fn what_is_not_there_is_exit_code_2_with_the_command_that_tells_what_is() {
    let function = answers("x");
    let server = Server::without_functions(&[&function], &[]);
    for command in
        [&["publish", "f"][..], &["versions", "f"], &["aliases", "f"], &["delete", "f"], &["invoke", "f"]]
    {
        ask(&server, command)
            .refused(2, &["ResourceNotFoundException: Function not found: ", "try:   firesteel functions"]);
    }
    server.deploy("f", &function, &[]);
    ask(&server, &["delete", "f", "--alias", "live"])
        .refused(2, &["error: there is no alias live of f", "try:   firesteel aliases f"]);
    ask(&server, &["delete", "f", "--version", "3"])
        .refused(2, &["error: there is no version 3 of f", "try:   firesteel versions f"]);
    ask(&server, &["delete", "f", "--version", "$LATEST"]).refused(2, &["InvalidParameterValueException"]);
    ask(&server, &["delete", "f", "--version", "1", "--alias", "live"]).refused(2, &["cannot be used with"]);
}

#[test]
fn what_cannot_be_deployed_is_refused_before_anything_is_sent() {
    let function = answers("x");
    let target = function.target();
    let nowhere = "http://127.0.0.1:1";
    for (arguments, words) in [
        (&["deploy", "/nowhere/at-all"][..], &["/nowhere/at-all", "try:   a folder"][..]),
        (&["deploy", &Function::empty().target()], &["error: ", "try:"]),
        (
            &["deploy", &target, "--name", "no name"],
            &["`no name` cannot be the name of a function", "try:   a name of letters"],
        ),
        (&["deploy", &target, "--runtime", "cobol85"], &["cobol85", "try:   --runtime"]),
        (&["deploy", &target, "--env", "NOTHING"], &["NOTHING", "error: "]),
    ] {
        Program::asking_at(nowhere, arguments).run().refused(2, words);
    }
    Program::asking_at(nowhere, &["deploy", &target])
        .run()
        .refused(3, &["could not be reached", "try:   is it running?"]);
    Program::asking_at("nowhere", &["functions"])
        .run()
        .refused(2, &["`nowhere` is not the URL of a server", "try:   --endpoint"]);
}

#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    let function = answers("x");
    let server = Server::without_functions(&[&function], &[]);
    let target = function.target();
    ask(&server, &["deploy", &target, "--name", "f", "--memory", "1"]).refused(
        2,
        &["ValidationException", "'memorySize' failed to satisfy constraint", "greater than or equal to 128"],
    );
    ask(
        &server,
        &["deploy", &target, "--name", "f", "--layer", "arn:aws:lambda:us-east-1:000000000000:layer:none:1"],
    )
    .refused(2, &["InvalidParameterValueException", "layer:none:1"]);
    assert_eq!(json_of(&server, &["functions"]), json!([]), "nothing was made of it");
}

#[test]
fn lines_of_what_is_deployed_have_its_name_before_them() {
    let function = Function::scripted(ECHO);
    let server = Server::of(&function, &[]);
    server.deploy("deployed", &function, &[]);
    server.invoke("{}").success();
    server.invoke_named("deployed", &[], "{}").success();
    let log = server.log_of(2);
    let starts: Vec<_> = log.lines().filter_map(|line| line.split_once("START RequestId")).collect();
    assert_eq!(starts.iter().map(|(before, _)| *before).collect::<Vec<_>>(), ["", "deployed | "], "{log}");
}

#[test]
fn a_function_that_cannot_begin_is_deployed_and_fails_when_it_is_invoked() {
    let source = "def lambda_handler(event, context): return 1\nraise Exception('at import')";
    let server = Server::without_functions(&[], &[]);
    server.deploy("f", &Function::python(source), &[]);
    let run = ask(&server, &["invoke", "f"]);
    assert!(run.function_error().contains("at import"), "{}", run.stdout);
}
