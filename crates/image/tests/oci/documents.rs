//! Manifests and indexes that are refused, with the reason.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::packing::{Image, OCI_MANIFEST, Packing, Recipe, tar_of, write_layout};
use crate::{Yard, chain};

fn image() -> Image {
    Recipe::new(vec![(tar_of(&[("a", b"b")]), Packing::Gzip)]).pack()
}

/// What is said of an image whose manifest is this.
fn refusal(manifest: &Value) -> String {
    let yard = Yard::new();
    let mut image = image();
    image.root = image.add(OCI_MANIFEST, manifest.to_string().into_bytes());
    write_layout(&yard.path("layout"), &[("v1", &image)]);
    chain(&yard.try_fetch("oci:HERE/layout").unwrap_err())
}

/// What is said of an image whose manifest has this changed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut manifest = image().manifest();
    change(&mut manifest);
    refusal(&manifest)
}

#[test]
fn what_is_no_image_is_refused() {
    let layer_type =
        |media_type: &'static str| changed(|manifest| manifest["layers"][0]["mediaType"] = json!(media_type));
    for (text, expected) in [
        (refusal(&json!({"schemaVersion": 1, "fsLayers": []})), "schema 1"),
        (refusal(&json!({"schemaVersion": 2})), "neither a manifest nor an index"),
        (refusal(&json!([])), "no manifest"),
        (changed(|manifest| manifest["manifests"] = json!([])), "at once"),
        (changed(|manifest| manifest["schemaVersion"] = json!(3)), "unknown schema"),
        (
            changed(|manifest| manifest["artifactType"] = json!("text/x-sbom")),
            "artifact of type `text/x-sbom`",
        ),
        (
            changed(|manifest| {
                manifest["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
            }),
            "helm",
        ),
        (layer_type("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), "layer 0 is encrypted"),
        (
            layer_type("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            "not distributed with the image",
        ),
        (
            layer_type("application/vnd.oci.image.layer.nondistributable.v1.tar"),
            "not distributed with the image",
        ),
        (layer_type("application/octet-stream"), "unknown type `application/octet-stream`"),
        (changed(|manifest| manifest["config"]["digest"] = json!("sha512:00")), "no digest"),
        (changed(|manifest| manifest["layers"][0]["digest"] = json!("../../../etc/passwd")), "no digest"),
        (changed(|manifest| manifest["layers"][0]["size"] = json!(-1)), "no manifest"),
        (changed(|manifest| manifest["layers"] = json!([])), "hashes of 1 layers, and the manifest names 0"),
        (
            changed(|manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"] = Value::from(vec![layer; 128]);
            }),
            "128 layers, and 127 are allowed",
        ),
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn indexes_that_lead_nowhere_are_refused() {
    let yard = Yard::new();
    let mut image = image();
    for _ in 0..6 {
        image = Image::index(&[("linux", "amd64", &image)]);
    }
    write_layout(&yard.path("layout"), &[("v1", &image)]);
    let text = chain(&yard.try_fetch("oci:HERE/layout").unwrap_err());
    assert!(text.contains("lead nowhere"), "{text}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        "[a-z/+.:0-9]{0,20}".prop_map(Value::from),
        Just(json!("application/vnd.oci.image.config.v1+json")),
        Just(json!("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        Just(json!(2)),
    ];
    let key = "schemaVersion|mediaType|config|layers|manifests|digest|size|platform|annotations|fsLayers";
    leaf.prop_recursive(4, 30, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_document_is_an_error(manifest in json_value()) {
        refusal(&manifest);
    }

    #[test]
    fn any_index_of_a_folder_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..100), document in json_value()) {
        let yard = Yard::new();
        write_layout(&yard.path("layout"), &[("v1", &image())]);
        for content in [bytes, document.to_string().into_bytes()] {
            std::fs::write(yard.path("layout/index.json"), content).unwrap();
            prop_assert!(yard.try_fetch("oci:HERE/layout").is_err());
        }
    }
}
