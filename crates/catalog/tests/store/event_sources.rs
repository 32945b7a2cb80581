//! Event source mappings: kept, checked, shown.

use firesteel_catalog::{EventSourceMapping, MappingFilter, Paging, RefusalKind, Store, Tags};
use serde_json::{Map, Value, json};

use crate::fixture::*;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:111122223333:q";
const STREAM: &str = "arn:aws:kinesis:eu-west-1:111122223333:stream/s";
const TABLE: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/t/stream/2026";

fn parameters(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("{value} is no object") };
    members
}

fn map(store: &Store, path: &str, value: Value) -> EventSourceMapping {
    store.create_event_source_mapping(&reference(path), parameters(value), &Tags::new()).unwrap()
}

#[track_caller]
fn refused(store: &Store, path: &str, value: Value) -> String {
    words(store.create_event_source_mapping(&reference(path), parameters(value), &Tags::new()))
}

#[test]
fn a_mapping_lives_and_outlives_its_function() {
    with_each_store(|store| {
        create(store, "f", 1);
        let made = map(store, "f", json!({ "EventSourceArn": QUEUE }));
        assert_eq!(made.function_arn.to_string(), format!("{FUNCTION_ARN}:f"));
        assert!(made.arn.ends_with(&format!(":event-source-mapping:{}", made.uuid)), "{}", made.arn);
        assert_eq!(made.parameters["BatchSize"], 10);
        assert_eq!(made.parameters["FunctionResponseTypes"], json!([]));
        assert_eq!(store.event_source_mapping(&made.uuid).unwrap(), made);

        create(store, "g", 1);
        let update = parameters(json!({ "BatchSize": 5 }));
        let updated = store.update_event_source_mapping(&made.uuid, Some(&reference("g")), update).unwrap();
        assert_eq!((&updated.parameters["BatchSize"], updated.function_arn.name.as_str()), (&json!(5), "g"));
        store.delete_function(&name("g")).unwrap();
        assert_eq!(store.event_source_mapping(&made.uuid).unwrap(), updated);
        assert_eq!(store.delete_event_source_mapping(&made.uuid).unwrap(), updated);
        let absent = "The resource you requested does not exist.";
        assert_eq!(words(store.event_source_mapping(&made.uuid)), absent);
        assert_eq!(words(store.delete_event_source_mapping(&made.uuid)), absent);
        assert_eq!(words(store.update_event_source_mapping(&made.uuid, None, Map::new())), absent);
    });
}

#[test]
fn parameters_are_checked_by_kind_of_source() {
    let store = in_memory();
    create(&store, "f", 1);
    assert_eq!(refused(&store, "f", json!({})), "Unrecognized event source.");
    assert_eq!(
        refused(&store, "f", json!({ "EventSourceArn": "arn:aws:s3:::b" })),
        "Unrecognized event source."
    );
    assert_eq!(refused(&store, "g", json!({ "EventSourceArn": QUEUE })), "Function does not exist");
    assert_eq!(refused(&store, "f:prod", json!({ "EventSourceArn": QUEUE })), "Function does not exist");
    assert_eq!(
        refused(&store, "f", json!({ "EventSourceArn": STREAM })),
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member \
         must not be null."
    );
    assert_eq!(
        refused(&store, "f", json!({ "EventSourceArn": STREAM, "StartingPosition": "invalid" })),
        "1 validation error detected: Value 'invalid' at 'startingPosition' failed to satisfy constraint: \
         Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]"
    );
    assert_eq!(
        refused(&store, "f", json!({ "EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP" })),
        format!("Unsupported starting position for arn type: {TABLE}")
    );
    assert_eq!(
        refused(&store, "f", json!({ "EventSourceArn": QUEUE, "BatchSize": 11 })),
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
    );
    let fifo = json!({ "EventSourceArn": format!("{QUEUE}.fifo"), "BatchSize": 11 });
    assert!(refused(&store, "f", fifo).contains("less than or equal to 10"));
    let pattern = json!({ "EventSourceArn": QUEUE, "FilterCriteria": { "Filters": [{ "Pattern": "[" }] } });
    assert_eq!(refused(&store, "f", pattern), "Invalid filter pattern definition.");
    let success = json!({ "EventSourceArn": QUEUE, "DestinationConfig": { "OnSuccess": {} } });
    assert_eq!(
        refused(&store, "f", success),
        "Unsupported DestinationConfig parameter for given event source mapping type."
    );
    let kafka = json!({ "SelfManagedEventSource": { "Endpoints": {} } });
    assert_eq!(refused(&store, "f", kafka), "Required 'sourceAccessConfigurations' parameter is missing.");
    let stream = map(&store, "f", json!({ "EventSourceArn": STREAM, "StartingPosition": "LATEST" }));
    assert_eq!(stream.parameters["MaximumRecordAgeInSeconds"], -1);
    map(
        &store,
        "f",
        json!({ "EventSourceArn": QUEUE, "BatchSize": 11, "MaximumBatchingWindowInSeconds": 1 }),
    );
}

#[test]
fn a_source_feeds_a_function_once() {
    let store = in_memory();
    create(&store, "f", 1);
    publish(&store, "f");
    let queue = json!({ "EventSourceArn": QUEUE });
    let uuid = map(&store, "f", queue.clone()).uuid;
    let reference = reference("f");
    let twice =
        refusal(store.create_event_source_mapping(&reference, parameters(queue.clone()), &Tags::new()));
    assert_eq!(
        twice.to_string(),
        format!(
            "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" f \") already exists. Please \
             update or delete the existing mapping with UUID {uuid}"
        )
    );
    assert_eq!(twice.kind(), RefusalKind::ResourceConflict);
    map(&store, "f:1", queue);

    let stream = json!({ "EventSourceArn": STREAM, "StartingPosition": "LATEST" });
    let uuid = map(&store, "f", stream.clone()).uuid;
    assert_eq!(
        refused(&store, "f", stream),
        format!(
            "The event source arn (\" {STREAM} \") and function (\" f \") provided mapping already exists. \
             Please update or delete the existing mapping with UUID {uuid}"
        )
    );
    let kafka = |servers: &[&str], topic: &str| {
        json!({
            "SelfManagedEventSource": { "Endpoints": { "KAFKA_BOOTSTRAP_SERVERS": servers } },
            "SourceAccessConfigurations": [], "Topics": [topic],
        })
    };
    let uuid = map(&store, "f", kafka(&["kafka:1000"], "topic")).uuid;
    map(&store, "f", kafka(&["kafka:1000"], "other"));
    assert_eq!(
        refused(&store, "f", kafka(&["kafka:1000", "kafka:2000"], "topic")),
        format!(
            "An event source mapping with event source (\"kafka:1000,kafka:2000\"), function \
             (\"{FUNCTION_ARN}:f\"), topics (\"topic\") already exists. Please update or delete the existing \
             mapping with UUID {uuid}"
        )
    );
}

#[test]
fn lists_are_by_source_and_by_function() {
    with_each_store(|store| {
        for function in ["f", "g"] {
            create(store, function, 1);
            publish(store, function);
            for (path, queue) in [(function.to_owned(), "a"), (format!("{function}:1"), "b")] {
                map(store, &path, json!({ "EventSourceArn": format!("{QUEUE}{queue}") }));
            }
        }
        let count = |filter: MappingFilter, max_items| {
            let mut count = 0;
            let mut paging = Paging { marker: None, max_items: Some(max_items) };
            loop {
                let page = store.list_event_source_mappings(&filter, &paging).unwrap();
                count += page.items.len();
                paging.marker = page.next_marker;
                if paging.marker.is_none() {
                    return count;
                }
            }
        };
        let by_source = MappingFilter { event_source_arn: Some(format!("{QUEUE}a")), function: None };
        let by = |path: &str| MappingFilter { event_source_arn: None, function: Some(reference(path)) };
        for max_items in [1, 3, 100] {
            assert_eq!(count(MappingFilter::default(), max_items), 4);
            assert_eq!(count(by_source.clone(), max_items), 2);
            assert_eq!((count(by("f"), max_items), count(by("f:1"), max_items)), (2, 1));
        }
    });
}
