//! Configurations of function URLs.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, test};

const ABSENT: &str = "The resource you requested does not exist.";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_url_lives", a_url_lives),
        test("cors_settings_come_and_go", cors_settings_come_and_go),
        test("aliases_have_urls_of_their_own", aliases_have_urls_of_their_own),
        test("refusals_of_urls_are_as_recorded", refused),
    ]
}

fn url_of(function: &str) -> String {
    format!("/2021-10-31/functions/{function}/url")
}

/// The answer, with `<date>` for moments that are ISO 8601 and `<url>` for a URL of this server's.
fn shown(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for member in ["CreationTime", "LastModifiedTime"] {
        let Some(moment) = answer.get_mut(member) else { continue };
        moment.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        *moment = json!("<date>");
    }
    let url = answer.get_mut("FunctionUrl").unwrap();
    let id = url.as_str().unwrap().strip_prefix("http://").unwrap();
    let id = id.strip_suffix(".lambda-url.eu-west-1.localhost:9000/").unwrap();
    assert_eq!(id.len(), 32, "{id}");
    *url = json!("<url>");
    answer
}

async fn a_url_lives(server: Arc<Server>) {
    server.create("f").await;
    let made = server.post(&url_of("f"), &json!({"AuthType": "NONE"})).await.json(201);
    let expected = json!({
        "FunctionUrl": "<url>", "FunctionArn": arn("function:f"), "AuthType": "NONE", "CreationTime": "<date>",
    });
    assert_eq!(shown(&made), expected, "the invoke mode is shown to those that said one");
    let got = server.get(&url_of("f")).await.json(200);
    let expected = json!({
        "FunctionUrl": "<url>", "FunctionArn": arn("function:f"), "AuthType": "NONE", "CreationTime": "<date>",
        "LastModifiedTime": "<date>", "InvokeMode": "BUFFERED",
    });
    assert_eq!(shown(&got), expected);
    let signed = server.put(&url_of("f"), &json!({"AuthType": "AWS_IAM"})).await.json(200);
    let expected = json!({
        "FunctionUrl": "<url>", "FunctionArn": arn("function:f"), "AuthType": "AWS_IAM",
        "CreationTime": "<date>", "LastModifiedTime": "<date>",
    });
    assert_eq!(shown(&signed), expected);
    let streamed = server.put(&url_of("f"), &json!({"InvokeMode": "RESPONSE_STREAM"})).await.json(200);
    assert_eq!(streamed["InvokeMode"], "RESPONSE_STREAM");
    let signed = server.put(&url_of("f"), &json!({"AuthType": "AWS_IAM"})).await.json(200);
    assert_eq!(signed["InvokeMode"], "RESPONSE_STREAM", "once it was chosen, it is shown");
    let got = server.get(&url_of("f")).await.json(200);
    assert_eq!((&got["AuthType"], &got["InvokeMode"]), (&json!("AWS_IAM"), &json!("RESPONSE_STREAM")));
    assert_eq!(got["FunctionUrl"], made["FunctionUrl"], "changes leave it where it is");

    server.delete(&url_of("f")).await.nothing();
    assert_eq!(server.get(&url_of("f")).await.refusal(404, "ResourceNotFoundException"), ABSENT);
    let again = server.post(&url_of("f"), &json!({"AuthType": "NONE"})).await.json(201);
    assert_ne!(again["FunctionUrl"], made["FunctionUrl"]);
}

async fn cors_settings_come_and_go(server: Arc<Server>) {
    server.create("f").await;
    let cors =
        json!({"AllowCredentials": true, "AllowOrigins": ["*"], "AllowMethods": ["GET"], "MaxAge": 60});
    let made = server.post(&url_of("f"), &json!({"AuthType": "NONE", "Cors": cors})).await.json(201);
    assert_eq!(made["Cors"], cors);
    assert_eq!(server.get(&url_of("f")).await.json(200)["Cors"], cors);
    let kept = server.put(&url_of("f"), &json!({"AuthType": "AWS_IAM"})).await.json(200);
    assert_eq!(kept["Cors"], cors);
    let without = server.put(&url_of("f"), &json!({"Cors": {}})).await.json(200);
    assert_eq!(without.get("Cors"), None);
}

async fn aliases_have_urls_of_their_own(server: Arc<Server>) {
    server.create("f").await;
    server.post(&format!("{FUNCTIONS}/f/versions"), &json!({})).await.json(201);
    let alias = json!({"Name": "prod", "FunctionVersion": "1"});
    server.post(&format!("{FUNCTIONS}/f/aliases"), &alias).await.json(201);
    let list = format!("{}s", url_of("f"));
    assert_eq!(server.get(&list).await.json(200), json!({"FunctionUrlConfigs": []}));
    let open = json!({"AuthType": "NONE"});
    server.post(&url_of("f"), &open).await.json(201);
    let of_alias = server.post(&format!("{}?Qualifier=prod", url_of("f")), &open).await.json(201);
    assert_eq!(of_alias["FunctionArn"], arn("function:f:prod"));
    let arns = |page: &Value| -> Vec<Value> {
        let configs = page["FunctionUrlConfigs"].as_array().unwrap();
        configs.iter().map(|config| config["FunctionArn"].clone()).collect()
    };
    let first = server.get(&format!("{list}?MaxItems=1")).await.json(200);
    assert_eq!(arns(&first), [arn("function:f")]);
    let marker = first["NextMarker"].as_str().unwrap();
    let second = server.get(&format!("{list}?Marker={marker}")).await.json(200);
    assert_eq!(arns(&second), [arn("function:f:prod")]);
    assert_eq!(second.get("NextMarker"), None);
    server.delete(&url_of("f")).await.nothing();
    assert_eq!(arns(&server.get(&list).await.json(200)), [arn("function:f:prod")]);
    server.delete(&format!("{FUNCTIONS}/f/aliases/prod")).await.nothing();
    assert_eq!(server.get(&list).await.json(200), json!({"FunctionUrlConfigs": []}));
    let gone = server.get(&format!("{}?Qualifier=prod", url_of("f"))).await;
    assert_eq!(gone.refusal(404, "ResourceNotFoundException"), ABSENT);
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let open = json!({"AuthType": "NONE"});
    for path in [url_of("absent"), format!("{}?Qualifier=absent", url_of("f"))] {
        for answer in [server.post(&path, &open).await, server.put(&path, &open).await] {
            assert_eq!(answer.refusal(404, "ResourceNotFoundException"), "Function does not exist");
        }
        for answer in [server.get(&path).await, server.delete(&path).await] {
            assert_eq!(answer.refusal(404, "ResourceNotFoundException"), ABSENT);
        }
    }
    for qualifier in ["1", "$LATEST"] {
        let path = format!("{}?Qualifier={qualifier}", url_of("f"));
        let text = format!(
            "1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: Member \
             must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
        );
        for answer in [
            server.post(&path, &open).await,
            server.get(&path).await,
            server.put(&path, &open).await,
            server.delete(&path).await,
        ] {
            assert_eq!(answer.refusal(400, "ValidationException"), text);
        }
    }
    let updating = server.put(&url_of("f"), &open).await;
    assert_eq!(updating.refusal(404, "ResourceNotFoundException"), ABSENT);
    server.post(&url_of("f"), &open).await.json(201);
    assert_eq!(
        server.post(&url_of("f"), &open).await.refusal(409, "ResourceConflictException"),
        format!(
            "Failed to create function url config for [functionArn = {}]. Error message:  FunctionUrlConfig \
             exists for this Lambda function",
            arn("function:f")
        )
    );
    let listing = server.get(&format!("{}s", url_of("absent"))).await;
    assert_eq!(listing.refusal(404, "ResourceNotFoundException"), "Function does not exist");
}
