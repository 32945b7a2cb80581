//! L1: the worker's own chunks, in memory and on disk, as ciphertext.
//!
//! ```text
//! fetch ─► memory ─► flight ─► disk ─► the next tier
//!             ▲        │         │           │
//!             │     one for      ▼           ├─► disk, by a queue that drops
//!             └──── all who ◄─ verified ◄────┘
//!                   wait
//! ```
//!
//! What is in memory is answered at once, without a task or a timer. All else is a flight: one per chunk, however many wait for it.
//! What comes from the disk is verified, each time, and what comes from the next tier is verified by its type.
//!
//! A source made by [`LocalCache::over`] belongs to one image and one tenant: it is the next tier that differs, not what is kept.

mod flights;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use self::flights::Flights;
use super::memory::Memory;
use super::shelf::{DiskReport, Shelf, ShelfError};
use super::statistics::{Meter, TierReport};
use crate::chunk::{ChunkId, ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// As errors name it.
const TIER: &str = "the worker's cache";

/// How much a worker keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// In memory.
    pub memory_bytes: u64,
    /// On disk, if at all.
    pub disk: Option<DiskOptions>,
    /// From asking to the chunk, over all tiers.
    pub deadline: Duration,
}

/// Where a cache is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskOptions {
    /// Its own: nothing else is in there. Made if it is not there.
    pub folder: PathBuf,
    /// Of all its files.
    pub bytes: u64,
}

impl Default for LocalOptions {
    fn default() -> Self {
        LocalOptions { memory_bytes: 256 << 20, disk: None, deadline: Duration::from_secs(30) }
    }
}

/// What the worker has.
#[derive(Debug)]
pub struct LocalCache {
    memory: Memory<ChunkId, VerifiedChunk>,
    shelf: Option<Shelf<ChunkId>>,
    flights: Flights,
    began: Instant,
    deadline: Duration,
    of_memory: Meter,
    of_disk: Meter,
    joined: AtomicU64,
}

/// What it has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalReport {
    /// Chunks in memory now.
    pub memory_chunks: usize,
    /// Their bytes.
    pub memory_bytes: u64,
    /// Of memory.
    pub memory: TierReport,
    /// Of the disk, if there is one.
    pub disk: Option<TierReport>,
    /// What is on it.
    pub files: Option<DiskReport>,
    /// Who waited for a fetch that somebody else had begun.
    pub joined: u64,
    /// Fetches that have not ended.
    pub under_way: usize,
}

impl LocalCache {
    /// With what an earlier run left on the disk. Waits for the disk.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, or is in use.
    pub fn open(options: &LocalOptions) -> Result<Arc<Self>, ShelfError> {
        let shelf = options.disk.as_ref().map(|disk| Shelf::open(&disk.folder, disk.bytes)).transpose()?;
        Ok(Arc::new(LocalCache {
            memory: Memory::new(options.memory_bytes),
            shelf,
            flights: Flights::default(),
            began: Instant::now(),
            deadline: options.deadline,
            of_memory: Meter::default(),
            of_disk: Meter::default(),
            joined: AtomicU64::new(0),
        }))
    }

    /// What is here, and else what `next` has.
    pub fn over(self: &Arc<Self>, next: Arc<dyn ChunkSource>) -> Arc<dyn ChunkSource> {
        Arc::new(LocalSource { cache: Arc::clone(self), next })
    }

    /// Without waiting: only what is in memory.
    pub fn at_hand(&self, chunk: ChunkRef) -> Option<VerifiedChunk> {
        let found = self.memory.get(&chunk.id, self.began.elapsed())?;
        // Somebody may know its name and be wrong about its length; he is told by who verifies.
        (found.reference() == chunk).then_some(found)
    }

    /// What it has done so far.
    pub fn report(&self) -> LocalReport {
        let (memory_chunks, memory_bytes) = self.memory.size();
        LocalReport {
            memory_chunks,
            memory_bytes,
            memory: self.of_memory.report(),
            disk: self.shelf.as_ref().map(|_| self.of_disk.report()),
            files: self.shelf.as_ref().map(Shelf::report),
            joined: self.joined.load(Relaxed),
            under_way: self.flights.under_way(),
        }
    }

    fn keep(&self, chunk: &VerifiedChunk) {
        let ChunkRef { id, stored_bytes } = chunk.reference();
        self.memory.insert(id, chunk.clone(), stored_bytes.into(), self.began.elapsed());
    }

    async fn on_disk(&self, chunk: ChunkRef) -> Option<VerifiedChunk> {
        let shelf = self.shelf.as_ref()?;
        let began = Instant::now();
        let found = shelf.read(chunk.id, move |bytes| VerifiedChunk::verify(chunk, bytes)).await;
        match &found {
            Some(_) => self.of_disk.hit(chunk.stored_bytes, began.elapsed()),
            None => self.of_disk.miss(),
        }
        found
    }

    /// What a flight does.
    async fn look_further(
        &self,
        chunk: ChunkRef,
        next: &dyn ChunkSource,
    ) -> Result<VerifiedChunk, FetchError> {
        // It may have landed after it was looked for, and before this flight began.
        if let Some(found) = self.at_hand(chunk) {
            return Ok(found);
        }
        if let Some(found) = self.on_disk(chunk).await {
            self.keep(&found);
            return Ok(found);
        }
        let found = next.fetch(chunk).await?;
        if found.reference() != chunk {
            // Verified, but another one: says which.
            return VerifiedChunk::verify(chunk, found.ciphertext().clone())
                .map_err(|source| FetchError::Corrupt { id: chunk.id, source });
        }
        self.keep(&found);
        if let Some(shelf) = &self.shelf {
            shelf.offer(chunk.id, found.ciphertext().clone());
        }
        Ok(found)
    }
}

/// The worker's chunks, and behind them those of one image's next tier.
#[derive(Debug)]
struct LocalSource {
    cache: Arc<LocalCache>,
    next: Arc<dyn ChunkSource>,
}

#[async_trait]
impl ChunkSource for LocalSource {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        let began = Instant::now();
        if let Some(found) = self.cache.at_hand(chunk) {
            self.cache.of_memory.hit(chunk.stored_bytes, began.elapsed());
            return Ok(found);
        }
        self.cache.of_memory.miss();
        let mut refused_before = false;
        loop {
            let (flight, own) = self.cache.flights.board(chunk, || {
                let (cache, next) = (Arc::clone(&self.cache), Arc::clone(&self.next));
                async move {
                    let looking = cache.look_further(chunk, &*next);
                    timeout(cache.deadline, looking).await.unwrap_or(Err(FetchError::TimedOut { tier: TIER }))
                }
            });
            if !own {
                self.cache.joined.fetch_add(1, Relaxed);
            }
            match flight.await {
                // It was somebody else's, and so was the limit that it met: with an own one it may be fetched.
                Err(FetchError::Busy { .. }) if !own && !refused_before => refused_before = true,
                fetched => return fetched,
            }
        }
    }
}
