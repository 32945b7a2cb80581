//! Which environment takes an invocation: an idle one, one that is about to be, or a new one.
//!
//! ```text
//!  invoke ─► idle, most recently used first ───────────────────────► Lease ─► driver
//!        └─► one that has answered: wait for it, briefly ──────────► Lease
//!        └─► room ─► a new environment ────────────────────────────► Lease
//!        └─► room made by ending another function's idle one ──────► Lease
//!        └─► full ─► wait, if that was allowed ────────────────────► Lease
//!                                            └─► AtCapacity (429 at the front door)
//! ```
//!
//! A lease is the right to one invocation in one environment. It travels with the invocation and is
//! dropped by the driver once the environment is at rest, which brings the environment back here: it takes the
//! order that has waited longest, without a detour through the caller, or becomes idle. Environments that stay idle
//! are ended, longest unused first.
//!
//! An environment that has answered is free a moment later, when its runtime asks for the next event. A caller
//! that sends one request after the other would meet it in exactly that moment, so an invocation first waits
//! briefly for such a one; on AWS the way through the front end has the same effect.
//!
//! A caller who goes away ends nothing: what is queued stays queued, what is being made is made.

pub(crate) mod lease;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::lease::{Lease, Room};
use crate::environment::{CreateError, Environment, Folder};
use crate::invocation::{Invocation, Invoked, Order, Pending};
use crate::logs::Output;
use crate::outcome::Answer;
use crate::spec::Spec;

/// How long an invocation waits for an environment that has answered already. Less than any cold start.
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
    /// How long an invocation may wait when there is no room. Zero: refuse at once, as AWS does.
    pub max_wait: Duration,
}

/// Why an invocation was not run: no environment could be had.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
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
    next_ticket: Ticket,
    shutting_down: bool,
}

/// The environments of one spec.
#[derive(Debug, Default)]
struct Environments {
    /// Most recently used last.
    idle: Vec<Idle>,
    /// How many have answered and are about to be idle.
    finishing: usize,
    /// Orders that wait, first come first served.
    waiting: VecDeque<(Ticket, Order)>,
}

/// Names a place in a queue.
type Ticket = u64;

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

    /// Runs one invocation and returns its answer.
    pub async fn invoke(&self, spec: &Arc<Spec>, invocation: Invocation) -> Result<Invoked, InvokeError> {
        let id = SpecId::of(spec);
        let (order, mut pending) = Order::new(invocation);
        let mut max_wait = self.inner.limits.max_wait;
        let mut order = match self.inner.place(id, order, Queue::BehindFinishing)? {
            Placed::Taken => return Ok(pending.invoked().await),
            Placed::Queued(place) => {
                max_wait = max_wait.max(FINISHING_WAIT_AT_CAPACITY);
                match self.inner.wait(place, &mut pending, Instant::now() + FINISHING_WAIT).await {
                    Waited::Answered(answer) => return Ok(pending.answered(answer)),
                    Waited::Back(order) => order,
                }
            }
            Placed::Back(order) => order,
        };
        let deadline = Instant::now() + max_wait;
        loop {
            match Room::take(&self.inner) {
                Ok(room) => {
                    self.create(spec, room, order).await?;
                    return Ok(pending.invoked().await);
                }
                Err(InvokeError::AtCapacity { .. }) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
            order = match self.inner.place(id, order, Queue::Always)? {
                Placed::Taken => return Ok(pending.invoked().await),
                Placed::Queued(place) => match self.inner.wait(place, &mut pending, deadline).await {
                    Waited::Answered(answer) => return Ok(pending.answered(answer)),
                    Waited::Back(order) => order,
                },
                Placed::Back(order) => order,
            };
        }
    }

    /// A new environment for the order, made in a task of its own so that it outlives its caller; a shutdown waits
    /// for that task as for any environment.
    async fn create(&self, spec: &Arc<Spec>, room: Room, order: Order) -> Result<(), InvokeError> {
        let (inner, spec) = (Arc::clone(&self.inner), Arc::clone(spec));
        let created = self.inner.tasks.spawn(async move {
            let id = SpecId::of(&spec);
            let (environment, task) =
                Environment::start(spec, &inner.folder, inner.output.clone(), room, &inner.said_shortfall)
                    .await?;
            inner.tasks.spawn(task);
            let lease = Lease::new(&inner, id, Arc::new(environment));
            {
                let mut shared = inner.lock();
                if shared.shutting_down {
                    // Outside the lock, see `place`. Those that are to be ended have been told already.
                    drop(shared);
                    return Err(InvokeError::ShuttingDown);
                }
                shared.note_leased(&lease);
            }
            lease.invoke(order);
            Ok(())
        });
        // A panic has dropped the order, which tells the caller.
        created.await.unwrap_or(Ok(()))
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

/// When an order may be queued.
#[derive(Debug, Clone, Copy)]
enum Queue {
    /// If there is an environment for it that has answered already.
    BehindFinishing,
    Always,
}

/// Where an order is after it was looked for an environment.
enum Placed {
    /// With an environment.
    Taken,
    Queued(Place),
    Back(Order),
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
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // What is guarded is never left half-changed, so a panic elsewhere does not spoil it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the order to an idle environment, or queues it.
    fn place(self: &Arc<Self>, id: SpecId, mut order: Order, queue: Queue) -> Result<Placed, InvokeError> {
        // Declared first, dropped last: the end of an environment is no work to be done under the lock.
        let mut unusable = Vec::new();
        let mut guard = self.lock();
        let shared = &mut *guard;
        if shared.shutting_down {
            return Err(InvokeError::ShuttingDown);
        }
        let environments = shared.functions.entry(id).or_default();
        while let Some(idle) = environments.idle.pop() {
            if idle.environment.takes_invocation() {
                let lease = Lease::new(self, id, idle.environment);
                shared.note_leased(&lease);
                drop(guard);
                lease.invoke(order);
                return Ok(Placed::Taken);
            }
            idle.environment.room().give_back(&mut shared.count);
            unusable.push(idle.environment);
        }
        let may_queue = match queue {
            Queue::BehindFinishing => environments.finishing > environments.waiting.len(),
            Queue::Always => true,
        };
        if !may_queue {
            return Ok(Placed::Back(order));
        }
        let (sender, room) = oneshot::channel();
        order.room = Some(sender);
        let ticket = shared.next_ticket;
        shared.next_ticket += 1;
        environments.waiting.push_back((ticket, order));
        Ok(Placed::Queued(Place { spec: id, ticket, room }))
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

    /// Takes an environment back: for the order that has waited longest, or to the idle ones.
    fn put_back(self: &Arc<Self>, id: SpecId, environment: Arc<Environment>, answered: bool) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        shared.leased.remove(&environment.id());
        if shared.shutting_down {
            // Outside the lock, see `place`.
            drop(guard);
            return;
        }
        let environments = shared.functions.entry(id).or_default();
        environments.finishing -= usize::from(answered && environments.finishing > 0);
        if !environment.takes_invocation() {
            environment.room().give_back(&mut shared.count);
            shared.tell_of_room(None);
            // Outside the lock, see `place`.
            drop(guard);
            return;
        }
        if let Some((_, order)) = environments.waiting.pop_front() {
            let lease = Lease::new(self, id, environment);
            shared.note_leased(&lease);
            drop(guard);
            lease.invoke(order);
            return;
        }
        environments.idle.push(Idle { environment, since: Instant::now() });
        shared.tell_of_room(Some(id));
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

    /// Tells the first who waits for an environment of another function than `except` that there may be room: the
    /// idle one that was just put back can be ended, or one has ended.
    fn tell_of_room(&mut self, except: Option<SpecId>) {
        let others = self.functions.iter_mut().filter(|(id, _)| Some(**id) != except);
        let mut orders = others.flat_map(|(_, environments)| &mut environments.waiting);
        if let Some(room) = orders.find_map(|(_, order)| order.room.take_if(|room| !room.is_closed())) {
            let _ = room.send(());
        }
    }

    /// The order with this ticket, unless an environment has taken it.
    fn take_back(&mut self, id: SpecId, ticket: Ticket) -> Option<Order> {
        let waiting = &mut self.functions.get_mut(&id)?.waiting;
        let index = waiting.iter().position(|(other, _)| *other == ticket)?;
        waiting.remove(index).map(|(_, order)| order)
    }

    /// Takes out what has been idle since before `limit`, and forgets functions that have nothing left.
    fn expire(&mut self, limit: Instant) -> Vec<Idle> {
        let mut expired = Vec::new();
        self.functions.retain(|_, environments| {
            let keep_from = environments.idle.partition_point(|idle| idle.since <= limit);
            expired.extend(environments.idle.drain(..keep_from));
            !(environments.idle.is_empty() && environments.finishing == 0 && environments.waiting.is_empty())
        });
        expired
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
