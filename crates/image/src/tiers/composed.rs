//! All tiers of a worker, put together.

use std::sync::Arc;

use serde::Serialize;

use super::limits::{OriginLimits, OriginOptions};
use super::local::{LocalCache, LocalOptions, LocalReport};
use super::nodes::{Cluster, ClusterReport};
use super::prefetch::{Prefetch, PrefetchOptions, PrefetchReport, Prefetcher};
use super::shelf::ShelfError;
use super::statistics::TierReport;
use crate::chunk::{ChunkRef, ChunkSource};

/// How much of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TiersOptions {
    /// L1.
    pub local: LocalOptions,
    /// L3.
    pub origin: OriginOptions,
    /// What is fetched ahead.
    pub prefetch: PrefetchOptions,
}

/// What a worker has between its functions and the store. One for the whole worker.
#[derive(Debug)]
pub struct Tiers {
    local: Arc<LocalCache>,
    cluster: Option<Arc<Cluster>>,
    origin: Arc<OriginLimits>,
    prefetcher: Prefetcher,
}

/// What each tier has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TiersReport {
    /// L1.
    pub local: LocalReport,
    /// L2, if there is one.
    pub cluster: Option<ClusterReport>,
    /// L3.
    pub origin: TierReport,
    /// What was fetched ahead.
    pub prefetch: PrefetchReport,
}

impl Tiers {
    /// With what an earlier run left on the disk. Waits for the disk.
    ///
    /// # Errors
    ///
    /// The folder for L1 cannot be used, or is in use.
    pub fn open(options: &TiersOptions, cluster: Option<Arc<Cluster>>) -> Result<Self, ShelfError> {
        Ok(Tiers {
            local: LocalCache::open(&options.local)?,
            cluster,
            origin: OriginLimits::new(options.origin),
            prefetcher: Prefetcher::new(options.prefetch),
        })
    }

    /// What an image's chunks are read from. What is kept is shared by all images, as a chunk's name says what is in it; the store, which
    /// may be another one for each root, and the tenant, whose limit it is, are the image's.
    pub fn source(&self, tenant: &str, origin: Arc<dyn ChunkSource>) -> Arc<dyn ChunkSource> {
        let limited = self.origin.over(tenant, origin);
        let beyond = match &self.cluster {
            Some(cluster) => cluster.over(limited),
            None => limited,
        };
        self.local.over(beyond)
    }

    /// Begins to fetch these, the first first, for as long as the result is held. Called within a runtime.
    pub fn prefetch(&self, chunks: Vec<ChunkRef>, source: Arc<dyn ChunkSource>) -> Prefetch {
        self.prefetcher.begin(chunks, source)
    }

    /// L1 by itself: what is in memory can be had of it without waiting.
    pub fn local(&self) -> &Arc<LocalCache> {
        &self.local
    }

    /// So far.
    pub fn report(&self) -> TiersReport {
        TiersReport {
            local: self.local.report(),
            cluster: self.cluster.as_ref().map(|cluster| cluster.report()),
            origin: self.origin.report(),
            prefetch: self.prefetcher.report(),
        }
    }
}
