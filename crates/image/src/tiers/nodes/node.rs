//! What one cache node keeps: shards, in memory and on flash.
//!
//! Nothing of it is durable, and nothing is promised. In memory are those that were used last; all are written to flash, if there is
//! one, and found there again after a restart. On flash a shard is followed by its BLAKE3, so that a flipped bit is a shard that is
//! not there, and not one that is wrong.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio::time::Instant;

use super::super::memory::Memory;
use super::super::shelf::{DiskReport, Shelf, ShelfError};
use super::super::statistics::{Meter, TierReport};
use super::shards::{MAX_SHARD_BYTES, ShardKey};

/// Of the hash that follows a shard on flash.
const DIGEST_BYTES: usize = 32;

/// How much a node keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOptions {
    /// In memory.
    pub memory_bytes: u64,
    /// On flash, if at all: a folder of its own, and how many bytes in it.
    pub flash: Option<(PathBuf, u64)>,
}

/// What it has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheNodeReport {
    /// Shards in memory now.
    pub memory_shards: usize,
    /// Their bytes.
    pub memory_bytes: u64,
    /// Requests for shards.
    pub reads: TierReport,
    /// Shards that it was given.
    pub puts: u64,
    /// What is on flash.
    pub files: Option<DiskReport>,
}

/// The shards of a node.
#[derive(Debug)]
pub struct CacheNode {
    memory: Memory<ShardKey, Bytes>,
    shelf: Option<Shelf<ShardKey>>,
    began: Instant,
    reads: Meter,
    puts: Meter,
}

/// Not what was written.
#[derive(Debug, thiserror::Error)]
#[error("the shard is damaged")]
struct Damaged;

impl CacheNode {
    /// With what an earlier run left on flash. Waits for the disk.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, or is in use.
    pub fn open(options: &NodeOptions) -> Result<Self, ShelfError> {
        let shelf = options.flash.as_ref().map(|(folder, bytes)| Shelf::open(folder, *bytes)).transpose()?;
        Ok(CacheNode {
            memory: Memory::new(options.memory_bytes),
            shelf,
            began: Instant::now(),
            reads: Meter::default(),
            puts: Meter::default(),
        })
    }

    /// If it is there.
    pub async fn get(&self, key: ShardKey) -> Option<Bytes> {
        let began = Instant::now();
        let mut found = self.memory.get(&key, self.now());
        if found.is_none()
            && let Some(shelf) = &self.shelf
        {
            found = shelf.read(key, unsealed).await;
            if let Some(shard) = &found {
                self.memory.insert(key, shard.clone(), shard.len() as u64, self.now());
            }
        }
        match &found {
            Some(shard) => self.reads.hit(length(shard), began.elapsed()),
            None => self.reads.miss(),
        }
        found
    }

    /// Is there from now on, in place of what was there before.
    ///
    /// # Panics
    ///
    /// If it is longer than a shard can be.
    pub fn put(&self, key: ShardKey, shard: Bytes) {
        assert!(shard.len() <= MAX_SHARD_BYTES, "{} bytes are more than a shard has", shard.len());
        self.puts.hit(length(&shard), Duration::ZERO);
        if let Some(shelf) = &self.shelf {
            shelf.offer(key, sealed(&shard));
        }
        let bytes = shard.len() as u64;
        self.memory.insert(key, shard, bytes, self.now());
    }

    /// So far.
    pub fn report(&self) -> CacheNodeReport {
        let (memory_shards, memory_bytes) = self.memory.size();
        CacheNodeReport {
            memory_shards,
            memory_bytes,
            reads: self.reads.report(),
            puts: self.puts.report().hits,
            files: self.shelf.as_ref().map(Shelf::report),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

fn length(shard: &Bytes) -> u32 {
    u32::try_from(shard.len()).unwrap_or(u32::MAX)
}

fn sealed(shard: &Bytes) -> Bytes {
    let mut sealed = BytesMut::with_capacity(shard.len() + DIGEST_BYTES);
    sealed.extend_from_slice(shard);
    sealed.extend_from_slice(blake3::hash(shard).as_bytes());
    sealed.freeze()
}

fn unsealed(mut sealed: Bytes) -> Result<Bytes, Damaged> {
    let length = sealed.len().checked_sub(DIGEST_BYTES).ok_or(Damaged)?;
    let digest = sealed.split_off(length);
    if blake3::hash(&sealed).as_bytes()[..] == digest[..] { Ok(sealed) } else { Err(Damaged) }
}
