//! Which environment takes an invocation: an idle one, one that is about to be, or a new one.
//!
//! ```text
//!  acquire ─► idle, most recently used first ─────────────► Lease
//!         └─► room ─► a new environment ──────────────────► Lease
//!         └─► room made by ending another function's ─────► Lease
//!         └─► full ─► wait, if that was allowed ──────────► Lease
//!                                         └─► AtCapacity (429 at the front door)
//! ```
//!
//! A [`Lease`] is the right to one invocation in one environment. It travels with the invocation and is
//! dropped by the driver once the environment is at rest, which puts the environment back here, or by
//! whoever did not use it. Environments that stay idle are ended, longest unused first.
//!
//! An environment that has answered is free a moment later, when its runtime asks for the next event. A caller
//! that sends one request after the other would meet it in exactly that moment, so an acquire first waits
//! briefly for such a one; on AWS the way through the front end has the same effect.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::environment::{CreateError, Environment, Folder, Invocation, Pending};
use crate::logs::Output;
use crate::spec::Spec;

/// How long an acquire waits for an environment that has answered already. Less than any cold start.
const FINISHING_WAIT: Duration = Duration::from_millis(10);

/// Likewise where there is no room for another, so that the choice is between waiting and refusing. More than a
/// busy host needs to let a runtime ask for its next event.
const FINISHING_WAIT_AT_CAPACITY: Duration = Duration::from_millis(250);

/// Bounds of a pool.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most environments at a time, over all functions.
    pub max_environments: usize,
    /// An environment that is idle for longer is ended.
    pub idle_timeout: Duration,
    /// How long an acquire may wait when there is no room. Zero: refuse at once, as AWS does.
    pub max_wait: Duration,
}

/// Why no environment could be had.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Every environment is busy and there may be no more.
    #[error("all {max_environments} execution environments are busy")]
    AtCapacity {
        /// The bound.
        max_environments: usize,
    },
    /// The pool is shutting down.
    #[error("the pool of execution environments is shutting down")]
    ShuttingDown,
    /// The host could not make another.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// All execution environments of a server. Clones share one pool.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    folder: Folder,
    output: Output,
    /// Knows every driver, also of environments that nobody holds any more.
    tasks: TaskTracker,
    shared: Mutex<Shared>,
    /// What the host does not allow is said once, not for every environment.
    said_shortfall: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    functions: HashMap<SpecId, Environments>,
    /// How many environments are held, in idle lists and in leases.
    count: usize,
    /// Those in leases, for a shutdown that cannot wait for them.
    leased: HashMap<Uuid, Weak<Environment>>,
    shutting_down: bool,
}

/// The environments of one spec.
#[derive(Debug, Default)]
struct Environments {
    /// Most recently used last.
    idle: Vec<Idle>,
    /// How many have answered and are about to be idle.
    finishing: usize,
    /// Acquires that wait, first come first served. A sender that is dropped means: there may be room.
    waiters: VecDeque<oneshot::Sender<Lease>>,
}

#[derive(Debug)]
struct Idle {
    environment: Arc<Environment>,
    since: Instant,
}

/// The address of a shared spec. Environments hold their spec, so it is unique while they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SpecId(usize);

impl SpecId {
    fn of(spec: &Arc<Spec>) -> Self {
        SpecId(Arc::as_ptr(spec).addr())
    }
}

impl Pool {
    /// An empty pool. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(limits: Limits, folder: Folder, output: Output) -> Self {
        let inner = Arc::new(Inner {
            limits,
            folder,
            output,
            tasks: TaskTracker::new(),
            shared: Mutex::new(Shared::default()),
            said_shortfall: AtomicBool::new(false),
        });
        tokio::spawn(reclaim(Arc::downgrade(&inner), inner.limits.idle_timeout));
        Pool { inner }
    }

    /// An idle environment, if there is one: what is had without waiting.
    pub fn idle(&self, spec: &Arc<Spec>) -> Result<Option<Lease>, AcquireError> {
        match self.inner.idle_or(SpecId::of(spec), |_| false)? {
            Found::Idle(lease) => Ok(Some(lease)),
            Found::Wait(_) | Found::Nothing => Ok(None),
        }
    }

    /// An environment for one invocation. Cancel-safe: a lease that nobody takes goes back.
    pub async fn acquire(&self, spec: &Arc<Spec>) -> Result<Lease, AcquireError> {
        let id = SpecId::of(spec);
        let mut max_wait = self.inner.limits.max_wait;
        match self.inner.idle_or_finishing(id)? {
            Found::Idle(lease) => return Ok(lease),
            Found::Wait(waiter) => {
                if let Ok(Ok(lease)) = tokio::time::timeout(FINISHING_WAIT, waiter).await {
                    return Ok(lease);
                }
                max_wait = max_wait.max(FINISHING_WAIT_AT_CAPACITY);
            }
            Found::Nothing => {}
        }
        let deadline = Instant::now() + max_wait;
        loop {
            match self.create(spec).await {
                Err(AcquireError::AtCapacity { .. }) if Instant::now() < deadline => {}
                decided => return decided,
            }
            match self.inner.idle_or_queue(id)? {
                Found::Idle(lease) => return Ok(lease),
                Found::Wait(waiter) => {
                    if let Ok(Ok(lease)) = tokio::time::timeout_at(deadline, waiter).await {
                        return Ok(lease);
                    }
                }
                Found::Nothing => {}
            }
        }
    }

    async fn create(&self, spec: &Arc<Spec>) -> Result<Lease, AcquireError> {
        let room = Room::take(&self.inner)?;
        let (environment, task) = Environment::start(
            Arc::clone(spec),
            &self.inner.folder,
            self.inner.output.clone(),
            room,
            &self.inner.said_shortfall,
        )
        .await?;
        self.inner.tasks.spawn(task);
        let lease = Lease::new(&self.inner, SpecId::of(spec), Arc::new(environment));
        self.inner.lock().note_leased(&lease);
        Ok(lease)
    }

    /// How many environments there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.lock().count
    }

    /// Waits until the running invocations are over, at most for `grace`, then ends every environment and waits
    /// until nothing of them is left.
    pub async fn shutdown(&self, grace: Duration) {
        let idle = {
            let mut shared = self.inner.lock();
            shared.shutting_down = true;
            std::mem::take(&mut shared.functions)
        };
        drop(idle);
        self.inner.tasks.close();
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_err() {
            let leased = std::mem::take(&mut self.inner.lock().leased);
            // Without grace that is what was asked for.
            if !leased.is_empty() && !grace.is_zero() {
                tracing::warn!(environments = leased.len(), "ending environments that are still busy");
            }
            for environment in leased.into_values().filter_map(|environment| environment.upgrade()) {
                environment.shutdown();
            }
            self.inner.tasks.wait().await;
        }
    }
}

enum Found {
    Idle(Lease),
    Wait(oneshot::Receiver<Lease>),
    Nothing,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // What is guarded is never left half-changed, so a panic elsewhere does not spoil it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_or_finishing(self: &Arc<Self>, id: SpecId) -> Result<Found, AcquireError> {
        self.idle_or(id, |environments| environments.finishing > environments.waiters.len())
    }

    fn idle_or_queue(self: &Arc<Self>, id: SpecId) -> Result<Found, AcquireError> {
        self.idle_or(id, |_| true)
    }

    fn idle_or(
        self: &Arc<Self>,
        id: SpecId,
        wait: impl FnOnce(&Environments) -> bool,
    ) -> Result<Found, AcquireError> {
        // Declared first, dropped last: an environment that turns out to be unusable gives its room back
        // by taking the lock.
        let mut unusable = Vec::new();
        let mut guard = self.lock();
        let shared = &mut *guard;
        if shared.shutting_down {
            return Err(AcquireError::ShuttingDown);
        }
        let environments = shared.functions.entry(id).or_default();
        while let Some(idle) = environments.idle.pop() {
            if idle.environment.takes_invocation() {
                let lease = Lease::new(self, id, idle.environment);
                shared.note_leased(&lease);
                return Ok(Found::Idle(lease));
            }
            unusable.push(idle.environment);
        }
        // Those who gave up are still in the queue, and would count as waiting.
        environments.waiters.retain(|waiter| !waiter.is_closed());
        if wait(environments) {
            let (sender, receiver) = oneshot::channel();
            environments.waiters.push_back(sender);
            return Ok(Found::Wait(receiver));
        }
        Ok(Found::Nothing)
    }

    /// Takes an environment back: to the next who waits for it, or to the idle ones.
    fn put_back(self: &Arc<Self>, id: SpecId, environment: Arc<Environment>, answered: bool) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        shared.leased.remove(&environment.id());
        if shared.shutting_down {
            // Outside the lock, see `idle_or`.
            drop(guard);
            return;
        }
        let environments = shared.functions.entry(id).or_default();
        environments.finishing -= usize::from(answered && environments.finishing > 0);
        if !environment.takes_invocation() {
            let room = shared.room_for_another(None);
            drop(guard);
            drop(environment);
            drop(room);
            return;
        }
        let mut lease = Lease::new(self, id, environment);
        while let Some(waiter) = environments.waiters.pop_front() {
            let weak = lease.downgrade();
            match waiter.send(lease) {
                Ok(()) => {
                    shared.leased.extend(weak);
                    return;
                }
                Err(unsent) => lease = unsent,
            }
        }
        if let Some(environment) = lease.environment.take() {
            environments.idle.push(Idle { environment, since: Instant::now() });
        }
        let room = shared.room_for_another(Some(id));
        drop(guard);
        drop(room);
    }
}

impl Shared {
    fn note_leased(&mut self, lease: &Lease) {
        self.leased.extend(lease.downgrade());
    }

    /// The idle environment that was unused longest, over all functions.
    fn oldest_idle(&mut self) -> Option<Arc<Environment>> {
        let environments = self
            .functions
            .values_mut()
            .filter(|environments| !environments.idle.is_empty())
            .min_by_key(|environments| environments.idle[0].since)?;
        Some(environments.idle.remove(0).environment)
    }

    /// The first who waits for an environment of another function than `except`; told, by dropping this,
    /// that there may be room now.
    fn room_for_another(&mut self, except: Option<SpecId>) -> Option<oneshot::Sender<Lease>> {
        self.functions
            .iter_mut()
            .filter(|(id, _)| Some(**id) != except)
            .find_map(|(_, environments)| environments.waiters.pop_front())
    }

    /// Takes out what has been idle since before `limit`, and forgets functions that have nothing left.
    fn expire(&mut self, limit: Instant) -> Vec<Idle> {
        let mut expired = Vec::new();
        self.functions.retain(|_, environments| {
            let keep_from = environments.idle.partition_point(|idle| idle.since <= limit);
            expired.extend(environments.idle.drain(..keep_from));
            !(environments.idle.is_empty() && environments.finishing == 0 && environments.waiters.is_empty())
        });
        expired
    }
}

/// The place of one environment within the pool's bound. Held by the environment, free when dropped.
#[derive(Debug)]
pub(crate) struct Room(Weak<Inner>);

impl Room {
    /// A place, if need be that of the environment which was unused longest.
    fn take(inner: &Arc<Inner>) -> Result<Self, AcquireError> {
        let max_environments = inner.limits.max_environments;
        let evicted;
        let mut shared = inner.lock();
        if shared.shutting_down {
            return Err(AcquireError::ShuttingDown);
        }
        if shared.count >= max_environments {
            evicted = shared.oldest_idle().ok_or(AcquireError::AtCapacity { max_environments })?;
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
pub struct Lease {
    inner: Arc<Inner>,
    spec: SpecId,
    /// Taken out only by the drop and by a hand-over that failed.
    environment: Option<Arc<Environment>>,
    answered: bool,
}

impl Lease {
    fn new(inner: &Arc<Inner>, spec: SpecId, environment: Arc<Environment>) -> Self {
        Lease { inner: Arc::clone(inner), spec, environment: Some(environment), answered: false }
    }

    fn downgrade(&self) -> Option<(Uuid, Weak<Environment>)> {
        self.environment.as_ref().map(|environment| (environment.id(), Arc::downgrade(environment)))
    }

    /// Hands the invocation to the environment; the lease goes with it.
    #[must_use]
    pub fn invoke(self, invocation: Invocation) -> Pending {
        let environment = self.environment.clone();
        let environment = environment.expect("a lease loses its environment only when it is dropped");
        environment.invoke(invocation, self)
    }

    /// The caller has its answer: the environment will be free in a moment.
    pub(crate) fn answered(&mut self) {
        if !self.answered {
            self.answered = true;
            if let Some(environments) = self.inner.lock().functions.get_mut(&self.spec) {
                environments.finishing += 1;
            }
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

/// Ends environments that have been idle for too long, as long as there is a pool.
async fn reclaim(inner: Weak<Inner>, idle_timeout: Duration) {
    // An environment is ended at most a quarter of the timeout late.
    let pause = (idle_timeout / 4).max(Duration::from_millis(10));
    loop {
        tokio::time::sleep(pause).await;
        let Some(inner) = inner.upgrade() else { return };
        let Some(limit) = Instant::now().checked_sub(idle_timeout) else {
            continue;
        };
        let expired = inner.lock().expire(limit);
        drop(expired);
    }
}
