//! Leases as they are held: renewed while they are, and given back.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::Shared;
use super::register::{StateError, UpdateError};
use super::roots::{Event, LeaseId, Refusal};
use crate::manifest::{RootId, random};

/// Those of this server's readers: all that read from a root share one, so that starting a function changes no state.
#[derive(Default)]
pub(super) struct ReadLeases(tokio::sync::Mutex<HashMap<RootId, Weak<ReadLease>>>);

/// Keeps a root from expiring while somebody reads from it.
pub(super) struct ReadLease {
    shared: Weak<Shared>,
    root: RootId,
    id: LeaseId,
    /// By the clock on the wall. Zero once it is lost.
    valid_until_ms: AtomicU64,
    keeper: AbortHandle,
}

/// Keeps a root from expiring while something is written under it, and says by its end whether it counts.
pub(super) struct WriteLease {
    shared: Arc<Shared>,
    pub(super) id: LeaseId,
    pub(super) root: RootId,
    renewed_ms: AtomicU64,
    is_spent: bool,
}

impl ReadLeases {
    /// A lease on a root.
    pub(super) async fn on(shared: &Arc<Shared>, root: RootId) -> Result<Arc<ReadLease>, UpdateError> {
        let mut leases = shared.reading.0.lock().await;
        if let Some(lease) = leases.get(&root).and_then(Weak::upgrade)
            && lease.is_valid(shared)
        {
            return Ok(lease);
        }
        let id = draw();
        let expires_ms = shared.expires_ms();
        shared.register.apply(Event::Read { lease: id, root, expires_ms }).await?;
        let lease = Arc::new_cyclic(|lease| ReadLease {
            shared: Arc::downgrade(shared),
            root,
            id,
            valid_until_ms: AtomicU64::new(expires_ms),
            keeper: tokio::spawn(keep(Weak::clone(lease), shared.settings.lease_ms / 3)).abort_handle(),
        });
        leases.retain(|_, lease| lease.strong_count() > 0);
        leases.insert(root, Arc::downgrade(&lease));
        Ok(lease)
    }
}

impl ReadLease {
    /// Whether no server can have let the root expire.
    pub(super) fn is_valid(&self, shared: &Shared) -> bool {
        shared.now_ms() < self.valid_until_ms.load(Ordering::Acquire)
    }

    /// Whether there is still a lease to renew.
    async fn renew(&self, shared: &Shared) -> bool {
        let expires_ms = shared.expires_ms();
        match shared.register.apply(Event::Renew { lease: self.id, expires_ms }).await {
            Ok(_) => {
                self.valid_until_ms.store(expires_ms, Ordering::Release);
                true
            }
            Err(UpdateError::Refused(_)) => {
                tracing::warn!(root = %self.root, "the lease of this server's readers has lapsed");
                self.valid_until_ms.store(0, Ordering::Release);
                false
            }
            // There are more attempts before it lapses.
            Err(UpdateError::State(error)) => {
                tracing::warn!(root = %self.root, error = &error as &dyn std::error::Error, "a lease is not renewed");
                true
            }
        }
    }
}

async fn keep(lease: Weak<ReadLease>, every_ms: u64) {
    loop {
        tokio::time::sleep(Duration::from_millis(every_ms.max(1))).await;
        let Some(lease) = lease.upgrade() else { return };
        let Some(shared) = lease.shared.upgrade() else { return };
        if !lease.renew(&shared).await {
            return;
        }
    }
}

/// Given back in the background. If that fails, it lapses.
impl Drop for ReadLease {
    fn drop(&mut self) {
        self.keeper.abort();
        if let Some(shared) = self.shared.upgrade() {
            release(shared, self.id);
        }
    }
}

impl WriteLease {
    /// On the active root.
    pub(super) async fn take(shared: &Arc<Shared>) -> Result<Self, UpdateError> {
        let (id, now_ms) = (draw(), shared.now_ms());
        let expires_ms = shared.expires_ms();
        let state = shared.register.apply(Event::Write { lease: id, expires_ms, now_ms }).await?;
        // Another server may have let it lapse in the very next step.
        let root = state.leases.get(&id).ok_or(UpdateError::Refused(Refusal::NoLease))?.root;
        Ok(WriteLease {
            shared: Arc::clone(shared),
            id,
            root,
            renewed_ms: AtomicU64::new(now_ms),
            is_spent: false,
        })
    }

    /// To be called often. That it is lost is found at the end in any case; here it saves work.
    pub(super) async fn keep(&self) -> Result<(), UpdateError> {
        let now_ms = self.shared.now_ms();
        let renewed_ms = self.renewed_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(renewed_ms) < self.shared.settings.lease_ms / 3 {
            return Ok(());
        }
        // One of those who are about to do it.
        if self.renewed_ms.compare_exchange(renewed_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            let expires_ms = self.shared.expires_ms();
            self.shared.register.apply(Event::Renew { lease: self.id, expires_ms }).await?;
        }
        Ok(())
    }

    /// The commit has taken it.
    pub(super) fn spent(mut self) {
        self.is_spent = true;
    }

    pub(super) async fn release(self) -> Result<(), StateError> {
        let released = self.shared.register.apply(Event::Release { lease: self.id }).await;
        self.spent();
        match released {
            Err(UpdateError::State(error)) => Err(error),
            Ok(_) | Err(UpdateError::Refused(_)) => Ok(()),
        }
    }
}

/// Likewise.
impl Drop for WriteLease {
    fn drop(&mut self) {
        if !self.is_spent {
            release(Arc::clone(&self.shared), self.id);
        }
    }
}

fn release(shared: Arc<Shared>, lease: LeaseId) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            if let Err(error) = shared.register.apply(Event::Release { lease }).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a lease is left to lapse");
            }
        });
    }
}

fn draw() -> LeaseId {
    LeaseId(u64::from_le_bytes(random()))
}

impl fmt::Debug for ReadLease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReadLease({})", self.root)
    }
}
