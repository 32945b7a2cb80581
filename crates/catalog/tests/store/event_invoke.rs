//! Settings of asynchronous invocations.

use firesteel_catalog::{
    Destinations, EventInvokeSettings, EventInvokeUpdate, NewAlias, Paging, RefusalKind, VersionNumber,
};

use crate::fixture::*;

fn retries(maximum_retry_attempts: u32) -> EventInvokeUpdate {
    EventInvokeUpdate { maximum_retry_attempts: Some(maximum_retry_attempts), ..EventInvokeUpdate::default() }
}

fn age(maximum_event_age_s: u32) -> EventInvokeUpdate {
    EventInvokeUpdate { maximum_event_age_s: Some(maximum_event_age_s), ..EventInvokeUpdate::default() }
}

fn to(on_success: Option<&str>, on_failure: Option<&str>) -> EventInvokeUpdate {
    let destinations =
        Destinations { on_success: on_success.map(Into::into), on_failure: on_failure.map(Into::into) };
    EventInvokeUpdate { destinations: Some(destinations), ..EventInvokeUpdate::default() }
}

#[test]
fn put_replaces_and_update_merges() {
    with_each_store(|store| {
        create(store, "f", 1);
        let put = store.put_event_invoke_config(&reference("f"), retries(0)).unwrap();
        assert_eq!(put.arn.to_string(), format!("{FUNCTION_ARN}:f:$LATEST"));
        assert_eq!(
            put.settings,
            EventInvokeSettings { maximum_retry_attempts: Some(0), ..Default::default() }
        );
        let put = store.put_event_invoke_config(&reference("f"), age(60)).unwrap();
        assert_eq!(put.settings.maximum_retry_attempts, None);
        let updated = store.update_event_invoke_config(&reference("f:$LATEST"), retries(1)).unwrap();
        assert_eq!(
            (updated.settings.maximum_retry_attempts, updated.settings.maximum_event_age_s),
            (Some(1), Some(60))
        );
        assert_eq!(store.event_invoke_config(&reference("f")).unwrap(), updated);
        assert_eq!(store.resolve(&reference("f")).unwrap().event_invoke, updated.settings);
        store.delete_event_invoke_config(&reference("f")).unwrap();
        assert_eq!(store.resolve(&reference("f")).unwrap().event_invoke, EventInvokeSettings::default());
    });
}

#[test]
fn each_version_and_alias_has_its_own() {
    with_each_store(|store| {
        create(store, "f", 1);
        publish(store, "f");
        let alias = NewAlias {
            name: "prod".into(),
            version: VersionNumber::Published(1),
            weights: Vec::new(),
            description: String::new(),
        };
        store.create_alias(&name("f"), &alias).unwrap();
        for (path, seconds) in [("f", 60), ("f:1", 61), ("f:prod", 62)] {
            store.put_event_invoke_config(&reference(path), age(seconds)).unwrap();
        }
        for (path, seconds) in [("f", 60), ("f:1", 61), ("f:prod", 62)] {
            let resolved = store.resolve(&reference(path)).unwrap();
            assert_eq!(resolved.event_invoke.maximum_event_age_s, Some(seconds));
        }
        let mut arns = Vec::new();
        let mut paging = Paging { marker: None, max_items: Some(1) };
        loop {
            let page = store.list_event_invoke_configs(&name("f"), &paging).unwrap();
            arns.extend(page.items.iter().map(|config| config.arn.to_string()));
            paging.marker = page.next_marker;
            if paging.marker.is_none() {
                break;
            }
        }
        let expected = ["$LATEST", "1", "prod"].map(|qualifier| format!("{FUNCTION_ARN}:f:{qualifier}"));
        assert_eq!(arns, expected);
        store.delete_alias(&name("f"), "prod").unwrap();
        assert!(store.event_invoke_config(&reference("f:prod")).is_err());
    });
}

#[test]
fn destinations_are_checked() {
    let store = in_memory();
    create(&store, "f", 1);
    create(&store, "g", 1);
    let put = |update| store.put_event_invoke_config(&reference("f"), update);
    let itself = format!("{FUNCTION_ARN}:f");
    assert_eq!(
        words(put(to(Some(&itself), None))),
        "You can't specify the function as a destination for itself."
    );
    let missing = format!("{FUNCTION_ARN}:missing");
    assert_eq!(words(put(to(None, Some(&missing)))), format!("The destination ARN {missing} is invalid."));
    let bucket = "arn:aws:s3:::bucket";
    assert_eq!(
        words(put(to(Some(bucket), None))),
        "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::bucket), \
         onFailure=null) is invalid."
    );
    put(to(None, Some(bucket))).unwrap();
    let queue = "arn:aws:sqs:eu-west-1:111122223333:q";
    let config = put(to(Some(&format!("{FUNCTION_ARN}:g:prod")), Some(queue))).unwrap();
    assert_eq!(config.settings.destinations.on_failure.as_deref(), Some(queue));
    let kept = store.update_event_invoke_config(&reference("f"), retries(2)).unwrap();
    assert_eq!(kept.settings.destinations, config.settings.destinations);
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    create(&store, "f", 1);
    let empty = refusal(store.put_event_invoke_config(&reference("f"), EventInvokeUpdate::default()));
    assert_eq!(empty.to_string(), "You must specify at least one of error handling or destination setting.");
    for path in ["g", "f:1", "f:prod"] {
        let missing = refusal(store.put_event_invoke_config(&reference(path), retries(1)));
        assert_eq!(missing.to_string(), "The function doesn't exist.");
        assert_eq!(missing.kind(), RefusalKind::ResourceNotFound);
    }
    for (path, arn) in [("f", "f:$LATEST"), ("g", "g:$LATEST"), ("f:prod", "f:prod")] {
        let expected = format!("The function {FUNCTION_ARN}:{arn} doesn't have an EventInvokeConfig");
        assert_eq!(words(store.event_invoke_config(&reference(path))), expected);
        assert_eq!(words(store.delete_event_invoke_config(&reference(path))), expected);
    }
    assert_eq!(
        words(store.update_event_invoke_config(&reference("f"), retries(1))),
        format!("The function {FUNCTION_ARN}:f:$LATEST doesn't have an EventInvokeConfig")
    );
    assert_eq!(
        words(store.list_event_invoke_configs(&name("g"), &Paging::default())),
        "The function doesn't exist."
    );
}
