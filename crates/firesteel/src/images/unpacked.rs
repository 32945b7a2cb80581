//! Images that somebody has unpacked.
//!
//! ```text
//!  unpacked:/srv/image      /srv/image/rootfs        all files of the image
//!                          /srv/image/config.json   its configuration, as images have it: {"config": {"Entrypoint": …}}
//! ```
//!
//! Such a folder is made by unpacking what `docker export` writes. It is used where it stands, and must not change while it is:
//! nobody else's word is there for what is in it, so it is for the command line alone, and the front door refuses such
//! references.

use std::path::Path;
use std::sync::Arc;

use firesteel_image::Sha256;
use firesteel_invoke::{ImageError, LoadedImage};
use serde::Deserialize;

/// The configuration of an image, as far as it says what is started. Members that are not there are null in the images of
/// some builders.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Started {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Option<Started>,
}

/// That in `folder`. Blocks.
pub(super) fn load(folder: &Path, uri: &str) -> Result<LoadedImage, ImageError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ImageError::Missing { uri: uri.to_owned(), source: error.into() },
        std::io::ErrorKind::PermissionDenied => {
            ImageError::AccessDenied { uri: uri.to_owned(), source: error.into() }
        }
        _ => ImageError::Failed { uri: uri.to_owned(), source: error.into() },
    };
    let text = std::fs::read(folder.join("config.json")).map_err(failed)?;
    let root = folder.join("rootfs").canonicalize().map_err(failed)?;
    let configuration: Configuration = serde_json::from_slice(&text)
        .map_err(|error| ImageError::Invalid { uri: uri.to_owned(), source: error.into() })?;
    let Started { entrypoint, cmd, env, working_dir } = configuration.config.unwrap_or_default();
    let variable =
        |text: String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(LoadedImage {
        digest: format!("sha256:{}", Sha256::of(&text)),
        root,
        entrypoint: entrypoint.unwrap_or_default(),
        command: cmd.unwrap_or_default(),
        variables: env.unwrap_or_default().into_iter().filter_map(variable).collect(),
        working_dir: working_dir.filter(|folder| !folder.is_empty()),
        keeps_alive: Arc::new(()),
    })
}
