//! Where the chunks of this run's images are kept on their way from the store: in memory, on disk, on cache nodes.

use std::path::Path;
use std::sync::Arc;

use firesteel_image::tiers::{
    Cluster, ClusterOptions, DiskOptions, HttpNode, LocalOptions, ShardNode, Tiers, TiersOptions,
};

use super::access;
use crate::cli::ImageStoreArguments;
use crate::exit::{Exit, Failure};

/// Of the chunks of a bucket, on disk.
const CACHE_BYTES: u64 = 16 << 30;
/// Of chunks in memory: what is read twice is in the kernel's page cache by then, so that little is enough.
const MEMORY_BYTES: u64 = 64 << 20;

/// Where chunks are between the store and this run. `folder`: that of the library.
pub(crate) fn tiers(arguments: &ImageStoreArguments, folder: &Path) -> Result<Tiers, Failure> {
    let cluster = cluster(arguments)?;
    let options = |disk| TiersOptions {
        local: LocalOptions { memory_bytes: MEMORY_BYTES, disk, ..LocalOptions::default() },
        ..TiersOptions::default()
    };
    // A store in a folder is on the disk already.
    let disk = arguments
        .image_store
        .as_ref()
        .map(|_| DiskOptions { folder: folder.join("cache"), bytes: CACHE_BYTES });
    let opened = Tiers::open(&options(disk.clone()), cluster.clone()).or_else(|error| {
        if disk.is_none() {
            return Err(error);
        }
        // Another run on the same data has it, as a rule; this one does with its memory.
        tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "chunks are not kept on disk");
        Tiers::open(&options(None), cluster)
    });
    opened.map_err(|error| Failure::from_error(Exit::Platform, &error))
}

fn cluster(arguments: &ImageStoreArguments) -> Result<Option<Arc<Cluster>>, Failure> {
    if arguments.cache_node.is_empty() {
        return Ok(None);
    }
    let access = access(&arguments.cache)?;
    let nodes = arguments.cache_node.iter().map(|address| {
        let node: Arc<dyn ShardNode> = Arc::new(HttpNode::new(address, access.clone()));
        (address.clone(), node)
    });
    Cluster::new(nodes.collect(), ClusterOptions::default()).map(Some).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).try_next("--cache-node HOST:PORT, once for each node")
    })
}
