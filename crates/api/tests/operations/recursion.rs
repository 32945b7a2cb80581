//! Recursion configuration.

use std::sync::Arc;

use libtest_mimic::Trial;
use serde_json::json;

use crate::harness::{Server, arn, test};

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("loops_are_terminated_unless_they_are_allowed", loops_are_terminated)]
}

fn recursion_of(function: &str) -> String {
    format!("/2024-08-31/functions/{function}/recursion-config")
}

async fn loops_are_terminated(server: Arc<Server>) {
    server.create("f").await;
    let path = recursion_of("f");
    assert_eq!(server.get(&path).await.json(200), json!({"RecursiveLoop": "Terminate"}));
    for chosen in ["Allow", "Terminate"] {
        let chosen = json!({"RecursiveLoop": chosen});
        assert_eq!(server.put(&path, &chosen).await.json(200), chosen);
        assert_eq!(server.get(&path).await.json(200), chosen);
    }
    let invalid = server.put(&path, &json!({"RecursiveLoop": "InvalidValue"})).await;
    assert_eq!(
        invalid.refusal(400, "ValidationException"),
        "1 validation error detected: Value 'InvalidValue' at 'recursiveLoop' failed to satisfy constraint: \
         Member must satisfy enum value set: [Terminate, Allow]"
    );
    let absent = recursion_of("absent");
    let text = format!("Function not found: {}", arn("function:absent"));
    assert_eq!(server.get(&absent).await.refusal(404, "ResourceNotFoundException"), text);
    let putting = server.put(&absent, &json!({"RecursiveLoop": "Allow"})).await;
    assert_eq!(putting.refusal(404, "ResourceNotFoundException"), text);
}
