//! What an invocation means, warm and cold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firesteel_catalog::{AliasUpdate, NewAlias, VersionNumber, Weighted};

use crate::fixture::*;

#[test]
fn what_was_asked_before_comes_from_memory_until_something_is_written() {
    with_each_store(|store| {
        create(store, "f", 1);
        create(store, "g", 1);
        let first = store.resolve(&reference("f")).unwrap();
        let other = store.resolve(&reference("g")).unwrap();
        assert!(Arc::ptr_eq(&first, &store.resolve(&reference("f")).unwrap()));
        update_code(store, "f", 2);
        let second = store.resolve(&reference("f")).unwrap();
        assert_eq!(second.target.version.code, package(2));
        assert_eq!(first.target.version.code, package(1), "whoever has the old one keeps it");
        assert!(Arc::ptr_eq(&other, &store.resolve(&reference("g")).unwrap()));
        store.delete_function(&name("f")).unwrap();
        let missing = format!("Function not found: {FUNCTION_ARN}:f:$LATEST");
        assert_eq!(words(store.resolve(&reference("f"))), missing, "where it was looked for");
    });
}

#[test]
fn qualifiers_mean_what_they_say() {
    with_each_store(|store| {
        create(store, "f", 1);
        publish(store, "f");
        update_code(store, "f", 2);
        publish(store, "f");
        let shared = NewAlias {
            name: "prod".into(),
            version: VersionNumber::Published(1),
            weights: vec![Weighted { number: 2, weight: 0.1 }],
            description: String::new(),
        };
        store.create_alias(&name("f"), &shared).unwrap();
        let numbers = |path: &str| {
            let resolved = store.resolve(&reference(path)).unwrap();
            assert_eq!(resolved.arn.to_string(), format!("{FUNCTION_ARN}:{path}"));
            let alternative = resolved.alternative.as_ref();
            (
                resolved.target.version.number.to_string(),
                alternative
                    .map(|alternative| (alternative.target.version.number.to_string(), alternative.weight)),
            )
        };
        assert_eq!(numbers("f"), ("$LATEST".into(), None));
        assert_eq!(numbers("f:$LATEST"), ("$LATEST".into(), None));
        assert_eq!(numbers("f:2"), ("2".into(), None));
        assert_eq!(numbers("f:prod"), ("1".into(), Some(("2".into(), 0.1))));
        for missing in ["f:3", "f:test", "f:$LATEST.PUBLISHED", "g:$LATEST", "g:1"] {
            assert_eq!(
                words(store.resolve(&reference(missing))),
                format!("Function not found: {FUNCTION_ARN}:{missing}")
            );
        }
    });
}

/// A reader that began before a write must not leave what it read in the cache.
#[test]
fn no_reader_leaves_an_old_answer_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = firesteel_catalog::Store::open(folder.path(), account()).unwrap();
    create(&store, "f", 1);
    publish(&store, "f");
    update_code(&store, "f", 2);
    publish(&store, "f");
    let alias = |number| NewAlias {
        name: "prod".into(),
        version: VersionNumber::Published(number),
        weights: Vec::new(),
        description: String::new(),
    };
    store.create_alias(&name("f"), &alias(1)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    store.resolve(&reference("f:prod")).unwrap();
                }
            });
        }
        for round in 0..300_u64 {
            let version = VersionNumber::Published(round % 2 + 1);
            let update = AliasUpdate { version: Some(version), ..AliasUpdate::default() };
            store.update_alias(&name("f"), "prod", update).unwrap();
            assert_eq!(store.resolve(&reference("f:prod")).unwrap().target.version.number, version);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_only_function_is_also_called_function() {
    with_each_store(|store| {
        assert!(store.resolve(&reference("function")).is_err());
        create(store, "a", 1);
        let resolved = store.resolve(&reference("function")).unwrap();
        assert_eq!(resolved.target.version.name().as_str(), "a");
        assert!(Arc::ptr_eq(&resolved, &store.resolve(&reference("a")).unwrap()), "from memory");
        create(store, "b", 1);
        assert!(store.resolve(&reference("function")).is_err());
        create(store, "function", 1);
        let resolved = store.resolve(&reference("function")).unwrap();
        assert_eq!(resolved.target.version.name().as_str(), "function");
    });
}
