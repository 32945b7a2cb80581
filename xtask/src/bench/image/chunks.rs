//! An image as chunks: sealed by the product's own code, whatever its layout, and answered for as a store would.
//!
//! ```text
//! FlatImage ─┐
//! Stock     ─┴─ Slots ─► Sealed: what a manifest says, and the chunks ─► Remote: a ChunkSource with recorded latencies
//! ```

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use firesteel_image::FlatImage;
use firesteel_image::chunk::{
    CHUNK_BYTES, ChunkId, ChunkKey, ChunkRef, ChunkSource, Domain, FetchError, Salt, VerifiedChunk, seal,
};
use firesteel_image::serve::SlotTable;
use firesteel_image::tiers::simulated::{Clock, Latency, Sampler};

/// One slot of an image.
pub(super) type SlotBytes = [u8; CHUNK_BYTES as usize];

/// An image in some layout.
pub(super) trait Slots {
    fn image_bytes(&self) -> u64;

    fn read_slot(&self, slot: u32, into: &mut SlotBytes) -> io::Result<()>;

    fn slots(&self) -> u32 {
        u32::try_from(self.image_bytes().div_ceil(CHUNK_BYTES.into())).expect("images have less than 2 PiB")
    }
}

impl Slots for FlatImage {
    fn image_bytes(&self) -> u64 {
        self.image_bytes()
    }

    fn read_slot(&self, slot: u32, into: &mut SlotBytes) -> io::Result<()> {
        self.read_slot(slot, into).map_err(io::Error::other)
    }
}

pub(super) fn buffer() -> Box<SlotBytes> {
    vec![0; CHUNK_BYTES as usize].try_into().expect("it has this length")
}

/// Calls `each` with every slot that is not all zeros, sealed.
pub(super) fn seal_all(
    image: &dyn Slots,
    mut each: impl FnMut(u32, VerifiedChunk, ChunkKey),
) -> io::Result<()> {
    // Any salt will do, as long as it is the same for all that are compared.
    let salt = Salt::from_bytes([6; 32]);
    let mut slot = buffer();
    for index in 0..image.slots() {
        image.read_slot(index, &mut slot)?;
        if let Some(sealed) = seal(&*slot, &salt, &Domain::Deployment) {
            each(index, sealed.chunk, sealed.key);
        }
    }
    Ok(())
}

/// An image whose chunks are all in memory.
pub(super) struct Sealed {
    image_bytes: u64,
    slots: Vec<Option<(ChunkRef, ChunkKey)>>,
    chunks: HashMap<ChunkId, VerifiedChunk>,
}

impl Sealed {
    pub(super) fn of(image: &dyn Slots) -> io::Result<Arc<Self>> {
        let mut sealed = Self {
            image_bytes: image.image_bytes(),
            slots: vec![None; image.slots() as usize],
            chunks: HashMap::new(),
        };
        seal_all(image, |slot, chunk, key| {
            let reference = chunk.reference();
            sealed.slots[slot as usize] = Some((reference, key));
            sealed.chunks.insert(reference.id, chunk);
        })?;
        Ok(Arc::new(sealed))
    }

    /// What a store has to keep of it.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.chunks.values().map(|chunk| u64::from(chunk.reference().stored_bytes)).sum()
    }

    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("slots of an image are counted by 32 bits")
    }

    pub(super) fn references(&self, slots: &[u32]) -> Vec<ChunkRef> {
        let of = |slot: &u32| self.slots.get(*slot as usize)?.as_ref().map(|(chunk, _)| *chunk);
        slots.iter().filter_map(of).collect()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("image_bytes", &self.image_bytes).finish_non_exhaustive()
    }
}

impl SlotTable for Sealed {
    fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)> {
        let (chunk, key) = self.slots.get(index as usize)?.as_ref()?;
        Some((*chunk, key))
    }
}

/// The tier behind the worker's own: it answers after a latency that is drawn from a recorded distribution.
pub(super) struct Remote {
    image: Arc<Sealed>,
    sampler: Sampler,
    fetches: AtomicU64,
    fetched_bytes: AtomicU64,
}

impl Remote {
    pub(super) fn new(image: Arc<Sealed>, latency: Latency, seed: u64) -> Arc<Self> {
        let (fetches, fetched_bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        // tokio's timer has a resolution of a millisecond, which is more than cache nodes take.
        let sampler = Sampler::new(latency, seed).by(Clock::Kernel);
        Arc::new(Self { image, sampler, fetches, fetched_bytes })
    }

    /// Fetches that were answered so far, and their bytes.
    pub(super) fn fetched(&self) -> (u64, u64) {
        (self.fetches.load(Ordering::Relaxed), self.fetched_bytes.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("fetched", &self.fetched()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ChunkSource for Remote {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        self.sampler.wait(1.0).await;
        let found = self.image.chunks.get(&chunk.id).ok_or(FetchError::Missing { id: chunk.id })?;
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.fetched_bytes.fetch_add(chunk.stored_bytes.into(), Ordering::Relaxed);
        // As what has come over a network.
        VerifiedChunk::verify(chunk, found.ciphertext().clone())
            .map_err(|source| FetchError::Corrupt { id: chunk.id, source })
    }
}
