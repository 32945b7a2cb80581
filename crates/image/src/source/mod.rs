//! Where code comes from when it is not in the request itself, and where results go that are not answered: objects
//! in S3, or in any store that speaks its protocol.
//!
//! ```text
//! S3Store::new(settings) ──────┬─ get(object, limit, sink) ─► the sink, written, e.g. a `CodeStore`'s `Incoming`
//!                             └─ put(bucket, key, bytes)
//! ```
//!
//! Requests are made, signed and repeated by `object_store`. It keeps what S3 says of a refusal to itself, and that
//! is what a caller of the Lambda API is told: [`refusal`] gets hold of it.
//!
//! Called by the front door (code of functions and layers) and by destinations. An object is refused once it
//! is larger than the caller allows, whatever its length was said to be.

mod objects;
mod refusal;
mod s3_error;
mod s3_settings;
mod s3_store;

pub use self::refusal::Refusal;
pub use self::s3_error::{S3ConnectError, S3GetError, S3PutError};
pub use self::s3_settings::{S3Credentials, S3Settings};
pub use self::s3_store::{S3Object, S3Store};
