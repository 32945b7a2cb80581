//! What can go wrong with the store. Where AWS has words for it, the text is AWS's.

use std::io;
use std::path::{Path, PathBuf};

use super::sha256::Sha256;
use crate::layers::LayersError;
use crate::unpack::UnpackError;

/// This host would not do it: no space, no permission.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}", path.display())]
pub struct DiskError {
    /// What was tried, for instance `writing`.
    pub action: &'static str,
    /// With what.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| DiskError { action, path: path.to_owned(), source }
    }
}

/// Why there is no store in a folder.
#[derive(Debug, thiserror::Error)]
pub enum CodeStoreOpenError {
    /// Another server uses it.
    #[error("{} is in use by another server", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a package is not taken. All but [`PutError::Disk`] are the mistake of whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// No bytes, or an archive of nothing.
    #[error("Uploaded file must be a non-empty zip")]
    Empty,
    /// No zip archive, a damaged one, or one that nobody should unpack; the source says which.
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again.")]
    Unzip(#[source] UnpackError),
    /// Over [`Limits::unpacked_bytes`](crate::Limits::unpacked_bytes).
    #[error("Unzipped size must be smaller than {limit_bytes} bytes")]
    TooLarge {
        /// What had to be kept.
        limit_bytes: u64,
    },
    /// Over [`StoreLimits::packages_bytes`](crate::StoreLimits::packages_bytes): AWS's `CodeStorageExceededException`.
    #[error("Code storage limit exceeded.")]
    CodeStorageExceeded {
        /// What had to be kept.
        limit_bytes: u64,
    },
    /// The platform's failure.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<UnpackError> for PutError {
    fn from(error: UnpackError) -> Self {
        match error {
            UnpackError::Open { path, source } => DiskError { action: "opening", path, source }.into(),
            UnpackError::Write { path, source } => DiskError { action: "writing", path, source }.into(),
            UnpackError::Occupied { into } => {
                DiskError { action: "making", path: into, source: io::ErrorKind::AlreadyExists.into() }.into()
            }
            UnpackError::TooLarge { limits, .. } => PutError::TooLarge { limit_bytes: limits.unpacked_bytes },
            fault => PutError::Unzip(fault),
        }
    }
}

/// Why code that was stored cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It never was stored, or has been removed.
    #[error("no package {sha256} is stored")]
    Unknown {
        /// The package.
        sha256: Sha256,
    },
    /// Its archive was good when it was stored, and no longer is.
    #[error("unpacking package {sha256}")]
    Unpack {
        /// The package.
        sha256: Sha256,
        /// What is wrong with it.
        #[source]
        source: UnpackError,
    },
    /// Layers that are good by themselves do not go together.
    #[error(transparent)]
    Layers(#[from] LayersError),
    /// The platform's failure.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
