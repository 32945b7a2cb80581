//! What arrives at the other end.

use std::sync::Arc;

use bytes::Bytes;
use firesteel_invoke::queue::{Delivery, DeliveryError, LastError, Message};
use libtest_mimic::Trial;
use object_store::aws::AmazonS3Builder;
use object_store::{ObjectStoreExt, path::Path};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::moto::{ACCOUNT, Moto, REGION};
use crate::test_with_moto;

const TRACE: &str =
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0;Lineage=0a0b0c0d:3";
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST";

pub(super) fn tests(moto: &Result<Arc<Moto>, String>) -> Vec<Trial> {
    vec![
        test_with_moto(moto, "sqs_a_record_arrives_with_its_trace", sqs_record),
        test_with_moto(moto, "sqs_a_dead_letter_has_the_attributes_of_its_end", sqs_dead_letter),
        test_with_moto(moto, "sqs_the_region_is_that_of_the_arn", sqs_region),
        test_with_moto(moto, "sqs_a_record_too_long_is_told_without_payloads", sqs_too_long),
        test_with_moto(moto, "a_queue_topic_or_bucket_that_is_not_there_refuses", refused),
        test_with_moto(moto, "sns_subscribers_have_record_and_dead_letter", sns),
        test_with_moto(moto, "event_bridge_rules_match_the_envelope", event_bridge),
        test_with_moto(moto, "s3_a_failure_is_an_object", s3),
    ]
}

fn record(target: &str, success: bool) -> Delivery {
    Delivery {
        request_id: Uuid::from_u128(7),
        function_arn: FUNCTION.into(),
        target: target.into(),
        trace: Some(TRACE.into()),
        message: Message::Record { success },
        ended_ms: 1_573_755_365_568,
        failures: 0,
        body: Bytes::from_static(br#"{"version":"1.0","requestPayload":{"a":"\u00e4"}}"#),
    }
}

fn dead_letter(target: &str) -> Delivery {
    let error = LastError::new(200, "it broke");
    Delivery {
        message: Message::DeadLetter(error),
        body: Bytes::from_static(b"{\"a\":1}"),
        ..record(target, false)
    }
}

async fn sqs_record(moto: Arc<Moto>) {
    let queue = moto.queue("records").await;
    let delivery = record(&queue, true);
    moto.destinations().deliver(&delivery).await.unwrap();
    let message = moto.received(REGION, "records").await;
    assert_eq!(message.body.as_deref().unwrap().as_bytes(), delivery.body);
    assert!(message.message_attributes.unwrap_or_default().is_empty());
    let attributes = message.attributes.unwrap();
    let trace = aws_sdk_sqs::types::MessageSystemAttributeName::AwsTraceHeader;
    assert_eq!(attributes.get(&trace).map(String::as_str), Some(TRACE));
}

async fn sqs_dead_letter(moto: Arc<Moto>) {
    let queue = moto.queue("dead").await;
    moto.destinations().deliver(&dead_letter(&queue)).await.unwrap();
    let message = moto.received(REGION, "dead").await;
    assert_eq!(message.body.as_deref(), Some("{\"a\":1}"));
    let attributes = message.message_attributes.unwrap();
    let attribute = |name: &str| {
        let attribute = &attributes[name];
        (attribute.data_type.as_str(), attribute.string_value.as_deref().unwrap())
    };
    assert_eq!(attribute("RequestID"), ("String", "00000000-0000-0000-0000-000000000007"));
    assert_eq!(attribute("ErrorCode"), ("Number", "200"));
    assert_eq!(attribute("ErrorMessage"), ("String", "it broke"));
}

async fn sqs_region(moto: Arc<Moto>) {
    moto.sqs("us-east-2").create_queue().queue_name("far").send().await.unwrap();
    let target = format!("arn:aws:sqs:us-east-2:{ACCOUNT}:far");
    moto.destinations().deliver(&record(&target, true)).await.unwrap();
    moto.received("us-east-2", "far").await;
}

async fn sqs_too_long(moto: Arc<Moto>) {
    let queue = moto.queue("long").await;
    let long = json!({
        "version": "1.0", "timestamp": "2019-11-14T18:16:05.568Z", "requestContext": {"condition": "Success"},
        "requestPayload": "x".repeat(1_048_500), "responseContext": {"statusCode": 200},
        "responsePayload": "y".repeat(3_000_000),
    });
    let delivery = Delivery { body: long.to_string().into(), ..record(&queue, true) };
    moto.destinations().deliver(&delivery).await.unwrap();
    let message = moto.received(REGION, "long").await;
    let members: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
    assert_eq!(members["requestContext"]["condition"], "Success");
    assert!(members.get("requestPayload").is_none() && members.get("responsePayload").is_none());
}

async fn refused(moto: Arc<Moto>) {
    let destinations = moto.destinations();
    for target in [
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:absent"),
        format!("arn:aws:sns:{REGION}:{ACCOUNT}:absent"),
        "arn:aws:s3:::absent".to_owned(),
        "nonsense".to_owned(),
    ] {
        let error = destinations.deliver(&record(&target, false)).await.unwrap_err();
        assert!(matches!(error, DeliveryError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(&target), "{error}");
    }
}

async fn sns(moto: Arc<Moto>) {
    let topic = moto.sns().create_topic().name("news").send().await.unwrap().topic_arn.unwrap();
    let queue = moto.queue("subscriber").await;
    let subscribe = moto.sns().subscribe().topic_arn(&topic).protocol("sqs").endpoint(queue);
    subscribe.send().await.unwrap();
    let destinations = moto.destinations();
    let envelope = async || -> Value {
        let message = moto.received(REGION, "subscriber").await;
        serde_json::from_str(message.body.as_deref().unwrap()).unwrap()
    };
    let delivery = record(&topic, true);
    destinations.deliver(&delivery).await.unwrap();
    let told = envelope().await;
    assert_eq!(told["Message"].as_str().unwrap().as_bytes(), delivery.body);
    destinations.deliver(&dead_letter(&topic)).await.unwrap();
    let told = envelope().await;
    assert_eq!(told["Message"], "{\"a\":1}");
    assert_eq!(told["MessageAttributes"]["ErrorCode"], json!({"Type": "Number", "Value": "200"}));
    assert_eq!(told["MessageAttributes"]["ErrorMessage"]["Value"], "it broke");
}

async fn event_bridge(moto: Arc<Moto>) {
    let events = moto.event_bridge();
    let queue = moto.queue("matched").await;
    let pattern = json!({
        "source": ["lambda"],
        "detail-type": ["Lambda Function Invocation Result - Failure"],
        "resources": [FUNCTION],
    });
    events.create_event_bus().name("ends").send().await.unwrap();
    let rule = events.put_rule().name("failures").event_bus_name("ends").event_pattern(pattern.to_string());
    rule.send().await.unwrap();
    let target = aws_sdk_eventbridge::types::Target::builder().id("1").arn(queue).build().unwrap();
    events.put_targets().rule("failures").event_bus_name("ends").targets(target).send().await.unwrap();
    let bus = format!("arn:aws:events:{REGION}:{ACCOUNT}:event-bus/ends");
    let destinations = moto.destinations();
    destinations.deliver(&record(&bus, true)).await.unwrap();
    destinations.deliver(&record(&bus, false)).await.unwrap();
    // The success does not match, and so one message is there.
    let message = moto.received(REGION, "matched").await;
    let event: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
    assert_eq!(event["resources"], json!([bus, FUNCTION]));
    assert_eq!(event["detail"]["requestPayload"]["a"], "ä");
    let error = destinations.deliver(&dead_letter(&bus)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error}");
}

async fn s3(moto: Arc<Moto>) {
    let settings = moto.settings();
    let endpoint_url = settings.endpoint_url.clone().unwrap();
    let address = endpoint_url.trim_start_matches("http://").to_owned();
    // Making a bucket is nothing that `object_store` can do.
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = format!(
        "PUT /failures HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let destinations = moto.destinations();
    let delivery = record("arn:aws:s3:::failures", false);
    destinations.deliver(&delivery).await.unwrap();
    destinations.deliver(&delivery).await.unwrap();
    let bucket = AmazonS3Builder::new()
        .with_bucket_name("failures")
        .with_region(REGION)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .with_endpoint(endpoint_url)
        .with_allow_http(true)
        .build()
        .unwrap();
    let folder = Path::from("aws/lambda/async/f/2019/11/14");
    let listed = object_store::ObjectStore::list_with_delimiter(&bucket, Some(&folder)).await.unwrap();
    assert_eq!(listed.objects.len(), 1, "a second try writes the same object");
    let location = &listed.objects[0].location;
    assert_eq!(bucket.get(location).await.unwrap().bytes().await.unwrap(), delivery.body);
    let error = destinations.deliver(&record("arn:aws:s3:::failures", true)).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Refused { .. }), "{error}");
}
