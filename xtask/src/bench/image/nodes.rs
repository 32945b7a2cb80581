//! Cache nodes on a bad day: one of six answers nothing, to four shards of five and to single copies.
//!
//! Nodes and store are simulated, with recorded latencies; what asks them is the product. Chunks are those of the data image, one after
//! another.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_image::chunk::{ChunkRef, ChunkSource};
use firesteel_image::tiers::simulated::{Clock, Fault, Latency, SimulatedNode, SimulatedStore, SingleCopy};
use firesteel_image::tiers::{Cluster, ClusterOptions, ShardNode};
use serde::Serialize;

use super::Setup;
use super::chunks::seal_all;
use crate::bench::progress;

const NODES: u64 = 6;

/// Enough for a percentile of 99.
const CHUNKS: usize = 600;

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Nodes {
    pub(super) chunks: usize,
    pub(super) four_of_five: Reads,
    pub(super) single_copy: Reads,
    /// Reads of the store while one node stalled, by the former.
    pub(super) store_reads: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Reads {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) stalled_p50_ms: f64,
    pub(super) stalled_p99_ms: f64,
}

pub(super) fn run(setup: &Setup) -> io::Result<Nodes> {
    progress("cache nodes");
    let image = setup.flatten(setup.image("data")?)?;
    let slow = |latency, seed| Arc::new(SimulatedStore::new(latency, seed).by(Clock::Kernel));
    let store = slow(Latency::ORIGIN, NODES);
    let copies: Vec<_> = (0..NODES).map(|seed| slow(Latency::CACHE_NODES, seed)).collect();
    let (mut chunks, mut seen) = (Vec::new(), HashSet::new());
    seal_all(&image, |_, chunk, _| {
        if chunks.len() < CHUNKS && seen.insert(chunk.reference().id) {
            copies.iter().for_each(|copy| {
                copy.add(chunk.clone());
            });
            chunks.push(store.add(chunk));
        }
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(store, &copies, &chunks))
}

async fn measure(
    store: Arc<SimulatedStore>,
    copies: &[Arc<SimulatedStore>],
    chunks: &[ChunkRef],
) -> io::Result<Nodes> {
    let node = |seed| Arc::new(SimulatedNode::new(Latency::CACHE_NODES, seed).by(Clock::Kernel));
    let nodes: Vec<_> = (0..NODES).map(node).collect();
    let named = nodes.iter().zip(0..).map(|(node, number)| {
        let node: Arc<dyn ShardNode> = Arc::<SimulatedNode>::clone(node);
        (format!("node-{number}"), node)
    });
    let cluster = Cluster::new(named.collect(), ClusterOptions::default()).map_err(io::Error::other)?;
    let four_of_five = cluster.over(Arc::<SimulatedStore>::clone(&store) as Arc<dyn ChunkSource>);
    // Read from the store for the first time, they are given to the nodes: five shards of each.
    for chunk in chunks {
        four_of_five.fetch(*chunk).await.map_err(io::Error::other)?;
    }
    let shards = 5 * chunks.len() as u64;
    let mut looked = tokio::time::interval(Duration::from_millis(5));
    loop {
        let fills = cluster.report().fills;
        // What was dropped, or not taken, never comes: the store is read for it, and the report says so.
        if fills.put + fills.failed + 5 * fills.dropped >= shards {
            break;
        }
        looked.tick().await;
    }
    let named = copies.iter().zip(0..).map(|(copy, number)| (format!("node-{number}"), Arc::clone(copy)));
    let single: Arc<dyn ChunkSource> = Arc::new(SingleCopy::new(
        named.collect(),
        ClusterOptions::default().budget,
        Arc::<SimulatedStore>::clone(&store) as Arc<dyn ChunkSource>,
    ));
    let mut found = Nodes { chunks: chunks.len(), ..Nodes::default() };
    (found.four_of_five.p50_ms, found.four_of_five.p99_ms) = read(&four_of_five, chunks).await?;
    (found.single_copy.p50_ms, found.single_copy.p99_ms) = read(&single, chunks).await?;
    nodes[2].set_fault(Fault::Stalled);
    copies[2].set_fault(Fault::Stalled);
    let before = store.reads();
    (found.four_of_five.stalled_p50_ms, found.four_of_five.stalled_p99_ms) =
        read(&four_of_five, chunks).await?;
    found.store_reads = store.reads() - before;
    (found.single_copy.stalled_p50_ms, found.single_copy.stalled_p99_ms) = read(&single, chunks).await?;
    Ok(found)
}

/// The median, and what one of a hundred takes longer than.
async fn read(source: &Arc<dyn ChunkSource>, chunks: &[ChunkRef]) -> io::Result<(f64, f64)> {
    let mut took = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let began = Instant::now();
        source.fetch(*chunk).await.map_err(io::Error::other)?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_unstable_by(f64::total_cmp);
    let of = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(f64::NAN);
    Ok((of(50), of(99)))
}
