//! Layers and blobs that lie.

use std::fs;
use std::io::Write;

use firesteel_image::oci::{Digest, LayerError, OciLimits, SourceError, WrongBytes};
use serde_json::{Value, json};

use crate::packing::{Image, OCI_MANIFEST, Packing, Recipe, tar_of, write_layout};
use crate::{Yard, contents, noise};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image that says of its one layer that it is `tar`, and has these bytes for it.
fn image_with(tar: &[u8], packed: Vec<u8>) -> Image {
    let mut image = Recipe::new(vec![(tar.to_vec(), Packing::Plain)]).pack();
    let config = image.manifest()["config"].clone();
    let layer = image.add(GZIP, packed);
    image.finish(&config, &[layer], OCI_MANIFEST);
    image
}

#[track_caller]
fn layer_error(yard: &Yard, image: &Image) -> LayerError {
    write_layout(&yard.path("layout"), &[("v1", image)]);
    let error = match yard.try_fetch("oci:HERE/layout").unwrap_err() {
        SourceError::Layer { layer: 0, source, .. } => source,
        other => panic!("{other:?}"),
    };
    assert!(yard.names("incoming").is_empty() && yard.names("spools/sha256").is_empty());
    error
}

#[test]
fn other_bytes_than_the_manifest_says_are_refused() {
    let tar = tar_of(&[("a", &noise(1, 5000))]);
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let yard = Yard::new();
        let mut image = image_with(&tar, packing.pack(&tar));
        let layer = image.manifest()["layers"][0]["digest"].as_str().unwrap().to_owned();
        // A flipped bit, which a decoder may see first.
        *image.blobs.get_mut(&layer).unwrap().get_mut(2000).unwrap() ^= 1;
        assert!(
            matches!(layer_error(&yard, &image), LayerError::Wrong(WrongBytes::Digest { .. })),
            "{packing:?}"
        );
        image.blobs.get_mut(&layer).unwrap().pop();
        write_layout(&yard.path("layout"), &[("v1", &image)]);
        let error = yard.try_fetch("oci:HERE/layout").unwrap_err();
        assert!(matches!(error, SourceError::Wrong { source: WrongBytes::Length { .. }, .. }), "{error}");
    }
}

#[test]
fn documents_are_checked_too() {
    let yard = Yard::new();
    let image = image_with(&tar_of(&[]), tar_of(&[]));
    for digest in
        [image.digest().to_owned(), image.manifest()["config"]["digest"].as_str().unwrap().to_owned()]
    {
        let mut changed = image.clone();
        let bytes = changed.blobs.get_mut(&digest).unwrap();
        let place = bytes.iter().position(|byte| *byte == b'm').unwrap();
        bytes[place] = b'n';
        write_layout(&yard.path("layout"), &[("v1", &changed)]);
        let error = yard.try_fetch("oci:HERE/layout").unwrap_err();
        assert!(matches!(error, SourceError::Wrong { source: WrongBytes::Digest { .. }, .. }), "{error}");
    }
    let layer =
        image.manifest()["layers"][0]["digest"].as_str().unwrap().replace("sha256:", "layout/blobs/sha256/");
    write_layout(&yard.path("layout"), &[("v1", &image)]);
    fs::remove_file(yard.path(&layer)).unwrap();
    assert!(matches!(yard.try_fetch("oci:HERE/layout").unwrap_err(), SourceError::Missing { .. }));
}

#[test]
fn a_layer_must_be_the_one_of_the_configuration() {
    let yard = Yard::new();
    let error = layer_error(&yard, &image_with(&tar_of(&[("a", b"b")]), Packing::Gzip.pack(b"another")));
    assert!(
        matches!(error, LayerError::DiffId { found, .. } if found == Digest::of(b"another")),
        "{error:?}"
    );
}

#[test]
fn what_does_not_unpack_is_told_apart() {
    let tar = tar_of(&[("a", &noise(1, 5000))]);
    let cut = |packing: Packing| {
        let mut packed = packing.pack(&tar);
        packed.truncate(3000);
        packed
    };
    let damaged = |packed: Vec<u8>| layer_error(&Yard::new(), &image_with(&tar, packed));
    for packed in
        [cut(Packing::Gzip), cut(Packing::Zstd), [Packing::Gzip.pack(&tar), b"more".to_vec()].concat()]
    {
        let error = damaged(packed);
        assert!(matches!(error, LayerError::Damaged(_)), "{error:?}");
    }
    for (head, expected) in
        [(&b"\xfd7zXZ\0..."[..], "xz"), (b"BZh91AY&SY", "bzip2"), (b"\x04\x22\x4d\x18..", "lz4")]
    {
        let error = damaged(head.to_vec());
        assert!(matches!(error, LayerError::Compression { method } if method == expected), "{error:?}");
    }
}

#[test]
fn bombs_are_refused_before_they_are_on_disk() {
    let limits =
        OciLimits { unpacked_bytes: 3_000_000, expansion_free_bytes: 1_000_000, ..OciLimits::default() };
    let zeros = vec![0; 2_500_000];
    for packing in [Packing::Gzip, Packing::Zstd] {
        let yard = Yard::with(limits);
        // As small as can be.
        let packed = match packing {
            Packing::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(&zeros).unwrap();
                encoder.finish().unwrap()
            }
            _ => packing.pack(&zeros),
        };
        let error = layer_error(&yard, &image_with(&zeros, packed));
        assert!(matches!(error, LayerError::Expansion { ratio: 200 }), "{packing:?} {error:?}");
        let yard = Yard::with(limits);
        let large = noise(1, 3_000_001);
        let error = layer_error(&yard, &image_with(&large, packing.pack(&large)));
        assert!(matches!(error, LayerError::TooLarge { limit_bytes: 3_000_000 }), "{packing:?} {error:?}");
    }
    // A little of zeros is a file like others.
    let yard = Yard::with(limits);
    let zeros = vec![0; 900_000];
    write_layout(&yard.path("layout"), &[("v1", &image_with(&zeros, Packing::Zstd.pack(&zeros)))]);
    assert_eq!(contents(&yard.fetch("oci:HERE/layout")), [zeros]);
}

#[test]
fn layers_count_together_those_that_are_there_included() {
    let yard = Yard::with(OciLimits { unpacked_bytes: 1_000_000, ..OciLimits::default() });
    let [one, two, three] = [1, 2, 3].map(|seed| (noise(seed, 400_000), Packing::Gzip));
    write_layout(&yard.path("two"), &[("v1", &Recipe::new(vec![one.clone(), two.clone()]).pack())]);
    let held = yard.fetch("oci:HERE/two");
    write_layout(&yard.path("three"), &[("v1", &Recipe::new(vec![one, two, three]).pack())]);
    let error = yard.try_fetch("oci:HERE/three").unwrap_err();
    assert!(matches!(error, SourceError::Layer { source: LayerError::TooLarge { .. }, .. }), "{error}");
    drop(held);
}

#[test]
fn documents_have_a_limit() {
    let yard = Yard::with(OciLimits { manifest_bytes: 2000, config_bytes: 3000, ..OciLimits::default() });
    let image = |process: Value, layers: usize| {
        let mut recipe = Recipe::new(vec![(tar_of(&[]), Packing::Plain); layers]);
        recipe.process = process;
        recipe.pack()
    };
    write_layout(&yard.path("config"), &[("v1", &image(json!({"Cmd": ["x".repeat(3000)]}), 1))]);
    let error = yard.try_fetch("oci:HERE/config").unwrap_err();
    assert!(matches!(error, SourceError::Config { .. }), "{error}");
    write_layout(&yard.path("manifest"), &[("v1", &image(json!({}), 20))]);
    let error = yard.try_fetch("oci:HERE/manifest").unwrap_err();
    assert!(matches!(error, SourceError::Manifest { .. }), "{error}");
}
