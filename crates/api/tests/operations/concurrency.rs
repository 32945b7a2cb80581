//! Reserved and provisioned concurrency.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, PATIENCE, Server, arn, new_function, test, with};
use crate::package;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_reservation_comes_and_goes", a_reservation_comes_and_goes),
        test("refusals_of_reservations_are_as_recorded", reservations_refused),
        test("provisioned_environments_are_there_when_the_status_says_so", environments_are_there),
        test("an_alias_takes_its_provisioned_environments_along", an_alias_takes_its_environments_along),
        test("provisioning_what_cannot_be_initialised_fails", what_cannot_be_initialised_has_failed),
        test("provisioning_what_cannot_be_started_fails", what_cannot_be_started_has_failed),
        test("refusals_of_provisioned_concurrency_are_as_recorded", refused),
    ]
}

fn reservation_of(function: &str) -> String {
    format!("/2017-10-31/functions/{function}/concurrency")
}

fn reserved_of(function: &str) -> String {
    format!("/2019-09-30/functions/{function}/concurrency")
}

fn provisioned_of(function: &str, qualifier: &str) -> String {
    format!("/2019-09-30/functions/{function}/provisioned-concurrency?Qualifier={qualifier}")
}

fn all_of(function: &str) -> String {
    format!("/2019-09-30/functions/{function}/provisioned-concurrency?List=ALL")
}

async fn a_reservation_comes_and_goes(server: Arc<Server>) {
    server.create("f").await;
    assert_eq!(server.get(&reserved_of("f")).await.json(200), json!({}));
    let one = json!({"ReservedConcurrentExecutions": 1});
    assert_eq!(server.put(&reservation_of("f"), &one).await.json(200), one);
    assert_eq!(server.get(&reserved_of("f")).await.json(200), one);
    server.invoke("f").await;

    let none = json!({"ReservedConcurrentExecutions": 0});
    assert_eq!(server.put(&reservation_of("f"), &none).await.json(200), none);
    let throttled = server.post(&format!("{FUNCTIONS}/f/invocations"), &json!({})).await;
    throttled.refusal(429, "TooManyRequestsException");
    assert_eq!(throttled.json(429)["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded");

    server.delete(&reservation_of("f")).await.nothing();
    assert_eq!(server.get(&reserved_of("f")).await.json(200), json!({}));
    server.invoke("f").await;
}

async fn reservations_refused(server: Arc<Server>) {
    server.create("f").await;
    let of = |reserved: i64| json!({"ReservedConcurrentExecutions": reserved});
    for reserved in [1, i64::from(i32::MAX)] {
        let absent = server.put(&reservation_of("absent"), &of(reserved)).await;
        let text = format!("Function not found: {}", arn("function:absent:$LATEST"));
        assert_eq!(absent.refusal(404, "ResourceNotFoundException"), text);
    }
    let text = "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
         operation. Please specify either a function name or an unqualified function ARN.";
    for answer in [
        server.put(&reservation_of(&arn("function:f:1")), &of(1)).await,
        server.get(&reserved_of("f:1")).await,
        server.delete(&reservation_of("f:1")).await,
    ] {
        assert_eq!(answer.refusal(400, "InvalidParameterValueException"), text);
    }
    let text = "Specified ReservedConcurrentExecutions for function decreases account's \
         UnreservedConcurrentExecution below its minimum value of [100].";
    for reserved in [901, 1001] {
        let refused = server.put(&reservation_of("f"), &of(reserved)).await;
        assert_eq!(refused.refusal(400, "InvalidParameterValueException"), text);
        assert_eq!(refused.json(400), json!({"message": text}), "without a Type");
    }
    server.put(&reservation_of("f"), &of(900)).await.json(200);
}

/// A function and its version 1.
async fn published(server: &Server, name: &str) {
    server.create(name).await;
    server.post(&format!("{FUNCTIONS}/{name}/versions"), &json!({})).await.json(201);
    server.settled(&format!("{name}:1")).await;
}

async fn provision(server: &Server, function: &str, qualifier: &str, requested: i64) -> Value {
    let wanted = json!({"ProvisionedConcurrentExecutions": requested});
    server.put(&provisioned_of(function, qualifier), &wanted).await.json(202)
}

/// Waits until the status is another than `IN_PROGRESS`.
async fn decided(server: &Server, function: &str, qualifier: &str) -> Value {
    let path = provisioned_of(function, qualifier);
    let decided = async {
        loop {
            let told = server.get(&path).await.json(200);
            if told["Status"] != "IN_PROGRESS" {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, decided).await.expect("provisioned concurrency is decided")
}

/// Without the moment, which is to the second.
fn timeless(told: &Value) -> Value {
    let mut told = told.clone();
    let modified = told.as_object_mut().unwrap().remove("LastModified").unwrap();
    let modified = modified.as_str().unwrap();
    assert_eq!((modified.len(), &modified[19..]), (24, "+0000"), "{modified}");
    told
}

fn told(requested: i64, there: i64, status: &str) -> Value {
    json!({
        "RequestedProvisionedConcurrentExecutions": requested,
        "AllocatedProvisionedConcurrentExecutions": there,
        "AvailableProvisionedConcurrentExecutions": there,
        "Status": status,
    })
}

async fn environments_are_there(server: Arc<Server>) {
    published(&server, "f").await;
    assert_eq!(timeless(&provision(&server, "f", "1", 2).await), told(2, 0, "IN_PROGRESS"));
    assert_eq!(timeless(&decided(&server, "f", "1").await), told(2, 2, "READY"));
    let listed = server.get(&all_of("f")).await.json(200);
    let configs = listed["ProvisionedConcurrencyConfigs"].as_array().unwrap();
    let expected = with(told(2, 2, "READY"), json!({"FunctionArn": arn("function:f:1")}));
    assert_eq!(configs.iter().map(timeless).collect::<Vec<_>>(), [expected]);

    server.delete(&provisioned_of("f", "1")).await.nothing();
    let gone = server.get(&provisioned_of("f", "1")).await;
    assert_eq!(
        gone.refusal(404, "ProvisionedConcurrencyConfigNotFoundException"),
        "No Provisioned Concurrency Config found for this function"
    );
    let none = json!({"ProvisionedConcurrencyConfigs": []});
    assert_eq!(server.get(&all_of("f")).await.json(200), none);
    server.delete(&provisioned_of("f", "1")).await.nothing();
}

async fn an_alias_takes_its_environments_along(server: Arc<Server>) {
    published(&server, "f").await;
    server.update_code("f", "changed", json!({"Publish": true})).await;
    server.settled("f:2").await;
    let aliases = format!("{FUNCTIONS}/f/aliases");
    server.post(&aliases, &json!({"Name": "prod", "FunctionVersion": "1"})).await.json(201);
    provision(&server, "f", "prod", 1).await;
    decided(&server, "f", "prod").await;

    let conflict =
        server.put(&provisioned_of("f", "1"), &json!({"ProvisionedConcurrentExecutions": 1})).await;
    assert_eq!(
        conflict.refusal(409, "ResourceConflictException"),
        "Version is pointed by a Provisioned Concurrency alias"
    );
    server.put(&format!("{aliases}/prod"), &json!({"FunctionVersion": "2"})).await.json(200);
    assert_eq!(timeless(&decided(&server, "f", "prod").await), told(1, 1, "READY"));
    assert_eq!(server.invoke("f:prod").await["version"], "2");

    server.delete(&format!("{aliases}/prod")).await.nothing();
    let gone = server.get(&provisioned_of("f", "prod")).await;
    let text = format!("Cannot find alias arn: {}", arn("function:f:prod"));
    assert_eq!(gone.refusal(404, "ResourceNotFoundException"), text);
}

/// A function whose package holds no more than this file, and its version 1.
async fn published_of(server: &Server, file: &str, content: &str) {
    let archive = package::archive(&[(file, content.as_bytes())]);
    let new =
        with(new_function("f"), json!({"Code": {"ZipFile": package::base64(&archive)}, "Publish": true}));
    server.post(FUNCTIONS, &new).await.json(201);
    server.settled("f:1").await;
}

async fn what_cannot_be_initialised_has_failed(server: Arc<Server>) {
    published_of(&server, "bootstrap", "#!/bin/sh\nexit 1\n").await;
    assert_eq!(timeless(&provision(&server, "f", "1", 1).await), told(1, 0, "IN_PROGRESS"));
    let failed = decided(&server, "f", "1").await;
    assert_eq!(
        (&failed["Status"], &failed["StatusReason"]),
        (&json!("FAILED"), &json!("FUNCTION_ERROR_INIT_FAILURE"))
    );
    assert_eq!(failed["AvailableProvisionedConcurrentExecutions"], 0);
}

async fn what_cannot_be_started_has_failed(server: Arc<Server>) {
    published_of(&server, "README", "there is no bootstrap").await;
    provision(&server, "f", "1", 1).await;
    let failed = timeless(&decided(&server, "f", "1").await);
    let expected = with(told(1, 0, "FAILED"), json!({"StatusReason": "FUNCTION_ERROR_INIT_FAILURE"}));
    assert_eq!(failed, expected);
}

async fn refused(server: Arc<Server>) {
    published(&server, "f").await;
    let wanted = |requested: i64| json!({"ProvisionedConcurrentExecutions": requested});
    let none = server.put(&provisioned_of("f", "1"), &wanted(0)).await;
    assert_eq!(
        none.refusal(400, "ValidationException"),
        "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy constraint: \
         Member must have value greater than or equal to 1"
    );
    let latest = server.put(&provisioned_of("f", "$LATEST"), &wanted(1)).await;
    assert_eq!(
        latest.refusal(400, "InvalidParameterValueException"),
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    );
    for answer in [
        server.get(&provisioned_of("f", "$LATEST")).await,
        server.delete(&provisioned_of("f", "$LATEST")).await,
    ] {
        let text = answer.refusal(400, "InvalidParameterValueException");
        assert_eq!(text, "The function resource provided must be an alias or a published version.");
    }
    for (function, qualifier, text) in [
        ("absent", "1", format!("Function not found: {}", arn("function:absent:1"))),
        ("absent", "a", format!("Cannot find alias arn: {}", arn("function:absent:a"))),
        ("f", "10", format!("Function not found: {}", arn("function:f:10"))),
        ("f", "a", format!("Cannot find alias arn: {}", arn("function:f:a"))),
    ] {
        let path = provisioned_of(function, qualifier);
        for answer in
            [server.put(&path, &wanted(1)).await, server.get(&path).await, server.delete(&path).await]
        {
            assert_eq!(answer.refusal(404, "ResourceNotFoundException"), text);
        }
    }
    let listing = server.get(&all_of("absent")).await.refusal(404, "ResourceNotFoundException");
    assert_eq!(listing, format!("Function not found: {}", arn("function:absent")));
    for (requested, text) in [
        (
            1001,
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].",
        ),
        (
            901,
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
             its minimum value of [100].",
        ),
    ] {
        let refused = server.put(&provisioned_of("f", "1"), &wanted(requested)).await;
        assert_eq!(refused.refusal(400, "InvalidParameterValueException"), text);
    }
}
