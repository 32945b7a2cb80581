//! Function URLs.

use std::sync::Arc;

use firesteel_catalog::{
    AuthType, Cors, InvokeMode, NewAlias, Paging, RefusalKind, UrlSettings, UrlUpdate, VersionNumber,
};

use crate::fixture::*;

const OPEN: UrlSettings = UrlSettings { auth_type: AuthType::None, cors: None, invoke_mode: None };

fn alias() -> NewAlias {
    NewAlias {
        name: "prod".into(),
        version: VersionNumber::Latest,
        weights: Vec::new(),
        description: String::new(),
    }
}

#[test]
fn a_url_lives() {
    with_each_store(|store| {
        create(store, "f", 1);
        let made = store.create_function_url(&reference("f"), OPEN).unwrap();
        assert_eq!(made.id.len(), 32);
        assert!(
            made.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
            "{}",
            made.id
        );
        assert_eq!(made.arn.to_string(), format!("{FUNCTION_ARN}:f"));
        assert_eq!(store.function_url(&reference("f")).unwrap(), made);

        let found = store.function_url_by_id(&made.id).unwrap().unwrap();
        assert_eq!(*found, made);
        assert!(Arc::ptr_eq(&found, &store.function_url_by_id(&made.id).unwrap().unwrap()), "from memory");
        let cors = Cors { allow_origins: vec!["*".into()], max_age_s: Some(60), ..Cors::default() };
        let update = UrlUpdate {
            auth_type: Some(AuthType::AwsIam),
            cors: Some(cors.clone()),
            invoke_mode: Some(InvokeMode::ResponseStream),
        };
        let updated = store.update_function_url(&reference("f"), update).unwrap();
        assert_eq!((updated.id.as_str(), updated.settings.cors.as_ref()), (made.id.as_str(), Some(&cors)));
        assert_eq!(*store.function_url_by_id(&made.id).unwrap().unwrap(), updated);
        let untouched = store.update_function_url(&reference("f"), UrlUpdate::default()).unwrap();
        assert_eq!(untouched.settings, updated.settings);

        let without_cors = UrlUpdate { cors: Some(Cors::default()), ..UrlUpdate::default() };
        assert_eq!(store.update_function_url(&reference("f"), without_cors).unwrap().settings.cors, None);

        store.delete_function_url(&reference("f")).unwrap();
        assert_eq!(store.function_url_by_id(&made.id).unwrap(), None);
        assert_ne!(store.create_function_url(&reference("f"), OPEN).unwrap().id, made.id);
        store.delete_function(&name("f")).unwrap();
        create(store, "f", 1);
        assert!(store.function_url(&reference("f")).is_err());
    });
}

#[test]
fn an_aliass_url_outlives_it_for_those_who_come_by_it() {
    let store = in_memory();
    create(&store, "f", 1);
    store.create_alias(&name("f"), &alias()).unwrap();
    store.create_function_url(&reference("f"), OPEN).unwrap();
    let made = store.create_function_url(&reference("f:prod"), OPEN).unwrap();
    assert_eq!(made.arn.to_string(), format!("{FUNCTION_ARN}:f:prod"));
    for max_items in [1, 50] {
        let mut arns = Vec::new();
        let mut paging = Paging { marker: None, max_items: Some(max_items) };
        loop {
            let page = store.list_function_urls(&name("f"), &paging).unwrap();
            arns.extend(page.items.iter().map(|url| url.arn.to_string()));
            paging.marker = page.next_marker;
            if paging.marker.is_none() {
                break;
            }
        }
        assert_eq!(arns, [format!("{FUNCTION_ARN}:f"), format!("{FUNCTION_ARN}:f:prod")]);
    }
    store.delete_alias(&name("f"), "prod").unwrap();
    assert_eq!(*store.function_url_by_id(&made.id).unwrap().unwrap(), made);
    assert!(store.resolve(&reference("f:prod")).is_err());
    // Of its settings nobody is told.
    let absent = "The resource you requested does not exist.";
    assert_eq!(words(store.function_url(&reference("f:prod"))), absent);
    assert_eq!(words(store.delete_function_url(&reference("f:prod"))), absent);
    assert_eq!(store.list_function_urls(&name("f"), &Paging::default()).unwrap().items.len(), 1);
    // Another alias of the name has none of it.
    store.create_alias(&name("f"), &alias()).unwrap();
    assert_eq!(words(store.function_url(&reference("f:prod"))), absent);
    assert_eq!(store.function_url_by_id(&made.id).unwrap(), None);
    assert_ne!(store.create_function_url(&reference("f:prod"), OPEN).unwrap().id, made.id);
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    create(&store, "f", 1);
    publish(&store, "f");
    let absent = "The resource you requested does not exist.";
    for path in ["g", "f:prod"] {
        let missing = refusal(store.create_function_url(&reference(path), OPEN));
        assert_eq!(missing.to_string(), "Function does not exist");
        assert_eq!(missing.kind(), RefusalKind::ResourceNotFound);
        let update = store.update_function_url(&reference(path), UrlUpdate::default());
        assert_eq!(words(update), "Function does not exist");
        assert_eq!(words(store.function_url(&reference(path))), absent);
        assert_eq!(words(store.delete_function_url(&reference(path))), absent);
    }
    assert_eq!(words(store.update_function_url(&reference("f"), UrlUpdate::default())), absent);
    assert_eq!(words(store.list_function_urls(&name("g"), &Paging::default())), "Function does not exist");
    for path in ["f:1", "f:$LATEST"] {
        let version = refusal(store.create_function_url(&reference(path), OPEN));
        assert_eq!(version.kind(), RefusalKind::Validation);
    }
    store.create_function_url(&reference("f"), OPEN).unwrap();
    let twice = refusal(store.create_function_url(&reference("f"), OPEN));
    assert_eq!(
        twice.to_string(),
        format!(
            "Failed to create function url config for [functionArn = {FUNCTION_ARN}:f]. Error message:  \
             FunctionUrlConfig exists for this Lambda function"
        )
    );
    assert_eq!(twice.kind(), RefusalKind::ResourceConflict);
}
