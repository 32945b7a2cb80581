//! Aliases. Answers are those that were recorded of the service.

use std::collections::BTreeSet;
use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, comparable, test};

const ALIASES: &str = "/2015-03-31/functions/f/aliases";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("an_alias_leads_to_the_version_it_points_to", lifecycle),
        test("a_weighted_alias_leads_to_both_its_versions", weighted),
        test("routing_that_cannot_be_is_refused", refused),
        test("an_alias_that_there_is_not_has_many_words", missing),
    ]
}

/// A function with versions 1 and 2.
async fn two_versions(server: &Server) {
    server.create("f").await;
    server.update_code("f", "one", json!({"Publish": true})).await;
    server.settled("f:1").await;
    server.update_code("f", "two", json!({"Publish": true})).await;
    server.settled("f:2").await;
}

fn shown(name: &str, version: &str, description: &str) -> Value {
    json!({
        "AliasArn": arn(&format!("function:f:{name}")),
        "Description": description,
        "FunctionVersion": version,
        "Name": name,
        "RevisionId": "<revision>",
    })
}

async fn lifecycle(server: Arc<Server>) {
    two_versions(&server).await;
    let asked = json!({"Name": "prod", "FunctionVersion": "1", "Description": "d"});
    let created = server.post(ALIASES, &asked).await.json(201);
    assert_eq!(comparable(&created), shown("prod", "1", "d"));
    let path = format!("{ALIASES}/prod");
    assert_eq!(server.get(&path).await.json(200), created);
    assert_eq!(server.invoke("f:prod").await["version"], "1");
    let whole = server.get(&format!("{FUNCTIONS}/f:prod")).await.json(200);
    let (shown_arn, version) = (&whole["Configuration"]["FunctionArn"], &whole["Configuration"]["Version"]);
    assert_eq!((shown_arn, version), (&json!(arn("function:f:prod")), &json!("1")));

    let update = json!({"FunctionVersion": "2", "RevisionId": created["RevisionId"]});
    let updated = server.put(&path, &update).await.json(200);
    assert_eq!(comparable(&updated), shown("prod", "2", "d"));
    assert_ne!(updated["RevisionId"], created["RevisionId"]);
    server.put(&path, &update).await.refusal(412, "PreconditionFailedException");
    assert_eq!(server.invoke("f:prod").await["version"], "2");

    server.post(ALIASES, &json!({"Name": "latest", "FunctionVersion": "$LATEST"})).await.json(201);
    let listed = server.get(ALIASES).await.json(200);
    let expected = [shown("latest", "$LATEST", ""), shown("prod", "2", "d")];
    assert_eq!(comparable(&listed), json!({"Aliases": expected}));
    let of_version = server.get(&format!("{ALIASES}?FunctionVersion=2")).await.json(200);
    assert_eq!(comparable(&of_version), json!({"Aliases": [shown("prod", "2", "d")]}));
    let first = server.get(&format!("{ALIASES}?MaxItems=1")).await.json(200);
    let marker = first["NextMarker"].as_str().unwrap();
    let second = server.get(&format!("{ALIASES}?MaxItems=1&Marker={marker}")).await.json(200);
    assert_eq!((&second["Aliases"][0]["Name"], second.get("NextMarker")), (&json!("prod"), None));

    server.delete(&path).await.nothing();
    server.delete(&path).await.nothing();
    server.get(&path).await.refusal(404, "ResourceNotFoundException");
}

async fn weighted(server: Arc<Server>) {
    two_versions(&server).await;
    let routing = json!({"AdditionalVersionWeights": {"2": 0.5}});
    let asked = json!({"Name": "both", "FunctionVersion": "1", "RoutingConfig": routing});
    let created = server.post(ALIASES, &asked).await.json(201);
    assert_eq!(created["RoutingConfig"], routing);
    let mut ran = BTreeSet::new();
    // Of a fair coin one side alone comes up less than once in 2^60 times.
    for _ in 0..60 {
        ran.insert(server.invoke("f:both").await["version"].as_str().unwrap().to_owned());
        if ran.len() == 2 {
            break;
        }
    }
    assert_eq!(ran, BTreeSet::from(["1".to_owned(), "2".to_owned()]));
    let unshared = server.put(&format!("{ALIASES}/both"), &json!({"RoutingConfig": {}})).await.json(200);
    assert_eq!(comparable(&unshared), shown("both", "1", ""));
}

async fn refused(server: Arc<Server>) {
    two_versions(&server).await;
    let weights = |name: &str, version: &str, weights: Value| {
        let routing = json!({"AdditionalVersionWeights": weights});
        json!({"Name": name, "FunctionVersion": version, "RoutingConfig": routing})
    };
    let map_value = "failed to satisfy constraint: Map value must satisfy constraint: [Member must have value less \
                     than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]";
    for (body, error_type, text) in [
        (
            weights("x", "1", json!({"1": 0.1, "2": 0.1})),
            "InvalidParameterValueException",
            "Number of items in AdditionalVersionWeights cannot be greater than 1".to_owned(),
        ),
        (
            weights("x", "1", json!({"2": 2.0})),
            "ValidationException",
            format!(
                "1 validation error detected: Value '{{2=2.0}}' at 'routingConfig.additionalVersionWeights' {map_value}"
            ),
        ),
        (
            weights("x", "1", json!({"1": 0.5})),
            "InvalidParameterValueException",
            "Invalid function version 1. Function version 1 is already included in routing configuration.".to_owned(),
        ),
        (
            json!({"Name": "2024", "FunctionVersion": "1"}),
            "ValidationException",
            "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
                .to_owned(),
        ),
    ] {
        assert_eq!(server.post(ALIASES, &body).await.refusal(400, error_type), text);
    }
    let latest = server.post(ALIASES, &weights("x", "$LATEST", json!({"2": 0.5}))).await.json(400);
    let text = "$LATEST is not supported for an alias pointing to more than 1 version";
    assert_eq!(latest, json!({"message": text}), "recorded without a Type");
    for (body, version) in [
        (json!({"Name": "x", "FunctionVersion": "10"}), "10"),
        (json!({"Name": "x", "FunctionVersion": "0"}), "0"),
        (weights("x", "1", json!({"10": 0.5})), "10"),
    ] {
        let refusal = server.post(ALIASES, &body).await.refusal(404, "ResourceNotFoundException");
        assert_eq!(refusal, format!("Function not found: {}", arn(&format!("function:f:{version}"))));
    }
    let asked = json!({"Name": "x", "FunctionVersion": "1"});
    server.post(ALIASES, &asked).await.json(201);
    let again = server.post(ALIASES, &asked).await.refusal(409, "ResourceConflictException");
    assert_eq!(again, format!("Alias already exists: {}", arn("function:f:x")));
}

async fn missing(server: Arc<Server>) {
    server.create("f").await;
    let path = format!("{ALIASES}/x");
    let words = |text: &str| format!("{text}: {}", arn("function:f:x"));
    let get = server.get(&path).await.refusal(404, "ResourceNotFoundException");
    assert_eq!(get, words("Cannot find alias arn"));
    let update = server.put(&path, &json!({"Description": "d"})).await;
    assert_eq!(update.refusal(404, "ResourceNotFoundException"), words("Alias not found"));
    server.delete(&path).await.nothing();
    let of_no_function = json!({"Name": "x", "FunctionVersion": "1"});
    let create = server.post(&format!("{FUNCTIONS}/g/aliases"), &of_no_function).await;
    assert_eq!(
        create.refusal(404, "ResourceNotFoundException"),
        format!("Function not found: {}", arn("function:g:1"))
    );
}
