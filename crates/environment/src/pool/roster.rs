//! The pool's books: which environments there are, which are open to invocations, who waits.
//!
//! Everything here is done by one who holds the pool's lock, so an [`Environment`] is never dropped here but handed out:
//! its end is no work to be done under a lock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::time::Instant;
use uuid::Uuid;

use super::{SpecId, Ticket};
use crate::environment::Environment;
use crate::invocation::Order;

/// All there is, over all functions.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) functions: HashMap<SpecId, Environments>,
    /// How many environments are held, open ones and those in leases alone.
    pub(super) count: usize,
    /// Those in leases.
    pub(super) leased: HashMap<Uuid, Leased>,
    pub(super) next_ticket: Ticket,
    pub(super) shutting_down: bool,
}

/// An environment that is in use.
#[derive(Debug)]
pub(super) struct Leased {
    /// For a shutdown that cannot wait for it.
    pub(super) environment: Weak<Environment>,
    /// How many are out.
    pub(super) leases: usize,
}

/// The environments of one spec.
#[derive(Debug, Default)]
pub(super) struct Environments {
    /// With a free slot; most recently used last.
    pub(super) open: Vec<Open>,
    /// Likewise, of those that were asked for ahead.
    pub(super) provisioned: Vec<Open>,
    /// Slots that environments will have which are being made, beside those that they are made for.
    pub(super) promised: usize,
    /// How many have answered and are about to be idle.
    pub(super) finishing: usize,
    /// Orders that wait, first come first served.
    pub(super) waiting: VecDeque<(Ticket, Order)>,
}

/// An environment that may be given out.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) environment: Arc<Environment>,
    /// When a lease came back last.
    pub(super) since: Instant,
}

/// The most recently used open environment that can take an invocation. It stays in the list if it has a slot beyond the
/// one that is taken. Those that can take none and are not in use are put aside.
pub(super) fn take_open(
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
    pub(super) fn note_returned(&mut self, id: Uuid) -> bool {
        let Some(leased) = self.leased.get_mut(&id) else { return false };
        leased.leases -= 1;
        let in_use = leased.leases > 0;
        if !in_use {
            self.leased.remove(&id);
        }
        in_use
    }

    /// The idle environment that was unused longest, over all functions.
    pub(super) fn oldest_idle(&mut self) -> Option<Arc<Environment>> {
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
    pub(super) fn tell_of_room(&mut self, except: Option<SpecId>) {
        let others = self.functions.iter_mut().filter(|(id, _)| Some(**id) != except);
        let mut orders = others.flat_map(|(_, environments)| &mut environments.waiting);
        if let Some(room) = orders.find_map(|(_, order)| order.room.take_if(|room| !room.is_closed())) {
            let _ = room.send(());
        }
    }

    /// The order with this ticket, unless an environment has taken it.
    pub(super) fn take_back(&mut self, id: SpecId, ticket: Ticket) -> Option<Order> {
        let waiting = &mut self.functions.get_mut(&id)?.waiting;
        let index = waiting.iter().position(|(other, _)| *other == ticket)?;
        waiting.remove(index).map(|(_, order)| order)
    }

    /// Takes out what has been idle since before `limit`, and forgets functions that have nothing left.
    pub(super) fn expire(&mut self, limit: Instant) -> Vec<Open> {
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
    pub(super) fn wake_waiting(&mut self) {
        for room in self.waiting.iter_mut().filter_map(|(_, order)| order.room.take()) {
            let _ = room.send(());
        }
    }
}
