//! Archives of `docker save`, of both sorts.

use firesteel_image::oci::SourceError;
use proptest::prelude::*;

use crate::packing::{Packing, Recipe, docker_archive, layout_archive, tar_of};
use crate::{Yard, contents, noise, write};

fn recipe(text: &str) -> Recipe {
    let shared = tar_of(&[("shared", &noise(3, 10_000))]);
    Recipe::new(vec![(shared, Packing::Plain), (tar_of(&[("own", text.as_bytes())]), Packing::Plain)])
}

fn tars(recipe: &Recipe) -> Vec<Vec<u8>> {
    recipe.layers.iter().map(|(tar, _)| tar.clone()).collect()
}

#[test]
fn older_archives_have_layers_without_digests_and_links() {
    let yard = Yard::new();
    let (one, two) = (recipe("one"), recipe("two"));
    write(
        &yard.path("a.tar"),
        &docker_archive(&[("host.example/app:1", &one), ("host.example/app:2", &two)]),
    );
    for name in ["2", "app:2", "host.example/app:2"] {
        let image = yard.fetch(&format!("docker-archive:HERE/a.tar:{name}"));
        assert_eq!(contents(&image), tars(&two));
        assert_eq!(image.digest, two.pack().manifest()["config"]["digest"]);
    }
    let error = yard.try_fetch("HERE/a.tar").unwrap_err();
    assert!(matches!(&error, SourceError::Ambiguous { has, .. } if has.len() == 2), "{error}");
    let error = yard.try_fetch("docker-archive:HERE/a.tar:app").unwrap_err();
    assert!(matches!(&error, SourceError::Unknown { .. }), "{error}");
}

#[test]
fn newer_archives_are_layout_folders() {
    let yard = Yard::new();
    let recipe = recipe("one");
    let image = recipe.pack();
    write(&yard.path("a.tar"), &layout_archive(&[("v1", &image)]));
    let found = yard.fetch("HERE/a.tar");
    assert_eq!((found.digest.as_str(), contents(&found)), (image.digest(), tars(&recipe)));
    yard.fetch("docker-archive:HERE/a.tar:v1");
}

#[test]
fn compressed_layers_and_compressed_archives_are_unpacked() {
    let yard = Yard::new();
    let mut recipe = recipe("one");
    recipe.layers[1].1 = Packing::Gzip;
    let archive = docker_archive(&[("app:1", &recipe)]);
    for packing in [Packing::Gzip, Packing::Zstd] {
        write(&yard.path("a.tar.gz"), &packing.pack(&archive));
        assert_eq!(contents(&yard.fetch("HERE/a.tar.gz")), tars(&recipe));
    }
    assert!(yard.names("incoming").is_empty());
}

#[test]
fn long_names_and_large_numbers_are_read() {
    let yard = Yard::new();
    let recipe = recipe("one");
    let inner = docker_archive(&[("app:1", &recipe)]);
    let mut rewritten = tar::Builder::new(Vec::new());
    let long = "x".repeat(180);
    for entry in tar::Archive::new(inner.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let is_list = name == "manifest.json";
        if is_list {
            let text = String::from_utf8(content).unwrap();
            content = text
                .replace("0-0/layer.tar", &format!("{long}/a.tar"))
                .replace("0-1/", "./pax/")
                .into_bytes();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        match name.as_str() {
            "0-0/layer.tar" => {
                rewritten.append_data(&mut header, format!("{long}/a.tar"), &*content).unwrap();
            }
            "0-1/layer.tar" => {
                let size = content.len().to_string();
                rewritten
                    .append_pax_extensions([("path", &b"pax/layer.tar"[..]), ("size", size.as_bytes())])
                    .unwrap();
                header.set_size(0);
                header.set_path("short").unwrap();
                header.set_cksum();
                let mut raw = header.as_bytes().to_vec();
                raw.extend(&content);
                raw.resize(raw.len().next_multiple_of(512), 0);
                std::io::Write::write_all(rewritten.get_mut(), &raw).unwrap();
            }
            _ => {
                // Twelve bytes as a binary number.
                header.as_gnu_mut().unwrap().size = {
                    let mut field = [0; 12];
                    field[0] = 0x80;
                    field[4..].copy_from_slice(&(content.len() as u64).to_be_bytes());
                    field
                };
                rewritten.append_data(&mut header, &name, &*content).unwrap();
            }
        }
    }
    write(&yard.path("a.tar"), &rewritten.into_inner().unwrap());
    assert_eq!(contents(&yard.fetch("HERE/a.tar")), tars(&recipe));
}

#[test]
fn other_files_are_told_apart() {
    let yard = Yard::new();
    write(&yard.path("text.tar"), &b"no tar file at all".repeat(100));
    assert!(matches!(yard.try_fetch("HERE/text.tar").unwrap_err(), SourceError::Archive { .. }));
    write(&yard.path("empty.tar"), b"");
    assert!(matches!(yard.try_fetch("HERE/empty.tar").unwrap_err(), SourceError::NotAnArchive { .. }));
    write(&yard.path("other.tar"), &tar_of(&[("a", b"b")]));
    assert!(matches!(yard.try_fetch("HERE/other.tar").unwrap_err(), SourceError::NotAnArchive { .. }));
    assert!(matches!(yard.try_fetch("HERE/none.tar").unwrap_err(), SourceError::Open { .. }));
    write(&yard.path("cut.tar.gz"), &Packing::Gzip.pack(&noise(1, 5000))[..3000]);
    assert!(matches!(yard.try_fetch("HERE/cut.tar.gz").unwrap_err(), SourceError::Unpack { .. }));
    let archive = docker_archive(&[("app:1", &recipe("one"))]);
    write(&yard.path("cut.tar"), &archive[..6000]);
    assert!(matches!(yard.try_fetch("HERE/cut.tar").unwrap_err(), SourceError::Archive { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_archive_with_changed_bytes_is_the_same_image_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let yard = Yard::new();
        let recipe = recipe("one");
        let mut archive = docker_archive(&[("app:1", &recipe)]);
        for (index, byte) in changes {
            let place = index.index(archive.len());
            archive[place] = byte;
        }
        write(&yard.path("a.tar"), &archive);
        if let Ok(image) = yard.try_fetch("HERE/a.tar") {
            prop_assert_eq!(contents(&image), tars(&recipe));
        }
        prop_assert!(yard.names("incoming").is_empty());
    }

    #[test]
    fn any_bytes_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let yard = Yard::new();
        write(&yard.path("a.tar"), &bytes);
        prop_assert!(yard.try_fetch("HERE/a.tar").is_err());
    }
}
