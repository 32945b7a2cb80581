//! `next`, ping and the metadata endpoint: what is delivered, header by header.

use bytes::Bytes;
use firesteel_runtime_api::{Delivery, PAYLOAD_LIMIT_BYTES};

use crate::harness::{BASE, Environment, event};

#[tokio::test]
async fn a_full_event_has_every_header_in_canonical_case() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.get(&format!("{BASE}/invocation/next")).await;
    let full = Delivery {
        invocation_id: Some("attempt-1".into()),
        trace_id: Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1".into()),
        client_context: Some("{\"custom\":\n  {\"k\":\"\u{e9}\"}}".into()),
        cognito_identity: Some(r#"{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}"#.into()),
        tenant_id: Some("blue".into()),
        content_type: "text/plain".into(),
        ..event("payload")
    };
    environment.next_reply().await.send(Ok(full)).unwrap();
    let answer = guest.answer().await;
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 200 OK"));
    assert_eq!(
        answer.header_lines(),
        [
            "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Invocation-Id: attempt-1",
            "Lambda-Runtime-Deadline-Ms: 1542409706888",
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:f",
            "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1",
            "Lambda-Runtime-Client-Context: {\"custom\":   {\"k\":\"\u{e9}\"}}",
            "Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\",\"cognitoIdentityPoolId\":\"p\"}",
            "Lambda-Runtime-Aws-Tenant-Id: blue",
            "Content-Type: text/plain",
            "Content-Length: 7",
        ]
    );
    assert_eq!(answer.body, "payload");
}

#[tokio::test]
async fn what_is_absent_or_empty_is_left_out() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.get(&format!("{BASE}/invocation/next")).await;
    let empty = Delivery { trace_id: Some(String::new()), ..event("") };
    environment.next_reply().await.send(Ok(empty)).unwrap();
    let answer = guest.answer().await;
    let names: Vec<_> = answer.header_lines().iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "Lambda-Runtime-Aws-Request-Id",
            "Lambda-Runtime-Deadline-Ms",
            "Lambda-Runtime-Invoked-Function-Arn",
            "Content-Type",
            "Content-Length",
        ]
    );
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
}

#[tokio::test]
async fn the_largest_event_is_delivered_whole() {
    let mut environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.get(&format!("{BASE}/invocation/next")).await;
    let payload = Bytes::from(vec![b'x'; PAYLOAD_LIMIT_BYTES]);
    environment.next_reply().await.send(Ok(Delivery { payload, ..event("") })).unwrap();
    let answer = guest.answer().await;
    assert_eq!(answer.body.len(), PAYLOAD_LIMIT_BYTES);
    assert!(answer.body.bytes().all(|byte| byte == b'x'));
}

#[tokio::test]
async fn ping_answers_pong() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    guest.get("/2018-06-01/ping").await;
    let answer = guest.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "pong"));
}

#[tokio::test]
async fn metadata_is_given_for_the_token_and_for_nothing_else() {
    let environment = Environment::start().await;
    let mut guest = environment.guest().await;
    for (authorization, expected) in [
        ("Authorization: Bearer s3cret\r\n", 200),
        ("authorization: bearer s3cret\r\n", 200),
        ("Authorization: Bearer s3cre\r\n", 401),
        ("Authorization: Bearer s3cret2\r\n", 401),
        ("Authorization: Basic s3cret\r\n", 401),
        ("Authorization: s3cret\r\n", 401),
        ("Authorization: Bearer\r\n", 401),
        ("Authorization: Bearer \u{e9}\r\n", 401),
        ("", 401),
    ] {
        let path = "/2026-01-15/metadata/execution-environment";
        guest.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{authorization}\r\n")).await;
        let answer = guest.answer().await;
        assert_eq!(answer.status, expected, "for {authorization:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        if expected == 200 {
            assert_eq!(answer.body, "{\"AvailabilityZoneID\":\"use1-az1\"}\n");
            assert!(answer.header("Cache-Control").unwrap().contains("max-age="));
        } else {
            assert!(answer.body.contains("Unauthorized"));
        }
    }
}
