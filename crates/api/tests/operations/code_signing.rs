//! Code signing configurations, and the functions that use them.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{Server, arn, comparable, test};

const CONFIGS: &str = "/2020-04-22/code-signing-configs";
const PROFILE: &str = "arn:aws:signer:eu-west-1:111122223333:/signing-profiles/test";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_code_signing_configuration_lives", a_configuration_lives),
        test("functions_use_code_signing_configurations", functions_use_configurations),
        test("refusals_of_code_signing_are_as_recorded", refused),
    ]
}

fn config_of(function: &str) -> String {
    format!("/2020-06-30/functions/{function}/code-signing-config")
}

async fn create(server: &Server) -> (Value, String) {
    let new = json!({
        "Description": "d",
        "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"},
    });
    let config = server.post(CONFIGS, &new).await.json(201)["CodeSigningConfig"].clone();
    let arn = config["CodeSigningConfigArn"].as_str().unwrap().to_owned();
    (config, arn)
}

async fn a_configuration_lives(server: Arc<Server>) {
    let (config, arn) = create(&server).await;
    let id = arn.rsplit(':').next().unwrap();
    assert_eq!((&id[..4], id.len()), ("csc-", 21));
    let expected = |description: &str, policy: &str| {
        json!({
            "CodeSigningConfigId": id,
            "CodeSigningConfigArn": arn,
            "Description": description,
            "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]},
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy},
            "LastModified": "<date>",
        })
    };
    assert_eq!(comparable(&config), expected("d", "Enforce"));
    let path = format!("{CONFIGS}/{arn}");
    assert_eq!(server.get(&path).await.json(200), json!({"CodeSigningConfig": config}));
    let unchanged = server.put(&path, &json!({})).await.json(200);
    assert_eq!(comparable(&unchanged["CodeSigningConfig"]), expected("d", "Enforce"));
    let warn = json!({"Description": "e", "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"}});
    let updated = server.put(&path, &warn).await.json(200);
    assert_eq!(comparable(&updated["CodeSigningConfig"]), expected("e", "Warn"));
    let listed = server.get(CONFIGS).await.json(200);
    assert_eq!(comparable(&listed), json!({"CodeSigningConfigs": [expected("e", "Warn")]}));
    server.delete(&path).await.nothing();
    assert_eq!(server.get(CONFIGS).await.json(200), json!({"CodeSigningConfigs": []}));
}

async fn functions_use_configurations(server: Arc<Server>) {
    server.create("f").await;
    let (_, config_arn) = create(&server).await;
    let users = format!("{CONFIGS}/{config_arn}/functions");
    assert_eq!(server.get(&users).await.json(200), json!({"FunctionArns": []}));
    assert_eq!(server.get(&config_of("f")).await.json(200), json!({}));
    server.delete(&config_of("f")).await.nothing();

    let used = json!({"CodeSigningConfigArn": config_arn, "FunctionName": "f"});
    let put = json!({"CodeSigningConfigArn": config_arn});
    assert_eq!(server.put(&config_of("f"), &put).await.json(200), used);
    assert_eq!(server.get(&config_of("f")).await.json(200), used);
    assert_eq!(server.get(&users).await.json(200), json!({"FunctionArns": [arn("function:f")]}));
    let path = format!("{CONFIGS}/{config_arn}");
    server.delete(&path).await.refusal(409, "ResourceConflictException");
    server.delete(&config_of("f")).await.nothing();
    server.delete(&path).await.nothing();
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let absent = arn("code-signing-config:csc-00000000000000000");
    let path = format!("{CONFIGS}/{absent}");
    let text = format!("The Lambda code signing configuration {absent} can not be found.");
    for answer in [
        server.get(&path).await,
        server.put(&path, &json!({})).await,
        server.delete(&path).await,
        server.get(&format!("{path}/functions")).await,
    ] {
        assert_eq!(answer.refusal(404, "ResourceNotFoundException"), text);
        assert_eq!(answer.json(404), json!({"Message": text}), "without a Type");
    }
    let using = json!({"CodeSigningConfigArn": absent});
    let text = format!(
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: \
         {absent}."
    );
    for name in ["f", "absent"] {
        let putting = server.put(&config_of(name), &using).await;
        assert_eq!(putting.refusal(404, "CodeSigningConfigNotFoundException"), text);
    }
    let (_, present) = create(&server).await;
    let text = format!("Function not found: {}", arn("function:absent"));
    for answer in [
        server.put(&config_of("absent"), &json!({"CodeSigningConfigArn": present})).await,
        server.get(&config_of("absent")).await,
        server.delete(&config_of("absent")).await,
    ] {
        assert_eq!(answer.refusal(404, "ResourceNotFoundException"), text);
    }
}
