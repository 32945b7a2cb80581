//! Tags of everything that has them.

use firesteel_catalog::{CodeSigningSettings, RefusalKind, Store, Tags};
use serde_json::json;

use crate::fixture::*;

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn arns(store: &Store) -> Vec<String> {
    create(store, "f", 1);
    let queue = json!({ "EventSourceArn": "arn:aws:sqs:eu-west-1:111122223333:q" });
    let mapping = store
        .create_event_source_mapping(&reference("f"), queue.as_object().unwrap().clone(), &Tags::new())
        .unwrap();
    let signing = store.create_code_signing_config(CodeSigningSettings::default(), &Tags::new()).unwrap();
    vec![format!("{FUNCTION_ARN}:f"), mapping.arn, signing.arn]
}

#[test]
fn tags_come_and_go() {
    with_each_store(|store| {
        for arn in arns(store) {
            store.tag_resource(&arn, &tags(&[("a", "1"), ("b", "2")])).unwrap();
            store.tag_resource(&arn, &tags(&[("b", "3"), ("c", "4")])).unwrap();
            assert_eq!(store.tags(&arn).unwrap(), tags(&[("a", "1"), ("b", "3"), ("c", "4")]));
            store.untag_resource(&arn, &["a".into(), "z".into()]).unwrap();
            assert_eq!(store.tags(&arn).unwrap(), tags(&[("b", "3"), ("c", "4")]));
        }
        assert_eq!(store.function(&reference("f")).unwrap().tags, tags(&[("b", "3"), ("c", "4")]));
    });
}

#[test]
fn they_go_with_what_has_them() {
    let store = in_memory();
    for arn in arns(&store) {
        store.tag_resource(&arn, &tags(&[("a", "1")])).unwrap();
    }
    store.delete_function(&name("f")).unwrap();
    create(&store, "f", 1);
    assert_eq!(store.function(&reference("f")).unwrap().tags, Tags::new());
}

#[test]
fn a_functions_revision_changes_with_them() {
    let store = in_memory();
    let before = create(&store, "f", 1);
    store.tag_resource(&format!("{FUNCTION_ARN}:f"), &tags(&[("a", "1")])).unwrap();
    let after = store.function(&reference("f")).unwrap().version;
    assert_ne!(after.revision_id, before.revision_id);
    assert_eq!(after.instance, before.instance);
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    let all = arns(&store);
    let many: Tags = (0..51).map(|index| (format!("key-{index}"), String::new())).collect();
    let few: Tags = many.iter().take(50).map(|(key, value)| (key.clone(), value.clone())).collect();
    let limit = "Number of tags exceeds resource tag limit.";
    assert_eq!(words(store.tag_resource(&all[0], &many)), limit);
    assert_eq!(store.tags(&all[0]).unwrap(), Tags::new(), "all or none");
    store.tag_resource(&all[0], &few).unwrap();
    assert_eq!(words(store.tag_resource(&all[0], &tags(&[("one-more", "")]))), limit);
    let mut new = new_function("g", package(1));
    new.tags = many;
    assert_eq!(words(store.create_function(new)), limit);

    let missing = format!("{FUNCTION_ARN}:missing");
    let not_found = format!("Function not found: {missing}");
    assert_eq!(words(store.tag_resource(&missing, &tags(&[("a", "1")]))), not_found);
    assert_eq!(words(store.untag_resource(&missing, &["a".into()])), not_found);
    assert_eq!(words(store.tags(&missing)), not_found);
    assert_eq!(
        words(store.tag_resource(&all[0], &Tags::new())),
        "An error occurred and the request cannot be processed."
    );
    let qualified = refusal(store.tag_resource(&format!("{}:1", all[0]), &tags(&[("a", "1")])));
    assert_eq!(
        qualified.to_string(),
        "Tags on function aliases and versions are not supported. Please specify a function ARN."
    );
    assert_eq!(qualified.kind(), RefusalKind::InvalidParameterValue);
    assert!(store.tag_resource(&all[1], &tags(&[("aws:a", "1")])).is_err());
    assert!(store.tags("arn:aws:lambda:us-east-1:111122223333:function:f").is_err());
}
