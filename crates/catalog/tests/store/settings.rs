//! Recursion and runtime management: chosen, shown, forgotten with what they belong to.

use firesteel_catalog::{RecursiveLoop, RuntimeManagement, UpdateRuntimeOn};

use crate::fixture::*;

#[test]
fn loops_are_ended_unless_allowed() {
    with_each_store(|store| {
        create(store, "f", 1);
        assert_eq!(store.recursive_loop(&name("f")).unwrap(), RecursiveLoop::Terminate);
        store.put_recursive_loop(&name("f"), RecursiveLoop::Allow).unwrap();
        assert_eq!(store.recursive_loop(&name("f")).unwrap(), RecursiveLoop::Allow);
        assert_eq!(store.resolve(&reference("f")).unwrap().recursive_loop, RecursiveLoop::Allow);
        store.put_recursive_loop(&name("f"), RecursiveLoop::Terminate).unwrap();
        assert_eq!(store.resolve(&reference("f")).unwrap().recursive_loop, RecursiveLoop::Terminate);
        let missing = format!("Function not found: {FUNCTION_ARN}:g");
        assert_eq!(words(store.recursive_loop(&name("g"))), missing);
        assert_eq!(words(store.put_recursive_loop(&name("g"), RecursiveLoop::Allow)), missing);
    });
}

#[test]
fn a_pinned_runtime_is_named() {
    with_each_store(|store| {
        create(store, "f", 1);
        publish(store, "f");
        assert_eq!(store.runtime_management(&reference("f")).unwrap(), RuntimeManagement::default());
        let pinned = RuntimeManagement {
            update_runtime_on: UpdateRuntimeOn::Manual,
            runtime_version_arn: Some("arn:aws:lambda:eu-west-1::runtime:ab".into()),
        };
        store.put_runtime_management(&reference("f:1"), &pinned).unwrap();
        assert_eq!(store.runtime_management(&reference("f:1")).unwrap(), pinned);
        assert_eq!(store.runtime_management(&reference("f")).unwrap(), RuntimeManagement::default());
        let nameless = RuntimeManagement { runtime_version_arn: None, ..pinned };
        assert!(
            words(store.put_runtime_management(&reference("f"), &nameless)).contains("RuntimeVersionArn")
        );
        let needless = RuntimeManagement { update_runtime_on: UpdateRuntimeOn::Auto, ..pinned };
        assert!(words(store.put_runtime_management(&reference("f"), &needless)).contains("only when"));
        assert!(store.runtime_management(&reference("f:2")).is_err());
    });
}
