//! The pool's books: which environments there are, which are open to invocations, who waits.
//!
//! Everything here is done by one who holds the pool's lock, so an [`Environment`] is never dropped here but handed out:
//! its end is no work to be done under a lock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::time::Instant;
use uuid::Uuid;

use super::capacity::{Capacity, Full, Occupied};
use super::provisioned::{Provision, Seat};
use super::{SpecId, Ticket};
use crate::environment::Environment;
use crate::invocation::{Bell, Order};
use crate::spec::Spec;

/// All there is, over all functions.
#[derive(Debug)]
pub(super) struct Shared {
    /// The most that may be taken.
    capacity: Capacity,
    pub(super) functions: HashMap<SpecId, Environments>,
    /// What environments take up that are held, open ones and those in leases alike.
    pub(super) taken: Occupied,
    /// Those in leases.
    pub(super) leased: HashMap<Uuid, Leased>,
    pub(super) next_ticket: Ticket,
    pub(super) shutting_down: bool,
    /// When it was last said that callers are throttled.
    pub(super) said_full: Option<Instant>,
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
#[derive(Debug)]
pub(super) struct Environments {
    /// Keeps its address from being another's for as long as this is here.
    spec: Weak<Spec>,
    /// There are to be none. Remembered until nobody has the spec any more who could ask for one.
    retired: bool,
    /// What is to be kept initialised.
    pub(super) provisions: Vec<Weak<Provision>>,
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
    taken: &mut Occupied,
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
            environment.room().give_back(taken);
            unusable.push(open.remove(index));
        }
    }
    None
}

impl Shared {
    pub(super) fn new(capacity: Capacity) -> Self {
        Shared {
            capacity,
            functions: HashMap::new(),
            taken: Occupied::default(),
            leased: HashMap::new(),
            next_ticket: 0,
            shutting_down: false,
            said_full: None,
        }
    }

    /// Those of this spec.
    pub(super) fn environments_of(&mut self, spec: &Arc<Spec>) -> &mut Environments {
        self.functions.entry(SpecId::of(spec)).or_insert_with(|| Environments::of(spec))
    }

    pub(super) fn is_retired(&self, spec: &Arc<Spec>) -> bool {
        self.functions.get(&SpecId::of(spec)).is_some_and(|environments| environments.retired)
    }

    /// From here on there are to be none of this spec. Those that are not in use are the caller's to drop, as are orders
    /// that nobody waits for any more; others who wait are told.
    pub(super) fn retire(&mut self, spec: &Arc<Spec>) -> (Vec<Open>, Vec<Order>) {
        let environments = self.environments_of(spec);
        environments.retired = true;
        for provision in environments.provisions.drain(..).filter_map(|provision| provision.upgrade()) {
            provision.change(|seats| seats.request(0));
        }
        let is_abandoned = |order: &Order| order.answer.as_ref().is_none_or(|caller| caller.is_closed());
        let mut abandoned = Vec::new();
        for (ticket, order) in std::mem::take(&mut environments.waiting) {
            if is_abandoned(&order) {
                abandoned.push(order);
            } else {
                environments.waiting.push_back((ticket, order));
            }
        }
        environments.wake_waiting();
        let listed: Vec<_> = environments.open.drain(..).chain(environments.provisioned.drain(..)).collect();
        for open in &listed {
            // One that is in use gives its room back when it comes back.
            if is_idle(open, &self.leased) {
                open.environment.room().give_back(&mut self.taken);
            }
        }
        self.tell_of_room(None);
        (listed, abandoned)
    }

    /// Takes out what is kept initialised beyond what is wanted, and not in use.
    pub(super) fn take_surplus(&mut self, id: SpecId) -> Vec<Open> {
        let Shared { functions, leased, taken, .. } = self;
        let Some(environments) = functions.get_mut(&id) else { return Vec::new() };
        let is_surplus = |open: &mut Open| {
            is_idle(open, leased) && open.environment.seat().is_some_and(Seat::give_up_surplus)
        };
        let surplus: Vec<_> = environments.provisioned.extract_if(.., is_surplus).collect();
        for open in &surplus {
            open.environment.room().give_back(taken);
        }
        surplus
    }

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

    /// Takes room, if need be that of idle environments, unused longest first, over all functions. Those are the caller's
    /// to drop.
    pub(super) fn take_room(&mut self, wanted: Occupied) -> Result<Vec<Arc<Environment>>, Full> {
        let mut evicted = Vec::new();
        if self.capacity.check(self.taken, wanted).is_err() {
            let (ids, sizes): (Vec<_>, Vec<_>) = self.idle().into_iter().unzip();
            let count = self.capacity.evictions(self.taken, wanted, &sizes)?;
            let (functions, going) = (&mut self.functions, &ids[..count]);
            for environments in functions.values_mut() {
                let is_going = |open: &mut Open| going.contains(&open.environment.id());
                evicted.extend(environments.open.extract_if(.., is_going).map(|open| open.environment));
            }
            for environment in &evicted {
                environment.room().give_back(&mut self.taken);
            }
        }
        self.taken += wanted;
        Ok(evicted)
    }

    /// What can be ended to make room, unused longest first.
    fn idle(&self) -> Vec<(Uuid, Occupied)> {
        let open = self.functions.values().flat_map(|environments| &environments.open);
        let mut idle: Vec<&Open> = open.filter(|open| is_idle(open, &self.leased)).collect();
        idle.sort_by_key(|open| open.since);
        idle.iter().map(|open| (open.environment.id(), open.environment.room().occupied())).collect()
    }

    /// Tells the first who waits for an environment of another function than `except`, and for whom there is room or can be
    /// made: idle ones were put back, or have ended. When that one has taken its room, the next is told.
    pub(super) fn tell_of_room(&mut self, except: Option<SpecId>) {
        let is_other = |id: SpecId| Some(id) != except;
        let bells = self
            .functions
            .iter()
            .filter(|(id, _)| is_other(**id))
            .flat_map(|(_, environments)| environments.bells());
        // Nearly always nobody does, and to count what is idle takes longer.
        if bells.filter_map(Bell::wants_room).next().is_none() {
            return;
        }
        let mut busy = self.taken;
        for (_, idle) in self.idle() {
            busy -= idle;
        }
        let Shared { functions, capacity, .. } = self;
        let fits = |bell: &mut Box<Bell>| {
            bell.wants_room().is_some_and(|wanted| capacity.check(busy, wanted).is_ok())
        };
        let others = functions.iter_mut().filter(|(id, _)| is_other(**id));
        let mut orders = others.flat_map(|(_, environments)| &mut environments.waiting);
        if let Some(bell) = orders.find_map(|(_, order)| order.bell.take_if(fits)) {
            bell.ring();
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
            environments.provisions.retain(|provision| provision.strong_count() > 0);
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
    pub(super) fn of(spec: &Arc<Spec>) -> Self {
        Environments {
            spec: Arc::downgrade(spec),
            retired: false,
            provisions: Vec::new(),
            open: Vec::new(),
            provisioned: Vec::new(),
            promised: 0,
            finishing: 0,
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired
    }

    fn is_forgettable(&self) -> bool {
        let is_known = self.retired && self.spec.strong_count() > 0;
        !is_known
            && self.provisions.is_empty()
            && self.open.is_empty()
            && self.provisioned.is_empty()
            && self.promised == 0
            && self.finishing == 0
            && self.waiting.is_empty()
    }

    /// Of those who wait and have not been told.
    fn bells(&self) -> impl Iterator<Item = &Bell> {
        self.waiting.iter().filter_map(|(_, order)| order.bell.as_deref())
    }

    /// Tells all who wait that it may be in vain.
    pub(super) fn wake_waiting(&mut self) {
        for bell in self.waiting.iter_mut().filter_map(|(_, order)| order.bell.take()) {
            bell.ring();
        }
    }
}
