//! Whatever is stored in the place of a chunk is exactly that chunk, or refused.
#![no_main]
#![forbid(unsafe_code)]

use bytes::Bytes;
use firesteel_image::chunk::{ChunkId, ChunkRef, Domain, Salt, VerifiedChunk, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&[flip, length, start, count], plaintext)) = data.split_first_chunk() else { return };
    // By itself: bytes that are named by nobody.
    let named = ChunkRef { id: ChunkId::of(plaintext), stored_bytes: u32::from(length) };
    let verified = VerifiedChunk::verify(named, Bytes::copy_from_slice(plaintext));
    assert_eq!(verified.is_ok(), plaintext.len() == usize::from(length) && length > 0);

    let Some(sealed) = seal(plaintext, &Salt::from_bytes([3; 32]), &Domain::Deployment) else { return };
    let (reference, right) = (sealed.chunk.reference(), sealed.chunk.ciphertext());
    let mut stored = right.to_vec();
    let at = usize::from(flip) % stored.len();
    stored[at] ^= length;
    if flip & 1 == 0 {
        stored.truncate(stored.len().saturating_sub(usize::from(start)));
    }
    match VerifiedChunk::verify(reference, stored.clone().into()) {
        Err(_) => assert_ne!(stored[..], right[..]),
        Ok(chunk) => {
            assert_eq!(stored[..], right[..]);
            let range = u32::from(start)..u32::from(start) + u32::from(count);
            let expected = (range.clone()).map(|at| plaintext.get(at as usize).copied().unwrap_or(0));
            assert!(chunk.open(&sealed.key, range).into_iter().eq(expected));
        }
    }
});
