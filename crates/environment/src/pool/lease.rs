//! What a pool gives out: room for an environment, and the right to use one.

use std::sync::{Arc, Weak};

use uuid::Uuid;

use super::{Inner, InvokeError, SpecId};
use crate::environment::Environment;
use crate::invocation::{Admitted, Order};

/// The place of one environment within the pool's bound. Held by the environment, free when dropped.
#[derive(Debug)]
pub(crate) struct Room(Weak<Inner>);

impl Room {
    /// A place, if need be that of the environment which was unused longest.
    pub(super) fn take(inner: &Arc<Inner>) -> Result<Self, InvokeError> {
        let max_environments = inner.limits.max_environments;
        let evicted;
        let mut shared = inner.lock();
        if shared.shutting_down {
            return Err(InvokeError::ShuttingDown);
        }
        if shared.count >= max_environments {
            evicted = shared.oldest_idle().ok_or(InvokeError::AtCapacity { max_environments })?;
            shared.count += 1;
            drop(shared);
            drop(evicted);
        } else {
            shared.count += 1;
        }
        Ok(Room(Arc::downgrade(inner)))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.lock().count -= 1;
        }
    }
}

/// The right to one invocation in one environment. Dropped, it gives the environment back.
#[derive(Debug)]
pub(crate) struct Lease {
    inner: Arc<Inner>,
    spec: SpecId,
    /// Taken out only by the drop.
    environment: Option<Arc<Environment>>,
    answered: bool,
}

impl Lease {
    pub(super) fn new(inner: &Arc<Inner>, spec: SpecId, environment: Arc<Environment>) -> Self {
        Lease { inner: Arc::clone(inner), spec, environment: Some(environment), answered: false }
    }

    pub(super) fn downgrade(&self) -> Option<(Uuid, Weak<Environment>)> {
        self.environment.as_ref().map(|environment| (environment.id(), Arc::downgrade(environment)))
    }

    /// Hands the order to the environment; the lease goes with it and comes back when the environment is at rest.
    pub(super) fn invoke(self, order: Order) {
        if let Some(environment) = self.environment.clone() {
            environment.invoke(Admitted { order, lease: self });
        }
    }

    /// The caller has its answer: the environment will be free in a moment.
    pub(crate) fn answered(&mut self) {
        if !self.answered {
            self.answered = true;
            // The entry may be gone: a function with nothing idle and nobody waiting is forgotten.
            self.inner.lock().functions.entry(self.spec).or_default().finishing += 1;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(environment) = self.environment.take() {
            self.inner.put_back(self.spec, environment, self.answered);
        }
    }
}
