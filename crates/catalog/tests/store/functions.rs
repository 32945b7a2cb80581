//! Functions: made, looked at, changed, listed, deleted.

use firesteel_catalog::{
    Architecture, Code, CodeUpdate, Configuration, ConfigurationUpdate, ImageConfig, LastUpdate, Listed,
    LogFormat, LogLevel, LoggingUpdate, NewFunction, Paging, Reason, RefusalKind, Settlement, State, Store,
    VersionNumber,
};

use crate::fixture::*;

fn failed(code: &str) -> Settlement {
    Settlement::Failed(Reason { code: code.into(), text: "because".into() })
}

#[test]
fn a_function_is_pending_until_its_code_is_ready() {
    with_each_store(|store| {
        let created = store.create_function(new_function("f", package(1))).unwrap();
        assert_eq!(created.arn.to_string(), format!("{FUNCTION_ARN}:f:$LATEST"));
        assert_eq!(created.function_arn().to_string(), format!("{FUNCTION_ARN}:f"));
        let reason = created.state.reason().unwrap();
        assert_eq!(
            (created.state.name(), reason.code.as_str(), reason.text.as_str()),
            ("Pending", "Creating", "The function is being created.")
        );
        assert_eq!(created.last_update, None);
        assert_eq!(store.unsettled().unwrap(), std::slice::from_ref(&created));
        assert_eq!(*store.function(&reference("f")).unwrap().version, *created);

        let ready = store.settle(&created, &READY).unwrap().unwrap();
        assert_eq!((&ready.state, &ready.last_update), (&State::Active, &Some(LastUpdate::Successful)));
        assert_eq!(ready.instance, created.instance, "the content is the same");
        assert_ne!(ready.revision_id, created.revision_id);
        assert_eq!(*store.function(&reference("f")).unwrap().version, *ready);
        assert!(store.unsettled().unwrap().is_empty());
        assert_eq!(store.settle(&created, &failed("late")).unwrap(), None, "it was said before");
    });
}

#[test]
fn what_is_stored_is_what_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let asked = NewFunction {
        configuration: Configuration {
            description: "makes thumbnails".into(),
            timeout_s: 30,
            memory_mib: 512,
            variables: Some(variables(&[("TOKEN", "geheim"), ("MODE", "x")])),
            architecture: Architecture::Arm64,
            dead_letter_target: Some("arn:aws:sqs:eu-west-1:111122223333:dead".into()),
            shown: [("VpcConfig".to_owned(), serde_json::json!({"SubnetIds": ["s"]}))].into_iter().collect(),
            ..new_function("f", package(1)).configuration
        },
        tags: [("team".to_owned(), "a".to_owned())].into(),
        ..new_function("f", package(1))
    };
    let created = Store::open(folder.path(), account()).unwrap().create_function(asked.clone()).unwrap();
    let found = Store::open(folder.path(), account()).unwrap().function(&reference("f")).unwrap();
    // Times are kept to the millisecond.
    assert_eq!(found.version.last_modified_text(), created.last_modified_text());
    assert_eq!(found.version.configuration, asked.configuration);
    assert_eq!((&found.version.code, &found.version.state), (&asked.code, &created.state));
    assert_eq!((found.tags, found.reserved_concurrency), (asked.tags, None));
}

#[test]
fn times_are_printed_as_aws_prints_them() {
    let text = create(&in_memory(), "f", 1).last_modified_text();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99.999+9999");
    assert!(text.ends_with("+0000"));
}

#[test]
fn a_name_is_given_once_and_again_after_deletion() {
    with_each_store(|store| {
        let first = create(store, "f", 1);
        let again = refusal(store.create_function(new_function("f", package(2))));
        assert_eq!(again.to_string(), "Function already exist: f");
        assert_eq!(again.kind(), RefusalKind::ResourceConflict);
        store.delete_function(&name("f")).unwrap();
        assert!(create(store, "f", 1).instance > first.instance);
    });
}

#[test]
fn changes_wait_for_the_one_before() {
    with_each_store(|store| {
        let conflict = format!(
            "The operation cannot be performed at this time. An update is in progress for resource: \
             {FUNCTION_ARN}:f"
        );
        let created = store.create_function(new_function("f", package(1))).unwrap();
        assert_eq!(words(store.update_code(&name("f"), code_update(package(2)))), conflict);
        assert_eq!(words(store.publish_version(&name("f"), &Default::default())), conflict);
        store.settle(&created, &READY).unwrap();

        let updated = store.update_code(&name("f"), code_update(package(2))).unwrap();
        let last_update = updated.version.last_update.as_ref().unwrap();
        assert_eq!((last_update.name(), updated.version.state.name()), ("InProgress", "Active"));
        assert_eq!(updated.replaced, Some(created.instance));
        assert_eq!(updated.unreferenced, [digest(1)]);
        let change = ConfigurationUpdate { timeout_s: Some(9), ..ConfigurationUpdate::default() };
        assert_eq!(words(store.update_configuration(&name("f"), change.clone(), None, None)), conflict);
        assert_eq!(store.settle(&created, &READY).unwrap(), None, "that content is gone");

        let failed = store.settle(&updated.version, &failed("InvalidRuntime")).unwrap().unwrap();
        assert_eq!(failed.last_update.as_ref().map(LastUpdate::name), Some("Failed"));
        assert_eq!(failed.state, State::Active);
        assert_eq!(update_configuration(store, "f", change).version.configuration.timeout_s, 9);
    });
}

#[test]
fn a_function_that_failed_can_be_mended() {
    let store = in_memory();
    let created = store.create_function(new_function("f", package(1))).unwrap();
    let failed = store.settle(&created, &failed("InvalidZipFileException")).unwrap().unwrap();
    assert_eq!((failed.state.name(), &failed.last_update), ("Failed", &None));
    let updated = store.update_code(&name("f"), code_update(package(2))).unwrap();
    let ready = store.settle(&updated.version, &READY).unwrap().unwrap();
    assert_eq!(ready.state, State::Active);
}

#[test]
fn an_update_that_changes_nothing_keeps_the_instance() {
    let store = in_memory();
    let created = create(&store, "f", 1);
    let updated = update_code(&store, "f", 1);
    assert_eq!((updated.replaced, updated.version.instance), (None, created.instance));
    assert_ne!(updated.version.revision_id, created.revision_id);
    assert!(updated.unreferenced.is_empty());
}

#[test]
fn revisions_are_compared() {
    with_each_store(|store| {
        let created = create(store, "f", 1);
        let expecting =
            |revision: &str| CodeUpdate { revision_id: Some(revision.into()), ..code_update(package(2)) };
        let refused = refusal(store.update_code(&name("f"), expecting("other")));
        assert_eq!(
            refused.to_string(),
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API \
             to retrieve the latest Revision Id"
        );
        assert_eq!(refused.kind(), RefusalKind::PreconditionFailed);
        assert!(store.update_code(&name("f"), expecting(&created.revision_id)).is_ok());
    });
}

#[test]
fn a_dry_run_checks_and_changes_nothing() {
    let store = in_memory();
    let created = create(&store, "f", 1);
    let dry = CodeUpdate { dry_run: true, ..code_update(package(2)) };
    let updated = store.update_code(&name("f"), dry.clone()).unwrap();
    assert_eq!(updated.version.code, package(2));
    assert_eq!(*store.function(&reference("f")).unwrap().version, *created);
    let refused = CodeUpdate { revision_id: Some("other".into()), ..dry };
    assert!(store.update_code(&name("f"), refused).is_err());
}

#[test]
fn the_package_type_stays() {
    let store = in_memory();
    create(&store, "zip", 1);
    let image = Code::Image { uri: "repo:1".into(), digest: None };
    let mut new = new_function("image", image.clone());
    (new.configuration.runtime, new.configuration.handler) = (None, None);
    new.configuration.image = ImageConfig { command: Some(vec!["h".into()]), ..ImageConfig::default() };
    let created = store.create_function(new.clone()).unwrap();
    let settlement = Settlement::Ready { image_digest: Some("sha256:ab".into()) };
    let ready = store.settle(&created, &settlement).unwrap().unwrap();
    assert_eq!((ready.code.sha256().as_deref(), ready.code.size_bytes()), (Some("ab"), 0));
    assert_eq!(
        words(store.update_code(&name("image"), code_update(package(1)))),
        "Please provide ImageUri when updating a function with packageType Image."
    );
    assert_eq!(
        words(store.update_code(&name("zip"), code_update(image))),
        "Please don't provide ImageUri when updating a function with packageType Zip."
    );
    new.configuration.runtime = Some("python3.13".into());
    assert!(
        words(store.create_function(new)).starts_with("Please don't provide Handler or Runtime or Layer")
    );
}

#[test]
fn settings_are_checked_in_awss_words() {
    let store = in_memory();
    let asked = |change: fn(&mut Configuration)| {
        let mut new = new_function("f", package(1));
        change(&mut new.configuration);
        words(store.create_function(new))
    };
    assert_eq!(
        asked(|configuration| configuration.memory_mib = 127),
        "1 validation error detected: Value '127' at 'memorySize' failed to satisfy constraint: Member must \
         have value greater than or equal to 128"
    );
    assert_eq!(
        asked(|configuration| configuration.timeout_s = 901),
        "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have \
         value less than or equal to 900"
    );
    assert_eq!(
        asked(|configuration| configuration.handler = None),
        "Runtime and Handler are mandatory parameters for functions created with deployment packages."
    );
    assert!(asked(|configuration| configuration.ephemeral_storage_mib = 10_241).contains("10240"));
    assert!(asked(|configuration| configuration.handler = Some("a b".into())).contains("handler"));
    assert!(asked(|configuration| configuration.description = "é".repeat(257)).contains("256"));
    assert!(store.list_functions(Listed::Latest, &Paging::default()).unwrap().items.is_empty());
}

#[test]
fn logging_keeps_what_is_not_changed_and_text_has_no_levels() {
    let store = in_memory();
    create(&store, "f", 1);
    let update = |logging| ConfigurationUpdate { logging: Some(logging), ..ConfigurationUpdate::default() };
    let json = LoggingUpdate {
        format: Some(LogFormat::Json),
        application_level: Some(LogLevel::Debug),
        group: Some("group".into()),
        ..LoggingUpdate::default()
    };
    let logging = update_configuration(&store, "f", update(json)).version.configuration.logging.clone();
    assert_eq!(logging.application_level, Some(LogLevel::Debug));
    assert_eq!(logging.system_level, Some(LogLevel::Info));
    let text = LoggingUpdate { format: Some(LogFormat::Text), ..LoggingUpdate::default() };
    let logging = update_configuration(&store, "f", update(text)).version.configuration.logging.clone();
    assert_eq!((logging.application_level, logging.group.as_deref()), (None, Some("group")));
    let level = LoggingUpdate { system_level: Some(LogLevel::Warn), ..LoggingUpdate::default() };
    let refused = store.update_configuration(&name("f"), update(level), None, None);
    assert!(words(refused).starts_with("LogLevel is not supported when LogFormat is set to \"Text\"."));
}

#[test]
fn pages_are_complete_and_versions_follow_their_function() {
    with_each_store(|store| {
        for index in 0..7 {
            create(store, &format!("f{index}"), 1);
        }
        publish(store, "f3");
        let all = |listed, max_items| {
            let mut names = Vec::new();
            let mut paging = Paging { marker: None, max_items };
            loop {
                let page = store.list_functions(listed, &paging).unwrap();
                names.extend(
                    page.items.iter().map(|version| format!("{}:{}", version.name(), version.number)),
                );
                paging.marker = page.next_marker;
                if paging.marker.is_none() {
                    return names;
                }
            }
        };
        let latest: Vec<String> = (0..7).map(|index| format!("f{index}:$LATEST")).collect();
        let mut versions = latest.clone();
        versions.insert(4, "f3:1".into());
        for max_items in [None, Some(1), Some(2), Some(7), Some(1000)] {
            assert_eq!(all(Listed::Latest, max_items), latest);
            assert_eq!(all(Listed::AllVersions, max_items), versions);
        }
        let invalid = Paging { marker: Some("?".into()), max_items: None };
        assert_eq!(
            refusal(store.list_functions(Listed::Latest, &invalid)).kind(),
            RefusalKind::InvalidParameterValue
        );
    });
}

#[test]
fn a_version_made_of_an_update_is_created_while_the_function_is_updated() {
    with_each_store(|store| {
        create(store, "f", 1);
        let update = CodeUpdate { publish: true, ..code_update(package(2)) };
        let version = store.update_code(&name("f"), update).unwrap().version;
        assert_eq!((version.number, version.state.name()), (VersionNumber::Published(1), "Pending"));
        assert_eq!(version.last_update, None);
        let latest = store.function(&reference("f")).unwrap().version;
        assert_eq!(latest.state, State::Active);
        assert!(matches!(latest.last_update, Some(LastUpdate::InProgress(_))));
        let settled = store.settle(&version, &READY).unwrap().unwrap();
        assert_eq!((&settled.state, &settled.last_update), (&State::Active, &Some(LastUpdate::Successful)));
    });
}

#[test]
fn a_deletion_tells_what_it_set_free() {
    with_each_store(|store| {
        let first = create(store, "f", 1);
        create(store, "g", 2);
        let published = publish(store, "f");
        let second = update_code(store, "f", 2).version;
        let deleted = store.delete_function(&name("f")).unwrap();
        assert_eq!(deleted.instances, [published.instance, second.instance]);
        assert!(!deleted.instances.contains(&first.instance));
        assert_eq!(deleted.unreferenced, [digest(1)], "g needs the other");
        assert_eq!(store.referenced_code().unwrap(), [digest(2)].into());
        let gone = refusal(store.delete_function(&name("f")));
        assert_eq!(gone.to_string(), format!("Function not found: {FUNCTION_ARN}:f"));
        assert_eq!(gone.kind(), RefusalKind::ResourceNotFound);
    });
}

#[test]
fn code_is_counted_as_often_as_it_is_used() {
    let mut limited = account();
    limited.limits.total_code_size_bytes = 250;
    let store = Store::in_memory(limited).unwrap();
    create(&store, "f", 1);
    publish(&store, "f");
    assert_eq!(store.account_usage().unwrap().code_size_bytes, 200);
    let refused = refusal(store.create_function(new_function("g", package(1))));
    assert_eq!(refused.kind(), RefusalKind::CodeStorageExceeded);
    assert_eq!(store.account_usage().unwrap().functions, 1);
    store.delete_function(&name("f")).unwrap();
    assert_eq!(store.account_usage().unwrap().code_size_bytes, 0);
    create(&store, "g", 1);
}

#[test]
fn functions_named_on_the_command_line_are_gone_with_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), account()).unwrap();
    create(&store, "kept", 1);
    let code = Code::Folder { path: "/code".into(), opt: None };
    let created = store.create_function(new_function("fleeting", code)).unwrap();
    assert_eq!((created.code.sha256(), created.code.size_bytes()), (None, 0));
    store.settle(&created, &READY).unwrap();
    publish(&store, "fleeting");
    drop(store);
    let store = Store::open(folder.path(), account()).unwrap();
    let page = store.list_functions(Listed::Latest, &Paging::default()).unwrap();
    assert_eq!(page.items.iter().map(|version| version.name().as_str()).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(store.account_usage().unwrap().functions, 1);
    create(&store, "fleeting", 1);
    assert_eq!(publish(&store, "fleeting").number, VersionNumber::Published(1), "another function");
}
