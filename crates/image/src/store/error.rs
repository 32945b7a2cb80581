//! Why there is no store, or no image of it.

use std::io;
use std::path::PathBuf;

use super::register::{StateError, UpdateError};
use crate::manifest::{BadManifest, ImageId, ManifestId, UnsealError};

/// Why a store cannot be used. Only the host, its configuration, or a damaged store causes it.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// Its folder cannot be had.
    #[error("making {}", folder.display())]
    Disk {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Its bucket cannot be spoken to, as it is configured.
    #[error("using bucket {bucket}")]
    Bucket {
        /// Which.
        bucket: String,
        /// What is wrong.
        #[source]
        source: object_store::Error,
    },
    /// Its state cannot be had.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why an image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It never was stored, or has been removed.
    #[error("image {image} is not stored")]
    NoImage {
        /// Which.
        image: ImageId,
    },
    /// Its manifest has been lost.
    #[error("manifest {manifest} is missing")]
    NoManifest {
        /// Which.
        manifest: ManifestId,
    },
    /// There is something else in place of its manifest.
    #[error("manifest {manifest} is damaged")]
    Damaged {
        /// Which.
        manifest: ManifestId,
    },
    /// Written by a later Firesteel.
    #[error("manifest {manifest} cannot be read")]
    Unreadable {
        /// Which.
        manifest: ManifestId,
        /// In which way.
        #[source]
        source: BadManifest,
    },
    /// Its tenant's key is missing, or another one.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// The state cannot be had or written.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The store cannot be asked.
    #[error("{action} a {what}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// With what.
        what: &'static str,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
}

impl OpenError {
    pub(super) fn reading(what: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| OpenError::Store { action: "reading", what, source }
    }
}

impl From<StateError> for OpenError {
    fn from(error: StateError) -> Self {
        OpenError::Update(error.into())
    }
}
