//! Environments that are kept initialised ahead of invocations (`--provisioned`).

use crate::harness::function::Function;
use crate::harness::process::eventually;
use crate::harness::program::Program;
use crate::harness::server::Server;

/// Notes that it is initialised; answers with its process, or ends, as the event says.
const ENDS: &str = r#"
note(os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"])
def run(event):
    if event.body == b'"end"': sys.exit(3)
    if event.body == b'"wait"': wait_for_gate()
    return os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] + " " + ME
serve(run)
"#;

const PROVISIONED: &str = "provisioned-concurrency";

#[test]
fn the_first_invocation_finds_an_environment_that_is_initialised() {
    let function = Function::scripted(ENDS);
    let server = Server::of(&function, &["--provisioned", "f=2"]);
    assert_eq!(function.noted(2), [PROVISIONED; 2]);
    assert_eq!(server.environments(), 2);
    let (reply, log) = server.invoke_with_log("{}");
    assert!(reply.success().starts_with(PROVISIONED));

    // The init is told of and was paid for by whoever keeps it.
    let report = log.lines().find(|line| line.starts_with("REPORT ")).unwrap();
    assert!(report.contains("\tInit Duration: "), "{report}");
    let column = |name: &str| -> f64 {
        let value = report.split('\t').find_map(|column| column.strip_prefix(name)).unwrap();
        value.split(' ').next().unwrap().parse().unwrap()
    };
    assert!((column("Billed Duration: ") - column("Duration: ").ceil()).abs() <= 1.0, "{report}");
    assert_eq!(function.notes().len(), 2, "nothing was started for it");
}

#[test]
fn beyond_those_that_are_kept_invocations_overflow_to_others() {
    let function = Function::scripted(ENDS);
    let server = Server::of(&function, &["--provisioned", "f=1", "--timeout", "60"]);
    function.noted(1);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| server.invoke("\"wait\""));
        // Whichever of the two it gets: the provisioned one is taken first, by one of them.
        let other = scope.spawn(|| server.invoke("\"wait\""));
        function.noted(2);
        function.open_gate();
        let answers = [waits.join().unwrap().success(), other.join().unwrap().success()];
        assert_eq!(answers.iter().filter(|answer| answer.starts_with(PROVISIONED)).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| answer.starts_with("on-demand")).count(), 1, "{answers:?}");
    });
    // They have answered, and are free a moment later.
    eventually("the provisioned one is free", || {
        server.invoke_with_log("{}").0.success().starts_with(PROVISIONED)
    });
    for _ in 0..3 {
        assert!(
            server.invoke_with_log("{}").0.success().starts_with(PROVISIONED),
            "preferred when both are idle"
        );
    }
}

#[test]
fn one_that_ends_is_replaced_and_initialised_before_it_is_asked_for() {
    let function = Function::scripted(ENDS);
    let server = Server::of(&function, &["--provisioned", "f=1", "--max-environments", "1"]);
    function.noted(1);
    let before = server.invoke("{}").success();
    server.invoke("\"end\"").failed("Runtime.ExitError", "Runtime exited with error: exit status 3");
    assert_eq!(function.noted(2), [PROVISIONED; 2], "without an invocation that wants it");
    eventually("there is one", || server.environments() == 1);
    let after = server.invoke("{}").success();
    assert!(after.starts_with(PROVISIONED) && after != before);
}

#[test]
fn idleness_and_the_need_of_others_end_none() {
    let function = Function::scripted(ENDS);
    let other = Function::scripted("serve(lambda event: 'other')");
    let server = Server::of_several(
        &[("f", &function), ("g", &other)],
        &["--provisioned", "f=1", "--max-environments", "1", "--idle-timeout", "1"],
    );
    function.noted(1);
    let before = server.invoke("{}").success();
    assert_eq!(server.invoke_named("g", &[], "{}").status, 429);
    // Longer than it takes for any other to be ended.
    std::thread::park_timeout(std::time::Duration::from_millis(1500));
    assert_eq!(server.invoke("{}").success(), before);
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let function = Function::scripted(ENDS);
    let served = format!("f={}", function.target());
    for (arguments, words) in [
        (
            &["--provisioned", "f=3", "--max-environments", "2"][..],
            ["3 provisioned environments do not fit", "--max-environments 3"],
        ),
        (&["--provisioned", "g=1"], ["`g`, which is not served", "try:"]),
        (&["--provisioned", "f=1", "--provisioned", "f=1"], ["`f` twice", "error"]),
        (&["--provisioned", "f=0"], ["hello=2", "error"]),
        (&["--provisioned", "f=1", "--snap-start"], ["snap-start", "try:"]),
    ] {
        Program::serve(&[&[served.as_str()], arguments].concat()).run().refused(2, &words);
    }
}
