//! The Telemetry and Logs APIs: who may subscribe, and what is refused. What a subscription may say is tested
//! beside its parser.

use firesteel_runtime_api::telemetry::{Api, Destination};
use firesteel_runtime_api::{Call, ExtensionRefusal, PAYLOAD_LIMIT_BYTES, Refusal};
use uuid::{Uuid, uuid};

use crate::harness::Environment;

const ID: Uuid = uuid!("8476a536-e9f4-11e8-9739-2dfe598c3fcd");
const WHO: &str = "Lambda-Extension-Identifier: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n";

const APIS: [(Api, &str, &str); 2] =
    [(Api::Telemetry, "/2022-07-01/telemetry", "2022-07-01"), (Api::Logs, "/2020-08-15/logs", "2020-08-15")];

fn body(schema: &str) -> String {
    format!(
        r#"{{"schemaVersion":"{schema}","types":["function"],"destination":{{"protocol":"TCP","port":8080}}}}"#
    )
}

#[tokio::test]
async fn a_valid_subscription_is_taken() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (api, path, schema) in APIS {
        guest.request("PUT", path, WHO, body(schema)).await;
        let Call::Subscribe { extension, subscription, reply } = environment.call().await else {
            panic!("no subscription");
        };
        assert_eq!((extension, subscription.api), (ID, api));
        assert_eq!(subscription.destination, Destination::Tcp { port: 8080 });
        assert!(subscription.types.function && !subscription.types.platform && !subscription.types.extension);
        reply.send(Ok(())).unwrap();
        let answer = guest.answer().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "\"OK\""));
        assert_eq!(answer.header_lines(), ["Content-Type: application/json", "Content-Length: 4"]);
    }
}

#[tokio::test]
async fn an_invalid_subscription_never_reaches_the_lifecycle() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (_, path, schema) in APIS {
        for body in
            ["", "{", "7", "{}", &body("2018-01-01"), &body(schema).replace("function", "<functions>")]
        {
            guest.request("PUT", path, WHO, body).await;
            let answer = guest.answer().await;
            assert_eq!((answer.status, answer.header("Content-Type")), (400, Some("application/json")));
            let error: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(error["errorType"], "ValidationError", "for {body}");
            assert!(error["errorMessage"].as_str().is_some_and(|message| !message.is_empty()));
            assert!(answer.body.starts_with("{\"errorMessage\":") && answer.body.ends_with("}\n"));
            assert!(!answer.body.contains('<'), "{}", answer.body);
        }
        guest.request("PUT", path, WHO, vec![b' '; PAYLOAD_LIMIT_BYTES + 1]).await;
        assert_eq!(guest.answer().await.status, 413);
        let mut cut = environment.guest().await;
        cut.send(format!("PUT {path} HTTP/1.1\r\n{WHO}Content-Length: 999\r\n\r\n{}", body(schema))).await;
        cut.half_close().await;
        assert_eq!(cut.answer().await.status, 400);
    }
    assert!(environment.calls.is_empty());
}

#[tokio::test]
async fn what_the_lifecycle_refuses_is_told_in_the_words_of_the_api() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (api, path, schema) in APIS {
        let name = format!("{api:?}");
        for (refusal, error_type, message) in [
            (
                ExtensionRefusal::SubscriptionClosed,
                format!("{name}.SubscriptionClosed"),
                format!("{name} API subscription is closed already"),
            ),
            (
                ExtensionRefusal::UnknownIdentifier,
                "Extension.UnknownExtensionIdentifier".into(),
                format!("Unknown extension {ID}"),
            ),
        ] {
            guest.request("PUT", path, WHO, body(schema)).await;
            let Call::Subscribe { reply, .. } = environment.call().await else { panic!("no subscription") };
            reply.send(Err(Refusal::Extension(refusal))).unwrap();
            let answer = guest.answer().await;
            assert_eq!(answer.status, 403);
            assert_eq!(
                answer.body,
                format!("{{\"errorMessage\":\"{message}\",\"errorType\":\"{error_type}\"}}\n")
            );
        }
        let mut guest = environment.guest().await;
        guest.request("PUT", path, WHO, body(schema)).await;
        drop(environment.call().await);
        let answer = guest.answer().await;
        assert!(answer.status == 500 && answer.closes(), "{answer:?}");
    }
}
