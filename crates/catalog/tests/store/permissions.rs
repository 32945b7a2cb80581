//! Resource policies of functions, versions and aliases.

use firesteel_catalog::{NewAlias, NewStatement, RefusalKind, VersionNumber};
use serde_json::{Value, json};

use crate::fixture::*;

fn statement(sid: &str) -> NewStatement {
    NewStatement {
        sid: sid.into(),
        action: "lambda:InvokeFunction".into(),
        principal: "s3.amazonaws.com".into(),
        ..NewStatement::default()
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_policy_grows_and_shrinks_with_its_statements() {
    with_each_store(|store| {
        create(store, "f", 1);
        let function = reference("f");
        let added = store.add_permission(&function, &statement("s3"), None).unwrap();
        let expected = json!({
            "Sid": "s3", "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" },
            "Action": "lambda:InvokeFunction", "Resource": format!("{FUNCTION_ARN}:f"),
        });
        assert_eq!(parsed(&added), expected);
        let policy = store.policy(&function).unwrap();
        let document = json!({ "Version": "2012-10-17", "Id": "default", "Statement": [expected] });
        assert_eq!(parsed(&policy.text), document);
        assert_eq!(policy.revision_id, store.function(&function).unwrap().version.revision_id);
        assert_eq!(store.resolve(&function).unwrap().policy.as_deref(), Some(policy.text.as_str()));

        store.add_permission(&function, &statement("a"), Some(&policy.revision_id)).unwrap();
        let sids = |text: &str| {
            let statements = parsed(text)["Statement"].as_array().unwrap().clone();
            statements
                .iter()
                .map(|statement| statement["Sid"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let grown = store.policy(&function).unwrap();
        assert_eq!(sids(&grown.text), ["s3", "a"], "in the order they were added");
        assert_ne!(grown.revision_id, policy.revision_id);

        publish(store, "f");
        let whole = store.function(&function).unwrap().version.revision_id.clone();
        assert_ne!(whole, grown.revision_id, "to publish is no write to the policy");
        assert_eq!(store.policy(&function).unwrap(), grown);
        assert!(store.add_permission(&function, &statement("b"), Some(&whole)).is_err());

        store.remove_permission(&function, "s3", Some(&grown.revision_id)).unwrap();
        assert_eq!(sids(&store.policy(&function).unwrap().text), ["a"]);
        store.remove_permission(&function, "a", None).unwrap();
        assert_eq!(words(store.policy(&function)), "The resource you requested does not exist.");
        assert_eq!(store.resolve(&function).unwrap().policy, None);
    });
}

#[test]
fn each_version_and_alias_has_its_own() {
    let store = in_memory();
    create(&store, "f", 1);
    publish(&store, "f");
    let alias = NewAlias {
        name: "prod".into(),
        version: VersionNumber::Published(1),
        weights: Vec::new(),
        description: String::new(),
    };
    let before = store.create_alias(&name("f"), &alias).unwrap();
    for path in ["f", "f:1", "f:prod"] {
        store.add_permission(&reference(path), &statement("s"), None).unwrap();
        let policy = store.policy(&reference(path)).unwrap();
        assert!(policy.text.contains(&format!("\"Resource\":\"{FUNCTION_ARN}:{path}\"")), "{}", policy.text);
    }
    let alias = store.alias(&name("f"), "prod").unwrap();
    assert_ne!(alias.revision_id, before.revision_id);
    assert_eq!(store.policy(&reference("f:prod")).unwrap().revision_id, alias.revision_id);

    store.delete_alias(&name("f"), "prod").unwrap();
    store.delete_version(&name("f"), VersionNumber::Published(1)).unwrap();
    update_code(&store, "f", 2);
    assert!(store.policy(&reference("f")).is_ok(), "new code keeps the policy");
    publish(&store, "f");
    let again = NewAlias { version: VersionNumber::Published(2), ..new_alias() };
    store.create_alias(&name("f"), &again).unwrap();
    assert!(store.policy(&reference("f:prod")).is_err(), "what was attached went with the alias");
}

fn new_alias() -> NewAlias {
    NewAlias {
        name: "prod".into(),
        version: VersionNumber::Latest,
        weights: Vec::new(),
        description: String::new(),
    }
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    create(&store, "f", 1);
    let add = |path: &str| words(store.add_permission(&reference(path), &statement("s"), None));
    assert_eq!(add("f:$LATEST"), "We currently do not support adding policies for $LATEST.");
    assert_eq!(add("g"), format!("Function not found: {FUNCTION_ARN}:g"));
    assert_eq!(add("f:42"), format!("Function not found: {FUNCTION_ARN}:f:42"));
    assert_eq!(add("f:prod"), format!("Cannot find alias arn: {FUNCTION_ARN}:f:prod"));
    let remove = |path: &str| words(store.remove_permission(&reference(path), "s", None));
    assert_eq!(remove("g"), format!("No policy found for: {FUNCTION_ARN}:g"));
    assert_eq!(remove("f"), "No policy is associated with the given resource.");
    assert_eq!(remove("f:prod"), format!("Cannot find alias arn: {FUNCTION_ARN}:f:prod"));
    for path in ["g", "f", "f:42"] {
        assert_eq!(words(store.policy(&reference(path))), "The resource you requested does not exist.");
    }
    let nobody = NewStatement { principal: "nobody".into(), ..statement("s") };
    assert_eq!(
        words(store.add_permission(&reference("f"), &nobody, None)),
        "The provided principal was invalid. Please check the principal and try again."
    );

    store.add_permission(&reference("f"), &statement("s"), None).unwrap();
    let twice = refusal(store.add_permission(&reference("f"), &statement("s"), None));
    assert_eq!(
        twice.to_string(),
        "The statement id (s) provided already exists. Please provide a new statement id, or remove the \
         existing statement."
    );
    assert_eq!(twice.kind(), RefusalKind::ResourceConflict);
    assert_eq!(
        words(store.remove_permission(&reference("f"), "t", None)),
        "Statement t is not found in resource policy."
    );
    let stale = refusal(store.add_permission(&reference("f"), &statement("t"), Some("stale")));
    assert!(stale.to_string().contains("Call the GetPolicy API"), "{stale}");
    let stale = refusal(store.remove_permission(&reference("f"), "s", Some("stale")));
    assert!(stale.to_string().contains("Call the GetFunction/GetAlias API"), "{stale}");
    assert_eq!(stale.kind(), RefusalKind::PreconditionFailed);
}

#[test]
fn a_policy_has_an_end() {
    let store = in_memory();
    create(&store, "f", 1);
    let mut added = 0;
    let refused = loop {
        match store.add_permission(&reference("f"), &statement(&format!("statement-{added:03}")), None) {
            Ok(_) => added += 1,
            Err(_) => {
                break refusal(store.add_permission(&reference("f"), &statement("statement-xxx"), None));
            }
        }
    };
    assert_eq!(refused.kind(), RefusalKind::PolicyLengthExceeded);
    assert!(refused.to_string().ends_with("is bigger than the limit (20480)."), "{refused}");
    let size_bytes = store.policy(&reference("f")).unwrap().text.len();
    assert!((20_200..=20_480).contains(&size_bytes), "{size_bytes}");
}
