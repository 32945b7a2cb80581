//! Code signing configurations.

use firesteel_catalog::{
    CodeSigningSettings, CodeSigningUpdate, NewFunction, Paging, RefusalKind, Tags, UntrustedArtifact,
};

use crate::fixture::*;

const MISSING: &str = "arn:aws:lambda:eu-west-1:111122223333:code-signing-config:csc-11111111111111111";

fn settings() -> CodeSigningSettings {
    CodeSigningSettings {
        description: "ours".into(),
        allowed_publishers: vec!["arn:aws:signer:eu-west-1:111122223333:/signing-profiles/p/v".into()],
        untrusted_artifact: UntrustedArtifact::Enforce,
    }
}

#[test]
fn a_configuration_lives_and_is_used() {
    with_each_store(|store| {
        let made = store.create_code_signing_config(settings(), &Tags::new()).unwrap();
        assert_eq!((made.id.len(), made.arn.ends_with(&made.id)), (21, true), "{made:?}");
        assert_eq!(store.code_signing_config(&made.arn).unwrap(), made);
        create(store, "f", 1);
        assert_eq!(store.function_code_signing_config(&name("f")).unwrap(), None);
        store.put_function_code_signing_config(&name("f"), &made.arn).unwrap();
        let new =
            NewFunction { code_signing_config: Some(made.arn.clone()), ..new_function("g", package(1)) };
        store.create_function(new).unwrap();
        for function in ["f", "g"] {
            let used = store.function_code_signing_config(&name(function)).unwrap();
            assert_eq!(used.as_deref(), Some(made.arn.as_str()));
        }
        let users = |max_items| {
            let mut names = String::new();
            let mut paging = Paging { marker: None, max_items: Some(max_items) };
            loop {
                let page = store.list_functions_by_code_signing_config(&made.arn, &paging).unwrap();
                names.extend(page.items.iter().map(|arn| arn.name.as_str()));
                paging.marker = page.next_marker;
                if paging.marker.is_none() {
                    return names;
                }
            }
        };
        assert_eq!((users(1).as_str(), users(50).as_str()), ("fg", "fg"));

        let update = CodeSigningUpdate {
            untrusted_artifact: Some(UntrustedArtifact::Warn),
            ..CodeSigningUpdate::default()
        };
        let updated = store.update_code_signing_config(&made.arn, update).unwrap();
        let expected = CodeSigningSettings { untrusted_artifact: UntrustedArtifact::Warn, ..settings() };
        assert_eq!(updated.settings, expected);
        assert_eq!(store.list_code_signing_configs(&Paging::default()).unwrap().items, [updated]);

        let used = refusal(store.delete_code_signing_config(&made.arn));
        assert_eq!(used.kind(), RefusalKind::ResourceConflict);
        store.delete_function_code_signing_config(&name("f")).unwrap();
        store.delete_function(&name("g")).unwrap();
        store.delete_code_signing_config(&made.arn).unwrap();
        assert!(store.code_signing_config(&made.arn).is_err());
    });
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    create(&store, "f", 1);
    let missing = format!("The Lambda code signing configuration {MISSING} can not be found.");
    assert_eq!(words(store.code_signing_config(MISSING)), missing);
    assert_eq!(words(store.delete_code_signing_config(MISSING)), missing);
    assert_eq!(words(store.update_code_signing_config(MISSING, CodeSigningUpdate::default())), missing);
    assert_eq!(words(store.list_functions_by_code_signing_config(MISSING, &Paging::default())), missing);
    assert_eq!(words(store.code_signing_config("csc-1")), missing.replace(MISSING, "csc-1"));
    for function in ["f", "missing"] {
        let refused = refusal(store.put_function_code_signing_config(&name(function), MISSING));
        assert_eq!(
            refused.to_string(),
            format!(
                "The code signing configuration cannot be found. Check that the provided configuration is not \
                 deleted: {MISSING}."
            )
        );
        assert_eq!(refused.kind(), RefusalKind::CodeSigningConfigNotFound);
    }
    let not_found = format!("Function not found: {FUNCTION_ARN}:g");
    assert_eq!(words(store.function_code_signing_config(&name("g"))), not_found);
    assert_eq!(words(store.delete_function_code_signing_config(&name("g"))), not_found);
}
