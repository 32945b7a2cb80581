//! Packs images from tar files: layout folders, archives, and blobs for a registry. All in memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use firesteel_image::oci::Digest;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub(crate) fn pack(self, tar: &[u8]) -> Vec<u8> {
        match self {
            Packing::Plain => tar.to_vec(),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(tar).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Zstd => zstd::encode_all(tar, 3).unwrap(),
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Packing::Plain => "",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        }
    }
}

/// A tar file of these files.
pub(crate) fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        append(&mut builder, name, content);
    }
    builder.into_inner().unwrap()
}

fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
}

/// What an image is to be.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) layers: Vec<(Vec<u8>, Packing)>,
    pub(crate) architecture: &'static str,
    /// `config` of the configuration.
    pub(crate) process: Value,
    /// With Docker's media types instead of OCI's.
    pub(crate) docker: bool,
}

impl Recipe {
    pub(crate) fn new(layers: Vec<(Vec<u8>, Packing)>) -> Self {
        Recipe { layers, architecture: "amd64", process: json!({"Cmd": ["handler"]}), docker: false }
    }

    pub(crate) fn pack(&self) -> Image {
        let mut image = Image::default();
        let diff_ids: Vec<String> = self.layers.iter().map(|(tar, _)| Digest::of(tar).to_string()).collect();
        let config = json!({
            "architecture": self.architecture, "os": "linux", "config": self.process,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let (config_type, layer_type, dot) = if self.docker {
            (
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar",
                ".",
            )
        } else {
            ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar", "+")
        };
        let config = image.add(config_type, config.to_string().into_bytes());
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|(tar, packing)| {
                let suffix = packing.suffix();
                let dot = if suffix.is_empty() { "" } else { dot };
                image.add(&format!("{layer_type}{dot}{suffix}"), packing.pack(tar))
            })
            .collect();
        image.finish(&config, &layers, if self.docker { DOCKER_MANIFEST } else { OCI_MANIFEST });
        image
    }
}

/// Documents and layers by digest, and which of them is the image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    /// Of the manifest, or the index.
    pub(crate) root: Value,
}

impl Image {
    /// Adds a blob and gives its descriptor.
    pub(crate) fn add(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let digest = Digest::of(&bytes).to_string();
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.blobs.insert(digest, bytes);
        descriptor
    }

    pub(crate) fn finish(&mut self, config: &Value, layers: &[Value], media_type: &str) {
        let manifest =
            json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        self.root = self.add(media_type, manifest.to_string().into_bytes());
    }

    /// An image for several platforms; entries of an unknown one stand for attestations.
    pub(crate) fn index(images: &[(&str, &str, &Image)]) -> Image {
        let mut index = Image::default();
        let mut manifests = Vec::new();
        for (os, architecture, image) in images {
            index.blobs.extend(image.blobs.clone());
            let mut entry = image.root.clone();
            entry["platform"] = json!({"os": os, "architecture": architecture});
            manifests.push(entry);
        }
        let document = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
        index.root = index.add(OCI_INDEX, document.to_string().into_bytes());
        index
    }

    pub(crate) fn digest(&self) -> &str {
        self.root["digest"].as_str().unwrap()
    }

    pub(crate) fn manifest(&self) -> Value {
        serde_json::from_slice(&self.blobs[self.digest()]).unwrap()
    }
}

fn index_json(images: &[(&str, &Image)]) -> String {
    let entry = |(tag, image): &(&str, &Image)| {
        let mut entry = image.root.clone();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        entry
    };
    json!({"schemaVersion": 2, "manifests": images.iter().map(entry).collect::<Vec<_>>()}).to_string()
}

/// Writes a layout folder of images by tag.
pub(crate) fn write_layout(folder: &Path, images: &[(&str, &Image)]) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(folder.join("index.json"), index_json(images)).unwrap();
    for (digest, bytes) in images.iter().flat_map(|(_, image)| &image.blobs) {
        fs::write(blobs.join(digest.strip_prefix("sha256:").unwrap()), bytes).unwrap();
    }
}

/// A layout folder in one tar file, as newer versions of `docker save` write it.
pub(crate) fn layout_archive(images: &[(&str, &Image)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (digest, bytes) in images.iter().flat_map(|(_, image)| &image.blobs) {
        append(&mut builder, &digest.replace("sha256:", "blobs/sha256/"), bytes);
    }
    append(&mut builder, "index.json", index_json(images).as_bytes());
    append(&mut builder, "manifest.json", b"[]");
    append(&mut builder, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    builder.into_inner().unwrap()
}

/// As older versions of `docker save` write it: a folder for each layer, and a link for a layer that was there before.
pub(crate) fn docker_archive(images: &[(&str, &Recipe)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut list = Vec::new();
    let mut written = BTreeMap::<String, String>::new();
    for (number, (name, recipe)) in images.iter().enumerate() {
        let image = recipe.pack();
        let config_digest = image.manifest()["config"]["digest"].as_str().unwrap().to_owned();
        let config = format!("{}.json", config_digest.strip_prefix("sha256:").unwrap());
        append(&mut builder, &config, &image.blobs[&config_digest]);
        let mut layers = Vec::new();
        for (height, (tar, packing)) in recipe.layers.iter().enumerate() {
            let path = format!("{number}-{height}/layer.tar");
            let packed = packing.pack(tar);
            let digest = Digest::of(&packed).to_string();
            if let Some(earlier) = written.get(&digest) {
                let mut header = tar::Header::new_ustar();
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, &path, format!("../{earlier}")).unwrap();
            } else {
                append(&mut builder, &path, &packed);
                written.insert(digest, path.clone());
            }
            layers.push(path);
        }
        list.push(json!({"Config": config, "RepoTags": [name], "Layers": layers}));
    }
    append(&mut builder, "manifest.json", Value::from(list).to_string().as_bytes());
    builder.into_inner().unwrap()
}
