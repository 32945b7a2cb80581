//! Serving: images as trees of files that can be used before their bytes are here.
//!
//! ```text
//!  a function reads a file
//!        │ page cache (L0): what has been read once is read at the speed of memory
//!  EROFS mount        │ FUSE tree          where the kernel cannot mount a file: ServingPath
//!        │            │
//!  FUSE file          │
//!        └─────┬──────┘
//!          BlockFile ─ slots of the image ─► ChunkSource (L1 ─► L2 ─► L3) ─► VerifiedChunk ─ opened in part ─► bytes
//! ```
//!
//! [`Mounts`] mounts each image once per server, for all its environments; [`MountedImage::root`] is its tree. What it promises:
//!
//! - No byte reaches a reader that is not the image's. What cannot be had, or is not what it should be, is EIO.
//! - No read waits much longer than the deadline for a chunk, whatever a tier does; and no unmount waits for a read.
//! - Nothing can be written by anybody.
//! - Killed, the server leaves mounts that give errors and hold up nobody, and the next start removes them: [`remove_abandoned`].
//!
//! What it does not: to fetch a chunk before it is wanted, which is a matter of the tiers, which are told of every first touch; and
//! to keep chunks.

mod abandoned;
mod answer;
mod block_file;
mod erofs;
mod fuse;
mod fuse_file;
mod fuse_tree;
mod kernel;
mod mounted;
mod mounts;
mod path;

pub use abandoned::remove_abandoned;
pub use block_file::{BlockFile, BlockReadError, OnFirstTouch, ReadStatistics, SlotTable};
pub use erofs::{BadImage, TreeError};
pub use mounted::MountError;
pub use mounts::{MountedImage, Mounts};
pub use path::{ServingPath, ServingPaths};
