//! L2: chunks in the memory of other machines, each over five of them.
//!
//! ```text
//!                       chunk of n bytes
//!        ┌──────────┬────────┴─┬──────────┐
//!     shard 0    shard 1    shard 2    shard 3     shard 4 = 0 ⊕ 1 ⊕ 2 ⊕ 3        each of ⌈n/4⌉ bytes
//!        │          │          │          │           │
//!      node a     node b     node c     node d      node e                        five of all nodes, by placement.rs
//! ```
//!
//! Always all five are asked, and the first four that answer are taken: a node that is slow, or gone, or lies, is the one that is not
//! needed, and nothing is done because of it that is not done otherwise. With fewer than six nodes every chunk depends on each of
//! them, and little is gained.
//!
//! Nodes lose what they have whenever they like. They cannot read it, and are not believed: the chunk's id is.
//!
//! | file | |
//! |---|---|
//! | `shards` | from a chunk to its shards |
//! | `gathering` | and back, from whatever comes: the rules |
//! | `placement` | which nodes have which shards |
//! | `cluster` | the worker's side: [`Cluster`] over anything that is a [`ShardNode`] |
//! | `fill` | what is given to nodes, later |
//! | `peer` | a node at the other end of a connection |
//! | `access`, `protocol` | who may ask, and how it is asked |
//! | `node`, `server` | the node's side |

mod access;
mod cluster;
mod fill;
mod gathering;
mod node;
mod peer;
mod placement;
mod protocol;
mod server;
mod shards;
mod tls;

pub use access::{NodeAccess, Secret, WeakSecret};
pub use cluster::{Cluster, ClusterError, ClusterOptions, ClusterReport, NodeError, NodeReport, ShardNode};
pub use fill::FillReport;
pub use node::{CacheNode, CacheNodeReport, NodeOptions};
pub use peer::HttpNode;
pub use server::{NodeLimits, serve_node};
pub use shards::{BadShardKey, MAX_SHARD_BYTES, SHARDS, ShardKey};
pub use tls::{NodeTls, NodeTlsError};

pub(super) use placement::{place, seed};
