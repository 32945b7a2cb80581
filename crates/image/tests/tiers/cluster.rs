//! Cache nodes that are simulated, on good days and on bad ones.

use std::sync::Arc;
use std::time::Duration;

use firesteel_image::chunk::{ChunkRef, ChunkSource, FetchError};
use firesteel_image::tiers::simulated::{Fault, Latency, SimulatedNode, SimulatedStore, SingleCopy};
use firesteel_image::tiers::{
    Cluster, ClusterError, ClusterOptions, LocalOptions, ShardNode, Tiers, TiersOptions,
};
use tokio::time::Instant;

use crate::{chunk, chunk_of, fetch_all, store_of, until};

struct Site {
    nodes: Vec<Arc<SimulatedNode>>,
    cluster: Arc<Cluster>,
    store: Arc<SimulatedStore>,
    chunks: Vec<ChunkRef>,
    source: Arc<dyn ChunkSource>,
}

/// Nodes that have all chunks, with a store behind them that has not been read since.
async fn filled(nodes: usize, chunks: u64, latency: Latency) -> Site {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..chunks);
    let nodes: Vec<_> = (0..nodes as u64).map(|seed| Arc::new(SimulatedNode::new(latency, seed))).collect();
    let named = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| (format!("node-{index}"), node.clone() as Arc<dyn ShardNode>));
    let cluster = Cluster::new(named.collect(), ClusterOptions::default()).unwrap();
    let source = cluster.over(store.clone());
    for chunk in &chunks {
        source.fetch(*chunk).await.unwrap();
    }
    let site = Site { nodes, cluster, store, chunks, source };
    let all = site.chunks.len() as u64;
    site.until_filled(5 * all).await;
    site
}

impl Site {
    async fn until_filled(&self, shards: u64) {
        while self.cluster.report().fills.put < shards {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn wrong(&self) -> u64 {
        self.cluster.report().nodes.iter().map(|node| node.wrong).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn what_nodes_have_is_not_read_from_the_store() {
    let site = filled(6, 100, Latency::CACHE_NODES).await;
    fetch_all(&site.source, &site.chunks).await.unwrap();
    assert_eq!(site.store.reads(), 100);
    let report = site.cluster.report();
    assert_eq!((report.reads.hits, report.reads.misses, report.hedged), (100, 100, 0));
    // tokio's clock counts whole milliseconds.
    assert!(report.reads.p50_micros < 1500, "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn chunks_of_any_length_come_back() {
    let store = SimulatedStore::new(Latency::ZERO, 0);
    let chunks: Vec<_> = [1, 2, 3, 4, 5, 7, 8, 1000, 524_287, 524_288]
        .into_iter()
        .map(|bytes| store.add(chunk_of(bytes as u64, bytes)))
        .collect();
    let store = Arc::new(store);
    let nodes: Vec<_> = (0..6).map(|seed| Arc::new(SimulatedNode::new(Latency::ZERO, seed))).collect();
    let named =
        nodes.iter().enumerate().map(|(index, node)| (index.to_string(), node.clone() as Arc<dyn ShardNode>));
    let cluster = Cluster::new(named.collect(), ClusterOptions::default()).unwrap();
    let source = cluster.over(store.clone());
    fetch_all(&source, &chunks).await.unwrap();
    until("nodes are filled", || cluster.report().fills.put == 50).await;
    for stalled in &nodes {
        stalled.set_fault(Fault::Stalled);
        fetch_all(&source, &chunks).await.unwrap();
        stalled.set_fault(Fault::None);
    }
    assert_eq!(store.reads(), 10);
}

/// Whatever is the matter with one node: the same requests, no error, no read of the store.
#[tokio::test(start_paused = true)]
async fn one_node_makes_no_difference() {
    for fault in [Fault::None, Fault::Stalled, Fault::Throttling, Fault::Gone, Fault::Lying] {
        let site = filled(6, 100, Latency::CACHE_NODES).await;
        let gets = |site: &Site| site.nodes.iter().map(|node| node.gets()).sum::<u64>();
        let before = gets(&site);
        site.nodes[2].set_fault(fault);
        for chunk in &site.chunks {
            site.source.fetch(*chunk).await.unwrap();
        }
        assert_eq!(site.store.reads(), 100, "{fault:?}");
        assert_eq!(gets(&site) - before, 500, "{fault:?}");
        let report = site.cluster.report();
        assert_eq!(report.hedged, 0, "{fault:?}");
        let liars: Vec<_> =
            report.nodes.iter().filter(|node| node.wrong > 0).map(|node| &node.name[..]).collect();
        assert_eq!(liars, if fault == Fault::Lying { vec!["node-2"] } else { vec![] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_restarts_empty_is_filled_again() {
    let site = filled(6, 50, Latency::CACHE_NODES).await;
    let had = site.nodes[1].puts();
    site.nodes[1].clear();
    for _ in 0..200 {
        fetch_all(&site.source, &site.chunks).await.unwrap();
        if site.nodes[1].puts() == 2 * had {
            break;
        }
    }
    assert_eq!(site.nodes[1].puts(), 2 * had);
    assert_eq!(site.store.reads(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lied_once_is_given_the_truth() {
    let site = filled(6, 50, Latency::CACHE_NODES).await;
    let before = site.cluster.report().fills.put;
    site.nodes[3].set_fault(Fault::Lying);
    fetch_all(&site.source, &site.chunks).await.unwrap();
    let wrong = site.wrong();
    assert!(wrong > 20, "{wrong}");
    site.until_filled(before + wrong).await;
    site.nodes[3].set_fault(Fault::None);
    fetch_all(&site.source, &site.chunks).await.unwrap();
    assert_eq!((site.wrong(), site.store.reads()), (wrong, 50));
}

#[tokio::test(start_paused = true)]
async fn with_two_nodes_that_lie_the_store_is_read_and_nothing_wrong_comes_through() {
    let site = filled(6, 50, Latency::CACHE_NODES).await;
    site.nodes[0].set_fault(Fault::Lying);
    site.nodes[1].set_fault(Fault::Lying);
    for (number, chunk_ref) in (0..).zip(&site.chunks) {
        assert_eq!(site.source.fetch(*chunk_ref).await.unwrap(), chunk(number));
    }
    assert!(site.store.reads() > 50);
}

#[tokio::test(start_paused = true)]
async fn with_all_nodes_stalled_the_store_is_asked_after_the_budget() {
    let site = filled(6, 5, Latency::CACHE_NODES).await;
    site.nodes.iter().for_each(|node| node.set_fault(Fault::Stalled));
    let began = Instant::now();
    site.source.fetch(site.chunks[0]).await.unwrap();
    let took = began.elapsed();
    assert!((Duration::from_millis(20)..Duration::from_millis(300)).contains(&took), "{took:?}");
    assert_eq!((site.store.reads(), site.cluster.report().hedged), (6, 1));
}

#[tokio::test(start_paused = true)]
async fn with_all_nodes_gone_the_store_is_asked_at_once() {
    let site = filled(6, 5, Latency::ZERO).await;
    site.nodes.iter().for_each(|node| node.set_fault(Fault::Gone));
    fetch_all(&site.source, &site.chunks).await.unwrap();
    assert_eq!((site.store.reads(), site.cluster.report().hedged), (10, 0));
    assert!(site.cluster.report().nodes.iter().all(|node| node.failed > 0));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_late_are_better_than_a_store_that_is_gone() {
    let slow = Latency { median: Duration::from_millis(100), p999: Duration::from_millis(120) };
    let site = filled(6, 5, slow).await;
    site.store.set_fault(Fault::Throttling);
    let reads = site.store.reads();
    fetch_all(&site.source, &site.chunks).await.unwrap();
    assert_eq!(site.store.reads(), reads + 5);
    assert_eq!(site.cluster.report().hedged, 10);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_is_missing_and_what_cannot_be_reached_is_not() {
    let site = filled(6, 1, Latency::CACHE_NODES).await;
    let nobody = chunk(77).reference();
    assert!(matches!(site.source.fetch(nobody).await, Err(FetchError::Missing { .. })));
    site.store.set_fault(Fault::Gone);
    assert!(matches!(site.source.fetch(nobody).await, Err(FetchError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn fills_that_find_no_place_are_dropped_and_nobody_waits() {
    let (store, chunks) = store_of(Latency::ZERO, 0..500);
    let nodes: Vec<_> = (0..6).map(|seed| Arc::new(SimulatedNode::new(Latency::ZERO, seed))).collect();
    let named =
        nodes.iter().enumerate().map(|(index, node)| (index.to_string(), node.clone() as Arc<dyn ShardNode>));
    let options = ClusterOptions { fills: 2, waiting_fills: 10, ..ClusterOptions::default() };
    let cluster = Cluster::new(named.collect(), options).unwrap();
    let source = cluster.over(store.clone());
    // They say nothing, and take nothing.
    nodes.iter().for_each(|node| node.set_fault(Fault::Stalled));
    let began = Instant::now();
    let reads = futures_util::future::join_all(chunks.iter().map(|chunk| source.fetch(*chunk))).await;
    assert!(reads.iter().all(Result::is_ok));
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    assert!(cluster.report().fills.dropped >= 480, "{:?}", cluster.report().fills);
}

/// Chunks that are new while it is stalled come to the other nodes: for them, too, the store is read once.
#[tokio::test(start_paused = true)]
async fn a_stalled_node_keeps_nothing_from_the_others() {
    let site = filled(6, 0, Latency::CACHE_NODES).await;
    site.nodes[2].set_fault(Fault::Stalled);
    let chunks: Vec<_> = (0..500).map(|number| site.store.add(chunk(number))).collect();
    fetch_all(&site.source, &chunks).await.unwrap();
    let fills = || site.cluster.report().fills;
    while fills().put + fills().failed + 5 * fills().dropped < 2500 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((fills().dropped, site.store.reads()), (0, 500));
    fetch_all(&site.source, &chunks).await.unwrap();
    assert_eq!(site.store.reads(), 500);
}

#[tokio::test]
async fn names_of_nodes_are_their_own() {
    let node = || Arc::new(SimulatedNode::new(Latency::ZERO, 0)) as Arc<dyn ShardNode>;
    let cluster = |names: &[&str]| {
        let nodes = names.iter().map(|name| ((*name).to_owned(), node())).collect();
        Cluster::new(nodes, ClusterOptions::default()).map(drop)
    };
    assert_eq!(cluster(&[]), Err(ClusterError::NoNodes));
    assert_eq!(cluster(&["a", "b", "a"]), Err(ClusterError::Twice("a".to_owned())));
    assert_eq!(cluster(&["a"]), Ok(()));
}

fn quantile(latencies: &mut [Duration], of_thousand: usize) -> Duration {
    latencies.sort_unstable();
    latencies[latencies.len() * of_thousand / 1000]
}

async fn latencies(source: &Arc<dyn ChunkSource>, chunks: &[ChunkRef]) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for chunk in chunks {
        let began = Instant::now();
        source.fetch(*chunk).await.unwrap();
        latencies.push(began.elapsed());
    }
    latencies
}

/// The measure: one of six nodes is stalled; the single copy has the same budget before the store is asked.
#[tokio::test(start_paused = true)]
async fn with_one_of_six_nodes_stalled_p99_is_a_fraction_of_the_single_copys() {
    let site = filled(6, 2000, Latency::CACHE_NODES).await;
    let copies: Vec<_> = (0..6)
        .map(|index| {
            let copy = SimulatedStore::new(Latency::CACHE_NODES, index);
            (0..2000).for_each(|number| {
                copy.add(chunk(number));
            });
            (format!("node-{index}"), Arc::new(copy))
        })
        .collect();
    copies[2].1.set_fault(Fault::Stalled);
    site.nodes[2].set_fault(Fault::Stalled);
    let single: Arc<dyn ChunkSource> =
        Arc::new(SingleCopy::new(copies, ClusterOptions::default().budget, site.store.clone()));
    let mut ours = latencies(&site.source, &site.chunks).await;
    assert_eq!(site.store.reads(), 2000, "the store was read because of a node");
    let mut theirs = latencies(&single, &site.chunks).await;
    let (our_p99, their_p99) = (quantile(&mut ours, 990), quantile(&mut theirs, 990));
    println!(
        "p50 {:?} and {:?}, p99 {our_p99:?} and {their_p99:?}",
        quantile(&mut ours, 500),
        quantile(&mut theirs, 500)
    );
    assert!(our_p99 * 4 <= their_p99);
}

#[tokio::test(start_paused = true)]
async fn all_tiers_together_ask_each_other_in_turn() {
    let site = filled(6, 30, Latency::CACHE_NODES).await;
    let options = TiersOptions {
        local: LocalOptions { memory_bytes: 10 * 4096, ..LocalOptions::default() },
        ..TiersOptions::default()
    };
    let tiers = Tiers::open(&options, Some(site.cluster.clone())).unwrap();
    let (more, _) = store_of(Latency::ORIGIN, 0..40);
    let source = tiers.source("tenant", more.clone());
    let all: Vec<_> = (0..40).map(|number| chunk(number).reference()).collect();
    tiers.prefetch(all.clone(), source.clone()).finished().await;
    source.fetch(all[39]).await.unwrap();
    let report = tiers.report();
    assert_eq!((report.local.memory.hits, report.local.memory.misses), (1, 40));
    assert_eq!(report.cluster.as_ref().unwrap().reads.hits, 30);
    assert_eq!((report.origin.hits, more.reads(), report.prefetch.fetched), (10, 10, 40));
    assert!(report.local.memory_bytes <= 10 * 4096);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["origin"]["hits"], 10);
}
