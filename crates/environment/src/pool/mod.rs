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
//! A lease is the right to one invocation in one environment, of which it has as many slots as it takes invocations at a
//! time: one, as a rule. It travels with the invocation and is dropped by the driver once the slot is free, which brings
//! it back here: it takes the order that has waited longest, without a detour through the caller, or is open to others.
//! An environment of which no lease is out is idle; those that stay idle are ended, longest unused first.
//!
//! Those that were asked for ahead of invocations (`provisioned`) are taken first, and never ended for others.
//!
//! An environment that has answered is free a moment later, when its runtime asks for the next event. A caller
//! that sends one request after the other would meet it in exactly that moment, so an invocation first waits
//! briefly for such a one; on AWS the way through the front end has the same effect.
//!
//! A caller who goes away ends nothing: what is queued stays queued, what is being made is made.

pub(crate) mod lease;
mod provisioned;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::lease::{Lease, Promise, Room};
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

/// How long an invocation waits for an environment that is being made for another and has a slot for it. It is told
/// of the end of that, whichever it is.
const STARTING_WAIT: Duration = Duration::from_secs(10);

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
    /// Nothing is to be begun any more.
    stop: CancellationToken,
    shared: Mutex<Shared>,
    /// What the host does not allow is said once, not for every environment.
    said_shortfall: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    functions: HashMap<SpecId, Environments>,
    /// How many environments are held, open ones and those in leases alone.
    count: usize,
    /// Those in leases.
    leased: HashMap<Uuid, Leased>,
    next_ticket: Ticket,
    shutting_down: bool,
}

/// An environment that is in use.
#[derive(Debug)]
struct Leased {
    /// For a shutdown that cannot wait for it.
    environment: Weak<Environment>,
    /// How many are out.
    leases: usize,
}

/// The environments of one spec.
#[derive(Debug, Default)]
struct Environments {
    /// With a free slot; most recently used last.
    open: Vec<Open>,
    /// Likewise, of those that were asked for ahead.
    provisioned: Vec<Open>,
    /// Slots that environments will have which are being made, beside those that they are made for.
    promised: usize,
    /// How many have answered and are about to be idle.
    finishing: usize,
    /// Orders that wait, first come first served.
    waiting: VecDeque<(Ticket, Order)>,
}

/// Names a place in a queue.
type Ticket = u64;

#[derive(Debug)]
struct Open {
    environment: Arc<Environment>,
    /// When a lease came back last.
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
            stop: CancellationToken::new(),
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
        let mut order = order;
        let mut promise = loop {
            let (place, patience) = match self.inner.place(id, order, Queue::BehindOthers(spec.slots()))? {
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
            match Room::take(&self.inner) {
                Ok(room) => {
                    self.create(spec, room, order, promise).await?;
                    return Ok(pending.invoked().await);
                }
                Err(InvokeError::AtCapacity { .. }) if Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
            // Nobody is to wait for what cannot be made now.
            drop(promise.take());
            order = match self.inner.place(id, order, Queue::Always)? {
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
            let id = SpecId::of(&spec);
            let (environment, task) =
                Environment::start(spec, &inner.folder, inner.output.clone(), room, &inner.said_shortfall)
                    .await?;
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
                leases.push((inner.lease(&mut shared, id, &environment), order));
                let Shared { functions, .. } = &mut *shared;
                let mut waiting = VecDeque::new();
                if environment.slots() > 1 {
                    // Those who were promised a slot, and whoever else waits.
                    let environments = functions.entry(id).or_default();
                    let count = environments.waiting.len().min(environment.slots() - 1);
                    waiting.extend(environments.waiting.drain(..count));
                    if count + 1 < environment.slots() {
                        let environment = Arc::clone(&environment);
                        environments.open.push(Open { environment, since: Instant::now() });
                    }
                }
                for (_, order) in waiting {
                    leases.push((inner.lease(&mut shared, id, &environment), order));
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
    /// If there is an environment for it that has answered already, or one that is being made and has a slot for it. If
    /// not, it is one with this many slots that is to be made.
    BehindOthers(usize),
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
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // What is guarded is never left half-changed, so a panic elsewhere does not spoil it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the order to an open environment, or queues it.
    fn place(self: &Arc<Self>, id: SpecId, mut order: Order, queue: Queue) -> Result<Placed, InvokeError> {
        // Declared first, dropped last: the end of an environment is no work to be done under the lock.
        let mut unusable = Vec::new();
        let mut guard = self.lock();
        let shared = &mut *guard;
        if shared.shutting_down {
            return Err(InvokeError::ShuttingDown);
        }
        let Shared { functions, leased, count, .. } = shared;
        let environments = functions.entry(id).or_default();
        let mut found = take_open(&mut environments.provisioned, leased, count, &mut unusable);
        if found.is_none() {
            found = take_open(&mut environments.open, leased, count, &mut unusable);
        }
        if let Some(environment) = found {
            let lease = self.lease(shared, id, &environment);
            drop(guard);
            lease.invoke(order);
            return Ok(Placed::Taken);
        }
        let waiting = environments.waiting.len();
        let patience = match queue {
            Queue::BehindOthers(_) if environments.finishing > waiting => FINISHING_WAIT,
            Queue::BehindOthers(_) if environments.promised > waiting => STARTING_WAIT,
            Queue::BehindOthers(slots) if slots > 1 => {
                environments.promised += slots - 1;
                return Ok(Placed::Back(order, Some(Promise::new(self, id, slots - 1))));
            }
            Queue::BehindOthers(_) => return Ok(Placed::Back(order, None)),
            Queue::Always => Duration::ZERO,
        };
        let (sender, room) = oneshot::channel();
        order.room = Some(sender);
        let ticket = shared.next_ticket;
        shared.next_ticket += 1;
        environments.waiting.push_back((ticket, order));
        Ok(Placed::Queued(Place { spec: id, ticket, room }, patience))
    }

    /// One more lease of an environment.
    fn lease(self: &Arc<Self>, shared: &mut Shared, id: SpecId, environment: &Arc<Environment>) -> Lease {
        let leased = shared
            .leased
            .entry(environment.id())
            .or_insert_with(|| Leased { environment: Arc::downgrade(environment), leases: 0 });
        leased.leases += 1;
        Lease::new(self, id, Arc::clone(environment))
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

    /// Takes a lease back: its slot is for the order that has waited longest, or open.
    fn put_back(self: &Arc<Self>, id: SpecId, environment: Arc<Environment>, answered: bool) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        let in_use = shared.note_returned(environment.id());
        if shared.shutting_down {
            // Outside the lock, see `place`.
            drop(guard);
            return;
        }
        let environments = shared.functions.entry(id).or_default();
        environments.finishing -= usize::from(answered && environments.finishing > 0);
        let open =
            if environment.is_provisioned() { &mut environments.provisioned } else { &mut environments.open };
        // One that has a single slot is never open while it is in use.
        let listed = (environment.slots() > 1)
            .then(|| open.iter().position(|open| open.environment.id() == environment.id()))
            .flatten()
            .map(|index| open.remove(index));
        let usable = environment.takes_invocation();
        if !usable && !in_use {
            environment.room().give_back(&mut shared.count);
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
            let lease = self.lease(shared, id, &environment);
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

/// The most recently used open environment that can take an invocation. It stays in the list if it has a slot beyond the
/// one that is taken. Those that can take none and are not in use are put aside.
fn take_open(
    open: &mut Vec<Open>,
    leased: &HashMap<Uuid, Leased>,
    count: &mut usize,
    unusable: &mut Vec<Open>,
) -> Option<Arc<Environment>> {
    for index in (0..open.len()).rev() {
        let environment = &open[index].environment;
        let usable = environment.takes_invocation();
        let several = environment.slots() > 1;
        let leases =
            if several { leased.get(&environment.id()).map_or(0, |leased| leased.leases) } else { 0 };
        if usable && leases + 1 < environment.slots() {
            return Some(Arc::clone(environment));
        }
        if usable {
            return Some(open.remove(index).environment);
        }
        if leases == 0 {
            environment.room().give_back(count);
            unusable.push(open.remove(index));
        }
    }
    None
}

impl Shared {
    /// One lease less. Whether others are out.
    fn note_returned(&mut self, id: Uuid) -> bool {
        let Some(leased) = self.leased.get_mut(&id) else { return false };
        leased.leases -= 1;
        let in_use = leased.leases > 0;
        if !in_use {
            self.leased.remove(&id);
        }
        in_use
    }

    /// The idle environment that was unused longest, over all functions.
    fn oldest_idle(&mut self) -> Option<Arc<Environment>> {
        let Shared { functions, leased, .. } = self;
        let (environments, index) = functions
            .values_mut()
            .filter_map(|environments| {
                let is_idle = |open: &Open| is_idle(open, leased);
                let index = environments.open.iter().position(is_idle)?;
                Some((environments, index))
            })
            .min_by_key(|(environments, index)| environments.open[*index].since)?;
        Some(environments.open.remove(index).environment)
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
    fn expire(&mut self, limit: Instant) -> Vec<Open> {
        let Shared { functions, leased, .. } = self;
        let mut expired = Vec::new();
        functions.retain(|_, environments| {
            let is_expired = |open: &mut Open| open.since <= limit && is_idle(open, leased);
            expired.extend(environments.open.extract_if(.., is_expired));
            !environments.is_forgettable()
        });
        expired
    }
}

fn is_idle(open: &Open, leased: &HashMap<Uuid, Leased>) -> bool {
    open.environment.slots() == 1 || !leased.contains_key(&open.environment.id())
}

impl Environments {
    fn is_forgettable(&self) -> bool {
        self.open.is_empty()
            && self.provisioned.is_empty()
            && self.promised == 0
            && self.finishing == 0
            && self.waiting.is_empty()
    }

    /// Tells all who wait that it may be in vain.
    fn wake_waiting(&mut self) {
        for room in self.waiting.iter_mut().filter_map(|(_, order)| order.room.take()) {
            let _ = room.send(());
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
