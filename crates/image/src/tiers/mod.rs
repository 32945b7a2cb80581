//! Where a chunk comes from when a function reads it.
//!
//! ```text
//! block device ─► L1 local.rs ────────► L2 nodes/ ──────────────► limits.rs ─► L3 the store
//!       │         this worker's         other machines' memory    so many      all chunks
//!       │         memory and disk       and flash, four of five   at a time
//!       │              ▲
//!       └► touches ─► prefetch_list ─► prefetch: what a start will need, before it asks
//! ```
//!
//! Each tier is a [`ChunkSource`](crate::chunk::ChunkSource) over the next one, made for one image by [`Tiers::source`]; what tiers keep is
//! shared by all images. What holds for all:
//!
//! - Ciphertext only: no tier has a key.
//! - What passes is a [`VerifiedChunk`](crate::chunk::VerifiedChunk). What a disk or another machine gives is compared with the chunk's id
//!   each time; what is not it is not there, and the next tier is asked.
//! - Everything has a bound in number, in bytes and in time, and something happens when it is reached: another is refused, dropped or
//!   removed. Nothing is tried twice. Load on the store has the same bound with empty caches as with full ones.
//! - A tier that fails is a tier that has nothing, but for the last.
//!
//! Called by whoever serves an image's blocks. Which starts are let in at all is for [`StartAdmission`].
pub mod simulated;

mod admission;
mod composed;
mod limits;
mod local;
mod memory;
mod nodes;
mod prefetch;
mod prefetch_list;
mod recency;
mod shelf;
mod statistics;
mod touches;

pub use admission::{AdmissionOptions, AdmissionReport, StartAdmission, StartPermit, StartRefused};
pub use composed::{Tiers, TiersOptions, TiersReport};
pub use limits::{OriginLimits, OriginOptions};
pub use local::{DiskOptions, LocalCache, LocalOptions, LocalReport};
pub use nodes::{
    BadShardKey, CacheNode, CacheNodeReport, Cluster, ClusterError, ClusterOptions, ClusterReport,
    FillReport, HttpNode, MAX_SHARD_BYTES, NodeAccess, NodeError, NodeLimits, NodeOptions, NodeReport,
    NodeTls, NodeTlsError, SHARDS, Secret, ShardKey, ShardNode, WeakSecret, serve_node,
};
pub use prefetch::{Prefetch, PrefetchOptions, PrefetchReport, Prefetcher};
pub use prefetch_list::{BadPrefetchList, PrefetchList};
pub use shelf::{DiskReport, ShelfError};
pub use statistics::TierReport;
pub use touches::Touches;
