//! The worker's side of cache nodes.
//!
//! ```text
//! fetch ─► all five nodes at once ─┬─ four shards ──► verified ─────────────────────────────► the chunk
//!             │                    └─ two will not come ──► the next tier ──┬─────────────────► the chunk
//!             └─ not within the budget ──► the next tier as well ───────────┤ whichever is first
//!                                                                           └─► fill: to the nodes, later, if there is room
//! ```
//!
//! A read is one request to each of five nodes, whatever is the matter with them. None is repeated, and none is left under way when
//! its answer is not needed any more. The next tier is asked at most once.
//!
//! What nodes turn out not to have, or to have wrong, they are given: [`fill`](super::fill).

use std::error::Error;
use std::fmt::{self, Debug};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::super::statistics::{Meter, TierReport};
use super::fill::{FillReport, Fills, Order};
use super::gathering::{Gathering, Progress};
use super::placement::{place, seed};
use super::shards::{SHARDS, ShardKey, shard_bytes};
use crate::chunk::{ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// Somebody who keeps shards, and may lose them.
#[async_trait]
pub trait ShardNode: Send + Sync + Debug {
    /// The shard, of no more than so many bytes, if it is there. Dropped, nothing is left of the request.
    async fn get(&self, shard: ShardKey, max_bytes: usize) -> Result<Option<Bytes>, NodeError>;

    /// Is to be kept.
    async fn put(&self, shard: ShardKey, bytes: Bytes) -> Result<(), NodeError>;
}

/// Why a node has not done what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// There is no connection to it now.
    #[error("it is not connected")]
    NotConnected,
    /// As much is asked of it as may be.
    #[error("too much is asked of it already")]
    Busy,
    /// It took too long.
    #[error("it did not answer in time")]
    TimedOut,
    /// It would not.
    #[error("it answered with status {0}")]
    Refused(u16),
    /// The connection was lost, or something else came over it.
    #[error("the connection failed")]
    Connection(#[source] Box<dyn Error + Send + Sync>),
}

/// Why there is no cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Of no nodes.
    #[error("a cluster needs a node at least")]
    NoNodes,
    /// Of two with one name.
    #[error("node `{0}` is named twice")]
    Twice(String),
}

/// How nodes are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterOptions {
    /// After which the next tier is asked as well. Longer than nearly all reads take.
    pub budget: Duration,
    /// After which nodes are given up.
    pub deadline: Duration,
    /// Requests at a time to one node.
    pub requests_of_node: usize,
    /// Chunks that are given to nodes at a time.
    pub fills: usize,
    /// Chunks that wait to be; others are not given.
    pub waiting_fills: usize,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            budget: Duration::from_millis(20),
            deadline: Duration::from_secs(1),
            requests_of_node: 256,
            fills: 8,
            waiting_fills: 64,
        }
    }
}

/// What has become of reads and fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClusterReport {
    /// Of reads.
    pub reads: TierReport,
    /// Reads for which the next tier was asked as well, because nodes took too long.
    pub hedged: u64,
    /// Of what nodes were given.
    pub fills: FillReport,
    /// Of each node.
    pub nodes: Vec<NodeReport>,
}

/// What one node has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// Shards that it had.
    pub had: u64,
    /// Shards that it had not.
    pub had_not: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests whose answer was not waited for.
    pub not_needed: u64,
    /// Shards that were something else.
    pub wrong: u64,
}

/// Cache nodes, all of them.
#[derive(Debug)]
pub struct Cluster {
    nodes: Arc<[Node]>,
    seeds: Vec<u64>,
    options: ClusterOptions,
    meter: Meter,
    hedged: AtomicU64,
    fills: Fills,
}

/// One node, and how it has done.
pub(super) struct Node {
    name: String,
    pub(super) there: Arc<dyn ShardNode>,
    requests: Semaphore,
    had: AtomicU64,
    had_not: AtomicU64,
    failed: AtomicU64,
    not_needed: AtomicU64,
    wrong: AtomicU64,
}

impl Cluster {
    /// Of these nodes, by name. All workers must know them by the same names. Called within a runtime.
    ///
    /// # Errors
    ///
    /// There are none, or two have one name.
    pub fn new(
        nodes: Vec<(String, Arc<dyn ShardNode>)>,
        options: ClusterOptions,
    ) -> Result<Arc<Self>, ClusterError> {
        if nodes.is_empty() {
            return Err(ClusterError::NoNodes);
        }
        let mut names: Vec<&String> = nodes.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ClusterError::Twice(pair[0].clone()));
        }
        let seeds = nodes.iter().map(|(name, _)| seed(name)).collect();
        let nodes: Arc<[Node]> =
            nodes.into_iter().map(|(name, there)| Node::new(name, there, options)).collect();
        let fills = Fills::new(&nodes, options);
        let (meter, hedged) = (Meter::default(), AtomicU64::new(0));
        Ok(Arc::new(Cluster { nodes, seeds, options, meter, hedged, fills }))
    }

    /// What the nodes have, and else what `next` has.
    pub fn over(self: &Arc<Self>, next: Arc<dyn ChunkSource>) -> Arc<dyn ChunkSource> {
        Arc::new(ClusterSource { cluster: Arc::clone(self), next })
    }

    /// What it has done so far.
    pub fn report(&self) -> ClusterReport {
        ClusterReport {
            reads: self.meter.report(),
            hedged: self.hedged.load(Relaxed),
            fills: self.fills.report(),
            nodes: self.nodes.iter().map(Node::report).collect(),
        }
    }

    /// From the nodes, if they have it.
    async fn gather(&self, chunk: ChunkRef) -> Option<VerifiedChunk> {
        let began = Instant::now();
        let places = place(&self.seeds, chunk.id);
        let max_bytes = shard_bytes(chunk);
        let mut answers: FuturesUnordered<_> = (0..SHARDS)
            .map(|index| async move {
                let shard =
                    ShardKey { chunk: chunk.id, index: u8::try_from(index).expect("it is below five") };
                (index, self.nodes[places[index]].get(shard, max_bytes).await)
            })
            .collect();
        let mut gathering = Gathering::new(chunk);
        // What is to be given to nodes again: they can be asked, and had it not.
        let mut lacking = Vec::new();
        while let Some((index, answer)) = answers.next().await {
            if matches!(answer, Ok(None)) {
                lacking.push(index);
            }
            match gathering.arrived(index, answer.ok().flatten()) {
                Progress::Waiting => {}
                Progress::Lost => return None,
                Progress::Whole { chunk: found, wrong } => {
                    if let Some(wrong) = wrong {
                        self.nodes[places[wrong]].wrong.fetch_add(1, Relaxed);
                        tracing::warn!(%chunk.id, node = self.nodes[places[wrong]].name, "a cache node has a wrong shard");
                        lacking.push(wrong);
                    }
                    self.meter.hit(chunk.stored_bytes, began.elapsed());
                    if !lacking.is_empty() {
                        let shards = lacking.into_iter().map(|index| (index, places[index])).collect();
                        self.fills.offer(Order { chunk: found.clone(), shards });
                    }
                    return Some(found);
                }
            }
        }
        None
    }

    /// From the next tier; nodes are given it.
    async fn beyond(&self, chunk: ChunkRef, next: &dyn ChunkSource) -> Result<VerifiedChunk, FetchError> {
        let found = next.fetch(chunk).await?;
        let shards = place(&self.seeds, chunk.id).into_iter().enumerate().collect();
        self.fills.offer(Order { chunk: found.clone(), shards });
        Ok(found)
    }
}

/// Cache nodes, and behind them one image's next tier.
#[derive(Debug)]
struct ClusterSource {
    cluster: Arc<Cluster>,
    next: Arc<dyn ChunkSource>,
}

#[async_trait]
impl ChunkSource for ClusterSource {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        let (cluster, options) = (&*self.cluster, self.cluster.options);
        let gathering = timeout(options.deadline, cluster.gather(chunk));
        let mut gathering = pin!(async { gathering.await.ok().flatten() });
        match timeout(options.budget, &mut gathering).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {
                cluster.meter.miss();
                return cluster.beyond(chunk, &*self.next).await;
            }
            Err(_) => {}
        }
        cluster.hedged.fetch_add(1, Relaxed);
        let mut beyond = pin!(cluster.beyond(chunk, &*self.next));
        tokio::select! {
            found = &mut gathering => match found {
                Some(found) => Ok(found),
                None => {
                    cluster.meter.miss();
                    beyond.await
                }
            },
            fetched = &mut beyond => match fetched {
                Ok(found) => {
                    cluster.meter.miss();
                    Ok(found)
                }
                // It may have no room, or be gone: what is late from the nodes is better than nothing.
                Err(error) => gathering.await.ok_or(error),
            },
        }
    }
}

impl Node {
    fn new(name: String, there: Arc<dyn ShardNode>, options: ClusterOptions) -> Self {
        Node {
            name,
            there,
            requests: Semaphore::new(options.requests_of_node),
            had: AtomicU64::new(0),
            had_not: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            not_needed: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
        }
    }

    async fn get(&self, shard: ShardKey, max_bytes: usize) -> Result<Option<Bytes>, NodeError> {
        let mut asking = Asking { node: self, answered: false };
        let answer = match self.requests.try_acquire() {
            // Its requests pile up: another one would wait behind them.
            Err(_) => Err(NodeError::Busy),
            Ok(_permit) => self.there.get(shard, max_bytes).await,
        };
        asking.answered = true;
        let count = match &answer {
            Ok(Some(_)) => &self.had,
            Ok(None) => &self.had_not,
            Err(error) => {
                tracing::debug!(node = self.name, %error, "a cache node failed");
                &self.failed
            }
        };
        count.fetch_add(1, Relaxed);
        answer
    }

    fn report(&self) -> NodeReport {
        NodeReport {
            name: self.name.clone(),
            had: self.had.load(Relaxed),
            had_not: self.had_not.load(Relaxed),
            failed: self.failed.load(Relaxed),
            not_needed: self.not_needed.load(Relaxed),
            wrong: self.wrong.load(Relaxed),
        }
    }
}

/// Counts those that are dropped before they are answered.
struct Asking<'a> {
    node: &'a Node,
    answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.node.not_needed.fetch_add(1, Relaxed);
        }
    }
}

impl Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Node").field(&self.name).finish()
    }
}
