//! Published versions.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, comparable, new_function, test, with};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_function_can_be_published_when_it_is_created", on_create),
        test("a_version_is_published_once_and_stays_as_it_is", lifecycle),
        test("only_the_code_that_was_seen_is_published", refused),
    ]
}

async fn publish(server: &Server, body: Value) -> Value {
    server.post(&format!("{FUNCTIONS}/f/versions"), &body).await.json(201)
}

async fn on_create(server: Arc<Server>) {
    let created = server.post(FUNCTIONS, &with(new_function("f"), json!({"Publish": true}))).await.json(201);
    assert_eq!((&created["Version"], &created["State"]), (&json!("1"), &json!("Pending")));
    assert_eq!(created["FunctionArn"], arn("function:f"));
    for name in ["f", "f:1"] {
        assert_eq!(server.settled(name).await["State"], "Active");
    }
    assert_eq!(server.invoke("f:1").await, json!({"event": {"n": 1}, "package": "f", "version": "1"}));
    assert_eq!(server.invoke("f").await["version"], "$LATEST");
    let again = publish(&server, json!({})).await;
    assert_eq!(again["Version"], "1");
    assert_eq!(again, server.settled("f:1").await);
}

async fn lifecycle(server: Arc<Server>) {
    server.create("f").await;
    let latest = server.settled("f").await;
    let first = publish(&server, json!({"Description": "first"})).await;
    let expected = json!({"Description": "first", "FunctionArn": arn("function:f:1"), "Version": "1"});
    assert_eq!(comparable(&first), comparable(&with(latest.clone(), &expected)));
    assert_ne!(first["RevisionId"], latest["RevisionId"]);
    assert_eq!(publish(&server, json!({"Description": "again"})).await, first);

    server.update_code("f", "other", json!({})).await;
    server.update_configuration("f", &json!({"Description": "second"})).await;
    assert_eq!(publish(&server, json!({})).await["Version"], "2");
    assert_eq!(server.invoke("f:1").await["package"], "f");
    assert_eq!(server.invoke("f:2").await["package"], "other");
    let whole = server.get(&format!("{FUNCTIONS}/f:1")).await.json(200);
    assert_eq!(whole["Configuration"], first);

    let listed = server.get(&format!("{FUNCTIONS}/f/versions")).await.json(200);
    let told = |member: &str| -> Vec<Value> {
        listed["Versions"].as_array().unwrap().iter().map(|version| version[member].clone()).collect()
    };
    assert_eq!(told("Version"), ["$LATEST", "1", "2"]);
    assert_eq!(told("Description"), ["second", "first", "second"]);
    assert_eq!(
        told("FunctionArn"),
        ["$LATEST", "1", "2"].map(|version| arn(&format!("function:f:{version}")))
    );
    for absent in ["State", "LastUpdateStatus", "RuntimeVersionConfig"] {
        assert_eq!(told(absent), [Value::Null, Value::Null, Value::Null], "{absent}");
    }
    let first = server.get(&format!("{FUNCTIONS}/f/versions?MaxItems=2")).await.json(200);
    let marker = first["NextMarker"].as_str().unwrap();
    let rest = server.get(&format!("{FUNCTIONS}/f/versions?Marker={marker}")).await.json(200);
    assert_eq!((&rest["Versions"][0]["Version"], rest.get("NextMarker")), (&json!("2"), None));
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let path = format!("{FUNCTIONS}/f/versions");
    let current = server.settled("f").await["CodeSha256"].as_str().unwrap().to_owned();
    let other_code = server.post(&path, &json!({"CodeSha256": "other"})).await;
    assert_eq!(
        other_code.refusal(400, "InvalidParameterValueException"),
        format!(
            "CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({current}). Please try again with \
             the CodeSHA256 in $LATEST."
        )
    );
    server.post(&path, &json!({"RevisionId": "past"})).await.refusal(412, "PreconditionFailedException");
    let elsewhere = server.post(&path, &json!({"PublishTo": "LATEST_PUBLISHED"})).await;
    elsewhere.refusal(400, "InvalidParameterValueException");
    assert_eq!(publish(&server, json!({"CodeSha256": current})).await["Version"], "1");
}
