//! Code packages and container images: from what a developer has on disk to the folders a function is started with.
//!
//! ```text
//! Package::open(path) ─┬─ Folder ───────► used where it is, after `measure`
//!                      ├─ Zip ──────────► `unpack_zip` ───────────────┐
//!                      └─ Executable ───► `package_from_executable` ──┼─► a new folder, or nothing
//! layers: folders and zips, in order ───► `stack_layers` ─────────────┘
//!
//! container images: `oci` ─► `flatten` ─► `chunk` ─► `store`; then `tiers` ─► `serve`: a tree that is mounted (`library`)
//!
//! S3Store ─► CodeStore: archives as they are uploaded, each kept once ─► a `Tree`, for as long as it is held
//! ```
//!
//! A package is hostile until unpacked: names, sizes, modes and links in it may all lie. What this
//! crate promises of every folder it makes:
//!
//! - Nothing was written outside it, and no symbolic link in it leads outside it.
//! - It appears at its path whole, by one rename, or not at all.
//! - The bytes in it were counted as they were written, against AWS's limit for function and layers.
//! - It holds folders, regular files and symbolic links, none with a set-user-id, set-group-id or
//!   sticky bit.
//! - Everybody may read the folder itself. What is in it has the mode that the package says, whatever the
//!   umask, or 0644 and 0755 where the package says nothing. A function's process may be of another user than
//!   this one; a file that the package keeps from others is then kept from the function, as on AWS.
//!
//! Called by the command line and `serve` while a function is prepared, and by the front door for what is uploaded.
//! The client of S3 is not for preparing functions alone: it also writes, for destinations. It and what loads images are
//! asynchronous, all else is not. The crate depends on nothing of ours and
//! knows nothing of runtimes: whether there is a `bootstrap` or a handler inside is not its matter.
#![forbid(unsafe_code)]

pub mod chunk;
mod code_store;
mod entry_path;
mod erofs;
mod executable;
pub mod flatten;
mod folder;
mod layers;
pub mod library;
mod limits;
mod link;
pub mod manifest;
pub mod oci;
mod package;
#[cfg(target_os = "linux")]
pub mod serve;
mod source;
mod staged_folder;
pub mod store;
pub mod tiers;
mod unpack;
mod zip_archive;

pub use code_store::{
    BadSha256, Claim, CodeStore, CodeStoreOpenError, DiskError, Incoming, PutError, ReadError, Sha256,
    StoreLimits, Stored, Swept, Tree,
};
pub use entry_path::BadPath;
pub use executable::package_from_executable;
pub use flatten::{
    BadEntry, BadTar, FlatImage, FlattenError, FlattenLimit, FlattenLimits, Layer, ReadAt, flatten,
};
pub use folder::measure;
pub use layers::{LayersError, MAX_LAYERS, stack_layers};
pub use limits::{Limits, Unpacked};
pub use link::BadLink;
pub use package::{OpenError, Package};
pub use source::{
    Refusal, S3ConnectError, S3Credentials, S3GetError, S3Object, S3PutError, S3Settings, S3Store,
};
pub use unpack::UnpackError;
pub use zip_archive::unpack_zip;
