//! Settings of functions, as they were asked for and as they are shown; and those of the account.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, new_function, test, with};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("what_was_asked_for_is_shown", asked),
        test("an_update_changes_what_it_names", updated),
        test("log_levels_come_and_go_with_json", logging),
        test("snapshots_are_of_published_versions", snap_start),
        test("the_account_is_told_what_it_has", account),
    ]
}

fn settings() -> Value {
    json!({
        "Description": "d",
        "Timeout": 20,
        "MemorySize": 256,
        "EphemeralStorage": {"Size": 1024},
        "Architectures": ["arm64"],
        "Environment": {"Variables": {"KEY": "value"}},
        "KMSKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/k",
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:eu-west-1:111122223333:q"},
        "TracingConfig": {"Mode": "Active"},
        "FileSystemConfigs": [{
            "Arn": "arn:aws:elasticfilesystem:eu-west-1:111122223333:access-point/fsap-11111111111111111",
            "LocalMountPath": "/mnt/files",
        }],
        "LoggingConfig": {
            "LogFormat": "JSON",
            "ApplicationLogLevel": "WARN",
            "SystemLogLevel": "DEBUG",
            "LogGroup": "group",
        },
    })
}

/// Members that are shown as they are asked for.
#[track_caller]
fn check(shown: &Value, expected: &Value) {
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[member], value, "{member}");
    }
}

async fn asked(server: Arc<Server>) {
    let vpc = json!({"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]});
    let asked = with(with(new_function("f"), settings()), json!({"VpcConfig": vpc}));
    let created = server.post(FUNCTIONS, &asked).await.json(201);
    check(&created, &settings());
    let shown = json!({
        "SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "Ipv6AllowedForDualStack": false,
    });
    assert_eq!(created["VpcConfig"], shown);
    let settled = server.settled("f").await;
    check(&settled, &with(settings(), json!({"State": "Active", "VpcConfig": shown})));
}

async fn updated(server: Arc<Server>) {
    server.create("f").await;
    let update =
        with(settings(), json!({"Role": "arn:aws:iam::111122223333:role/other", "Handler": "other"}));
    let mut expected = update.clone();
    // It is the code's, and so not among what is updated here.
    expected["Architectures"] = json!(["x86_64"]);
    check(&server.update_configuration("f", &update).await, &expected);

    let taken_away = json!({
        "Environment": {"Variables": {}},
        "KMSKeyArn": "",
        "DeadLetterConfig": {},
        "FileSystemConfigs": [],
        "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
        "Layers": [],
        "Description": "",
    });
    let left = server.update_configuration("f", &taken_away).await;
    for absent in ["KMSKeyArn", "DeadLetterConfig", "FileSystemConfigs", "Layers"] {
        assert_eq!(left.get(absent), None, "{absent}");
    }
    let vpc = json!({
        "SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": false, "VpcId": "",
    });
    check(
        &left,
        &json!({"Environment": {"Variables": {}}, "VpcConfig": vpc, "Description": "", "Timeout": 20}),
    );
}

async fn logging(server: Arc<Server>) {
    server.create("f").await;
    let text = json!({"LogFormat": "Text", "LogGroup": "/aws/lambda/f"});
    let json_with = |application: &str| {
        json!({
            "LogFormat": "JSON",
            "LogGroup": "/aws/lambda/f",
            "ApplicationLogLevel": application,
            "SystemLogLevel": "INFO",
        })
    };
    for (update, expected) in [
        (json!({"LogFormat": "JSON"}), json_with("INFO")),
        (json!({"ApplicationLogLevel": "TRACE"}), json_with("TRACE")),
        (json!({"LogFormat": "Text"}), text),
    ] {
        let updated = server.update_configuration("f", &json!({"LoggingConfig": update})).await;
        assert_eq!(updated["LoggingConfig"], expected);
    }
}

async fn snap_start(server: Arc<Server>) {
    let request = with(new_function("f"), json!({"Runtime": "python3.12"}));
    server.post(FUNCTIONS, &request).await.json(201);
    server.settled("f").await;
    let apply = json!({"SnapStart": {"ApplyOn": "PublishedVersions"}});
    let updated = server.put(&format!("{FUNCTIONS}/f/configuration"), &apply).await.json(200);
    let of = |status: &str| json!({"ApplyOn": "PublishedVersions", "OptimizationStatus": status});
    assert_eq!(updated["SnapStart"], of("Off"));
    server.settled("f").await;
    let published = server.post(&format!("{FUNCTIONS}/f/versions"), &json!({})).await.json(201);
    assert_eq!(published["SnapStart"], of("On"));
    let back = json!({"Runtime": "python3.9", "SnapStart": {"ApplyOn": "PublishedVersions"}});
    let refusal = server.put(&format!("{FUNCTIONS}/f/configuration"), &back).await;
    assert_eq!(
        refusal.refusal(400, "InvalidParameterValueException"),
        "python3.9 is not supported for SnapStart enabled functions."
    );
}

async fn account(server: Arc<Server>) {
    server.create("f").await;
    let size = server.settled("f").await["CodeSize"].clone();
    let settings = server.get("/2016-08-19/account-settings").await.json(200);
    let expected = json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 1000,
        },
        "AccountUsage": {"TotalCodeSize": size, "FunctionCount": 1},
    });
    assert_eq!(settings, expected);
}
