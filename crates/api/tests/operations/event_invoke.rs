//! Settings of asynchronous invocation.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("put_replaces_asynchronous_settings_and_update_merges", put_replaces_and_update_merges),
        test("each_version_and_alias_has_asynchronous_settings_of_its_own", each_place_has_its_own),
        test("destinations_are_checked", destinations_are_checked),
        test("refusals_of_asynchronous_settings_are_as_recorded", refused),
    ]
}

fn config_of(function: &str) -> String {
    format!("/2019-09-25/functions/{function}/event-invoke-config")
}

/// The answer, without the moment, which is checked to be one.
fn settings(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let modified = answer.as_object_mut().unwrap().remove("LastModified").unwrap();
    assert!(modified.as_f64().unwrap() > 1.7e9, "seconds: {modified}");
    answer
}

async fn put_replaces_and_update_merges(server: Arc<Server>) {
    server.create("f").await;
    let path = config_of("f");
    let arn = arn("function:f:$LATEST");
    let none = json!({"OnFailure": {}, "OnSuccess": {}});
    let put = server.put(&path, &json!({"MaximumRetryAttempts": 0})).await.json(200);
    let expected = json!({"DestinationConfig": none, "FunctionArn": arn, "MaximumRetryAttempts": 0});
    assert_eq!(settings(&put), expected);
    let put = server.put(&path, &json!({"MaximumEventAgeInSeconds": 60})).await.json(200);
    let expected = json!({"DestinationConfig": none, "FunctionArn": arn, "MaximumEventAgeInSeconds": 60});
    assert_eq!(settings(&put), expected);
    let updated = server.post(&path, &json!({"MaximumRetryAttempts": 1})).await.json(200);
    let expected = json!({
        "DestinationConfig": none, "FunctionArn": arn, "MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1,
    });
    assert_eq!(settings(&updated), expected);
    for path in [path.clone(), format!("{path}?Qualifier=$LATEST")] {
        assert_eq!(settings(&server.get(&path).await.json(200)), expected);
    }
    server.delete(&path).await.nothing();
    server.get(&path).await.refusal(404, "ResourceNotFoundException");
}

async fn each_place_has_its_own(server: Arc<Server>) {
    server.create("f").await;
    server.post(&format!("{FUNCTIONS}/f/versions"), &json!({})).await.json(201);
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    server.post(&format!("{FUNCTIONS}/f/aliases"), &alias).await.json(201);
    let once = json!({"MaximumRetryAttempts": 1});
    for name in ["f", "f:1", "f:prod"] {
        server.put(&config_of(name), &once).await.json(200);
    }
    let list = format!("{}/list", config_of("f"));
    let all = server.get(&list).await.json(200);
    let arns = |page: &Value| -> Vec<Value> {
        let configs = page["FunctionEventInvokeConfigs"].as_array().unwrap();
        configs.iter().map(|config| config["FunctionArn"].clone()).collect()
    };
    let expected = ["$LATEST", "1", "prod"].map(|place| json!(arn(&format!("function:f:{place}"))));
    assert_eq!(arns(&all), expected);
    assert_eq!(all.get("NextMarker"), None);
    let first = server.get(&format!("{list}?MaxItems=2")).await.json(200);
    assert_eq!(arns(&first), expected[..2]);
    let marker = first["NextMarker"].as_str().unwrap();
    let second = server.get(&format!("{list}?MaxItems=2&Marker={marker}")).await.json(200);
    assert_eq!(arns(&second), expected[2..]);
}

async fn destinations_are_checked(server: Arc<Server>) {
    server.create("f").await;
    server.create("g").await;
    let destination = |arn: &str| json!({"DestinationConfig": {"OnSuccess": {"Destination": arn}}});
    let other = server.put(&config_of("f"), &destination(&arn("function:g"))).await.json(200);
    let shown = json!({"OnFailure": {}, "OnSuccess": {"Destination": arn("function:g")}});
    assert_eq!(other["DestinationConfig"], shown);
    let empty = server.put(&config_of("f"), &json!({"DestinationConfig": {"OnSuccess": {}}})).await.json(200);
    assert_eq!(empty["DestinationConfig"], json!({"OnFailure": {}, "OnSuccess": {}}));
    let elsewhere = "arn:aws:iam:eu-west-1:111122223333:function:f";
    for (given, text) in [
        (arn("function:f"), "You can't specify the function as a destination for itself.".to_owned()),
        (arn("function:absent"), format!("The destination ARN {} is invalid.", arn("function:absent"))),
        (
            elsewhere.to_owned(),
            format!(
                "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={elsewhere}), \
                 onFailure=null) is invalid."
            ),
        ),
    ] {
        let refused = server.put(&config_of("f"), &destination(&given)).await;
        assert_eq!(refused.refusal(400, "InvalidParameterValueException"), text);
    }
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let nothing = server.put(&config_of("f"), &json!({})).await;
    assert_eq!(
        nothing.refusal(400, "InvalidParameterValueException"),
        "You must specify at least one of error handling or destination setting."
    );
    let once = json!({"MaximumRetryAttempts": 1});
    for name in ["absent", "f:absent"] {
        let putting = server.put(&config_of(name), &once).await;
        assert_eq!(putting.refusal(404, "ResourceNotFoundException"), "The function doesn't exist.");
    }
    let without = |place: &str| format!("The function {} doesn't have an EventInvokeConfig", arn(place));
    for (name, place) in [
        ("f", "function:f:$LATEST"),
        ("f:absent", "function:f:absent"),
        ("absent", "function:absent:$LATEST"),
    ] {
        let getting = server.get(&config_of(name)).await;
        assert_eq!(getting.refusal(404, "ResourceNotFoundException"), without(place));
        let deleting = server.delete(&config_of(name)).await;
        assert_eq!(deleting.refusal(404, "ResourceNotFoundException"), without(place));
    }
    let updating = server.post(&config_of("f"), &once).await;
    assert_eq!(updating.refusal(404, "ResourceNotFoundException"), without("function:f:$LATEST"));
    let listing = server.get(&format!("{}/list", config_of("absent"))).await;
    assert_eq!(listing.refusal(404, "ResourceNotFoundException"), "The function doesn't exist.");
}
