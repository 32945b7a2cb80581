use std::fs;
use std::path::Path;

use firesteel_runtimes::{DetectError, Interpreters, Runtime, detect};

use crate::{Project, chain, relative};

const HANDLER: &str = "def handler(event, context): pass\n";
const LAMBDA_HANDLER: &str = "def lambda_handler(event, context): pass\n";
const EXPORT: &str = "export const handler = async () => {}\n";

struct Wanted<'a> {
    runtime: Option<&'a str>,
    handler: Option<&'a str>,
}

const NOTHING: Wanted<'static> = Wanted { runtime: None, handler: None };

/// The line that says why, or the error, with `{}` for the project's folder.
fn outcome(project: &Project, wanted: &Wanted<'_>) -> Result<String, String> {
    let interpreters = project.interpreters("22.4.0");
    let result = detect(&project.code(), None, wanted.runtime, wanted.handler, &interpreters);
    let result = result.map(|detected| detected.why).map_err(|error| match &error {
        DetectError::NothingFound { example, .. } | DetectError::Ambiguous { example, .. } => {
            format!("{}; try {example}", chain(&error))
        }
        _ => chain(&error),
    });
    result.map(|why| relative(&why, project.0.path())).map_err(|why| relative(&why, project.0.path()))
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &str) {
    assert_eq!(outcome(&Project::new(files), &NOTHING).as_deref(), Ok(expected));
}

#[track_caller]
fn check_error(files: &[(&str, &str)], wanted: &Wanted<'_>, expected: &str) {
    assert_eq!(outcome(&Project::new(files), wanted), Err(expected.to_owned()));
}

fn handler_of(files: &[(&str, &str)]) -> Result<String, String> {
    let project = Project::new(files);
    let detected = detect(&project.code(), None, None, None, &project.interpreters("22.4.0"));
    detected.map(|detected| detected.handler).map_err(|error| error.to_string())
}

#[test]
fn python_and_node_are_known_by_their_files() {
    check(
        &[("lambda_function.py", LAMBDA_HANDLER), ("util.py", "x = 1\n")],
        "python3.13 (newest Python found, {}/prefix/bin/python3.13), handler lambda_function.lambda_handler",
    );
    check(
        &[("index.mjs", EXPORT), ("package.json", "{}")],
        "nodejs22.x (newest Node.js found, {}/prefix/bin/node), handler index.handler",
    );
}

#[test]
fn a_bootstrap_goes_before_everything() {
    check(
        &[("bootstrap", ""), ("app.py", HANDLER)],
        "provided.al2023 (found {}/code/bootstrap), handler function.handler passed on in _HANDLER",
    );
    let project = Project::new(&[("app.py", HANDLER)]);
    project.write("opt/bootstrap", "");
    let opt = project.path("opt");
    let nothing_installed = Interpreters::searching(Vec::new(), None);
    let detected = detect(&project.code(), Some(&opt), None, Some("any thing"), &nothing_installed).unwrap();
    assert_eq!(detected.runtime.to_string(), "provided.al2023");
    assert_eq!(detected.handler, "any thing");
}

#[test]
fn handlers_are_chosen_by_habit() {
    for (files, expected) in [
        (
            &[("lambda_function.py", LAMBDA_HANDLER), ("app.py", HANDLER)][..],
            "lambda_function.lambda_handler",
        ),
        (&[("app.py", HANDLER), ("orders.py", HANDLER)], "app.handler"),
        (&[("orders.py", HANDLER), ("test_orders.py", HANDLER)], "orders.handler"),
        (&[("orders.py", "def on_order(event, context): ...\n")], "orders.on_order"),
        (&[("main.py", LAMBDA_HANDLER), ("util.py", "def f(event, context): ...\n")], "main.lambda_handler"),
        (&[("index.js", "exports.handler = 1"), ("app.js", "exports.handler = 1")], "index.handler"),
        (&[("index.js", "exports.handler = 1"), ("index.mjs", EXPORT)], "index.handler"),
        (&[("app.mjs", "export const lambdaHandler = 1"), ("x.mjs", EXPORT)], "app.lambdaHandler"),
        (&[("orders.cjs", "module.exports = { handler }")], "orders.handler"),
        (
            &[("package.json", r#"{"main": "./dist/server.js"}"#), ("dist/server.js", "exports.handler = 1")],
            "dist/server.handler",
        ),
        (&[("package.json", r#"{"main": "b.js"}"#), ("a.js", EXPORT), ("b.js", EXPORT)], "b.handler"),
    ] {
        assert_eq!(handler_of(files).as_deref(), Ok(expected), "{files:?}");
    }
}

#[test]
fn with_both_languages_the_one_with_a_handler_is_meant() {
    assert_eq!(handler_of(&[("app.py", HANDLER), ("package.json", "{}")]).as_deref(), Ok("app.handler"));
    assert_eq!(handler_of(&[("tool.py", "x = 1\n"), ("index.mjs", EXPORT)]).as_deref(), Ok("index.handler"));
    let both: &[(&str, &str)] = &[("app.py", HANDLER), ("index.mjs", EXPORT)];
    check_error(
        both,
        &NOTHING,
        "{}/code could be run in more than one way: as Python (app.py), as Node.js (index.mjs); try --runtime python3.13",
    );
    for (handler, runtime) in [("app.handler", "python3.13"), ("index.handler", "nodejs22.x")] {
        let why = outcome(&Project::new(both), &Wanted { runtime: None, handler: Some(handler) }).unwrap();
        assert!(why.starts_with(runtime), "{why}");
    }
}

#[test]
fn what_is_wanted_is_not_questioned() {
    let project = Project::new(&[("app.py", HANDLER), ("index.mjs", EXPORT)]);
    let wanted = Wanted { runtime: Some("nodejs22.x"), handler: Some("a/b.c.d") };
    assert_eq!(
        outcome(&project, &wanted).as_deref(),
        Ok("nodejs22.x (as asked for, {}/prefix/bin/node), handler a/b.c.d as asked for")
    );
    let wanted = Wanted { runtime: Some("python3.13"), handler: None };
    assert!(outcome(&project, &wanted).unwrap().ends_with("handler app.handler"));
    let wanted = Wanted { runtime: Some("provided.al2"), handler: None };
    assert!(outcome(&project, &wanted).unwrap().starts_with("provided.al2 (as asked for)"));
}

#[test]
fn doubt_is_an_error_that_tells_what_to_type() {
    check_error(
        &[("a.py", HANDLER), ("b.py", HANDLER)],
        &NOTHING,
        "{}/code could be run in more than one way: a.handler, b.handler; try --handler a.handler",
    );
    check_error(
        &[("a.py", "x = 1\n"), ("b.py", "")],
        &NOTHING,
        "no handler found in {}/code: looked for `def lambda_handler` or `def handler` in a.py, b.py; try --handler app.lambda_handler",
    );
    check_error(
        &[("package.json", "{}")],
        &NOTHING,
        "no handler found in {}/code: looked for an exported `handler` or `lambdaHandler`, but there are no source \
         files; try --handler index.handler",
    );
    check_error(
        &[("README.md", "")],
        &NOTHING,
        "no runtime found in {}/code: looked for bootstrap, *.py, *.mjs, *.js, *.cjs, package.json; try --runtime python3.13 --handler app.handler",
    );
}

#[test]
fn runtimes_that_cannot_run_here_are_refused() {
    let project = Project::new(&[("app.py", HANDLER)]);
    let interpreters = project.interpreters("22.4.0");
    let wanting = |runtime| detect(&project.code(), None, Some(runtime), None, &interpreters).unwrap_err();
    assert!(matches!(wanting("java21"), DetectError::Runtime(_)));
    assert!(matches!(wanting("python3.9"), DetectError::Interpreter(_)));
    assert!(matches!(wanting("nodejs20.x"), DetectError::Interpreter(_)));
    let missing = detect(Path::new("/nowhere"), None, None, None, &interpreters).unwrap_err();
    assert!(matches!(missing, DetectError::Unreadable { .. }));
}

#[test]
fn a_node_that_aws_never_had_runs_and_is_told() {
    let project = Project::new(&[("index.mjs", EXPORT)]);
    let detected = detect(&project.code(), None, None, None, &project.interpreters("23.1.0")).unwrap();
    assert_eq!(detected.runtime, Runtime::Nodejs { major: 23 });
    assert!(detected.why.contains("which AWS does not offer"), "{}", detected.why);
}

#[test]
fn a_language_that_is_not_needed_is_not_asked_for() {
    let project = Project::new(&[("app.py", HANDLER)]);
    let interpreters = project.interpreters("22.4.0");
    let asked = project.path("node-was-asked");
    project.script("prefix/bin/node", &format!("touch {}", asked.display()));
    detect(&project.code(), None, None, None, &interpreters).unwrap();
    assert!(!asked.exists());
    fs::remove_file(project.path("code/app.py")).unwrap();
    project.write("code/index.mjs", EXPORT);
    assert!(detect(&project.code(), None, None, None, &interpreters).is_err());
    assert!(asked.exists());
}
