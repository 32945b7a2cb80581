//! Layers, their policies, and the functions that have them.

use firesteel_catalog::{
    AboutLayer, ConfigurationUpdate, LayerFilter, LayerVersion, NewFunction, NewLayerStatement,
    NewLayerVersion, Page, Paging, RefusalKind, Store,
};

use crate::fixture::*;

const LAYER_ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:layer";

fn layer_for(store: &Store, layer: &str, seed: u8, runtimes: &[&str]) -> LayerVersion {
    let about = AboutLayer {
        compatible_runtimes: Some(runtimes.iter().map(|runtime| (*runtime).into()).collect()),
        compatible_architectures: Some(vec!["x86_64".into()]),
        ..AboutLayer::default()
    };
    store
        .publish_layer_version(NewLayerVersion {
            name: layer.into(),
            sha256: digest(seed),
            size_bytes: 10,
            about,
        })
        .unwrap()
}

fn layer(store: &Store, layer: &str, seed: u8) -> LayerVersion {
    layer_for(store, layer, seed, &["python3.13"])
}

fn all<T>(max_items: u32, list: impl Fn(&Paging) -> Page<T>) -> Vec<T> {
    let mut items = Vec::new();
    let mut paging = Paging { marker: None, max_items: Some(max_items) };
    loop {
        let page = list(&paging);
        items.extend(page.items);
        paging.marker = page.next_marker;
        if paging.marker.is_none() {
            return items;
        }
    }
}

#[test]
fn versions_are_numbered_and_never_given_twice() {
    with_each_store(|store| {
        let first = layer(store, "l", 1);
        assert_eq!((first.number, first.arn.as_str()), (1, format!("{LAYER_ARN}:l:1").as_str()));
        assert_eq!(first.layer_arn, format!("{LAYER_ARN}:l"));
        let second = layer(store, "l", 1);
        assert_eq!(store.layer_version("l", 1).unwrap(), first);
        assert_eq!(store.layer_version_by_arn(&second.arn).unwrap(), second);
        assert_eq!(store.account_usage().unwrap().code_size_bytes, 20);
        assert!(store.delete_layer_version("l", 1).unwrap().unreferenced.is_empty());
        assert_eq!(store.delete_layer_version("l", 2).unwrap().unreferenced, [digest(1)]);
        assert!(store.delete_layer_version("l", 2).unwrap().unreferenced.is_empty());
        assert_eq!(store.account_usage().unwrap().code_size_bytes, 0);
        assert!(store.list_layers(&LayerFilter::default(), &Paging::default()).unwrap().items.is_empty());
        assert_eq!(layer(store, "l", 1).number, 3);
    });
}

#[test]
fn lists_show_what_fits() {
    with_each_store(|store| {
        layer(store, "a", 1);
        layer(store, "b", 1);
        layer_for(store, "b", 1, &["ruby3.4"]);
        layer_for(store, "c", 1, &[]);
        let layers = |runtime: Option<&str>, max_items| -> String {
            let filter =
                LayerFilter { runtime: runtime.map(Into::into), architecture: Some("x86_64".into()) };
            let found = all(max_items, |paging| store.list_layers(&filter, paging).unwrap());
            found.iter().map(|version| format!("{}{} ", version.name, version.number)).collect()
        };
        for max_items in [1, 2, 50] {
            assert_eq!(layers(None, max_items), "a1 b2 c1 ");
            assert_eq!(layers(Some("python3.13"), max_items), "a1 b1 ", "the latest that fits");
            assert_eq!(layers(Some("ruby3.4"), max_items), "b2 ");
        }
        let arm = LayerFilter { runtime: None, architecture: Some("arm64".into()) };
        assert!(store.list_layers(&arm, &Paging::default()).unwrap().items.is_empty());
        for max_items in [1, 50] {
            let filter = LayerFilter::default();
            let found = all(max_items, |paging| store.list_layer_versions("b", &filter, paging).unwrap());
            assert_eq!(found.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);
        }
        let unknown = store.list_layer_versions("x", &LayerFilter::default(), &Paging::default());
        assert!(unknown.unwrap().items.is_empty());
    });
}

#[test]
fn functions_keep_their_copy() {
    with_each_store(|store| {
        let layer = layer(store, "l", 9);
        let new = NewFunction { layers: vec![layer.arn.clone()], ..new_function("f", package(1)) };
        let created = store.create_function(new).unwrap();
        store.settle(&created, &READY).unwrap();
        let attached = &created.layers[0];
        assert_eq!((&attached.arn, attached.sha256, attached.size_bytes), (&layer.arn, digest(9), 10));
        assert!(store.delete_layer_version("l", 1).unwrap().unreferenced.is_empty(), "f has it");
        assert_eq!(store.function(&reference("f")).unwrap().version.layers, created.layers);
        assert!(store.is_code_referenced(digest(9)).unwrap());

        // A tool that sends the whole list again with each change does not lose the layer.
        let again = ConfigurationUpdate { timeout_s: Some(4), ..ConfigurationUpdate::default() };
        let same = [layer.arn];
        let updated = store.update_configuration(&name("f"), again, Some(&same), None).unwrap();
        store.settle(&updated.version, &READY).unwrap();
        assert_eq!(updated.version.layers, created.layers);

        let none = ConfigurationUpdate::default();
        let updated = store.update_configuration(&name("f"), none, Some(&[]), None).unwrap();
        assert_eq!((updated.version.layers.len(), updated.unreferenced), (0, vec![digest(9)]));
    });
}

#[test]
fn layers_of_a_function_are_checked() {
    let store = in_memory();
    let first = layer(&store, "l", 1).arn;
    let second = layer(&store, "l", 1).arn;
    let others: Vec<String> = (0..6).map(|index| layer(&store, &format!("m{index}"), 1).arn).collect();
    let ask = |layers: &[String]| {
        words(store.create_function(NewFunction { layers: layers.to_vec(), ..new_function("f", package(1)) }))
    };
    assert_eq!(ask(&others), "Cannot reference more than 5 layers.");
    assert_eq!(
        ask(&[first.clone(), second.clone()]),
        format!(
            "Two different versions of the same layer are not allowed to be referenced in the same function. \
             {first} and {second} are versions of the same layer."
        )
    );
    assert!(
        ask(&[first.clone(), first.clone()])
            .ends_with(&format!("{first} and {first} are versions of the same layer."))
    );
    for missing in ["l:9", "missing:1", "l:x"] {
        let missing = format!("{LAYER_ARN}:{missing}");
        assert_eq!(ask(std::slice::from_ref(&missing)), format!("Layer version {missing} does not exist."));
    }
    assert_eq!(
        ask(&["arn:aws:lambda:us-east-1:111122223333:layer:l:1".into()]),
        "Layers are not in the same region as the function. Layers are expected to be in region eu-west-1."
    );
}

#[test]
fn refusals_are_awss() {
    let store = in_memory();
    layer(&store, "l", 1);
    let absent = "The resource you requested does not exist.";
    assert_eq!(words(store.layer_version("l", 2)), absent);
    assert_eq!(words(store.layer_version("x", 1)), absent);
    assert_eq!(words(store.layer_version_by_arn(&format!("{LAYER_ARN}:l:2"))), absent);
    for number in [0, -1] {
        let refused = refusal(store.layer_version("l", number));
        assert_eq!(refused.to_string(), "Layer Version Cannot be less than 1");
        assert_eq!(refused.kind(), RefusalKind::InvalidParameterValue);
        assert!(store.delete_layer_version("l", number).is_err());
    }
}

#[test]
fn policies_have_their_own_revision() {
    with_each_store(|store| {
        layer(store, "l", 1);
        let everybody = |sid: &str| NewLayerStatement {
            sid: sid.into(),
            action: "lambda:GetLayerVersion".into(),
            principal: "*".into(),
            organization_id: None,
        };
        assert_eq!(
            words(store.layer_version_policy("l", 1)),
            "No policy is associated with the given resource."
        );
        let (text, first) = store.add_layer_version_permission("l", 1, &everybody("s1"), None).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"Sid":"s1","Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Resource":"{LAYER_ARN}:l:1"}}"#
            )
        );
        let policy = store.layer_version_policy("l", 1).unwrap();
        assert_eq!(policy.revision_id, first);
        assert_eq!(policy.text, format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{text}]}}"#));
        let ours = NewLayerStatement { organization_id: Some("o-1".into()), ..everybody("s2") };
        let (text, second) = store.add_layer_version_permission("l", 1, &ours, Some(&first)).unwrap();
        assert!(text.ends_with(r#""Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}"#), "{text}");

        let twice = refusal(store.add_layer_version_permission("l", 1, &everybody("s1"), None));
        assert_eq!(twice.kind(), RefusalKind::ResourceConflict);
        let stale = refusal(store.add_layer_version_permission("l", 1, &everybody("s3"), Some(&first)));
        assert!(stale.to_string().contains("Call the GetLayerPolicy API"), "{stale}");
        assert_eq!(
            words(store.remove_layer_version_permission("l", 1, "missing", None)),
            "Statement missing is not found in resource policy."
        );
        store.remove_layer_version_permission("l", 1, "s2", Some(&second)).unwrap();
        store.remove_layer_version_permission("l", 1, "s1", None).unwrap();
        assert!(store.layer_version_policy("l", 1).is_err());
        for (missing, number) in [("x", 1), ("l", 2)] {
            let expected = format!("Layer version {LAYER_ARN}:{missing}:{number} does not exist.");
            assert_eq!(words(store.layer_version_policy(missing, number)), expected);
            assert_eq!(
                words(store.add_layer_version_permission(missing, number, &everybody("s"), None)),
                expected
            );
            assert_eq!(words(store.remove_layer_version_permission(missing, number, "s", None)), expected);
        }
    });
}
