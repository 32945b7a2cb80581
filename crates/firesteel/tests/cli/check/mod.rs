//! `firesteel check TARGET`: a runtime that keeps every rule passes, and one that breaks a single rule fails in that
//! line and in no other.

use serde_json::Value;

use crate::harness::function::{ECHO, Function, nodejs_is_there, python};
use crate::harness::program::{Program, Run};
use crate::harness::skipped;

/// Shorter than for people, and long enough for a machine that is busy.
const SHORT: [&str; 6] = ["--hold-ms", "1800", "--invocations", "50", "--timeout", "10"];

/// The runtime of `runtime.py`, with one fault, or none.
fn runtime(fault: &str) -> Function {
    let script = include_str!("runtime.py");
    Function::bootstrap(&format!("#!{} -SEs\nFAULT = {fault:?}\n{script}", python().display()))
}

fn check(function: &Function, arguments: &[&str]) -> Run {
    Program::check(&[&[function.target().as_str()], &SHORT[..], arguments].concat()).run()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}{}", run.stdout, run.stderr))
}

/// Ids of the rules with this verdict.
fn with_verdict<'a>(report: &'a Value, verdict: &str) -> Vec<&'a str> {
    let rules = report["rules"].as_array().unwrap().iter();
    rules.filter(|rule| rule["verdict"] == verdict).map(|rule| rule["id"].as_str().unwrap()).collect()
}

#[test]
fn a_runtime_that_keeps_every_rule_passes_all() {
    let run = check(&runtime(""), &["--format", "json", "--strict"]);
    let report = json(&run);
    let all: Vec<_> = firesteel_check::RULES.iter().map(|rule| rule.id).collect();
    let passed = with_verdict(&report, "passed");
    let others: Vec<_> = all.iter().filter(|id| !passed.contains(id)).collect();
    assert!(others.is_empty(), "{others:?} in {}", run.stdout);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

/// Runs with the fault that each rule of a group is about: the rule fails, and no other. Looked for among the rules
/// of the group, and, where nothing may be skipped, among all: that takes minutes.
fn each_fault_of(group: &str) {
    let rules: Vec<_> = firesteel_check::RULES.iter().filter(|rule| rule.id.starts_with(group)).collect();
    assert!(!rules.is_empty(), "no rules in {group}");
    let mut arguments = vec!["--format", "json", "--strict"];
    if std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none() {
        arguments.extend(rules.iter().flat_map(|rule| ["--rule", rule.id]));
    }
    for rule in rules {
        let run = check(&runtime(rule.id), &arguments);
        let report = json(&run);
        assert_eq!(with_verdict(&report, "failed"), [rule.id], "{}", run.stdout);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let line = report["rules"].as_array().unwrap().iter().find(|line| line["id"] == rule.id).unwrap();
        for what in ["expected", "seen", "advice"] {
            assert!(line[what].as_str().is_some_and(|text| !text.is_empty()), "no {what} in {line}");
        }
    }
}

/// One test a group, so that they run beside each other.
macro_rules! faults {
    ($($test:ident: $group:literal,)*) => {
        $(#[test]
        fn $test() {
            each_fault_of(concat!($group, "."));
        })*

        #[test]
        fn every_rule_is_in_a_group_whose_faults_are_tried() {
            for rule in firesteel_check::RULES {
                let group = rule.id.split('.').next().unwrap();
                assert!([$($group),*].contains(&group), "{}", rule.id);
            }
        }
    };
}

faults! {
    a_fault_of_init_fails_its_rule_alone: "init",
    a_fault_of_invocations_fails_its_rule_alone: "invocation",
    a_fault_of_payloads_fails_its_rule_alone: "payload",
    a_fault_of_errors_fails_its_rule_alone: "error",
    a_fault_of_contexts_fails_its_rule_alone: "context",
    a_fault_of_connections_fails_its_rule_alone: "connection",
    a_fault_of_streams_fails_its_rule_alone: "stream",
    a_fault_of_shutdown_fails_its_rule_alone: "shutdown",
    a_fault_of_restores_fails_its_rule_alone: "restore",
    a_fault_of_concurrency_fails_its_rule_alone: "concurrency",
}

#[test]
fn a_handler_that_does_not_play_along_makes_rules_not_applicable_and_fails_none() {
    let run = check(&runtime("no check handler"), &["--format", "json"]);
    let report = json(&run);
    assert_eq!(report["summary"]["failed"], 0, "{}", run.stdout);
    let not_applicable = with_verdict(&report, "not_applicable");
    for id in ["payload.unicode", "error.report", "context.deadline", "stream.body", "concurrency.at-once"] {
        assert!(not_applicable.contains(&id), "{id} in {}", run.stdout);
    }
    // Those that any handler is good enough for.
    let passed = with_verdict(&report, "passed");
    for id in ["init.next", "invocation.thousand", "payload.large-event", "connection.patience"] {
        assert!(passed.contains(&id), "{id} in {}", run.stdout);
    }
}

#[test]
fn a_runtime_that_hangs_ends_neither_the_suite_nor_anything_after_it() {
    let hanging = Function::scripted("while True: time.sleep(3600)");
    let run = Program::check(&[&hanging.target(), "--format", "json"]).run();
    let report = json(&run);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(with_verdict(&report, "failed"), ["init.next"]);
    assert_eq!(with_verdict(&report, "skipped").len(), firesteel_check::RULES.len() - 1);
}

#[test]
fn the_table_shows_the_request_on_the_wire_and_what_to_change() {
    let run = check(&runtime("error.report"), &["--rule", "error.report"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let lines: Vec<_> = run.stdout.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("passed          init.next          starts and asks"), "{}", run.stdout);
    assert!(lines[2].starts_with("FAILED          error.report "), "{}", run.stdout);
    for words in [
        "expected  POST /2018-06-01/runtime/invocation/",
        "seen      POST /2018-06-01/runtime/invocation/",
        "Lambda-Runtime-Function-Error-Type: Function.Failed",
        "do        catch what the handler throws",
        "2 passed, 1 failed, 0 warnings, 0 not applicable",
        "https://docs.aws.amazon.com/lambda/latest/dg/",
    ] {
        assert!(run.stdout.contains(words), "{words} in {}", run.stdout);
    }
}

#[test]
fn a_recommendation_is_a_warning_unless_strict() {
    let function = runtime("error.type-header");
    let run = check(&function, &["--rule", "error.type-header"]);
    assert!(run.success().contains("warning         error.type-header"), "{}", run.stdout);
    let strict = check(&function, &["--rule", "error.type-header", "--strict", "--format", "junit"]);
    assert_eq!(strict.code, Some(1), "{}", strict.stderr);
    assert!(
        strict.stdout.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"0\""),
        "{}",
        strict.stdout
    );
    assert!(
        strict.stdout.contains("<testcase classname=\"error\" name=\"type-header\""),
        "{}",
        strict.stdout
    );
}

#[test]
fn the_managed_python_runtime_passes_with_the_check_handler() {
    let handler = Program::check(&["--print-handler", "python"]).run();
    let function = Function::python(handler.success());
    let report = json(&check(&function, &["--format", "json"]));
    assert_eq!(report["summary"]["failed"], 0, "{report:#}");
    // Known, and those of AWS's own client.
    let warnings = with_verdict(&report, "failed");
    assert_eq!(warnings, ["payload.too-large", "error.type-header"], "{report:#}");
}

/// The rule about a connection that is lost while the handler works among them: a response must not be lost with it.
#[test]
fn the_managed_nodejs_runtime_passes_with_the_check_handler() {
    if !nodejs_is_there() {
        let reason = "no Node.js of version 18 or later on PATH";
        skipped("the_managed_nodejs_runtime_passes_with_the_check_handler", reason);
        return;
    }
    let handler = Program::check(&["--print-handler", "node"]).run();
    let function = Function::empty().with("index.mjs", handler.success(), 0o644);
    let report = json(&check(&function, &["--format", "json"]));
    assert_eq!(report["summary"]["failed"], 0, "{report:#}");
    // Known, and those of AWS's own client.
    let warnings = with_verdict(&report, "failed");
    assert_eq!(warnings, ["error.type-header", "connection.broken-platform"], "{report:#}");
}

#[test]
fn a_shell_script_with_curl_passes_with_the_check_handler() {
    let has = |tool: &str| std::path::Path::new("/usr/bin").join(tool).exists();
    if !["bash", "curl", "jq"].into_iter().all(has) {
        skipped("a_shell_script_with_curl_passes_with_the_check_handler", "no bash, curl or jq in /usr/bin");
        return;
    }
    let handler = Program::check(&["--print-handler", "bash"]).run();
    let function = Function::bootstrap(include_str!("../../../../../examples/bash-runtime/bootstrap")).with(
        "function.sh",
        handler.success(),
        0o755,
    );
    // Two runs of curl for each event: not all rules, so that it does not take all day.
    let rules = ["init.error-exit", "payload.binary", "error.shape", "context.trace", "connection.pieces"];
    let arguments: Vec<_> =
        rules.iter().flat_map(|rule| ["--rule", rule]).chain(["--format", "json"]).collect();
    let report = json(&check(&function, &arguments));
    assert_eq!(with_verdict(&report, "passed").len(), 2 + rules.len(), "{report:#}");
}

#[test]
fn an_interrupted_check_says_how_far_it_came_and_leaves_nothing() {
    let function = Function::scripted("note('started')\nwhile True: time.sleep(3600)");
    let run = Program::check(&[&function.target()]).run_interrupted(|| {
        function.noted(1);
    });
    assert_eq!(run.code, Some(130), "{}", run.stderr);
    assert!(run.stdout.contains("skipped         init.next"), "{}", run.stdout);
    assert!(run.stdout.contains("0 passed, 0 failed"), "{}", run.stdout);
}

#[test]
fn a_rule_that_does_not_exist_is_refused() {
    let run = Program::check(&[&Function::scripted(ECHO).target(), "--rule", "no.such"]).run();
    run.refused(2, &["there is no rule `no.such`", "try:   --rule with one of init.next, "]);
    Program::check(&[]).run().refused(2, &["<TARGET>"]);
}
