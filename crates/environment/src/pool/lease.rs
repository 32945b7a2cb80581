//! What a pool gives out: room for an environment, and the right to use one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::capacity::Full;
use super::{Inner, Occupied, SpecId};
use crate::environment::Environment;
use crate::invocation::{Admitted, Order};
use crate::spec::Spec;

/// What one environment takes up of the pool's capacity. Held by the environment, free when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    inner: Weak<Inner>,
    occupied: Occupied,
    /// Given back before it is dropped, by one who holds the lock.
    given_back: AtomicBool,
}

/// Why there is no room for an environment.
#[derive(Debug)]
pub(super) enum RoomError {
    /// What there is is taken.
    Full(Full),
    /// There is to be none of this spec any more.
    Retired,
    ShuttingDown,
}

impl Room {
    /// Room for an environment of this function, if need be that of others which were unused longest.
    pub(super) fn take(inner: &Arc<Inner>, spec: &Arc<Spec>) -> Result<Self, RoomError> {
        let occupied = Occupied::by(spec);
        let mut shared = inner.lock();
        if shared.shutting_down {
            return Err(RoomError::ShuttingDown);
        }
        if shared.is_retired(spec) {
            return Err(RoomError::Retired);
        }
        let evicted = shared.take_room(occupied).map_err(RoomError::Full)?;
        // Where a large one ended there may be room for several.
        shared.tell_of_room(None);
        drop(shared);
        // Outside the lock: the end of an environment is no work to be done under it.
        drop(evicted);
        Ok(Room { inner: Arc::downgrade(inner), occupied, given_back: AtomicBool::new(false) })
    }

    pub(super) fn occupied(&self) -> Occupied {
        self.occupied
    }

    /// Frees it in the same step as whatever else changes under the lock: who is told of room finds it, and who
    /// finds no environment does not find the place of one that is gone still taken.
    pub(super) fn give_back(&self, taken: &mut Occupied) {
        if !self.given_back.swap(true, Ordering::Relaxed) {
            *taken -= self.occupied;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Looked at first: most are given back, and then the lock may be held by who drops it.
        if !*self.given_back.get_mut()
            && let Some(inner) = self.inner.upgrade()
        {
            let mut shared = inner.lock();
            self.give_back(&mut shared.taken);
            shared.tell_of_room(None);
        }
    }
}

/// The right to one invocation in one environment. Dropped, it gives the environment back.
#[derive(Debug)]
pub(crate) struct Lease {
    inner: Arc<Inner>,
    /// Taken out only by the drop.
    environment: Option<Arc<Environment>>,
    answered: bool,
}

impl Lease {
    pub(super) fn new(inner: &Arc<Inner>, environment: Arc<Environment>) -> Self {
        Lease { inner: Arc::clone(inner), environment: Some(environment), answered: false }
    }

    /// Hands the order to the environment; the lease goes with it and comes back when the environment is at rest.
    pub(super) fn invoke(self, order: Order) {
        if let Some(environment) = self.environment.clone() {
            environment.invoke(Admitted { order, lease: self });
        }
    }

    /// The caller has its answer: the environment will be free in a moment.
    pub(crate) fn answered(&mut self) {
        if let Some(environment) = &self.environment
            && !self.answered
        {
            self.answered = true;
            // The entry may be gone: a function with nothing idle and nobody waiting is forgotten.
            self.inner.lock().environments_of(environment.spec()).finishing += 1;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(environment) = self.environment.take() {
            self.inner.put_back(environment, self.answered);
        }
    }
}

/// The slots that an environment will have which is being made, beyond the one it is made for, if it is for anybody. Those
/// who wait for them are told when it is dropped: they have got one by then, or will not.
#[derive(Debug)]
pub(super) struct Promise {
    inner: Arc<Inner>,
    spec: SpecId,
    slots: usize,
}

impl Promise {
    /// Of slots that have been counted.
    pub(super) fn new(inner: &Arc<Inner>, spec: SpecId, slots: usize) -> Self {
        Promise { inner: Arc::clone(inner), spec, slots }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(environments) = self.inner.lock().functions.get_mut(&self.spec) {
            environments.promised = environments.promised.saturating_sub(self.slots);
            environments.wake_waiting();
        }
    }
}
