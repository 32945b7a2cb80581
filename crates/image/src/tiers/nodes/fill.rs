//! What cache nodes are given: chunks that came from the next tier, and shards that a node turned out not to have, or to have wrong.
//!
//! By a few tasks, from a queue. Nobody waits for them: what finds no place in the queue is not given, and what a node does not take in
//! time neither. The next read finds out, and asks again. A node that has let a shard wait in vain is given none for [`REST`]: nearly all
//! chunks have a shard for it, and the few tasks would do nothing but wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::cluster::{ClusterOptions, Node};
use super::shards::{ShardKey, split};
use crate::chunk::VerifiedChunk;

/// A node that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Nor is it given anything for so long.
const REST: Duration = Duration::from_secs(10);

/// A chunk, and who is to have what of it.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) chunk: VerifiedChunk,
    /// Indices of shards, and of nodes.
    pub(super) shards: Vec<(usize, usize)>,
}

/// What has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FillReport {
    /// Shards that nodes have taken.
    pub put: u64,
    /// Shards that they have not.
    pub failed: u64,
    /// Chunks for which there was no place in the queue.
    pub dropped: u64,
}

/// Ends when dropped, with all that is under way.
#[derive(Debug)]
pub(super) struct Fills {
    orders: mpsc::Sender<Order>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Counts {
    put: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Fills {
    pub(super) fn new(nodes: &Arc<[Node]>, options: ClusterOptions) -> Self {
        let (orders, queue) = mpsc::channel(options.waiting_fills.max(1));
        let (queue, counts) = (Arc::new(Mutex::new(queue)), Arc::new(Counts::default()));
        let (rests, mut tasks) = (Rests::default(), JoinSet::new());
        for _ in 0..options.fills.max(1) {
            tasks.spawn(work(Arc::clone(nodes), Arc::clone(&rests), Arc::clone(&queue), Arc::clone(&counts)));
        }
        Fills { orders, counts, _tasks: tasks }
    }

    /// Never waits.
    pub(super) fn offer(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn report(&self) -> FillReport {
        FillReport {
            put: self.counts.put.load(Relaxed),
            failed: self.counts.failed.load(Relaxed),
            dropped: self.counts.dropped.load(Relaxed),
        }
    }
}

/// Nodes that are given nothing, and until when.
type Rests = Arc<std::sync::Mutex<HashMap<usize, Instant>>>;

async fn work(
    nodes: Arc<[Node]>,
    rests: Rests,
    queue: Arc<Mutex<mpsc::Receiver<Order>>>,
    counts: Arc<Counts>,
) {
    loop {
        let order = queue.lock().await.recv().await;
        let Some(Order { chunk, shards }) = order else { return };
        let (id, pieces) = (chunk.reference().id, split(&chunk));
        let put = |(index, node): (usize, usize)| {
            let shard = ShardKey { chunk: id, index: u8::try_from(index).expect("it is below five") };
            put(&nodes, &rests, node, shard, pieces[index].clone())
        };
        for taken in join_all(shards.into_iter().map(put)).await {
            let count = if taken { &counts.put } else { &counts.failed };
            count.fetch_add(1, Relaxed);
        }
    }
}

/// Whether the node has taken it.
async fn put(nodes: &[Node], rests: &Rests, node: usize, shard: ShardKey, bytes: Bytes) -> bool {
    let rests = || rests.lock().unwrap_or_else(PoisonError::into_inner);
    if rests().get(&node).is_some_and(|until| Instant::now() < *until) {
        return false;
    }
    let Ok(put) = timeout(PATIENCE, nodes[node].there.put(shard, bytes)).await else {
        rests().insert(node, Instant::now() + REST);
        return false;
    };
    put.is_ok()
}
