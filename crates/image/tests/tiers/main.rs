//! The tiers on good days and on bad ones: real files, real connections on loopback, and a store that is simulated.
//!
//! Where latencies matter, time is tokio's and paused: what is asserted of it is the same on every machine.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod cluster;
mod crashing;
mod limits;
mod local;
mod nodes;
mod prefetch;

use std::sync::Arc;

use firesteel_image::chunk::{ChunkRef, ChunkSource, Domain, FetchError, Salt, VerifiedChunk, seal};
use firesteel_image::tiers::simulated::{Latency, SimulatedStore};
use tempfile::TempDir;

/// Chunk by number; equal numbers, equal chunks.
fn chunk_of(number: u64, bytes: usize) -> VerifiedChunk {
    let mut plaintext = vec![0; bytes];
    fastrand::Rng::with_seed(number).fill(&mut plaintext);
    *plaintext.last_mut().unwrap() = 1;
    seal(&plaintext, &Salt::from_bytes([1; 32]), &Domain::Deployment).unwrap().chunk
}

fn chunk(number: u64) -> VerifiedChunk {
    chunk_of(number, 4096)
}

/// A store that has the chunks of these numbers.
fn store_of(latency: Latency, numbers: std::ops::Range<u64>) -> (Arc<SimulatedStore>, Vec<ChunkRef>) {
    let store = SimulatedStore::new(latency, 1);
    let chunks = numbers.map(|number| store.add(chunk(number))).collect();
    (Arc::new(store), chunks)
}

async fn fetch_all(source: &Arc<dyn ChunkSource>, chunks: &[ChunkRef]) -> Result<(), FetchError> {
    for chunk in chunks {
        assert_eq!(source.fetch(*chunk).await?.reference(), *chunk);
    }
    Ok(())
}

/// Until a thread or a task has got so far.
async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !reached() {
        assert!(std::time::Instant::now() < patience, "not within a minute: {what}");
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}
