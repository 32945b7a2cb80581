//! What the store takes, and what it would take if nothing were shared.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use object_store::ObjectStore;

use super::error::OpenError;
use super::{ImageStore, place};
use crate::chunk::ChunkId;

/// Of all images together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// How many.
    pub images: usize,
    /// Of their flat images.
    pub logical_bytes: u64,
    /// Of their chunks, if each image had its own.
    pub unshared_bytes: u64,
    /// Of different chunks that they have.
    pub live_bytes: u64,
    /// Different chunks that they have.
    pub live_chunks: usize,
    /// Those of more than one image.
    pub shared_chunks: usize,
    /// Of all chunks that are stored, those included that go with their root.
    pub stored_bytes: u64,
    /// All chunks that are stored.
    pub stored_chunks: usize,
}

impl Stats {
    /// How many times what is kept would be needed if nothing were shared; 1 for no images.
    pub fn deduplication(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = self.unshared_bytes as f64 / self.live_bytes as f64;
        if self.live_bytes == 0 { 1.0 } else { ratio }
    }
}

impl ImageStore {
    /// Reads every manifest and lists every chunk.
    pub async fn stats(&self) -> Result<Stats, OpenError> {
        let state = self.shared.register.read().await?;
        let mut stats = Stats { images: state.images.len(), ..Stats::default() };
        let mut users: HashMap<ChunkId, (u32, usize)> = HashMap::new();
        for row in state.images.values() {
            stats.logical_bytes += row.image_bytes;
            for chunk in self.shared.manifest(row.root, row.manifest).await?.chunks() {
                stats.unshared_bytes += u64::from(chunk.stored_bytes);
                users.entry(chunk.id).or_insert((chunk.stored_bytes, 0)).1 += 1;
            }
        }
        stats.live_chunks = users.len();
        stats.shared_chunks = users.values().filter(|(_, images)| *images > 1).count();
        stats.live_bytes = users.values().map(|(stored_bytes, _)| u64::from(*stored_bytes)).sum();
        for root in state.roots.keys() {
            let mut listed = self.shared.store.list(Some(&place::chunks(*root)));
            while let Some(object) = listed.try_next().await.map_err(OpenError::reading("list of chunks"))? {
                stats.stored_bytes += object.size;
                stats.stored_chunks += 1;
            }
        }
        Ok(stats)
    }
}
