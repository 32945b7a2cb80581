//! Five nodes that give back what they were given, something else or nothing: it is exactly the chunk, as it must be where four of them
//! are right, or none.
//!
//! Inputs: five times what a node does and where, then the chunk's plaintext.
#![no_main]
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use firesteel_image::chunk::{ChunkRef, ChunkSource, Domain, FetchError, Salt, VerifiedChunk, seal};
use firesteel_image::tiers::{Cluster, ClusterOptions, NodeError, SHARDS, ShardKey, ShardNode};
use libfuzzer_sys::fuzz_target;

/// All nodes in one: what was put, and what is got.
#[derive(Debug, Default)]
struct Nodes {
    has: Mutex<HashMap<ShardKey, Bytes>>,
    does: Vec<[u8; 3]>,
}

impl Nodes {
    fn changed(&self, key: ShardKey) -> Option<Bytes> {
        let right = self.has.lock().unwrap()[&key].clone();
        let mut shard = right.to_vec();
        let [what, at, change] = self.does[usize::from(key.index)];
        let at = usize::from(at) % shard.len();
        match what & 7 {
            1 => shard[at] ^= change,
            2 => shard.truncate(at),
            3 => shard.push(change),
            4 => shard.clear(),
            5 => return None,
            _ => {}
        }
        Some(shard.into())
    }
}

#[async_trait]
impl ShardNode for Nodes {
    async fn get(&self, key: ShardKey, _: usize) -> Result<Option<Bytes>, NodeError> {
        if !self.has.lock().unwrap().contains_key(&key) {
            return Ok(None);
        }
        let [what, at, _] = self.does[usize::from(key.index)];
        tokio::time::sleep(Duration::from_millis(u64::from(at & 15))).await;
        if what & 7 == 6 { Err(NodeError::NotConnected) } else { Ok(self.changed(key)) }
    }

    async fn put(&self, key: ShardKey, shard: Bytes) -> Result<(), NodeError> {
        self.has.lock().unwrap().insert(key, shard);
        Ok(())
    }
}

/// The chunk itself, or nothing.
#[derive(Debug)]
struct Next(Option<VerifiedChunk>);

#[async_trait]
impl ChunkSource for Next {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        self.0.clone().ok_or(FetchError::Missing { id: chunk.id })
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((does, plaintext)) = data.split_at_checked(3 * SHARDS) else { return };
    let Some(sealed) = seal(plaintext, &Salt::from_bytes([1; 32]), &Domain::Deployment) else { return };
    let (chunk, reference) = (sealed.chunk.clone(), sealed.chunk.reference());
    let nodes = Arc::new(Nodes { does: does.as_chunks::<3>().0.to_vec(), ..Nodes::default() });
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let named = (0..SHARDS + 1).map(|number| (number.to_string(), nodes.clone() as Arc<dyn ShardNode>));
        let options = ClusterOptions { budget: Duration::from_millis(500), ..ClusterOptions::default() };
        let cluster = Cluster::new(named.collect(), options).unwrap();
        cluster.over(Arc::new(Next(Some(chunk.clone())))).fetch(reference).await.unwrap();
        while cluster.report().fills.put < SHARDS as u64 {
            tokio::task::yield_now().await;
        }
        let keys: Vec<ShardKey> = nodes.has.lock().unwrap().keys().copied().collect();
        let is_right = |key: &&ShardKey| {
            nodes.does[usize::from(key.index)][0] & 7 != 6
                && nodes.changed(**key).as_ref() == nodes.has.lock().unwrap().get(key)
        };
        let right = keys.iter().filter(is_right).count();
        match cluster.over(Arc::new(Next(None))).fetch(reference).await {
            // Not by `right`: what only fills a shard up may be anything.
            Ok(found) => assert_eq!(found, chunk),
            Err(error) => assert!(right < 4, "{error}: {right} of five are right"),
        }
    });
});
