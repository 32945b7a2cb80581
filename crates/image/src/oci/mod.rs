//! Container images: from the name of one to its configuration and its layers as plain tar files.
//!
//! ```text
//! Reference ─┬─ registry ──────► documents ─► blobs, as far as they have come ─┐
//!            ├─ layout folder ─► documents ─► blobs where they lie ────────────┼─► spools ─► SourceImage
//!            └─ archive ───────► documents ─► blobs where they lie ────────────┘   (tar files, by content)
//! ```
//!
//! Docker's manifests of version 2, schema 2, and OCI images 1.0, their layers compressed by gzip, zstd or not at all. Of an
//! image for several platforms, that for Linux and the wanted architecture is taken, although AWS refuses such images:
//! most images anywhere are of this form ([`Platform::exact`] refuses as AWS does).
//!
//! - Every byte is checked against the digest by which it is referred to, and every layer against that of its tar file,
//!   which the configuration names. There is no way round that, for no source.
//! - What is counted is counted while it comes: neither lengths in documents nor in compressed data are believed.
//! - A layer is unpacked once, however many images share it or ask for it at the same time.
//! - Killed at any moment, the next run goes on with what has come of a download, and removes all else.
//!
//! Called by whoever puts images into the store; it reads the layers, and when it has, calls
//! [`ImageSources::sweep`]. What is in the layers is not looked at here.

mod blocking;
mod config;
mod digest;
mod error;
mod limits;
mod local;
mod manifest;
mod platform;
mod progress;
mod reference;
mod registry;
mod section;
mod single_flight;
mod source_image;
mod spools;
mod tar_index;
mod unpack;

pub use self::config::{BadConfig, ImageConfig};
pub use self::digest::{BadDigest, Digest};
pub use self::error::{Fault, SourceError};
pub use self::limits::OciLimits;
pub use self::manifest::BadManifest;
pub use self::platform::Platform;
pub use self::progress::Progress;
pub use self::reference::{Reference, ReferenceError, RegistryReference};
pub use self::registry::{
    BadCredentials, BadEndpoint, Credentials, Login, Mirror, RegistryError, RegistrySettings,
};
pub use self::source_image::{ImageSources, Resolved, SourceImage};
pub use self::spools::Removed;
pub use self::tar_index::BadTar;
pub use self::unpack::{LayerError, WrongBytes};
