//! Environments that are kept initialised ahead of invocations (provisioned concurrency).
//!
//! ```text
//!  provision ─► seats ─► keeper ─► room ─► environment ─► init ─► open to invocations ─► it ends ─┐
//!     │                    ▲                              └─► it fails: given up ────────────────┤
//!     ▼                    └─ at once after a long life, else later and later ───────────────────┘
//!  Provisioned: how far that has come; other numbers; dropped, it ends them
//! ```
//!
//! One keeper, a task, for each of them. What invocations find is in the pool's list of provisioned environments; the
//! keeper waits for the end of the driver and makes another, as long as its seat is there (`seats`). Neither idleness nor
//! others' need of room ends one. One that is no longer wanted ends when it is not in use.
//!
//! Invocations that come while one is initialised wait for that, as it is quicker than to begin another. Those of one whose
//! init fails run on demand: on AWS, none is ever sent to it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::capacity::Full;
use super::lease::{Promise, Room, RoomError};
use super::roster::{Open, Shared};
use super::seats::{Progress, ProvisionFailure, SeatId, Seats};
use super::{Inner, Pool, SpecId};
use crate::environment::{CreateError, Environment};
use crate::spec::Spec;

/// Before another is made for one that ended early. Doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One that has lived for so long did not end because of its init.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// Environments of a function that are kept initialised, as long as this is held.
#[derive(Debug)]
#[must_use = "dropped, it ends what it keeps"]
pub struct Provisioned {
    inner: Weak<Inner>,
    /// By which invocations come.
    spec: Arc<Spec>,
    provision: Arc<Provision>,
}

/// What a handle, its keepers and their environments share.
#[derive(Debug)]
pub(crate) struct Provision {
    seats: watch::Sender<Seats>,
    /// By which environments are made.
    spec: Arc<Spec>,
}

/// What an environment has that is kept initialised.
#[derive(Debug)]
pub(crate) struct Seat {
    provision: Arc<Provision>,
    id: SeatId,
}

impl Pool {
    /// Keeps this many environments of a function initialised, until the handle is dropped, the spec is retired or the
    /// pool shuts down. Invocations prefer them, and overflow to others. There may be several handles for a spec, whose
    /// environments serve all of its invocations.
    ///
    /// They count as any; that there is room for them is for the caller to see to: [`Capacity::holds`](super::Capacity::holds).
    pub fn provision(&self, spec: &Arc<Spec>, count: usize) -> Provisioned {
        let provision =
            Arc::new(Provision { seats: watch::Sender::default(), spec: Arc::new(spec.provisioned()) });
        self.inner.enlist(spec, &provision);
        let handle = Provisioned { inner: Arc::downgrade(&self.inner), spec: Arc::clone(spec), provision };
        handle.request(count);
        handle
    }
}

impl Provisioned {
    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.provision.seats.borrow().progress()
    }

    /// Waits until it has come so far. Cancel-safe.
    pub async fn wait_for(&self, mut reached: impl FnMut(&Progress) -> bool) -> Progress {
        let mut seats = self.provision.seats.subscribe();
        match seats.wait_for(|seats| reached(&seats.progress())).await {
            Ok(seats) => seats.progress(),
            // Its sender is held by this handle.
            Err(_) => std::future::pending().await,
        }
    }

    /// From here on keeps this many: more are made, or those end that are not in use, and others after their invocations.
    /// A spec that was retired keeps none.
    pub fn request(&self, count: usize) {
        let Some(inner) = self.inner.upgrade() else { return };
        inner.request(&self.spec, &self.provision, count);
    }
}

impl Drop for Provisioned {
    fn drop(&mut self) {
        self.request(0);
    }
}

impl Provision {
    /// The seats change, and whoever waits is told.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Seats) -> T) -> Option<T> {
        let mut result = None;
        self.seats.send_modify(|seats| result = Some(change(seats)));
        result
    }

    /// Resolves when the seat is gone.
    async fn seat_gone(&self, id: SeatId) {
        // The sender is held by whoever waits here.
        let _ = self.seats.subscribe().wait_for(|seats| !seats.has(id)).await;
    }
}

impl Seat {
    /// By which its environment is made.
    pub(crate) fn spec(&self) -> &Arc<Spec> {
        &self.provision.spec
    }

    /// Whether its environment, which is not in use, is to go.
    pub(super) fn give_up_surplus(&self) -> bool {
        // Nearly always all are wanted, and nobody is to be woken.
        let has_surplus = {
            let seats = self.provision.seats.borrow();
            seats.has_surplus() || !seats.has(self.id)
        };
        has_surplus && self.provision.change(|seats| seats.give_up_surplus(self.id)).unwrap_or_default()
    }
}

impl Inner {
    /// A handle's number changes.
    fn request(self: &Arc<Self>, spec: &Arc<Spec>, provision: &Arc<Provision>, count: usize) {
        let (new, surplus) = {
            let mut shared = self.lock();
            let is_open = !shared.shutting_down && !shared.is_retired(spec);
            let new = provision.change(|seats| seats.request(if is_open { count } else { 0 }));
            let surplus = shared.take_surplus(SpecId::of(spec));
            if !surplus.is_empty() {
                shared.tell_of_room(None);
            }
            (new.unwrap_or_default(), surplus)
        };
        // Outside the lock: the end of an environment is no work to be done under it.
        drop(surplus);
        for seat in new {
            let keeper = Keeper {
                inner: Arc::downgrade(self),
                spec: Arc::clone(spec),
                provision: Arc::clone(provision),
                seat,
            };
            self.tasks.spawn(keeper.keep());
        }
    }

    /// The provision is known to the spec's entry, so that it ends with it.
    fn enlist(&self, spec: &Arc<Spec>, provision: &Arc<Provision>) {
        self.lock().environments_of(spec).provisions.push(Arc::downgrade(provision));
    }

    /// Gives a new environment to the order that has waited longest, or to whoever comes.
    fn open_provisioned(self: &Arc<Self>, environment: Arc<Environment>) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        let unwanted = shared.shutting_down
            || shared.is_retired(environment.spec())
            || environment.seat().is_some_and(Seat::give_up_surplus);
        if unwanted {
            drop(guard);
            self.give_up(environment);
            return;
        }
        let environments = shared.environments_of(environment.spec());
        match environments.waiting.pop_front() {
            Some((_, order)) => {
                let lease = self.lease(shared, &environment);
                drop(guard);
                lease.invoke(order);
            }
            None => environments.provisioned.push(Open { environment, since: Instant::now() }),
        }
    }

    /// Ends one that nobody uses. Its room is free before.
    fn give_up(&self, environment: Arc<Environment>) {
        {
            let mut shared = self.lock();
            environment.room().give_back(&mut shared.taken);
            shared.tell_of_room(None);
        }
        // Outside the lock: the end of an environment is no work to be done under it.
        drop(environment);
    }
}

/// Why a keeper could not make an environment.
enum NotKept {
    Full(Full),
    Create(CreateError),
    /// There is to be none.
    Over,
}

/// One that is being initialised, with the slots that those may wait for who come meanwhile.
struct Starting {
    environment: Arc<Environment>,
    promise: Promise,
}

struct Keeper {
    inner: Weak<Inner>,
    /// By which invocations come; held so that its address stays its own.
    spec: Arc<Spec>,
    provision: Arc<Provision>,
    seat: SeatId,
}

impl Keeper {
    async fn keep(self) {
        let mut pause = FIRST_PAUSE;
        while let Some(inner) = self.inner.upgrade() {
            let stop = inner.stop.clone();
            let began = Instant::now();
            let started = self.start(&inner).await;
            drop(inner);
            match started {
                Ok((starting, task)) => self.attend(starting, task, &stop).await,
                Err(NotKept::Over) => return,
                Err(NotKept::Full(full)) => self.failed(ProvisionFailure::NoRoom(full)),
                Err(NotKept::Create(error)) => {
                    tracing::warn!(
                        error = &error as &(dyn std::error::Error + 'static),
                        "a provisioned environment could not be made"
                    );
                    self.failed(ProvisionFailure::Host(error.to_string()));
                }
            }
            self.forget_ended();
            if self.provision.change(|seats| seats.vacate(self.seat)) != Some(true) {
                return;
            }
            if began.elapsed() >= LONG_LIFE {
                pause = FIRST_PAUSE;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stop.cancelled() => return,
                () = self.provision.seat_gone(self.seat) => return,
            }
        }
    }

    /// Makes one. Its task ends with it.
    async fn start(
        &self,
        inner: &Arc<Inner>,
    ) -> Result<(Starting, impl Future<Output = ()> + Send + 'static), NotKept> {
        let room = Room::take(inner, &self.spec).map_err(|error| match error {
            RoomError::Full(full) => NotKept::Full(full),
            RoomError::ShuttingDown | RoomError::Retired => NotKept::Over,
        })?;
        let slots = self.spec.slots();
        inner.lock().environments_of(&self.spec).promised += slots;
        let promise = Promise::new(inner, SpecId::of(&self.spec), slots);
        if self.provision.change(|seats| seats.take(self.seat)) != Some(true) {
            return Err(NotKept::Over);
        }
        let seat = Seat { provision: Arc::clone(&self.provision), id: self.seat };
        let (environment, task) = Environment::start(
            &self.spec,
            Some(seat),
            inner.site(),
            inner.output.clone(),
            room,
            &inner.said_shortfall,
        )
        .await
        .map_err(NotKept::Create)?;
        Ok((Starting { environment: Arc::new(environment), promise }, task))
    }

    /// Drives it to its end, opens it to invocations when it is initialised, and tells how that went.
    async fn attend(
        &self,
        starting: Starting,
        task: impl Future<Output = ()> + Send,
        stop: &CancellationToken,
    ) {
        let mut initialization = starting.environment.initialization();
        let mut starting = Some(starting);
        let mut task = std::pin::pin!(task);
        loop {
            tokio::select! {
                biased;
                changed = initialization.changed() => {
                    let result = initialization.borrow_and_update().clone();
                    match result {
                        Some(Ok(())) => {
                            self.provision.change(|seats| seats.initialised(self.seat));
                            self.settle(starting.take(), Inner::open_provisioned);
                        }
                        Some(Err(error_type)) => {
                            self.failed(ProvisionFailure::Init { error_type });
                            self.settle(starting.take(), |inner, environment| inner.give_up(environment));
                        }
                        None => {}
                    }
                    if changed.is_err() {
                        break;
                    }
                }
                () = &mut task => return,
                () = stop.cancelled(), if starting.is_some() => starting = None,
                () = self.unwanted(), if starting.is_some() => {
                    self.settle(starting.take(), |inner, environment| inner.give_up(environment));
                }
            }
        }
        task.await;
    }

    /// What has become of one that was being initialised. Those who wait for it are told then.
    fn settle(&self, starting: Option<Starting>, end: impl FnOnce(&Arc<Inner>, Arc<Environment>)) {
        if let Some(Starting { environment, promise }) = starting
            && let Some(inner) = self.inner.upgrade()
        {
            end(&inner, environment);
            drop(promise);
        }
    }

    /// Resolves when there are to be fewer, and this is one that goes.
    async fn unwanted(&self) {
        let mut seats = self.provision.seats.subscribe();
        loop {
            // The sender is held by whoever waits here.
            let _ = seats.wait_for(|seats| seats.has_surplus() || !seats.has(self.seat)).await;
            if self.provision.change(|seats| seats.give_up_surplus(self.seat)) == Some(true) {
                return;
            }
        }
    }

    fn failed(&self, failure: ProvisionFailure) {
        self.provision.change(|seats| seats.failed(self.seat, failure));
    }

    /// Takes those out of the pool that can take nothing any more, so that their room is free for what replaces them.
    fn forget_ended(&self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut shared = inner.lock();
        let Shared { functions, taken, .. } = &mut *shared;
        let Some(environments) = functions.get_mut(&SpecId::of(&self.spec)) else { return };
        let ended: Vec<_> =
            environments.provisioned.extract_if(.., |open| !open.environment.takes_invocation()).collect();
        for open in &ended {
            open.environment.room().give_back(taken);
        }
        drop(shared);
        drop(ended);
    }
}
