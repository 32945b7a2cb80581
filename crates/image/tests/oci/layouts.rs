//! Layout folders.

use std::fs;
use std::sync::{Arc, Mutex};

use firesteel_image::oci::{
    Digest, ImageSources, OciLimits, Platform, Progress, RegistrySettings, SourceError,
};
use serde_json::json;

use crate::packing::{Image, Packing, Recipe, tar_of, write_layout};
use crate::{Yard, chain, content, contents, noise, wait};

fn three_layers() -> Vec<(Vec<u8>, Packing)> {
    vec![
        (tar_of(&[("a", b"plain")]), Packing::Plain),
        (tar_of(&[("b", &noise(1, 700_000))]), Packing::Gzip),
        (tar_of(&[("c", b"zstd")]), Packing::Zstd),
    ]
}

#[test]
fn an_image_is_its_configuration_and_its_plain_layers() {
    let yard = Yard::new();
    let mut recipe = Recipe::new(three_layers());
    recipe.process =
        json!({"Entrypoint": ["/e"], "Cmd": ["c"], "Env": ["A=1"], "WorkingDir": "/w", "Labels": {"l": "m"}});
    for docker in [false, true] {
        recipe.docker = docker;
        let packed = recipe.pack();
        write_layout(&yard.path("layout"), &[("v1", &packed)]);
        let image = yard.fetch("oci:HERE/layout:v1");
        assert_eq!(image.digest, packed.digest());
        assert_eq!(image.config.entrypoint, ["/e"]);
        assert_eq!(image.config.working_dir.as_deref(), Some("/w"));
        for (layer, (tar, _)) in image.layers.iter().zip(&recipe.layers) {
            assert_eq!(&content(layer), tar);
            assert_eq!(layer.digest, Digest::of(tar).to_string());
        }
        assert_eq!(image.layers.len(), 3);
    }
}

#[test]
fn the_first_bytes_tell_the_compression_and_not_the_media_type() {
    let yard = Yard::new();
    let tar = tar_of(&[("a", b"content")]);
    for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
        let mut image = Recipe::new(vec![(tar.clone(), Packing::Gzip)]).pack();
        let manifest = image.manifest();
        let config = manifest["config"].clone();
        let layer = image.add("application/vnd.oci.image.layer.v1.tar+gzip", packing.pack(&tar));
        image.finish(&config, &[layer], crate::packing::OCI_MANIFEST);
        write_layout(&yard.path("layout"), &[("v1", &image)]);
        assert_eq!(contents(&yard.fetch("oci:HERE/layout")), std::slice::from_ref(&tar), "{packing:?}");
    }
}

#[test]
fn several_frames_and_members_are_one_layer() {
    let yard = Yard::new();
    let tar = tar_of(&[("a", &noise(2, 100_000))]);
    let (one, other) = tar.split_at(50_000);
    // As tools for lazy pulling write them: in pieces, with frames that readers skip.
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
    let zstd =
        [skippable.clone(), Packing::Zstd.pack(one), skippable.clone(), Packing::Zstd.pack(other), skippable];
    let gzip = [Packing::Gzip.pack(one), Packing::Gzip.pack(other)];
    for packed in [zstd.concat(), gzip.concat()] {
        let mut image = Recipe::new(vec![(tar.clone(), Packing::Plain)]).pack();
        let config = image.manifest()["config"].clone();
        let layer = image.add("application/vnd.oci.image.layer.v1.tar", packed);
        image.finish(&config, &[layer], crate::packing::OCI_MANIFEST);
        write_layout(&yard.path("layout"), &[("v1", &image)]);
        assert_eq!(contents(&yard.fetch("oci:HERE/layout")), std::slice::from_ref(&tar));
        yard.sources.sweep().unwrap();
    }
}

#[test]
fn tags_tell_images_apart() {
    let yard = Yard::new();
    let [one, two] = ["one", "two"]
        .map(|text| Recipe::new(vec![(tar_of(&[("a", text.as_bytes())]), Packing::Gzip)]).pack());
    write_layout(&yard.path("layout"), &[("one", &one), ("two", &two)]);
    assert_eq!(yard.fetch("oci:HERE/layout:two").digest, two.digest());
    let error = yard.try_fetch("oci:HERE/layout").unwrap_err();
    assert!(matches!(&error, SourceError::Ambiguous { has, .. } if has == &["one", "two"]), "{error}");
    let error = yard.try_fetch("oci:HERE/layout:three").unwrap_err();
    assert!(matches!(&error, SourceError::Unknown { has, .. } if has == &["one", "two"]), "{error}");
    write_layout(&yard.path("same"), &[("one", &one), ("uno", &one)]);
    assert_eq!(yard.fetch("oci:HERE/same").digest, one.digest());
}

#[test]
fn of_several_platforms_the_wanted_one_is_taken() {
    let yard = Yard::new();
    let of = |architecture: &'static str| {
        let mut recipe = Recipe::new(vec![(tar_of(&[("a", architecture.as_bytes())]), Packing::Gzip)]);
        recipe.architecture = architecture;
        recipe.pack()
    };
    let (amd, arm) = (of("amd64"), of("arm64"));
    let index =
        Image::index(&[("unknown", "unknown", &arm), ("linux", "arm64", &arm), ("linux", "amd64", &amd)]);
    write_layout(&yard.path("layout"), &[("v1", &index)]);
    let fetch = |platform: Platform| {
        wait(yard.sources.fetch(&yard.reference("oci:HERE/layout"), &platform, Arc::new(())))
    };
    assert_eq!(fetch(Platform::new("x86_64")).unwrap().digest, amd.digest());
    assert_eq!(fetch(Platform::new("aarch64")).unwrap().digest, arm.digest());
    let text = chain(&fetch(Platform::new("riscv64")).unwrap_err());
    assert!(
        text.contains("nothing for linux/riscv64, only unknown/unknown, linux/arm64, linux/amd64"),
        "{text}"
    );
    let text = chain(&fetch(Platform::new("amd64").exact()).unwrap_err());
    assert!(text.contains("index of images for several platforms"), "{text}");

    write_layout(&yard.path("arm"), &[("v1", &arm)]);
    let error = yard.try_fetch("oci:HERE/arm").unwrap_err();
    assert!(matches!(error, SourceError::WrongPlatform { .. }), "{error}");
}

#[test]
fn a_layer_is_unpacked_once() {
    let yard = Yard::new();
    let layers = three_layers();
    write_layout(&yard.path("layout"), &[("v1", &Recipe::new(layers.clone()).pack())]);
    let image = yard.fetch("oci:HERE/layout");
    let names = yard.names("spools/sha256");
    assert_eq!(names.len(), 3);
    assert!(yard.names("incoming").is_empty());
    // What is there is not read from where it came again.
    let both = Recipe::new([layers.clone(), layers].concat()).pack();
    write_layout(&yard.path("both"), &[("v1", &both)]);
    for digest in yard.names("../both/blobs/sha256") {
        if both.manifest()["layers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|layer| layer["digest"].as_str().unwrap().contains(&digest))
        {
            let path = yard.path("both/blobs/sha256").join(digest);
            let zeros = vec![0; usize::try_from(fs::metadata(&path).unwrap().len()).unwrap()];
            fs::write(path, zeros).unwrap();
        }
    }
    assert_eq!(contents(&yard.fetch("oci:HERE/both")), [contents(&image), contents(&image)].concat());
    // By another run, neither, but for what has changed.
    drop(image);
    let again =
        ImageSources::open(&yard.path("sources"), OciLimits::default(), RegistrySettings::default()).unwrap();
    fs::write(yard.path("sources/spools/sha256").join(&names[0]), b"changed").unwrap();
    write_layout(&yard.path("layout"), &[("v1", &Recipe::new(three_layers()).pack())]);
    let reference = yard.reference("oci:HERE/layout");
    let image = wait(again.fetch(&reference, &Platform::new("amd64"), Arc::new(()))).unwrap();
    let expected: Vec<Vec<u8>> = three_layers().into_iter().map(|(tar, _)| tar).collect();
    assert_eq!(contents(&image), expected);
}

#[test]
fn what_no_image_holds_is_swept() {
    let yard = Yard::new();
    write_layout(&yard.path("layout"), &[("v1", &Recipe::new(three_layers()).pack())]);
    let image = yard.fetch("oci:HERE/layout");
    fs::write(yard.path("sources/blobs/sha256/00.partial"), b"1234").unwrap();
    let removed = yard.sources.sweep().unwrap();
    assert_eq!((removed.files, removed.bytes), (1, 4));
    let expected = contents(&image);
    let kept = image.layers[0].clone();
    drop(image);
    assert_eq!(yard.sources.sweep().unwrap().files, 2);
    assert_eq!(content(&kept), expected[0]);
    drop(kept);
    assert_eq!(yard.sources.sweep().unwrap().files, 1);
    assert!(yard.names("spools/sha256").is_empty());
}

#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn layers(&self, compressed_bytes: &[u64]) {
        self.0.lock().unwrap().push(format!("layers {compressed_bytes:?}"));
    }

    fn ready(&self, layer: usize) {
        self.0.lock().unwrap().push(format!("ready {layer}"));
    }
}

#[test]
fn progress_is_told() {
    let yard = Yard::new();
    let tar = tar_of(&[("a", b"content")]);
    write_layout(&yard.path("layout"), &[("v1", &Recipe::new(vec![(tar.clone(), Packing::Plain)]).pack())]);
    let told = Arc::new(Told::default());
    wait(yard.sources.fetch(&yard.reference("oci:HERE/layout"), &Platform::new("amd64"), told.clone()))
        .unwrap();
    assert_eq!(*told.0.lock().unwrap(), [format!("layers [{}]", tar.len()), "ready 0".to_owned()]);
}

#[test]
fn other_folders_are_told_apart() {
    let yard = Yard::new();
    fs::create_dir(yard.path("empty")).unwrap();
    let error = yard.try_fetch("oci:HERE/empty").unwrap_err();
    assert!(matches!(error, SourceError::NotALayout { missing: "oci-layout", .. }), "{error}");
    fs::write(yard.path("empty/oci-layout"), "{}").unwrap();
    let error = yard.try_fetch("oci:HERE/empty").unwrap_err();
    assert!(matches!(error, SourceError::NotALayout { missing: "index.json", .. }), "{error}");
    fs::create_dir(yard.path("empty/index.json")).unwrap();
    let error = yard.try_fetch("oci:HERE/empty").unwrap_err();
    assert!(matches!(error, SourceError::Open { .. }), "{error}");
}
