//! Which environment takes an invocation: an idle one, one that is about to be, or a new one.
//!
//! ```text
//!  invoke ─► idle, most recently used first ───────────────────────► Lease ─► driver
//!        └─► one that has answered: wait for it, briefly ──────────► Lease
//!        └─► room ─► a new environment ────────────────────────────► Lease
//!        └─► room made by ending idle ones of other functions ─────► Lease
//!        └─► full ─► wait, if that was allowed ────────────────────► Lease
//!                                            └─► AtCapacity (429 at the front door)
//! ```
//!
//! A lease is the right to one invocation in one environment, of which it has as many slots as it takes invocations at a
//! time: one, as a rule. It travels with the invocation and is dropped by the driver once the slot is free, which brings
//! it back here: it takes the order that has waited longest, without a detour through the caller, or is open to others.
//! An environment of which no lease is out is idle; those that stay idle are ended, longest unused first.
//!
//! Those that were asked for ahead of invocations (`provisioned`) are taken first, and never ended for others.
//!
//! A spec that is retired, since its function was changed or deleted, has no more environments: those that are not in use
//! end at once, others after their invocations. Of a spec the pool keeps nothing that outlives its last environment, but
//! for the mark that it is retired, for as long as somebody has it who could still ask.
//!
//! An environment that has answered is free a moment later, when its runtime asks for the next event. A caller
//! that sends one request after the other would meet it in exactly that moment, so an invocation first waits
//! briefly for such a one; on AWS the way through the front end has the same effect.
//!
//! Room is environments, memory and processor time together (`capacity`). An environment takes its share of each from before
//! it is made until it is given up. One that is being ended has given up its room, so that nobody waits for its extensions to
//! say farewell; what it still holds then is not counted.
//!
//! A caller who goes away ends nothing: what is queued stays queued, what is being made is made.

mod capacity;
pub(crate) mod lease;
mod provisioned;
mod roster;
mod seats;

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use firesteel_sandbox::Backend;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::capacity::Occupied;
pub use self::capacity::{Capacity, Full};
use self::lease::{Lease, Promise, Room, RoomError};
pub use self::provisioned::Provisioned;
pub(crate) use self::provisioned::Seat;
use self::roster::{Environments, Leased, Open, Shared, take_open};
pub use self::seats::{Progress, ProvisionFailure, ProvisionStatus};
use crate::environment::{CreateError, Environment, Folder, Site};
use crate::invocation::{Bell, Invocation, Invoked, Order, Pending};
use crate::logs::Output;
use crate::outcome::Answer;
use crate::spec::Spec;

/// How long an invocation waits for an environment that has answered already. Less than any cold start.
const FINISHING_WAIT: Duration = Duration::from_millis(10);

/// Likewise where there is no room for another, so that the choice is between waiting and refusing. More than a
/// busy host needs to let a runtime ask for its next event, also one with a small share of a processor, which stands still
/// for most of each tenth of a second.
const FINISHING_WAIT_AT_CAPACITY: Duration = Duration::from_secs(1);

/// How long an invocation waits for an environment that is being made for another and has a slot for it. It is told
/// of the end of that, whichever it is.
const STARTING_WAIT: Duration = Duration::from_secs(10);

/// A server that throttles says so once in this time, however many callers there are.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Bounds of a pool.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What all environments together take up at most.
    pub capacity: Capacity,
    /// An environment that is idle for longer is ended.
    pub idle_timeout: Duration,
    /// How long an invocation may wait when there is no room. Zero: refuse at once, as AWS does.
    pub max_wait: Duration,
}

/// Why an invocation was not run: no environment could be had.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no room for another, and none can be made.
    #[error("{0}")]
    AtCapacity(Full),
    /// There are to be no environments of this spec any more; what has taken its place is for the caller to look up.
    #[error("version {} of the function {} was replaced", .spec.version, .spec.function_name)]
    Retired {
        /// Which.
        spec: Arc<Spec>,
        /// What was to be run, given back.
        invocation: Box<Invocation>,
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
    backend: Backend,
    output: Output,
    /// Knows every driver, also of environments that nobody holds any more.
    tasks: TaskTracker,
    /// Nothing is to be begun any more.
    stop: CancellationToken,
    shared: Mutex<Shared>,
    /// What the host does not allow is said once, not for every environment.
    said_shortfall: AtomicBool,
}

/// Names a place in a queue.
type Ticket = u64;

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
    pub fn new(limits: Limits, folder: Folder, backend: Backend, output: Output) -> Self {
        let inner = Arc::new(Inner {
            shared: Mutex::new(Shared::new(limits.capacity)),
            limits,
            folder,
            backend,
            output,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            said_shortfall: AtomicBool::new(false),
        });
        tokio::spawn(reclaim(Arc::downgrade(&inner), inner.limits.idle_timeout));
        Pool { inner }
    }

    /// Runs one invocation and returns its answer.
    pub async fn invoke(&self, spec: &Arc<Spec>, invocation: Invocation) -> Result<Invoked, InvokeError> {
        let (order, mut pending) = Order::new(invocation);
        let mut max_wait = self.inner.limits.max_wait;
        let mut order = order;
        let mut promise = loop {
            let (place, patience) = match self.inner.place(spec, order, Queue::BehindOthers)? {
                Placed::Taken => return Ok(pending.invoked().await),
                Placed::Queued(place, patience) => (place, patience),
                Placed::Back(back, promise) => {
                    order = back;
                    break promise;
                }
            };
            max_wait = max_wait.max(FINISHING_WAIT_AT_CAPACITY);
            match self.inner.wait(place, &mut pending, Instant::now() + patience).await {
                Waited::Answered(answer) => return Ok(pending.answered(answer)),
                Waited::Back(back) => order = back,
            }
            if patience == FINISHING_WAIT {
                break None;
            }
        };
        let deadline = Instant::now() + max_wait;
        loop {
            match Room::take(&self.inner, spec) {
                Ok(room) => {
                    self.create(spec, room, order, promise).await?;
                    return Ok(pending.invoked().await);
                }
                Err(RoomError::Full(_)) if Instant::now() < deadline => {}
                Err(RoomError::Full(full)) => {
                    self.inner.note_throttled(full);
                    return Err(InvokeError::AtCapacity(full));
                }
                Err(RoomError::Retired) => return Err(retired(spec, order)),
                Err(RoomError::ShuttingDown) => return Err(InvokeError::ShuttingDown),
            }
            // Nobody is to wait for what cannot be made now.
            drop(promise.take());
            order = match self.inner.place(spec, order, Queue::Always)? {
                Placed::Taken => return Ok(pending.invoked().await),
                Placed::Queued(place, _) => match self.inner.wait(place, &mut pending, deadline).await {
                    Waited::Answered(answer) => return Ok(pending.answered(answer)),
                    Waited::Back(order) => order,
                },
                Placed::Back(order, _) => order,
            };
        }
    }

    /// A new environment for the order, made in a task of its own so that it outlives its caller; a shutdown waits
    /// for that task as for any environment.
    async fn create(
        &self,
        spec: &Arc<Spec>,
        room: Room,
        order: Order,
        promise: Option<Promise>,
    ) -> Result<(), InvokeError> {
        let (inner, spec) = (Arc::clone(&self.inner), Arc::clone(spec));
        let created = self.inner.tasks.spawn(async move {
            let output = inner.output.clone();
            let (environment, task) =
                Environment::start(&spec, None, inner.site(), output, room, &inner.said_shortfall).await?;
            inner.tasks.spawn(task);
            let environment = Arc::new(environment);
            let mut leases = Vec::new();
            {
                let mut shared = inner.lock();
                if shared.shutting_down {
                    // Outside the lock, see `place`. Those that are to be ended have been told already.
                    drop(shared);
                    return Err(InvokeError::ShuttingDown);
                }
                leases.push((inner.lease(&mut shared, &environment), order));
                let mut waiting = VecDeque::new();
                if environment.slots() > 1 && !shared.is_retired(&spec) {
                    // Those who were promised a slot, and whoever else waits.
                    let environments = shared.environments_of(&spec);
                    let count = environments.waiting.len().min(environment.slots() - 1);
                    waiting.extend(environments.waiting.drain(..count));
                    if count + 1 < environment.slots() {
                        let environment = Arc::clone(&environment);
                        environments.open.push(Open { environment, since: Instant::now() });
                    }
                }
                for (_, order) in waiting {
                    leases.push((inner.lease(&mut shared, &environment), order));
                }
            }
            drop(promise);
            for (lease, order) in leases {
                lease.invoke(order);
            }
            Ok(())
        });
        // A panic has dropped the order, which tells the caller.
        created.await.unwrap_or(Ok(()))
    }

    /// Ends the environments of a function's version that was replaced or deleted: those that are not in use now, others
    /// after their invocations. What is kept of them ahead ends too. Whoever asks for another is refused
    /// ([`InvokeError::Retired`]), as are those who wait for one that is not being made.
    pub fn retire(&self, spec: &Arc<Spec>) {
        let ended = self.inner.lock().retire(spec);
        // Outside the lock: the end of an environment is no work to be done under it.
        drop(ended);
    }

    /// How many environments there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.lock().taken.environments()
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
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_err() {
            let leased = std::mem::take(&mut self.inner.lock().leased);
            // Without grace that is what was asked for.
            if !leased.is_empty() && !grace.is_zero() {
                tracing::warn!(environments = leased.len(), "ending environments that are still busy");
            }
            for environment in leased.into_values().filter_map(|leased| leased.environment.upgrade()) {
                environment.shutdown();
            }
            self.inner.tasks.wait().await;
        }
    }
}

/// When an order may be queued.
#[derive(Debug, Clone, Copy)]
enum Queue {
    /// If there is an environment for it that has answered already, or one that is being made and has a slot for it.
    BehindOthers,
    Always,
}

/// Where an order is after it was looked for an environment.
enum Placed {
    /// With an environment.
    Taken,
    /// And how long it makes sense to wait.
    Queued(Place, Duration),
    /// To be taken to a new one, of which others are promised the slots that are left.
    Back(Order, Option<Promise>),
}

/// A place in a queue.
struct Place {
    spec: SpecId,
    ticket: Ticket,
    /// Resolves when there may be room for another environment.
    room: oneshot::Receiver<()>,
}

enum Waited {
    Answered(Result<Answer, oneshot::error::RecvError>),
    Back(Order),
}

impl Inner {
    fn site(&self) -> Site<'_> {
        Site { folder: &self.folder, backend: &self.backend }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // What is guarded is never left half-changed, so a panic elsewhere does not spoil it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the order to an open environment, or queues it.
    fn place(
        self: &Arc<Self>,
        spec: &Arc<Spec>,
        mut order: Order,
        queue: Queue,
    ) -> Result<Placed, InvokeError> {
        let (id, slots) = (SpecId::of(spec), spec.slots());
        // Declared first, dropped last: the end of an environment is no work to be done under the lock.
        let mut unusable = Vec::new();
        let mut guard = self.lock();
        let shared = &mut *guard;
        if shared.shutting_down {
            return Err(InvokeError::ShuttingDown);
        }
        let Shared { functions, leased, taken, .. } = shared;
        let environments = functions.entry(id).or_insert_with(|| Environments::of(spec));
        if environments.is_retired() {
            drop(guard);
            return Err(retired(spec, order));
        }
        let mut found = take_open(&mut environments.provisioned, leased, taken, &mut unusable);
        if found.is_none() {
            found = take_open(&mut environments.open, leased, taken, &mut unusable);
        }
        if let Some(environment) = found {
            let lease = self.lease(shared, &environment);
            drop(guard);
            lease.invoke(order);
            return Ok(Placed::Taken);
        }
        let waiting = environments.waiting.len();
        let patience = match queue {
            Queue::BehindOthers if environments.finishing > waiting => FINISHING_WAIT,
            Queue::BehindOthers if environments.promised > waiting => STARTING_WAIT,
            Queue::BehindOthers if slots > 1 => {
                environments.promised += slots - 1;
                return Ok(Placed::Back(order, Some(Promise::new(self, id, slots - 1))));
            }
            Queue::BehindOthers => return Ok(Placed::Back(order, None)),
            Queue::Always => Duration::ZERO,
        };
        let (sender, room) = oneshot::channel();
        let wanted = matches!(queue, Queue::Always).then(|| Occupied::by(spec));
        order.bell = Some(Box::new(Bell { wanted, sender }));
        let ticket = shared.next_ticket;
        shared.next_ticket += 1;
        environments.waiting.push_back((ticket, order));
        if wanted.is_some() {
            // There may be some since it was looked for: nobody was told of it who did not wait yet.
            shared.tell_of_room(None);
        }
        Ok(Placed::Queued(Place { spec: id, ticket, room }, patience))
    }

    /// One more lease of an environment.
    fn lease(self: &Arc<Self>, shared: &mut Shared, environment: &Arc<Environment>) -> Lease {
        let leased = shared
            .leased
            .entry(environment.id())
            .or_insert_with(|| Leased { environment: Arc::downgrade(environment), leases: 0 });
        leased.leases += 1;
        Lease::new(self, Arc::clone(environment))
    }

    /// Waits in a queue. An order that is taken at the last moment is waited for to its end.
    async fn wait(&self, place: Place, pending: &mut Pending, until: Instant) -> Waited {
        tokio::select! {
            biased;
            answer = &mut pending.answer => return Waited::Answered(answer),
            _ = place.room => {}
            () = tokio::time::sleep_until(until) => {}
        }
        let back = self.lock().take_back(place.spec, place.ticket);
        match back {
            Some(order) => Waited::Back(order),
            None => Waited::Answered((&mut pending.answer).await),
        }
    }

    /// Callers see no more than a number and a reason; whoever runs the server is told what there is too little of, now
    /// and then.
    fn note_throttled(&self, full: Full) {
        let now = Instant::now();
        let mut shared = self.lock();
        if shared.said_full.is_none_or(|said| now.duration_since(said) >= SAY_AGAIN) {
            shared.said_full = Some(now);
            drop(shared);
            tracing::warn!(reason = %full, "callers are throttled");
        }
    }

    /// Takes a lease back: its slot is for the order that has waited longest, or open.
    fn put_back(self: &Arc<Self>, environment: Arc<Environment>, answered: bool) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        let in_use = shared.note_returned(environment.id());
        if shared.shutting_down {
            // Outside the lock, see `place`.
            drop(guard);
            return;
        }
        let id = SpecId::of(environment.spec());
        let environments = shared.environments_of(environment.spec());
        environments.finishing -= usize::from(answered && environments.finishing > 0);
        let is_over =
            environments.is_retired() || (!in_use && environment.seat().is_some_and(Seat::give_up_surplus));
        let open =
            if environment.is_provisioned() { &mut environments.provisioned } else { &mut environments.open };
        // One that has a single slot is never open while it is in use.
        let listed = (environment.slots() > 1)
            .then(|| open.iter().position(|open| open.environment.id() == environment.id()))
            .flatten()
            .map(|index| open.remove(index));
        let usable = !is_over && environment.takes_invocation();
        if is_over && in_use {
            // The lease that comes back last ends it.
            drop(guard);
            return;
        }
        if !usable && !in_use {
            environment.room().give_back(&mut shared.taken);
            shared.tell_of_room(None);
            // Outside the lock, see `place`.
            drop(guard);
            drop(listed);
            return;
        }
        if usable && let Some((_, order)) = environments.waiting.pop_front() {
            if let Some(listed) = listed {
                open.push(listed);
            }
            let lease = self.lease(shared, &environment);
            drop(guard);
            lease.invoke(order);
            return;
        }
        let is_provisioned = environment.is_provisioned();
        open.push(Open { environment, since: Instant::now() });
        if !in_use && !is_provisioned {
            shared.tell_of_room(Some(id));
        }
    }
}

fn retired(spec: &Arc<Spec>, order: Order) -> InvokeError {
    InvokeError::Retired { spec: Arc::clone(spec), invocation: Box::new(order.invocation) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::spec;

    #[tokio::test(start_paused = true)]
    async fn of_a_thousand_specs_that_were_retired_nothing_is_kept() {
        let idle_timeout = Duration::from_secs(60);
        let limits =
            Limits { capacity: Capacity::of_environments(1), idle_timeout, max_wait: Duration::ZERO };
        let folder = Folder { parent: std::env::temp_dir() };
        let pool = Pool::new(limits, folder, Backend::Process, Output::new(|_| {}));
        let held = Arc::new(spec());
        pool.retire(&held);
        for _ in 0..1000 {
            let spec = Arc::new(spec());
            drop(pool.provision(&spec, 0));
            pool.retire(&spec);
        }
        assert_eq!(pool.inner.lock().functions.len(), 1001);
        tokio::time::sleep(idle_timeout).await;
        assert_eq!(pool.inner.lock().functions.len(), 1, "but for the one that could be asked for");
        assert!(pool.inner.lock().is_retired(&held));
        drop(held);
        tokio::time::sleep(idle_timeout).await;
        assert!(pool.inner.lock().functions.is_empty());
    }
}
