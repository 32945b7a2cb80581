//! Aliases.

use firesteel_catalog::{AliasUpdate, NewAlias, Paging, RefusalKind, Store, VersionNumber, Weighted};

use crate::fixture::*;

fn new_alias(alias: &str, number: u64) -> NewAlias {
    NewAlias {
        name: alias.into(),
        version: VersionNumber::Published(number),
        weights: Vec::new(),
        description: String::new(),
    }
}

fn two_versions(store: &Store) {
    create(store, "f", 1);
    publish(store, "f");
    update_code(store, "f", 2);
    publish(store, "f");
}

#[test]
fn an_alias_lives_and_holds_its_version() {
    with_each_store(|store| {
        two_versions(store);
        let created = store.create_alias(&name("f"), &new_alias("prod", 1)).unwrap();
        assert_eq!(created.arn.to_string(), format!("{FUNCTION_ARN}:f:prod"));
        assert_eq!(store.alias(&name("f"), "prod").unwrap(), created);
        assert_eq!(
            store.function(&reference("f:prod")).unwrap().version.arn.to_string(),
            format!("{FUNCTION_ARN}:f:1")
        );
        let exists = refusal(store.create_alias(&name("f"), &new_alias("prod", 2)));
        assert_eq!(exists.to_string(), format!("Alias already exists: {FUNCTION_ARN}:f:prod"));
        assert_eq!(exists.kind(), RefusalKind::ResourceConflict);
        let held = refusal(store.delete_version(&name("f"), VersionNumber::Published(1)));
        assert_eq!(held.kind(), RefusalKind::ResourceConflict);

        let weights = vec![Weighted { number: 1, weight: 0.25 }];
        let update = AliasUpdate {
            version: Some(VersionNumber::Published(2)),
            weights: Some(weights.clone()),
            revision_id: Some(created.revision_id),
            ..AliasUpdate::default()
        };
        let updated = store.update_alias(&name("f"), "prod", update.clone()).unwrap();
        assert_eq!((updated.version, updated.additional), (VersionNumber::Published(2), Some(weights[0])));
        let stale = refusal(store.update_alias(&name("f"), "prod", update));
        assert_eq!(stale.kind(), RefusalKind::PreconditionFailed);
        assert!(store.delete_version(&name("f"), VersionNumber::Published(1)).is_err(), "by its weight");
        let unshared = AliasUpdate { weights: Some(Vec::new()), ..AliasUpdate::default() };
        assert_eq!(store.update_alias(&name("f"), "prod", unshared).unwrap().additional, None);
        store.delete_version(&name("f"), VersionNumber::Published(1)).unwrap();

        store.delete_alias(&name("f"), "prod").unwrap();
        store.delete_alias(&name("f"), "prod").unwrap();
        let not_updated = words(store.update_alias(&name("f"), "prod", AliasUpdate::default()));
        assert_eq!(not_updated, format!("Alias not found: {FUNCTION_ARN}:f:prod"));
        let missing = words(store.alias(&name("f"), "prod"));
        assert_eq!(missing, format!("Cannot find alias arn: {FUNCTION_ARN}:f:prod"));
    });
}

#[test]
fn a_function_goes_with_its_aliases() {
    with_each_store(|store| {
        two_versions(store);
        store.create_alias(&name("f"), &new_alias("prod", 1)).unwrap();
        store.delete_function(&name("f")).unwrap();
        create(store, "f", 1);
        assert!(store.alias(&name("f"), "prod").is_err());
    });
}

#[test]
fn routing_follows_awss_rules() {
    let store = in_memory();
    two_versions(&store);
    let asked = |version: VersionNumber, weights: &[(u64, f64)]| {
        let weights = weights.iter().map(|&(number, weight)| Weighted { number, weight }).collect();
        words(store.create_alias(&name("f"), &NewAlias { version, weights, ..new_alias("a", 1) }))
    };
    let first = VersionNumber::Published(1);
    assert_eq!(
        asked(first, &[(1, 0.5), (2, 0.5)]),
        "Number of items in AdditionalVersionWeights cannot be greater than 1"
    );
    assert_eq!(
        asked(first, &[(2, 2.0)]),
        "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to \
         satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to \
         1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
    );
    assert!(asked(first, &[(2, -1.0)]).contains("'{2=-1.0}'"));
    assert!(asked(first, &[(2, f64::NAN)]).contains("failed to satisfy constraint"));
    assert_eq!(
        asked(first, &[(1, 0.5)]),
        "Invalid function version 1. Function version 1 is already included in routing configuration."
    );
    assert_eq!(asked(first, &[(10, 0.5)]), format!("Function not found: {FUNCTION_ARN}:f:10"));
    assert_eq!(asked(VersionNumber::Published(10), &[]), format!("Function not found: {FUNCTION_ARN}:f:10"));
    assert_eq!(
        asked(VersionNumber::Latest, &[(1, 0.5)]),
        "$LATEST is not supported for an alias pointing to more than 1 version"
    );
    assert_eq!(
        words(store.create_alias(&name("g"), &new_alias("a", 1))),
        format!("Function not found: {FUNCTION_ARN}:g:1")
    );
    let latest = NewAlias { version: VersionNumber::Latest, ..new_alias("a", 1) };
    assert_eq!(store.create_alias(&name("f"), &latest).unwrap().version, VersionNumber::Latest);
}

#[test]
fn aliases_are_listed_by_version_too() {
    with_each_store(|store| {
        two_versions(store);
        let shared = NewAlias { weights: vec![Weighted { number: 2, weight: 0.5 }], ..new_alias("b", 1) };
        store.create_alias(&name("f"), &shared).unwrap();
        for (alias, number) in [("a", 1), ("c", 2)] {
            store.create_alias(&name("f"), &new_alias(alias, number)).unwrap();
        }
        let listed = |version: Option<u64>, max_items| {
            let mut names = String::new();
            let mut paging = Paging { marker: None, max_items: Some(max_items) };
            loop {
                let version = version.map(VersionNumber::Published);
                let page = store.list_aliases(&name("f"), version, &paging).unwrap();
                names.extend(page.items.iter().map(|alias| alias.name.as_str()));
                paging.marker = page.next_marker;
                if paging.marker.is_none() {
                    return names;
                }
            }
        };
        for max_items in 1..4 {
            assert_eq!(listed(None, max_items), "abc");
            assert_eq!(listed(Some(1), max_items), "ab");
            assert_eq!(listed(Some(2), max_items), "bc");
            assert_eq!(listed(Some(3), max_items), "");
        }
    });
}
