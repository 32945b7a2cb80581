//! Fetches what a start will need, before it asks for it.
//!
//! In the order of the list, so many at a time, into the worker's own cache: there the start finds a chunk, or joins the fetch of it
//! that is under way. Whoever reads goes first: all prefetches of a worker together take no more than [`PrefetchOptions::of_worker`],
//! which is less than what may be under way at all, and one that waits for its turn is not under way yet, so that a reader who needs the
//! same chunk begins a fetch of his own.
//!
//! A fetch that fails is not tried again: the reader will ask. After [`GIVE_UP`] in a row the rest is left, as there is nothing
//! to be had now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle, JoinSet};

use crate::chunk::{ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// Failures one after another, after which the rest is not tried.
const GIVE_UP: u32 = 8;

/// How much is fetched ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefetchOptions {
    /// Chunks at a time for one start.
    pub of_start: usize,
    /// Chunks at a time for all starts together.
    pub of_worker: usize,
}

impl Default for PrefetchOptions {
    fn default() -> Self {
        PrefetchOptions { of_start: 32, of_worker: 64 }
    }
}

/// What has been fetched ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PrefetchReport {
    /// Chunks.
    pub fetched: u64,
    /// Chunks that were not to be had.
    pub failed: u64,
    /// Lists of which the rest was left.
    pub given_up: u64,
}

/// Fetches ahead for all starts of a worker.
#[derive(Debug)]
pub struct Prefetcher {
    options: PrefetchOptions,
    worker: Arc<Semaphore>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    fetched: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
}

/// One list that is being fetched. Dropped, it stops, with all that is under way and that nobody else waits for.
#[derive(Debug)]
pub struct Prefetch {
    driving: JoinHandle<()>,
}

impl Prefetcher {
    /// With nothing under way.
    pub fn new(options: PrefetchOptions) -> Self {
        Prefetcher { options, worker: Arc::new(Semaphore::new(options.of_worker)), counts: Arc::default() }
    }

    /// Begins to fetch these, the first first. Called within a runtime.
    pub fn begin(&self, chunks: Vec<ChunkRef>, source: Arc<dyn ChunkSource>) -> Prefetch {
        let (worker, counts) = (Arc::clone(&self.worker), Arc::clone(&self.counts));
        let of_start = self.options.of_start.max(1);
        let driving = tokio::spawn(async move { drive(chunks, source, of_start, &worker, &counts).await });
        Prefetch { driving }
    }

    /// So far.
    pub fn report(&self) -> PrefetchReport {
        PrefetchReport {
            fetched: self.counts.fetched.load(Relaxed),
            failed: self.counts.failed.load(Relaxed),
            given_up: self.counts.given_up.load(Relaxed),
        }
    }
}

impl Prefetch {
    /// Until everything has been fetched or left. Dropped, it stops.
    pub async fn finished(mut self) {
        // It fails by a panic, which has been told of, or by being stopped, which it is only by its drop.
        let _stopped = (&mut self.driving).await;
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

async fn drive(
    chunks: Vec<ChunkRef>,
    source: Arc<dyn ChunkSource>,
    of_start: usize,
    worker: &Arc<Semaphore>,
    counts: &Counts,
) {
    let mut failures = 0;
    let mut fetches: JoinSet<Result<VerifiedChunk, FetchError>> = JoinSet::new();
    let mut count = |fetched: Result<Result<VerifiedChunk, FetchError>, JoinError>| {
        if let Ok(Ok(_)) = fetched {
            counts.fetched.fetch_add(1, Relaxed);
            failures = 0;
        } else {
            counts.failed.fetch_add(1, Relaxed);
            failures += 1;
        }
        failures < GIVE_UP
    };
    for chunk in chunks {
        while fetches.len() >= of_start {
            let Some(fetched) = fetches.join_next().await else { break };
            if !count(fetched) {
                counts.given_up.fetch_add(1, Relaxed);
                return;
            }
        }
        // Never closed: it is held here.
        let Ok(permit) = Arc::clone(worker).acquire_owned().await else { return };
        let source = Arc::clone(&source);
        fetches.spawn(async move {
            let fetched = source.fetch(chunk).await;
            drop(permit);
            fetched
        });
    }
    while let Some(fetched) = fetches.join_next().await {
        count(fetched);
    }
}
