//! Concurrency that is reserved, provisioned, the account's; and aliases that share it out.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::client::Reply;
use crate::harness::function::{ECHO, Function};
use crate::harness::process::eventually;
use crate::harness::server::{Server, invocations};

/// Notes that it is in, and waits for the test.
const WAITS: &str = "def run(event):\n    note('in')\n    wait_for_gate()\n    return '1'\nserve(run)";

#[track_caller]
fn throttled(reply: &Reply, reason: &str) {
    let body = json!({"Reason": reason, "Type": "User", "message": "Rate Exceeded."});
    reply.refused(429, "TooManyRequestsException", &body);
    // Nobody knows when a reservation will be free, if ever.
    let when = (reason != "ReservedFunctionConcurrentInvocationLimitExceeded").then_some("1");
    assert_eq!(reply.header("retry-after"), when);
}

fn reserve(server: &Server, name: &str, count: u32) -> Reply {
    let path = format!("/2017-10-31/functions/{name}/concurrency");
    server.call("PUT", &path, &json!({"ReservedConcurrentExecutions": count}))
}

#[test]
fn a_reservation_of_nothing_is_a_function_that_is_switched_off() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &[]);
    server.invoke("1").success();
    assert_eq!(reserve(&server, "f", 0).json(), json!({"ReservedConcurrentExecutions": 0}));
    throttled(&server.invoke("2"), "ReservedFunctionConcurrentInvocationLimitExceeded");
    let off = server.call("DELETE", "/2017-10-31/functions/f/concurrency", &Value::Null);
    assert_eq!(off.status, 204);
    assert_eq!(server.invoke("3").success(), "3");
}

#[test]
fn beyond_its_reservation_a_function_is_throttled_and_others_are_not() {
    let (function, other) = (Function::scripted(WAITS), Function::scripted(ECHO));
    let server = Server::without_functions(&[&function, &other], &[]);
    server.deploy("f", &function, &["--timeout", "60"]);
    server.deploy("g", &other, &[]);
    assert_eq!(reserve(&server, "f", 1).status, 200);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| server.invoke("{}"));
        function.noted(1);
        throttled(&server.invoke("{}"), "ReservedFunctionConcurrentInvocationLimitExceeded");
        assert_eq!(server.invoke_named("g", &[], "5").success(), "5");
        function.open_gate();
        first.join().unwrap().success();
    });
    server.invoke("{}").success();
}

#[test]
fn one_caller_after_the_other_never_exceeds_a_reservation_of_one() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &["--request-rate", "0"]);
    server.deploy("f", &function, &[]);
    assert_eq!(reserve(&server, "f", 1).status, 200);
    let mut client = server.client();
    for n in 0..200 {
        let event = n.to_string();
        assert_eq!(client.post(&invocations("f"), &[], event.as_bytes()).success(), event);
    }
    assert_eq!(server.environments(), 1);
}

#[test]
fn the_accounts_concurrency_is_one_for_all_functions() {
    let (function, other) = (Function::scripted(WAITS), Function::scripted(ECHO));
    let server = Server::without_functions(&[&function, &other], &["--account-concurrency", "2"]);
    server.deploy("f", &function, &["--timeout", "60"]);
    server.deploy("g", &other, &[]);
    std::thread::scope(|scope| {
        let busy = [scope.spawn(|| server.invoke("{}")), scope.spawn(|| server.invoke("{}"))];
        function.noted(2);
        throttled(&server.invoke_named("g", &[], "{}"), "ConcurrentInvocationLimitExceeded");
        function.open_gate();
        for call in busy {
            call.join().unwrap().success();
        }
    });
    server.invoke_named("g", &[], "{}").success();
}

#[test]
fn what_is_reserved_is_taken_from_the_rest_of_the_account() {
    let (function, other) = (Function::scripted(WAITS), Function::scripted(ECHO));
    let server = Server::without_functions(&[&function, &other], &["--account-concurrency", "20"]);
    server.deploy("f", &function, &["--timeout", "60"]);
    server.deploy("g", &other, &[]);
    let account = |member: &str| {
        let settings = server.call("GET", "/2016-08-19/account-settings", &Value::Null).json();
        settings["AccountLimit"][member].clone()
    };
    assert_eq!(
        (account("ConcurrentExecutions"), account("UnreservedConcurrentExecutions")),
        (json!(20), json!(20))
    );
    // A tenth of an account as small as this is nobody's.
    let reply = reserve(&server, "g", 19);
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype")),
        (400, Some("InvalidParameterValueException"))
    );
    assert_eq!(reserve(&server, "g", 18).status, 200);
    assert_eq!(
        (account("ConcurrentExecutions"), account("UnreservedConcurrentExecutions")),
        (json!(20), json!(2))
    );
    std::thread::scope(|scope| {
        let busy = [scope.spawn(|| server.invoke("{}")), scope.spawn(|| server.invoke("{}"))];
        function.noted(2);
        throttled(&server.invoke("{}"), "ConcurrentInvocationLimitExceeded");
        server.invoke_named("g", &[], "{}").success();
        function.open_gate();
        for call in busy {
            call.join().unwrap().success();
        }
    });
}

#[test]
fn requests_in_a_second_are_bounded_by_the_concurrency() {
    let function = Function::scripted(ECHO);
    let server = Server::without_functions(&[&function], &["--request-rate", "3"]);
    server.deploy("f", &function, &[]);
    assert_eq!(reserve(&server, "f", 1).status, 200);
    // However long they take, 50 in a row are more than three a second or take more than a quarter of a minute.
    let began = std::time::Instant::now();
    let refused = (0..50).map(|_| server.invoke("{}")).find(|reply| reply.status != 200);
    match refused {
        Some(reply) => throttled(&reply, "ReservedFunctionInvocationRateLimitExceeded"),
        None => assert!(began.elapsed().as_secs() >= 15, "50 requests in {:?}", began.elapsed()),
    }
}

#[test]
fn an_alias_routes_by_its_weights() {
    let first = Function::scripted("serve(lambda event: '1')");
    let second = Function::scripted("serve(lambda event: '2')");
    let server = Server::without_functions(&[&first, &second], &[]);
    server.deploy("f", &first, &["--publish"]);
    server.deploy("f", &second, &["--publish"]);
    let alias = json!({"Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}}});
    assert_eq!(server.call("POST", "/2015-03-31/functions/f/aliases", &alias).status, 201);
    let counts = || {
        let mut client = server.client();
        let mut counts = BTreeMap::new();
        for _ in 0..200 {
            let reply = client.post(&invocations("f:live"), &[], b"{}");
            let version = reply.success();
            assert_eq!(reply.header("x-amz-executed-version"), Some(version.as_str()));
            *counts.entry(version).or_insert(0) += 1;
        }
        counts
    };
    // Six standard deviations to either side.
    let even = counts();
    assert!((58..=142).contains(&even["1"]) && (58..=142).contains(&even["2"]), "{even:?}");

    let mostly = json!({"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.9}}});
    assert_eq!(server.call("PUT", "/2015-03-31/functions/f/aliases/live", &mostly).status, 200);
    let uneven = counts();
    assert!((1..=45).contains(&uneven["1"]), "{uneven:?}");

    let moved = json!({"FunctionVersion": "2", "RoutingConfig": {}});
    assert_eq!(server.call("PUT", "/2015-03-31/functions/f/aliases/live", &moved).status, 200);
    assert_eq!(counts(), BTreeMap::from([("2".to_owned(), 200)]));
}

#[test]
fn provisioned_environments_are_ready_before_they_are_asked_for() {
    let script = "note(os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'])\nserve(lambda event: '1')";
    let function = Function::scripted(script);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--publish"]);
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    let put = server.call("PUT", path, &json!({"ProvisionedConcurrentExecutions": 2}));
    assert_eq!((put.status, &put.json()["Status"]), (202, &json!("IN_PROGRESS")), "{}", put.text());
    let status = || server.call("GET", path, &Value::Null).json();
    eventually("they are ready", || status()["Status"] == "READY");
    let ready = status();
    assert_eq!(
        (
            &ready["AllocatedProvisionedConcurrentExecutions"],
            &ready["AvailableProvisionedConcurrentExecutions"]
        ),
        (&json!(2), &json!(2))
    );
    assert_eq!(function.notes(), ["provisioned-concurrency"; 2]);

    let reply = server.invoke_named("f:1", &[("X-Amz-Log-Type", "Tail")], "{}");
    reply.success();
    assert_eq!(function.notes().len(), 2, "nothing was started for it");
    // Whoever has them ready has paid for their init: it is told of once, and not billed.
    let log = reply.log_tail();
    let report = log.lines().find(|line| line.starts_with("REPORT ")).unwrap();
    let column = |name: &str| -> f64 {
        let value = report.split('\t').find_map(|column| column.strip_prefix(name)).unwrap();
        value.split(' ').next().unwrap().parse().unwrap()
    };
    assert!((column("Billed Duration: ") - column("Duration: ").ceil()).abs() <= 1.0, "{report}");

    assert_eq!(server.call("DELETE", path, &Value::Null).status, 204);
    eventually("they have ended", || server.environments() == 0);
    assert_eq!(
        server.call("GET", path, &Value::Null).header("x-amzn-errortype"),
        Some("ProvisionedConcurrencyConfigNotFoundException")
    );
    server.invoke_named("f:1", &[], "{}").success();
    assert_eq!(function.notes().last().unwrap(), "on-demand");
}

#[test]
fn provisioned_environments_are_there_again_after_a_restart() {
    let script = "note(os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'])\nserve(lambda event: '1')";
    let function = Function::scripted(script);
    let server = Server::without_functions(&[&function], &[]);
    server.deploy("f", &function, &["--publish"]);
    let path = "/2019-09-30/functions/f/provisioned-concurrency?Qualifier=1";
    assert_eq!(server.call("PUT", path, &json!({"ProvisionedConcurrentExecutions": 1})).status, 202);
    function.noted(1);
    let data = server.data();
    server.kill();
    let _again = Server::without_functions_in(data, &[&function], &[]);
    assert_eq!(function.noted(2), ["provisioned-concurrency"; 2]);
}
