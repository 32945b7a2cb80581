//! Runtime management.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::json;

use crate::harness::{FUNCTIONS, Server, arn, test};

const PINNED: &str =
    "arn:aws:lambda:eu-west-1::runtime:0000000000000000000000000000000000000000000000000000000000000000";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("each_version_has_a_runtime_management_of_its_own", each_version_has_its_own),
        test("a_runtime_is_named_when_it_is_pinned", a_runtime_is_named_when_it_is_pinned),
    ]
}

fn management_of(function: &str) -> String {
    format!("/2021-07-20/functions/{function}/runtime-management-config")
}

async fn each_version_has_its_own(server: Arc<Server>) {
    server.create("f").await;
    server.post(&format!("{FUNCTIONS}/f/versions"), &json!({})).await.json(201);
    let automatic = |qualifier: &str| json!({"UpdateRuntimeOn": "Auto", "FunctionArn": arn(&format!("function:f:{qualifier}"))});
    assert_eq!(server.get(&management_of("f")).await.json(200), automatic("$LATEST"));
    let put = server.put(&management_of("f"), &json!({"UpdateRuntimeOn": "FunctionUpdate"})).await.json(200);
    let expected = json!({"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": arn("function:f:$LATEST")});
    assert_eq!(put, expected);
    let latest = format!("{}?Qualifier=$LATEST", management_of("f"));
    assert_eq!(server.get(&latest).await.json(200), expected);
    let version = format!("{}?Qualifier=1", management_of("f"));
    assert_eq!(server.get(&version).await.json(200), automatic("1"));
    let absent = server.get(&management_of("absent")).await.refusal(404, "ResourceNotFoundException");
    assert_eq!(absent, format!("Function not found: {}", arn("function:absent")));
}

async fn a_runtime_is_named_when_it_is_pinned(server: Arc<Server>) {
    server.create("f").await;
    let path = management_of("f");
    let pinned = json!({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": PINNED});
    let shown = server.put(&path, &pinned).await.json(200);
    assert_eq!(shown["RuntimeVersionArn"], PINNED);
    assert_eq!(server.get(&path).await.json(200), shown);
    for (mistake, text) in [
        (
            json!({"UpdateRuntimeOn": "Manual"}),
            "You must specify a RuntimeVersionArn when UpdateRuntimeOn is Manual.",
        ),
        (
            json!({"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": PINNED}),
            "You can specify a RuntimeVersionArn only when UpdateRuntimeOn is Manual.",
        ),
    ] {
        let refused = server.put(&path, &mistake).await;
        assert_eq!(refused.refusal(400, "InvalidParameterValueException"), text);
    }
    assert_eq!(server.get(&path).await.json(200), shown, "a refusal changes nothing");
}
