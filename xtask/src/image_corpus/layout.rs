//! OCI layout folders: blobs by their digest, and an index that names images.
//!
//! A blob is written beside its place and moved there whole, so one that is there is complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A layer as both forms of an image need it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) name: String,
    /// Digest of the plain tar, `sha256:…`.
    pub(crate) diff_id: String,
    pub(crate) bytes: u64,
    /// Digest and size of the compressed one, where there is one.
    pub(crate) gzip: Option<(String, u64)>,
}

/// One layout folder.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(folder.join("blobs/sha256"))?;
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(Self { folder })
    }

    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs").join(digest.replacen(':', "/", 1))
    }

    /// Keeps what `write` writes; its digest and size.
    pub(crate) fn add(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<(String, u64)> {
        let mut hashed = Hashed {
            file: BufWriter::new(NamedTempFile::new_in(&self.folder)?),
            digest: Context::new(&SHA256),
            bytes: 0,
        };
        write(&mut hashed)?;
        let file = hashed.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let digest = format!("sha256:{}", hex(hashed.digest.finish().as_ref()));
        file.persist(self.blob(&digest)).map_err(|error| error.error)?;
        Ok((digest, hashed.bytes))
    }

    /// The same layer compressed, as registries serve it: no name and no time in its header.
    pub(crate) fn add_gzip(&self, plain: &Path) -> io::Result<(String, u64)> {
        let mut plain = File::open(plain)?;
        self.add(|into| {
            let mut gzip = GzEncoder::new(into, Compression::default());
            io::copy(&mut plain, &mut gzip)?;
            gzip.finish().map(drop)
        })
    }

    /// The blob of another layout, without a second copy where the file system can do that.
    pub(crate) fn share(&self, from: &Self, digest: &str) -> io::Result<()> {
        let (from, to) = (from.blob(digest), self.blob(digest));
        if to.exists() {
            Ok(())
        } else {
            std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(from, to).map(drop))
        }
    }

    /// Manifest and configuration of one image; what the index says of it.
    pub(crate) fn add_image(&self, name: &str, layers: &[Layer], gzip: bool) -> io::Result<Value> {
        let configuration = json!({
            "architecture": if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" },
            "os": "linux",
            "config": {
                "Entrypoint": ["/usr/bin/python3", "-m", "awslambdaric"],
                "Cmd": ["app.handler"],
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"],
                "WorkingDir": "/var/task",
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": layers.iter().map(|layer| layer.diff_id.as_str()).collect::<Vec<_>>(),
            },
        });
        let (config, config_bytes) = self.add_json(&configuration)?;
        let descriptors: Vec<_> = layers
            .iter()
            .map(|layer| match layer.gzip.as_ref().filter(|_| gzip) {
                Some((digest, bytes)) => descriptor("layer.v1.tar+gzip", digest, *bytes),
                None => descriptor("layer.v1.tar", &layer.diff_id, layer.bytes),
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type("manifest.v1+json"),
            "config": descriptor("config.v1+json", &config, config_bytes),
            "layers": descriptors,
        });
        let (digest, bytes) = self.add_json(&manifest)?;
        let mut entry = descriptor("manifest.v1+json", &digest, bytes);
        entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        Ok(entry)
    }

    pub(crate) fn write_index(&self, images: &[Value]) -> io::Result<()> {
        let index =
            json!({ "schemaVersion": 2, "mediaType": media_type("index.v1+json"), "manifests": images });
        std::fs::write(self.folder.join("index.json"), index.to_string())
    }

    fn add_json(&self, value: &Value) -> io::Result<(String, u64)> {
        self.add(|into| into.write_all(value.to_string().as_bytes()))
    }
}

fn media_type(kind: &str) -> String {
    format!("application/vnd.oci.image.{kind}")
}

fn descriptor(kind: &str, digest: &str, bytes: u64) -> Value {
    json!({ "mediaType": media_type(kind), "digest": digest, "size": bytes })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashed {
    file: BufWriter<NamedTempFile>,
    digest: Context,
    bytes: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
