//! What an operation of the catalog can come to besides its answer.

use crate::name::FunctionName;
use crate::refusal::Refusal;

/// Why an operation did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The caller's mistake, in AWS's words.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Ours: AWS says `ServiceException`, 500.
    #[error(transparent)]
    Failed(#[from] StoreFailure),
}

/// The file could not be read or written as it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreFailure {
    /// Disk full, I/O error, damaged file.
    #[error("the catalog's file cannot be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// Written by no version of this program.
    #[error("a record of the catalog cannot be read")]
    Record(#[from] serde_json::Error),
    /// Written by no version of this program.
    #[error("`{text}` in the catalog is no digest of a package")]
    Digest {
        /// What is there.
        text: String,
    },
    /// With a key that was replaced, or damaged.
    #[error("environment variables of function {function} cannot be decrypted")]
    Sealed {
        /// Whose they are.
        function: FunctionName,
    },
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        CatalogError::Failed(error.into())
    }
}

impl From<serde_json::Error> for CatalogError {
    fn from(error: serde_json::Error) -> Self {
        CatalogError::Failed(error.into())
    }
}
