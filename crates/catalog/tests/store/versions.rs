//! Published versions.

use firesteel_catalog::{ConfigurationUpdate, Paging, Publication, RefusalKind, Store, VersionNumber};

use crate::fixture::*;

fn described(description: &str) -> ConfigurationUpdate {
    ConfigurationUpdate { description: Some(description.into()), ..ConfigurationUpdate::default() }
}

fn numbers(store: &Store, function: &str, max_items: u32) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut paging = Paging { marker: None, max_items: Some(max_items) };
    loop {
        let page = store.list_versions(&name(function), &paging).unwrap();
        numbers.extend(page.items.iter().map(|version| version.number.to_string()));
        paging.marker = page.next_marker;
        if paging.marker.is_none() {
            return numbers;
        }
    }
}

#[test]
fn a_version_is_made_only_of_what_has_changed() {
    with_each_store(|store| {
        let latest = create(store, "f", 1);
        let first = publish(store, "f");
        assert_eq!(first.arn.to_string(), format!("{FUNCTION_ARN}:f:1"));
        assert_eq!((&first.state, &first.code), (&latest.state, &latest.code));
        assert_ne!((first.instance, &first.revision_id), (latest.instance, &latest.revision_id));
        assert_eq!(publish(store, "f"), first);
        let again = Publication { description: Some("again".into()), ..Publication::default() };
        assert_eq!(store.publish_version(&name("f"), &again).unwrap(), first);

        update_code(store, "f", 2);
        let second = store.publish_version(&name("f"), &again).unwrap();
        assert_eq!(
            (second.number, second.configuration.description.as_str()),
            (VersionNumber::Published(2), "again")
        );
        assert_eq!(
            publish(store, "f").number,
            VersionNumber::Published(2),
            "its own description does not count"
        );
        update_configuration(store, "f", described("other"));
        assert_eq!(publish(store, "f").number, VersionNumber::Published(3), "that of $LATEST does");
        assert_eq!(numbers(store, "f", 50), ["$LATEST", "1", "2", "3"]);
        assert_eq!(numbers(store, "f", 1), ["$LATEST", "1", "2", "3"]);
    });
}

#[test]
fn code_and_revision_are_compared() {
    let store = in_memory();
    let latest = create(&store, "f", 1);
    let code = |code: &str| Publication { code_sha256: Some(code.into()), ..Publication::default() };
    let refused = refusal(store.publish_version(&name("f"), &code("other")));
    let current = digest(1).base64();
    assert_eq!(
        refused.to_string(),
        format!(
            "CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({current}). Please try again \
             with the CodeSHA256 in $LATEST."
        )
    );
    assert_eq!(refused.kind(), RefusalKind::InvalidParameterValue);
    let revision =
        |revision: &str| Publication { revision_id: Some(revision.into()), ..Publication::default() };
    let refused = refusal(store.publish_version(&name("f"), &revision("other")));
    assert_eq!(refused.kind(), RefusalKind::PreconditionFailed);
    store.publish_version(&name("f"), &revision(&latest.revision_id)).unwrap();
    store.publish_version(&name("f"), &code(&current)).unwrap();
    let after = store.function(&reference("f")).unwrap().version;
    assert_ne!(after.revision_id, latest.revision_id, "publishing gives $LATEST another, as on AWS");
}

#[test]
fn numbers_are_never_given_twice() {
    with_each_store(|store| {
        create(store, "f", 1);
        publish(store, "f");
        let deleted = store.delete_version(&name("f"), VersionNumber::Published(1)).unwrap();
        assert_eq!((deleted.instances.len(), deleted.unreferenced.len()), (1, 0));
        assert_eq!(
            publish(store, "f").number,
            VersionNumber::Published(2),
            "nothing is there to be the same"
        );
        store.delete_function(&name("f")).unwrap();
        create(store, "f", 1);
        assert_eq!(publish(store, "f").number, VersionNumber::Published(3));
    });
}

#[test]
fn what_cannot_be_deleted() {
    let store = in_memory();
    create(&store, "f", 1);
    publish(&store, "f");
    assert_eq!(
        words(store.delete_version(&name("f"), VersionNumber::Latest)),
        "$LATEST version cannot be deleted without deleting the function."
    );
    assert!(store.delete_version(&name("f"), VersionNumber::Published(9)).unwrap().instances.is_empty());
    let missing = words(store.delete_version(&name("g"), VersionNumber::Published(1)));
    assert_eq!(missing, format!("Function not found: {FUNCTION_ARN}:g"));
    assert_eq!(words(store.function(&reference("f:9"))), format!("Function not found: {FUNCTION_ARN}:f:9"));
}

#[test]
fn create_and_update_publish_at_once() {
    with_each_store(|store| {
        let mut new = new_function("f", package(1));
        new.publish = true;
        let first = store.create_function(new).unwrap();
        assert_eq!((first.number, first.state.name()), (VersionNumber::Published(1), "Pending"));
        let unsettled = store.unsettled().unwrap();
        assert_eq!(unsettled.len(), 2, "$LATEST and the version");
        let settled = store.settle(&unsettled[1], &READY).unwrap().unwrap();
        assert_eq!(settled.number, VersionNumber::Published(1));
        assert_eq!(store.settle(&unsettled[0], &READY).unwrap(), None, "what is true of one is true of both");
        assert!(store.unsettled().unwrap().is_empty());
        for path in ["f", "f:1"] {
            assert_eq!(store.function(&reference(path)).unwrap().version.state.name(), "Active");
        }
        let mut update = code_update(package(2));
        update.publish = true;
        let second = store.update_code(&name("f"), update).unwrap().version;
        assert_eq!(second.number, VersionNumber::Published(2));
        assert_eq!(second.code, package(2));
        assert_eq!(store.function(&reference("f:1")).unwrap().version.code, package(1));
    });
}
