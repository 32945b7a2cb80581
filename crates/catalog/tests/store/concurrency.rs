//! Reserved and provisioned concurrency.

use firesteel_catalog::{AccountLimits, AliasUpdate, NewAlias, Paging, RefusalKind, Store, VersionNumber};

use crate::fixture::*;

fn limited(concurrent_executions: u32) -> Store {
    let mut account = account();
    account.limits = AccountLimits { concurrent_executions, ..AccountLimits::default() };
    Store::in_memory(account).unwrap()
}

fn alias(store: &Store, function: &str, alias: &str, number: u64) {
    let new = NewAlias {
        name: alias.into(),
        version: VersionNumber::Published(number),
        weights: Vec::new(),
        description: String::new(),
    };
    store.create_alias(&name(function), &new).unwrap();
}

#[test]
fn a_share_is_set_seen_and_given_back() {
    with_each_store(|store| {
        create(store, "f", 1);
        assert_eq!(store.reserved_concurrency(&name("f")).unwrap(), None);
        for reserved in [0, 7] {
            store.put_reserved_concurrency(&name("f"), reserved).unwrap();
            assert_eq!(store.reserved_concurrency(&name("f")).unwrap(), Some(reserved));
            assert_eq!(store.resolve(&reference("f")).unwrap().reserved_concurrency, Some(reserved));
            assert_eq!(store.function(&reference("f")).unwrap().reserved_concurrency, Some(reserved));
            assert_eq!(store.reserved_concurrency_total(), reserved);
        }
        assert_eq!(store.account_usage().unwrap().unreserved_concurrent_executions, 993);
        store.delete_reserved_concurrency(&name("f")).unwrap();
        assert_eq!(store.resolve(&reference("f")).unwrap().reserved_concurrency, None);
        store.put_reserved_concurrency(&name("f"), 7).unwrap();
        store.delete_function(&name("f")).unwrap();
        assert_eq!(store.reserved_concurrency_total(), 0);
        assert_eq!(
            words(store.put_reserved_concurrency(&name("f"), 1)),
            format!("Function not found: {FUNCTION_ARN}:f:$LATEST")
        );
    });
}

#[test]
fn a_hundred_stay_unreserved() {
    let store = limited(150);
    create(&store, "f", 1);
    create(&store, "g", 1);
    store.put_reserved_concurrency(&name("f"), 50).unwrap();
    let refused = refusal(store.put_reserved_concurrency(&name("g"), 1));
    assert_eq!(
        refused.to_string(),
        "Specified ReservedConcurrentExecutions for function decreases account's \
         UnreservedConcurrentExecution below its minimum value of [100]."
    );
    assert_eq!(refused.kind(), RefusalKind::UntypedInvalidParameterValue);
    assert!(store.put_reserved_concurrency(&name("f"), 51).is_err());
    assert!(store.put_reserved_concurrency(&name("f"), 4000).is_err());
    store.put_reserved_concurrency(&name("f"), 49).unwrap();
    store.put_reserved_concurrency(&name("g"), 1).unwrap();
}

#[test]
fn environments_are_kept_ready_for_a_version_or_an_alias() {
    with_each_store(|store| {
        create(store, "f", 1);
        publish(store, "f");
        alias(store, "f", "prod", 1);
        let put = store.put_provisioned_concurrency(&reference("f:1"), 3).unwrap();
        assert_eq!((put.arn.to_string(), put.requested), (format!("{FUNCTION_ARN}:f:1"), 3));
        assert_eq!(store.provisioned_concurrency(&reference("f:1")).unwrap(), put);
        assert_eq!(store.resolve(&reference("f:1")).unwrap().target.provisioned, Some(3));
        let by_alias = store.resolve(&reference("f:prod")).unwrap();
        assert_eq!((by_alias.target.provisioned, by_alias.provisioned_for_alias), (Some(3), None));

        let conflict = refusal(store.put_provisioned_concurrency(&reference("f:prod"), 1));
        assert_eq!(
            conflict.to_string(),
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        );
        assert_eq!(conflict.kind(), RefusalKind::ResourceConflict);
        store.delete_provisioned_concurrency(&reference("f:1")).unwrap();
        store.delete_provisioned_concurrency(&reference("f:1")).unwrap();

        let put = store.put_provisioned_concurrency(&reference("f:prod"), 2).unwrap();
        assert_eq!(
            words(store.put_provisioned_concurrency(&reference("f:1"), 1)),
            "Version is pointed by a Provisioned Concurrency alias"
        );
        assert_eq!(store.resolve(&reference("f:prod")).unwrap().provisioned_for_alias, Some(2));
        assert_eq!(store.all_provisioned_concurrency().unwrap(), std::slice::from_ref(&put));
        let page = store.list_provisioned_concurrency(&name("f"), &Paging::default()).unwrap();
        assert_eq!(page.items, [put]);

        store.delete_alias(&name("f"), "prod").unwrap();
        assert_eq!(
            words(store.provisioned_concurrency(&reference("f:prod"))),
            format!("Cannot find alias arn: {FUNCTION_ARN}:f:prod")
        );
        assert!(store.all_provisioned_concurrency().unwrap().is_empty());
    });
}

#[test]
fn an_alias_takes_its_environments_along() {
    let store = in_memory();
    create(&store, "f", 1);
    publish(&store, "f");
    alias(&store, "f", "prod", 1);
    store.put_provisioned_concurrency(&reference("f:prod"), 2).unwrap();
    update_code(&store, "f", 2);
    publish(&store, "f");
    let update = AliasUpdate { version: Some(VersionNumber::Published(2)), ..AliasUpdate::default() };
    store.update_alias(&name("f"), "prod", update).unwrap();
    let resolved = store.resolve(&reference("f:prod")).unwrap();
    assert_eq!((resolved.target.version.code.clone(), resolved.provisioned_for_alias), (package(2), Some(2)));
    store.put_provisioned_concurrency(&reference("f:1"), 1).unwrap();
}

#[test]
fn provisioned_environments_fit_into_what_the_function_has() {
    let store = limited(150);
    create(&store, "f", 1);
    publish(&store, "f");
    let put = |requested| words(store.put_provisioned_concurrency(&reference("f:1"), requested));
    assert_eq!(
        put(151),
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [150]."
    );
    assert_eq!(
        put(51),
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below \
         its minimum value of [100]."
    );
    assert_eq!(
        put(0),
        "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to satisfy \
         constraint: Member must have value greater than or equal to 1"
    );
    store.put_reserved_concurrency(&name("f"), 10).unwrap();
    assert_eq!(
        put(11),
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for \
         function"
    );
    store.put_provisioned_concurrency(&reference("f:1"), 10).unwrap();
    let below = refusal(store.put_reserved_concurrency(&name("f"), 9));
    assert_eq!(below.kind(), RefusalKind::UntypedInvalidParameterValue);
    assert_eq!(
        below.to_string(),
        " ReservedConcurrentExecutions  9 should not be lower than function's total provisioned concurrency \
         [10]."
    );
    assert_eq!(store.account_usage().unwrap().unreserved_concurrent_executions, 140, "not counted twice");
    store.delete_reserved_concurrency(&name("f")).unwrap();
    assert_eq!(store.account_usage().unwrap().unreserved_concurrent_executions, 140);
    create(&store, "g", 1);
    assert!(store.put_reserved_concurrency(&name("g"), 41).is_err(), "f's are claimed without a reservation");
    store.put_reserved_concurrency(&name("g"), 40).unwrap();
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    create(&store, "f", 1);
    publish(&store, "f");
    for (path, missing) in [
        ("f:10", "Function not found: "),
        ("g:1", "Function not found: "),
        ("f:noalias", "Cannot find alias arn: "),
        ("g:noalias", "Cannot find alias arn: "),
    ] {
        let expected = format!("{missing}{FUNCTION_ARN}:{path}");
        assert_eq!(words(store.put_provisioned_concurrency(&reference(path), 1)), expected);
        assert_eq!(words(store.provisioned_concurrency(&reference(path))), expected);
        assert_eq!(words(store.delete_provisioned_concurrency(&reference(path))), expected);
    }
    for path in ["f", "f:$LATEST"] {
        assert_eq!(
            words(store.put_provisioned_concurrency(&reference(path), 1)),
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        );
        let not_published = "The function resource provided must be an alias or a published version.";
        assert_eq!(words(store.provisioned_concurrency(&reference(path))), not_published);
        assert_eq!(words(store.delete_provisioned_concurrency(&reference(path))), not_published);
    }
    let missing = refusal(store.provisioned_concurrency(&reference("f:1")));
    assert_eq!(missing.to_string(), "No Provisioned Concurrency Config found for this function");
    assert_eq!(missing.kind(), RefusalKind::ProvisionedConcurrencyConfigNotFound);
    assert_eq!(
        words(store.list_provisioned_concurrency(&name("g"), &Paging::default())),
        format!("Function not found: {FUNCTION_ARN}:g")
    );
}
