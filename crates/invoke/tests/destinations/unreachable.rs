//! Targets that do not answer, or not well: they may be told later.

use bytes::Bytes;
use firesteel_invoke::destinations::Destinations;
use firesteel_invoke::queue::{Delivery, DeliveryError, Message};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::moto::settings;
use crate::test;

const TARGETS: [&str; 4] = [
    "arn:aws:sqs:eu-west-1:123456789012:q",
    "arn:aws:sns:eu-west-1:123456789012:t",
    "arn:aws:events:eu-west-1:123456789012:event-bus/b",
    "arn:aws:s3:::bucket",
];

pub(super) fn tests() -> Vec<Trial> {
    vec![
        test("who_does_not_listen_is_unavailable", nobody_listens),
        test("who_answers_with_500_is_unavailable", answers_with_500),
    ]
}

async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    all_unavailable(&format!("http://{address}")).await;
}

async fn answers_with_500() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint_url = format!("http://{}", listener.local_addr().unwrap());
    let broken = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer =
                "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.read(&mut [0; 65_536]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    all_unavailable(&endpoint_url).await;
    broken.abort();
}

async fn all_unavailable(endpoint_url: &str) {
    let destinations = Destinations::new(&settings(endpoint_url));
    for target in TARGETS {
        let delivery = Delivery {
            request_id: Uuid::nil(),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:f:1".into(),
            target: target.into(),
            trace: None,
            message: Message::Record { success: false },
            ended_ms: 0,
            failures: 0,
            body: Bytes::from_static(b"{}"),
        };
        let error = destinations.deliver(&delivery).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Unavailable { .. }), "{target}: {error}");
    }
}
