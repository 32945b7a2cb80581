//! Chunks: the pieces in which images are stored, shared and fetched.
//!
//! ```text
//! slot of an image, 512 KiB ─ seal ─► Sealed { chunk, key }            zeros only: no chunk at all
//!    trailing zeros cut off │
//!                           ├─ key = HKDF-SHA256(SHA-256(plaintext), salt, domain)
//!                           ├─ ciphertext = AES-256-CTR(key, counter 0)
//!                           └─ id = BLAKE3-256(ciphertext)
//!
//! bytes from a disk, another machine or a store ─ VerifiedChunk::verify(ChunkRef) ─► VerifiedChunk ─ open(key, range) ─► plaintext
//! ```
//!
//! Equal content has equal keys, where salt and domain are equal: so whoever stores a chunk finds that it is there
//! already, and nobody who has only the store can read it. The price is that whoever shares a domain, and has a chunk's
//! plaintext, can find out whether it is stored; see [`Domain`].
//!
//! A [`VerifiedChunk`] is the only form in which bytes of an image reach a reader. Its one constructor compares them with
//! their id. The cipher itself authenticates nothing, and need not: who can make a key from a plaintext could also make a
//! tag.
//!
//! All here is synchronous and pure but for [`ChunkSource`], behind which the tiers are. Called by the store, which seals, by
//! tiers, which verify, and by whoever serves an image's blocks, who opens.

mod id;
mod key;
mod sealing;
mod source;
mod verified;

pub use id::{BadChunkId, ChunkId, ChunkRef};
pub use key::{ChunkKey, Domain, Salt};
pub use sealing::{Sealed, seal};
pub use source::{ChunkSource, FetchError};
pub use verified::{BadChunk, VerifiedChunk};

/// Of a slot of an image, and of a chunk's plaintext at most.
pub const CHUNK_BYTES: u32 = 512 * 1024;
