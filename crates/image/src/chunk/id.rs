//! Names of chunks.

use std::fmt;
use std::str::FromStr;

/// BLAKE3-256 of a chunk's ciphertext.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; 32]);

/// Not the name of any chunk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no chunk id")]
pub struct BadChunkId(String);

/// What an image says of one of its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkRef {
    /// Its name.
    pub id: ChunkId,
    /// How long its ciphertext is: from one byte to [`CHUNK_BYTES`](super::CHUNK_BYTES).
    pub stored_bytes: u32,
}

impl ChunkId {
    /// That of a ciphertext.
    pub fn of(ciphertext: &[u8]) -> Self {
        ChunkId(*blake3::hash(ciphertext).as_bytes())
    }

    /// Reads what [`ChunkId::as_bytes`] gives.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        ChunkId(bytes)
    }

    /// As manifests hold it.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// 64 hexadecimal digits, lower case: as files and objects are named after it.
impl fmt::Display for ChunkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Reads what `Display` writes, and nothing else: a chunk has one name.
impl FromStr for ChunkId {
    type Err = BadChunkId;

    fn from_str(text: &str) -> Result<Self, BadChunkId> {
        match blake3::Hash::from_hex(text) {
            Ok(hash) if hash.to_hex().as_str() == text => Ok(ChunkId(*hash.as_bytes())),
            _ => Err(BadChunkId(text.to_owned())),
        }
    }
}
