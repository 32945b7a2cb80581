//! Tags.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, new_function, test, with};

const TAGS: &str = "/2017-03-31/tags";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_function_is_tagged_and_untagged", lifecycle),
        test("what_cannot_be_tagged_is_refused", refused),
    ]
}

fn path(resource: &str) -> String {
    format!("{TAGS}/{}", arn(resource).replace(':', "%3A"))
}

async fn lifecycle(server: Arc<Server>) {
    let asked = with(new_function("f"), json!({"Tags": {"a": "1"}}));
    server.post(FUNCTIONS, &asked).await.json(201);
    let path = path("function:f");
    let tags = async |server: &Server| server.get(&path).await.json(200)["Tags"].clone();
    let whole = async |server: &Server| server.get(&format!("{FUNCTIONS}/f")).await.json(200);
    assert_eq!(tags(&server).await, json!({"a": "1"}));
    server.post(&path, &json!({"Tags": {"a": "2", "b": "3"}})).await.nothing();
    assert_eq!(tags(&server).await, json!({"a": "2", "b": "3"}));
    assert_eq!(whole(&server).await["Tags"], json!({"a": "2", "b": "3"}));
    server.delete(&format!("{path}?tagKeys=a&tagKeys=b&tagKeys=c")).await.nothing();
    assert_eq!(tags(&server).await, json!({}));
    assert_eq!(whole(&server).await.get("Tags"), None);
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let many = |count: usize| {
        let tags = (0..count).map(|number| (format!("k{number}"), json!("v")));
        json!({"Tags": Value::Object(tags.collect())})
    };
    let one = json!({"Tags": {"a": "1"}});
    for (resource, body, status, error_type, text) in [
        (
            "function:f:prod",
            &one,
            400,
            "InvalidParameterValueException",
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
                .to_owned(),
        ),
        (
            "function:g",
            &one,
            404,
            "ResourceNotFoundException",
            format!("Function not found: {}", arn("function:g")),
        ),
        (
            "capacity-provider:p",
            &one,
            404,
            "ResourceNotFoundException",
            format!("Capacity provider not found: {}", arn("capacity-provider:p")),
        ),
        (
            "function:f",
            &many(51),
            400,
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.".to_owned(),
        ),
        (
            "function:f",
            &json!({"Tags": {}}),
            400,
            "InvalidParameterValueException",
            "An error occurred and the request cannot be processed.".to_owned(),
        ),
    ] {
        assert_eq!(server.post(&path(resource), body).await.refusal(status, error_type), text);
    }
    let keys = server.delete(&path("function:f")).await.refusal(400, "ValidationException");
    assert_eq!(
        keys,
        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member must not be null"
    );
    let tagged = with(new_function("g"), many(51));
    server.post(FUNCTIONS, &tagged).await.refusal(400, "InvalidParameterValueException");
    server.get(&format!("{FUNCTIONS}/g")).await.refusal(404, "ResourceNotFoundException");
}
