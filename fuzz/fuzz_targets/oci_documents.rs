//! An image in a layout folder or an archive is fetched with the bytes that its documents name, or not at all.
//!
//! Inputs are parts with zero bytes between them: how, the name, `index.json` or `manifest.json`, an index or manifest, a manifest,
//! a configuration, a layer. For `@N`, `!N` and `%N` in one, digest of a later part unpacked, digest and length as it lies there are put.
#![no_main]
#![forbid(unsafe_code)]

use std::fs::{create_dir_all, write};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use firesteel_fuzz::{parts, scratch, wait};
use firesteel_image::oci::{Digest, ImageSources, OciLimits, Platform, Reference, RegistrySettings};
use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The parts from `index.json` on, with what later ones are called put into earlier ones; of each what it is unpacked and packed.
fn documents(parts: &[&[u8]], packs_layer: bool) -> Vec<[Vec<u8>; 2]> {
    let mut documents: Vec<[Vec<u8>; 2]> = Vec::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for (number, part) in parts.iter().enumerate().rev() {
        // Layers need not be text.
        let plain = match std::str::from_utf8(part) {
            Ok(text) => {
                names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value)).into()
            }
            Err(_) => part.to_vec(),
        };
        let packed = if packs_layer && documents.is_empty() { gzip(&plain) } else { plain.clone() };
        names.push((format!("@{number}"), Digest::of(&plain).to_string()));
        names.push((format!("!{number}"), Digest::of(&packed).to_string()));
        names.push((format!("%{number}"), packed.len().to_string()));
        documents.insert(0, [plain, packed]);
    }
    documents
}

fn write_layout(folder: &Path, documents: &[[Vec<u8>; 2]]) {
    create_dir_all(folder.join("blobs/sha256")).unwrap();
    write(folder.join("oci-layout"), "{}").unwrap();
    write(folder.join("index.json"), &documents[0][1]).unwrap();
    for [_, packed] in &documents[1..] {
        write(folder.join("blobs").join(Digest::of(packed).to_string().replace(':', "/")), packed).unwrap();
    }
}

fn write_archive(file: &Path, documents: &[[Vec<u8>; 2]], packs: bool) {
    let mut archive = tar::Builder::new(Vec::new());
    for ([_, packed], name) in documents.iter().zip(["manifest.json", "1", "2", "3", "layer.tar"]) {
        let mut header = tar::Header::new_ustar();
        header.set_size(packed.len() as u64);
        archive.append_data(&mut header, name, &packed[..]).unwrap();
    }
    let archive = archive.into_inner().unwrap();
    write(file, if packs { gzip(&archive) } else { archive }).unwrap();
}

fuzz_target!(|data: &[u8]| {
    let parts = parts(data, 7);
    let (how, Ok(name)) = (parts[0].first().copied().unwrap_or_default(), std::str::from_utf8(parts[1]))
    else {
        return;
    };
    if let Ok(reference) = Reference::parse(name, Some("registry.example")) {
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
    let documents = documents(&parts[2..], how & 1 == 0);
    let folder = scratch();
    let here = folder.path().join("image");
    let reference = if how & 2 == 0 {
        write_layout(&here, &documents);
        Reference::Layout { folder: here, tag: (!name.is_empty()).then(|| name.to_owned()) }
    } else {
        write_archive(&here, &documents, how & 4 == 0);
        Reference::Archive { file: here, name: (!name.is_empty()).then(|| name.to_owned()) }
    };
    let limits = OciLimits {
        manifest_bytes: 1 << 16,
        config_bytes: 1 << 16,
        layers: 4,
        unpacked_bytes: 1 << 20,
        expansion_ratio: 50,
        expansion_free_bytes: 1 << 14,
    };
    let sources =
        ImageSources::open(&folder.path().join("sources"), limits, RegistrySettings::default()).unwrap();
    let Ok(image) = wait(sources.fetch(&reference, &Platform::new("amd64"), Arc::new(()))) else { return };
    let is_known =
        |digest: &str| documents.iter().flatten().any(|bytes| Digest::of(bytes).to_string() == digest);
    assert!(is_known(&image.digest));
    assert!(!format!("{:?}", image.config).contains("\\0"), "a process cannot be given zero bytes");
    for layer in &image.layers {
        let mut tar = vec![0; 1 << 20];
        let bytes = layer.tar.read_at(&mut tar, 0).unwrap();
        assert_eq!(Digest::of(&tar[..bytes]).to_string(), layer.digest);
    }
});
