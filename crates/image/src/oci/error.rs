//! Why there is no image.

use std::io;
use std::path::PathBuf;

use super::config::BadConfig;
use super::digest::Digest;
use super::manifest::BadManifest;
use super::platform::Platform;
use super::registry::RegistryError;
use super::tar_index::BadTar;
use super::unpack::{LayerError, WrongBytes};
use crate::code_store::DiskError;

/// Why an image is not fetched. Nothing of it is left but what the next attempt can go on with.
///
/// [`SourceError::Disk`] is this host's matter, and all else that of whoever named the image or published it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file that should be there.
    #[error("opening {}", path.display())]
    Open {
        /// Of it.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A folder of something else.
    #[error("{} is no OCI layout folder: it has no `{missing}`", folder.display())]
    NotALayout {
        /// As given.
        folder: PathBuf,
        /// What makes one.
        missing: &'static str,
    },
    /// A tar file of something else.
    #[error("{} is no archive of images: it has neither `index.json` nor `manifest.json`", file.display())]
    NotAnArchive {
        /// As given.
        file: PathBuf,
    },
    /// Not even a tar file, or a damaged one.
    #[error("{} is no tar file that can be read", file.display())]
    Archive {
        /// As given.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BadTar,
    },
    /// A compressed archive that cannot be unpacked.
    #[error("unpacking {}", file.display())]
    Unpack {
        /// As given.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: LayerError,
    },
    /// The list of images in an archive.
    #[error("`manifest.json` in {} is malformed", file.display())]
    ArchiveManifest {
        /// As given.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// No image of this name.
    #[error("{reference} is not there; there is {}", list(has))]
    Unknown {
        /// As given.
        reference: String,
        /// Names of what there is.
        has: Vec<String>,
    },
    /// Several images, and no name.
    #[error("which image of {reference}? There is {}", list(has))]
    Ambiguous {
        /// As given.
        reference: String,
        /// Names of what there is.
        has: Vec<String>,
    },
    /// Something refers to it.
    #[error("{blob} is missing")]
    Missing {
        /// A digest, or the name of a file in an archive.
        blob: String,
    },
    /// Something refers to it, and it is another.
    #[error("{digest} is damaged")]
    Wrong {
        /// That it should have.
        digest: Digest,
        /// What it has.
        #[source]
        source: WrongBytes,
    },
    /// A manifest or an index that cannot be used.
    #[error("{name} cannot be used")]
    Manifest {
        /// Its digest, or its name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: BadManifest,
    },
    /// A configuration that cannot be used.
    #[error("the image's configuration {digest} cannot be used")]
    Config {
        /// Of it.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: BadConfig,
    },
    /// An image for other machines.
    #[error("the image is for {os}/{architecture}, and {platform} is asked for")]
    WrongPlatform {
        /// As asked for.
        platform: Platform,
        /// Of the image.
        os: String,
        /// Of the image.
        architecture: String,
    },
    /// A layer.
    #[error("layer {layer} ({digest})")]
    Layer {
        /// From 0, the lowest.
        layer: usize,
        /// Of its compressed bytes, if that is known, else of its tar file.
        digest: Digest,
        /// What is wrong with it.
        #[source]
        source: LayerError,
    },
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// This host.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Whose fault it is that there is no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such image, or it is kept from whoever asks without saying so.
    Missing,
    /// It is kept from whoever asks.
    Denied,
    /// It is not an image, or none that can be used.
    Invalid,
    /// This host's, the registry's, or that of the way to it: another time it may go better.
    Failed,
}

impl SourceError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            SourceError::Registry(RegistryError::NotFound { .. })
            | SourceError::Unknown { .. }
            | SourceError::Open { .. }
            | SourceError::Missing { .. } => Fault::Missing,
            SourceError::Registry(RegistryError::Denied { .. }) => Fault::Denied,
            SourceError::Registry(_) | SourceError::Disk(_) => Fault::Failed,
            SourceError::Layer { source, .. } if source.is_of_host() => Fault::Failed,
            _ => Fault::Invalid,
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
