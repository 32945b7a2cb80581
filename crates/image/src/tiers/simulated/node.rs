//! Cache nodes that are simulated, and what they are compared with.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use super::super::nodes::{NodeError, ShardKey, ShardNode, place, seed};
use super::{Fault, Latency, Sampler, SimulatedStore};
use crate::chunk::{ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// A cache node that has what it is given.
pub struct SimulatedNode {
    shards: Mutex<HashMap<ShardKey, Bytes>>,
    sampler: Sampler,
    fault: Mutex<Fault>,
    gets: AtomicU64,
    puts: AtomicU64,
}

impl SimulatedNode {
    /// Empty.
    pub fn new(latency: Latency, seed: u64) -> Self {
        SimulatedNode {
            shards: Mutex::default(),
            sampler: Sampler::new(latency, seed),
            fault: Mutex::default(),
            gets: AtomicU64::new(0),
            puts: AtomicU64::new(0),
        }
    }

    /// From now on.
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// As after a restart without flash.
    pub fn clear(&self) {
        self.shards().clear();
    }

    /// Requests for shards so far, answered or not.
    pub fn gets(&self) -> u64 {
        self.gets.load(Relaxed)
    }

    /// Shards that it was given so far.
    pub fn puts(&self) -> u64 {
        self.puts.load(Relaxed)
    }

    /// Whether it lies; or nothing, or an error, after the time that it takes.
    async fn answer(&self) -> Result<bool, NodeError> {
        let latency = self.sampler.draw();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Fault::None => Ok(false),
            Fault::Lying => Ok(true),
            Fault::Stalled => std::future::pending().await,
            Fault::Throttling => Err(NodeError::Refused(503)),
            Fault::Gone => Err(NodeError::NotConnected),
        }
    }

    fn shards(&self) -> MutexGuard<'_, HashMap<ShardKey, Bytes>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ShardNode for SimulatedNode {
    async fn get(&self, shard: ShardKey, max_bytes: usize) -> Result<Option<Bytes>, NodeError> {
        self.gets.fetch_add(1, Relaxed);
        let lies = self.answer().await?;
        let found = self.shards().get(&shard).cloned();
        let lie = || Bytes::from(vec![0x55; max_bytes]);
        Ok(if lies { Some(lie()) } else { found })
    }

    async fn put(&self, shard: ShardKey, bytes: Bytes) -> Result<(), NodeError> {
        self.answer().await?;
        self.puts.fetch_add(1, Relaxed);
        self.shards().insert(shard, bytes);
        Ok(())
    }
}

impl fmt::Debug for SimulatedNode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SimulatedNode").field("gets", &self.gets()).finish_non_exhaustive()
    }
}

/// What a cluster is compared with: nodes that have whole chunks, each on one of them, and behind them the next tier, which is asked
/// once the node has nothing to say within the deadline.
#[derive(Debug)]
pub struct SingleCopy {
    nodes: Vec<(u64, Arc<SimulatedStore>)>,
    deadline: Duration,
    next: Arc<dyn ChunkSource>,
}

impl SingleCopy {
    /// Of nodes by name. They have all chunks that anybody may ask for.
    pub fn new(
        nodes: Vec<(String, Arc<SimulatedStore>)>,
        deadline: Duration,
        next: Arc<dyn ChunkSource>,
    ) -> Self {
        let nodes = nodes.into_iter().map(|(name, node)| (seed(&name), node)).collect();
        SingleCopy { nodes, deadline, next }
    }
}

#[async_trait]
impl ChunkSource for SingleCopy {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        let seeds: Vec<u64> = self.nodes.iter().map(|(seed, _)| *seed).collect();
        let [first, ..] = place(&seeds, chunk.id);
        match timeout(self.deadline, self.nodes[first].1.fetch(chunk)).await {
            Ok(Ok(found)) => Ok(found),
            _ => self.next.fetch(chunk).await,
        }
    }
}
