//! A store that is simulated.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Fault, Latency, Sampler};
use crate::chunk::{ChunkId, ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// As errors name it.
const TIER: &str = "the simulated store";

/// A store that has what it is given, and counts who reads at a time.
pub struct SimulatedStore {
    chunks: Mutex<HashMap<ChunkId, VerifiedChunk>>,
    sampler: Sampler,
    fault: Mutex<Fault>,
    /// Reads beyond so many at a time slow down all, in proportion. 0: never.
    capacity: usize,
    reads: AtomicU64,
    reading: AtomicUsize,
    most_reading: AtomicUsize,
}

impl SimulatedStore {
    /// Empty.
    pub fn new(latency: Latency, seed: u64) -> Self {
        SimulatedStore {
            chunks: Mutex::default(),
            sampler: Sampler::new(latency, seed),
            fault: Mutex::default(),
            capacity: 0,
            reads: AtomicU64::new(0),
            reading: AtomicUsize::new(0),
            most_reading: AtomicUsize::new(0),
        }
    }

    /// One that slows down when more than so many read at a time.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Self {
        SimulatedStore { capacity, ..self }
    }

    /// Has one more.
    pub fn add(&self, chunk: VerifiedChunk) -> ChunkRef {
        let reference = chunk.reference();
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner).insert(reference.id, chunk);
        reference
    }

    /// From now on.
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Reads so far, answered or not.
    pub fn reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }

    /// As many as were under way at one time.
    pub fn most_reading(&self) -> usize {
        self.most_reading.load(Relaxed)
    }
}

impl fmt::Debug for SimulatedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SimulatedStore").field("reads", &self.reads()).finish_non_exhaustive()
    }
}

/// One read that is under way.
struct Reading<'a>(&'a AtomicUsize);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[async_trait]
impl ChunkSource for SimulatedStore {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        self.reads.fetch_add(1, Relaxed);
        let reading = self.reading.fetch_add(1, Relaxed) + 1;
        self.most_reading.fetch_max(reading, Relaxed);
        let _reading = Reading(&self.reading);
        let mut latency = self.sampler.draw();
        if self.capacity > 0 && reading > self.capacity {
            #[expect(clippy::cast_precision_loss, reason = "nobody simulates so many reads")]
            let crowding = reading as f64 / self.capacity as f64;
            latency = latency.mul_f64(crowding);
        }
        // A timer has a resolution, and a store without latency needs none.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::None | Fault::Lying => {}
            Fault::Stalled => std::future::pending().await,
            Fault::Throttling => return Err(FetchError::Busy { tier: TIER }),
            Fault::Gone => {
                let source = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
                return Err(FetchError::Unreachable { tier: TIER, source });
            }
        }
        let found = self.chunks.lock().unwrap_or_else(PoisonError::into_inner).get(&chunk.id).cloned();
        let found = found.ok_or(FetchError::Missing { id: chunk.id })?;
        VerifiedChunk::verify(chunk, found.ciphertext().clone())
            .map_err(|source| FetchError::Corrupt { id: chunk.id, source })
    }
}
