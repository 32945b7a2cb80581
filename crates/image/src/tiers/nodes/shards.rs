//! Shards: what a chunk is cut into, and their names.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::chunk::{CHUNK_BYTES, ChunkId, ChunkRef, VerifiedChunk};

/// Of which a chunk can be made.
pub(super) const NEEDED: usize = 4;

/// That a chunk has: one more, which is what the others are together.
pub const SHARDS: usize = 5;

/// Of the shards of a chunk that fills its slot.
pub const MAX_SHARD_BYTES: usize = CHUNK_BYTES as usize / NEEDED;

/// What a node keeps a shard under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardKey {
    /// Of this chunk.
    pub chunk: ChunkId,
    /// The first is 0.
    pub index: u8,
}

/// Not the name of any shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no shard")]
pub struct BadShardKey(String);

/// The chunk's name, a dot, and the index: as files are named after it.
impl fmt::Display for ShardKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.chunk, self.index)
    }
}

impl ShardKey {
    /// Of what stands for the chunk, and for the index.
    pub(super) fn of_parts(chunk: &str, index: &str) -> Option<Self> {
        let [digit @ b'0'..=b'4'] = index.as_bytes() else { return None };
        Some(ShardKey { chunk: chunk.parse().ok()?, index: digit - b'0' })
    }
}

/// Reads what `Display` writes, and nothing else.
impl FromStr for ShardKey {
    type Err = BadShardKey;

    fn from_str(text: &str) -> Result<Self, BadShardKey> {
        let key = text.split_once('.').and_then(|(chunk, index)| ShardKey::of_parts(chunk, index));
        key.ok_or_else(|| BadShardKey(text.to_owned()))
    }
}

/// How long each shard of this chunk is.
pub(super) fn shard_bytes(chunk: ChunkRef) -> usize {
    (chunk.stored_bytes as usize).div_ceil(NEEDED)
}

/// All shards of a chunk. What the last ones lack is zeros.
pub(super) fn split(chunk: &VerifiedChunk) -> [Bytes; SHARDS] {
    let (ciphertext, length) = (chunk.ciphertext(), shard_bytes(chunk.reference()));
    let data: [Bytes; NEEDED] = std::array::from_fn(|index| {
        let from = (index * length).min(ciphertext.len());
        let to = (from + length).min(ciphertext.len());
        if to - from == length {
            return ciphertext.slice(from..to);
        }
        let mut padded = ciphertext[from..to].to_vec();
        padded.resize(length, 0);
        padded.into()
    });
    let parity = xor(length, &data);
    let [first, second, third, fourth] = data;
    [first, second, third, fourth, parity]
}

/// Of shards of this length.
pub(super) fn xor<'a>(length: usize, shards: impl IntoIterator<Item = &'a Bytes>) -> Bytes {
    let mut sum = vec![0_u8; length];
    for shard in shards {
        sum.iter_mut().zip(shard).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum.into()
}
