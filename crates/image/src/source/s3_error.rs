//! What can go wrong with objects. Where AWS Lambda has words for it, the text is Lambda's.

use std::io;

use super::refusal::Refusal;
use super::s3_store::S3Object;

/// Why no client could be made. The mistake of whoever configured it.
#[derive(Debug, thiserror::Error)]
#[error("connecting to {endpoint}")]
pub struct S3ConnectError {
    /// The store.
    pub endpoint: String,
    /// What is wrong.
    #[source]
    pub source: object_store::Error,
}

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub enum S3GetError {
    /// S3 does not let these credentials read it: AWS's `AccessDeniedException`.
    #[error(
        "Your access has been denied by S3, please make sure your request credentials have permission to GetObject \
         for {}/{}. S3 Error Code: {}. S3 Error Message: {}",
        object.bucket, object.key, refusal.code, refusal.message
    )]
    Denied {
        /// What was asked for.
        object: Box<S3Object>,
        /// What S3 said.
        refusal: Refusal,
    },
    /// Bucket, key or version do not exist, or lie elsewhere: AWS's `InvalidParameterValueException`.
    #[error("Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}", refusal.code, refusal.message)]
    Refused {
        /// What was asked for.
        object: Box<S3Object>,
        /// What S3 said.
        refusal: Refusal,
    },
    /// A key with an empty part that is not its first, one that is `.` or `..`, or a control character: it cannot be asked for.
    #[error("the key of {object} cannot be used")]
    Key {
        /// What was asked for.
        object: Box<S3Object>,
        /// What is wrong with the key.
        #[source]
        source: object_store::path::Error,
    },
    /// No more was read of it.
    #[error("{object} is larger than {limit_bytes} bytes")]
    TooLarge {
        /// What was asked for.
        object: Box<S3Object>,
        /// What the caller allows.
        limit_bytes: u64,
    },
    /// The store cannot be reached, fails, or breaks off, for some tries.
    #[error("reading {object}")]
    Unavailable {
        /// What was asked for.
        object: Box<S3Object>,
        /// The last failure.
        #[source]
        source: object_store::Error,
    },
    /// What was read cannot be written.
    #[error("writing what was read of {object}")]
    Sink {
        /// What was asked for.
        object: Box<S3Object>,
        /// What the sink said.
        #[source]
        source: io::Error,
    },
}

/// Why an object was not written.
#[derive(Debug, thiserror::Error)]
pub enum S3PutError {
    /// S3 will not have it.
    #[error("s3://{bucket}/{key} was refused")]
    Refused {
        /// Where it was to go.
        bucket: String,
        /// What it was to be called.
        key: String,
        /// What S3 said.
        #[source]
        refusal: Refusal,
    },
    /// See [`S3GetError::Key`].
    #[error("the key of s3://{bucket}/{key} cannot be used")]
    Key {
        /// Where it was to go.
        bucket: String,
        /// What it was to be called.
        key: String,
        /// What is wrong with the key.
        #[source]
        source: object_store::path::Error,
    },
    /// The store cannot be reached, or fails, for some tries.
    #[error("writing s3://{bucket}/{key}")]
    Unavailable {
        /// Where it was to go.
        bucket: String,
        /// What it was to be called.
        key: String,
        /// The last failure.
        #[source]
        source: object_store::Error,
    },
}
