//! Event source mappings.

use std::sync::Arc;

use firesteel_catalog::{MAPPING_STATE, MAPPING_STATE_REASON};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::harness::{FUNCTIONS, Server, arn, test, with};

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:q";
const STREAM: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/t/stream/s";
const KINESIS: &str = "arn:aws:kinesis:eu-west-1:111122223333:stream/s";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("a_mapping_lives", a_mapping_lives),
        test("each_kind_of_source_has_its_defaults", each_kind_has_its_defaults),
        test("filters_come_and_go", filters_come_and_go),
        test("mappings_are_listed_by_function_and_by_source", lists_are_of_a_function_or_a_source),
        test("refusals_of_mappings_are_as_recorded", refused),
    ]
}

fn of_queue(function: &str) -> Value {
    json!({"FunctionName": function, "EventSourceArn": QUEUE})
}

/// What is not the caller's or the source's own, checked and taken away; and the UUID.
fn own(mapping: &Value) -> (Value, String) {
    let mut mapping = mapping.clone();
    let members = mapping.as_object_mut().unwrap();
    let uuid = members.remove("UUID").unwrap().as_str().unwrap().to_owned();
    assert_eq!(
        members.remove("EventSourceMappingArn").unwrap(),
        arn(&format!("event-source-mapping:{uuid}"))
    );
    let modified = members.remove("LastModified").unwrap();
    assert!(modified.as_f64().unwrap() > 1.7e9, "seconds: {modified}");
    assert_eq!(members.remove("StateTransitionReason").unwrap(), MAPPING_STATE_REASON);
    (mapping, uuid)
}

async fn a_mapping_lives(server: Arc<Server>) {
    server.create("f").await;
    let (made, uuid) =
        own(&server.post(MAPPINGS, &with(of_queue("f"), json!({"Enabled": true}))).await.json(202));
    let expected = json!({
        "BatchSize": 10,
        "EventSourceArn": QUEUE,
        "FunctionArn": arn("function:f"),
        "FunctionResponseTypes": [],
        "MaximumBatchingWindowInSeconds": 0,
        "State": MAPPING_STATE,
    });
    assert_eq!(made, expected);
    let path = format!("{MAPPINGS}/{uuid}");
    assert_eq!(own(&server.get(&path).await.json(200)), (expected.clone(), uuid.clone()));

    let changes = json!({"BatchSize": 5, "FunctionResponseTypes": ["ReportBatchItemFailures"]});
    let updated = own(&server.put(&path, &changes).await.json(202)).0;
    let expected = with(expected, changes);
    assert_eq!(updated, expected);

    // As it was, and about to go.
    let deleted = own(&server.delete(&path).await.json(202)).0;
    assert_eq!(deleted, with(expected, json!({"State": "Deleting"})));
    for answer in [
        server.get(&path).await,
        server.put(&path, &json!({"BatchSize": 1})).await,
        server.delete(&path).await,
    ] {
        let text = answer.refusal(404, "ResourceNotFoundException");
        assert_eq!(text, "The resource you requested does not exist.");
    }
}

async fn each_kind_has_its_defaults(server: Arc<Server>) {
    server.create("f").await;
    let stream = json!({"FunctionName": "f", "EventSourceArn": STREAM, "StartingPosition": "TRIM_HORIZON"});
    let of_stream = own(&server.post(MAPPINGS, &stream).await.json(202)).0;
    let expected = json!({
        "BatchSize": 100,
        "BisectBatchOnFunctionError": false,
        "DestinationConfig": {"OnFailure": {}},
        "EventSourceArn": STREAM,
        "FunctionArn": arn("function:f"),
        "FunctionResponseTypes": [],
        "LastProcessingResult": "No records processed",
        "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1,
        "StartingPosition": "TRIM_HORIZON",
        "State": MAPPING_STATE,
        "TumblingWindowInSeconds": 0,
    });
    assert_eq!(of_stream, expected);

    let brokers = json!({
        "FunctionName": "f",
        "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}},
        "SourceAccessConfigurations": [{"Type": "BASIC_AUTH", "URI": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:s"}],
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": 1_700_000_000.5,
        "Topics": ["topic"],
    });
    let (of_brokers, uuid) = own(&server.post(MAPPINGS, &brokers).await.json(202));
    let expected = json!({
        "BatchSize": 100,
        "FunctionArn": arn("function:f"),
        "LastProcessingResult": "No records processed",
        "SelfManagedEventSource": brokers["SelfManagedEventSource"],
        "SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": uuid},
        "SourceAccessConfigurations": brokers["SourceAccessConfigurations"],
        "StartingPosition": "AT_TIMESTAMP",
        "StartingPositionTimestamp": 1_700_000_000.5,
        "State": MAPPING_STATE,
        "Topics": ["topic"],
    });
    assert_eq!(of_brokers, expected);
}

async fn filters_come_and_go(server: Arc<Server>) {
    server.create("f").await;
    let criteria = json!({"Filters": [{"Pattern": "{\"body\": [\"x\"]}"}]});
    let filtered = with(of_queue("f"), json!({"FilterCriteria": criteria}));
    let (made, uuid) = own(&server.post(MAPPINGS, &filtered).await.json(202));
    assert_eq!(made["FilterCriteria"], criteria);
    let path = format!("{MAPPINGS}/{uuid}");
    let kept = server.put(&path, &json!({"BatchSize": 1})).await.json(202);
    assert_eq!(kept["FilterCriteria"], criteria);
    let without = server.put(&path, &json!({"FilterCriteria": {"Filters": []}})).await.json(202);
    assert_eq!(without.get("FilterCriteria"), None);
    assert_eq!(server.get(&path).await.json(200).get("FilterCriteria"), None);
    let invalid = server.put(&path, &json!({"FilterCriteria": {"Filters": [{"Pattern": "["}]}})).await;
    let text = invalid.refusal(400, "InvalidParameterValueException");
    assert_eq!(text, "Invalid filter pattern definition.");
}

async fn lists_are_of_a_function_or_a_source(server: Arc<Server>) {
    for name in ["f", "g"] {
        server.create(name).await;
    }
    server.post(&format!("{FUNCTIONS}/f/versions"), &json!({})).await.json(201);
    let stream = json!({"FunctionName": "f", "EventSourceArn": STREAM, "StartingPosition": "LATEST"});
    for new in [of_queue("f"), of_queue("f:1"), of_queue("g"), stream] {
        server.post(MAPPINGS, &new).await.json(202);
    }
    let listed = async |query: &str| -> Vec<String> {
        let page = server.get(&format!("{MAPPINGS}?{query}")).await.json(200);
        let mappings = page["EventSourceMappings"].as_array().unwrap();
        let fed = |mapping: &Value| {
            mapping["FunctionArn"].as_str().unwrap().rsplit("function:").next().unwrap().to_owned()
        };
        let mut fed: Vec<_> = mappings.iter().map(fed).collect();
        fed.sort_unstable();
        fed
    };
    assert_eq!(listed("").await, ["f", "f", "f:1", "g"]);
    assert_eq!(listed("FunctionName=f").await, ["f", "f", "f:1"]);
    assert_eq!(listed("FunctionName=f:1").await, ["f:1"]);
    assert_eq!(listed(&format!("EventSourceArn={QUEUE}")).await, ["f", "f:1", "g"]);
    assert_eq!(listed(&format!("FunctionName=f&EventSourceArn={STREAM}")).await, ["f"]);
    let first = server.get(&format!("{MAPPINGS}?MaxItems=3")).await.json(200);
    assert_eq!(first["EventSourceMappings"].as_array().unwrap().len(), 3);
    let marker = first["NextMarker"].as_str().unwrap();
    assert_eq!(listed(&format!("Marker={marker}")).await.len(), 1);
}

async fn refused(server: Arc<Server>) {
    server.create("f").await;
    let (_, uuid) = own(&server.post(MAPPINGS, &of_queue("f")).await.json(202));
    let stream = json!({"FunctionName": "f", "EventSourceArn": STREAM});
    let invalid = "InvalidParameterValueException";
    for (body, status, class, text) in [
        (json!({"FunctionName": "f"}), 400, invalid, "Unrecognized event source.".to_owned()),
        (of_queue("absent"), 400, invalid, "Function does not exist".to_owned()),
        (
            stream.clone(),
            400,
            invalid,
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member \
             must not be null."
                .to_owned(),
        ),
        (
            with(stream.clone(), json!({"StartingPosition": "invalid"})),
            400,
            "ValidationException",
            "1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: \
             Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
                .to_owned(),
        ),
        (
            with(stream, json!({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 1})),
            400,
            invalid,
            format!("Unsupported starting position for arn type: {STREAM}"),
        ),
        (
            json!({
                "FunctionName": "f", "EventSourceArn": KINESIS, "StartingPosition": "LATEST",
                "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}},
            }),
            400,
            invalid,
            "Unsupported DestinationConfig parameter for given event source mapping type.".to_owned(),
        ),
        (
            json!({
                "FunctionName": "f", "Topics": ["topic"], "StartingPosition": "LATEST",
                "SelfManagedEventSource": {"Endpoints": {"KAFKA_BOOTSTRAP_SERVERS": ["kafka:1000"]}},
            }),
            400,
            invalid,
            "Required 'sourceAccessConfigurations' parameter is missing.".to_owned(),
        ),
        (
            of_queue("f"),
            409,
            "ResourceConflictException",
            format!(
                "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" f \") already exists. \
                 Please update or delete the existing mapping with UUID {uuid}"
            ),
        ),
    ] {
        assert_eq!(server.post(MAPPINGS, &body).await.refusal(status, class), text, "{body}");
    }
}
