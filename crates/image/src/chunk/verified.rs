//! Chunks whose bytes are what their name says.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::CHUNK_BYTES;
use super::id::{ChunkId, ChunkRef};
use super::key::ChunkKey;

/// A ciphertext that has been compared with its id. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedChunk {
    id: ChunkId,
    ciphertext: Bytes,
}

/// Bytes that are not the chunk that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChunk {
    /// Cut off, or something else altogether.
    #[error("{found_bytes} bytes in place of the {} of chunk {}", .expected.stored_bytes, .expected.id)]
    Length {
        /// What was asked for.
        expected: ChunkRef,
        /// What came.
        found_bytes: usize,
    },
    /// Changed on the way, or another chunk.
    #[error("the bytes of chunk {expected} are those of {found}")]
    Content {
        /// What was asked for.
        expected: ChunkId,
        /// What such bytes are called.
        found: ChunkId,
    },
}

impl VerifiedChunk {
    /// Compares bytes with what they are said to be.
    pub fn verify(expected: ChunkRef, ciphertext: Bytes) -> Result<Self, BadChunk> {
        // A chunk of no bytes is none, and a longer one would reach into the next slot.
        if !(1..=CHUNK_BYTES).contains(&expected.stored_bytes)
            || ciphertext.len() != expected.stored_bytes as usize
        {
            return Err(BadChunk::Length { expected, found_bytes: ciphertext.len() });
        }
        let chunk = Self::new(ciphertext);
        if chunk.id == expected.id {
            Ok(chunk)
        } else {
            Err(BadChunk::Content { expected: expected.id, found: chunk.id })
        }
    }

    /// Named after what it is: there is nothing to compare with.
    pub(super) fn new(ciphertext: Bytes) -> Self {
        VerifiedChunk { id: ChunkId::of(&ciphertext), ciphertext }
    }

    /// What it is called.
    pub fn reference(&self) -> ChunkRef {
        let stored_bytes = u32::try_from(self.ciphertext.len()).expect("no chunk is longer than a slot");
        ChunkRef { id: self.id, stored_bytes }
    }

    /// As it is stored and sent.
    pub fn ciphertext(&self) -> &Bytes {
        &self.ciphertext
    }

    /// A part of the plaintext: zeros past what is stored.
    pub fn open(&self, key: &ChunkKey, range: Range<u32>) -> Vec<u8> {
        let mut plaintext = vec![0; range.len()];
        self.open_into(key, range.start, &mut plaintext);
        plaintext
    }

    /// Likewise, from `start` on, as much as there is room for.
    pub fn open_into(&self, key: &ChunkKey, start: u32, into: &mut [u8]) {
        let stored = self.ciphertext.len();
        let from = (start as usize).min(stored);
        let to = from.saturating_add(into.len()).min(stored);
        into[to - from..].fill(0);
        if from == to {
            return;
        }
        let block = ChunkKey::start_of_block(start);
        let lead = from - block as usize;
        if lead == 0 {
            into[..to - from].copy_from_slice(&self.ciphertext[from..to]);
            key.decrypt(&mut into[..to - from], block);
        } else {
            let mut blocks = self.ciphertext[block as usize..to].to_vec();
            key.decrypt(&mut blocks, block);
            into[..to - from].copy_from_slice(&blocks[lead..]);
        }
    }
}

impl fmt::Debug for VerifiedChunk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifiedChunk({}, {} bytes)", self.id, self.ciphertext.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_passes_for_a_chunk() {
        let chunk = VerifiedChunk::new(Bytes::from_static(b"ciphertext"));
        let reference = chunk.reference();
        assert_eq!(VerifiedChunk::verify(reference, Bytes::from_static(b"ciphertext")), Ok(chunk));
        for bit in 0..80 {
            let mut flipped = b"ciphertext".to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let refused = VerifiedChunk::verify(reference, flipped.into()).unwrap_err();
            assert!(matches!(refused, BadChunk::Content { .. }), "{refused}");
        }
        for length in (0..10).chain([11]) {
            let bytes = Bytes::copy_from_slice(&b"ciphertext!"[..length]);
            let refused = VerifiedChunk::verify(reference, bytes).unwrap_err();
            assert_eq!(refused, BadChunk::Length { expected: reference, found_bytes: length });
        }
    }

    #[test]
    fn no_chunk_is_empty_or_longer_than_a_slot() {
        for length in [0, CHUNK_BYTES + 1] {
            let bytes = Bytes::from(vec![1; length as usize]);
            let named = ChunkRef { id: ChunkId::of(&bytes), stored_bytes: length };
            assert!(matches!(VerifiedChunk::verify(named, bytes), Err(BadChunk::Length { .. })));
        }
    }
}
