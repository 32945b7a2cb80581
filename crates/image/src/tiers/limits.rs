//! How many reads of the store are under way at a time: on this worker, and of one tenant.
//!
//! It is the bound that holds when the caches are empty. Without it a worker that has lost its cache asks the store for five hundred
//! times as much as before, the store gets slow, starts take longer, more of them are under way, and that stays so after the
//! cause has gone.
//!
//! ```text
//! read ─► a place in the tenant's queue ─► the tenant's permit ─► the worker's permit ─► the store, with a deadline
//!               │ none                           └── waited too long ──┘
//!               └───────────────────────────────► Busy ◄┘
//! ```
//!
//! The tenant's permit comes first: who has too many reads waits for himself, and holds nothing that others wait for. No read is
//! repeated here: who is told `Busy` has cost the store nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use super::statistics::{Meter, TierReport};
use crate::chunk::{ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// As errors name it.
const TIER: &str = "the store";

/// How much is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginOptions {
    /// Reads at a time of this worker.
    pub reads: usize,
    /// Of them, of one tenant.
    pub reads_of_tenant: usize,
    /// Reads of one tenant that wait, beyond those that are under way.
    pub waiting_of_tenant: usize,
    /// From asking to the begin of the read.
    pub wait: Duration,
    /// From the begin of the read to the chunk.
    pub deadline: Duration,
}

impl Default for OriginOptions {
    fn default() -> Self {
        OriginOptions {
            reads: 96,
            reads_of_tenant: 64,
            waiting_of_tenant: 512,
            wait: Duration::from_secs(2),
            deadline: Duration::from_secs(10),
        }
    }
}

/// The worker's share of the store.
#[derive(Debug)]
pub struct OriginLimits {
    options: OriginOptions,
    worker: Arc<Semaphore>,
    /// Gone with the last image of the tenant.
    tenants: Mutex<HashMap<String, Weak<Tenant>>>,
    meter: Meter,
}

#[derive(Debug)]
struct Tenant {
    permits: Arc<Semaphore>,
    /// Of those that read and of those that wait.
    places: Arc<Semaphore>,
}

impl OriginLimits {
    /// With nothing under way.
    pub fn new(options: OriginOptions) -> Arc<Self> {
        Arc::new(OriginLimits {
            options,
            worker: Arc::new(Semaphore::new(options.reads)),
            tenants: Mutex::default(),
            meter: Meter::default(),
        })
    }

    /// A store, as far as this tenant may read it.
    pub fn over(self: &Arc<Self>, tenant: &str, origin: Arc<dyn ChunkSource>) -> Arc<dyn ChunkSource> {
        Arc::new(Limited { limits: Arc::clone(self), tenant: self.tenant(tenant), origin })
    }

    /// What has been read so far. A chunk that the store has not is a miss; all else that gives no chunk is a failure.
    pub fn report(&self) -> TierReport {
        self.meter.report()
    }

    fn tenant(&self, name: &str) -> Arc<Tenant> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, tenant| tenant.strong_count() > 0);
        if let Some(tenant) = tenants.get(name).and_then(Weak::upgrade) {
            return tenant;
        }
        let OriginOptions { reads_of_tenant, waiting_of_tenant, .. } = self.options;
        let tenant = Arc::new(Tenant {
            permits: Arc::new(Semaphore::new(reads_of_tenant)),
            places: Arc::new(Semaphore::new(reads_of_tenant + waiting_of_tenant)),
        });
        tenants.insert(name.to_owned(), Arc::downgrade(&tenant));
        tenant
    }
}

/// One read's right to be under way.
#[derive(Debug)]
struct Permit {
    _worker: OwnedSemaphorePermit,
    _tenant: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// A store with a bound on how much is asked of it.
#[derive(Debug)]
struct Limited {
    limits: Arc<OriginLimits>,
    tenant: Arc<Tenant>,
    origin: Arc<dyn ChunkSource>,
}

impl Limited {
    async fn permit(&self) -> Result<Permit, FetchError> {
        let busy = FetchError::Busy { tier: TIER };
        let until = Instant::now() + self.limits.options.wait;
        let place = Arc::clone(&self.tenant.places).try_acquire_owned().map_err(|_| busy.clone())?;
        let waiting = async {
            let tenant = Arc::clone(&self.tenant.permits).acquire_owned().await.ok()?;
            let worker = Arc::clone(&self.limits.worker).acquire_owned().await.ok()?;
            Some(Permit { _worker: worker, _tenant: tenant, _place: place })
        };
        timeout_at(until, waiting).await.ok().flatten().ok_or(busy)
    }
}

#[async_trait]
impl ChunkSource for Limited {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        let meter = &self.limits.meter;
        let _permit = self.permit().await.inspect_err(|_| meter.failure())?;
        let began = Instant::now();
        let reading = self.origin.fetch(chunk);
        let deadline = self.limits.options.deadline;
        let read = timeout(deadline, reading).await.unwrap_or(Err(FetchError::TimedOut { tier: TIER }));
        match &read {
            Ok(_) => meter.hit(chunk.stored_bytes, began.elapsed()),
            Err(FetchError::Missing { .. }) => meter.miss(),
            Err(_) => meter.failure(),
        }
        read
    }
}
