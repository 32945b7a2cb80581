//! How many environments are to be kept initialised, and how far that has come.
//!
//! ```text
//!  asked for ─► Vacant ─► Initializing ─► Initialised        a seat is kept by one keeper (`provisioned`) and taken
//!                 ▲            │               │             by one environment after the other
//!                 └────────────┴── it ended ───┘
//!  asked for fewer: vacant seats go now, others when their environments are not in use
//! ```
//!
//! Values and arithmetic only. A seat that is gone is never filled again, which is what its keeper ends by.

use std::collections::BTreeMap;

use super::capacity::Full;

/// Names a seat, once and for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeatId(u64);

/// All seats of one request for provisioned environments.
#[derive(Debug, Default)]
pub(super) struct Seats {
    requested: usize,
    next: u64,
    seats: BTreeMap<SeatId, Stage>,
    /// As many as were requested have been initialised at the same time.
    reached: bool,
    /// Since that was last so.
    failure: Option<ProvisionFailure>,
}

/// Who has a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Vacant,
    Initializing,
    Initialised,
}

/// How far provisioned concurrency has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Environments that are wanted.
    pub requested: usize,
    /// Those that are there, initialised or not.
    pub allocated: usize,
    /// Those that are initialised, busy or not.
    pub available: usize,
    /// Where that leads to.
    pub status: ProvisionStatus,
}

/// The status of provisioned concurrency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisionStatus {
    /// `IN_PROGRESS`: some have not been initialised yet.
    InProgress,
    /// `READY`: all were. One that ends later is replaced without a word, as long as that succeeds.
    Ready,
    /// `FAILED`: one could not be initialised. It is tried again, later and later.
    Failed(ProvisionFailure),
}

/// Why an environment could not be provisioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisionFailure {
    /// Its init failed, which AWS calls `FUNCTION_ERROR_INIT_FAILURE`.
    Init {
        /// Type of the error, such as `Runtime.ExitError`, or as the runtime reported it.
        error_type: String,
    },
    /// There is no room for it.
    NoRoom(Full),
    /// The host could not make it; why, for the log.
    Host(String),
}

impl Seats {
    /// From here on so many are wanted. Returns the seats that are new.
    pub(super) fn request(&mut self, count: usize) -> Vec<SeatId> {
        self.requested = count;
        let mut surplus = self.surplus();
        self.seats.retain(|_, stage| {
            let goes = surplus > 0 && *stage == Stage::Vacant;
            surplus -= usize::from(goes);
            !goes
        });
        let missing = count.saturating_sub(self.seats.len());
        let new: Vec<_> = (self.next..).take(missing).map(SeatId).collect();
        self.next += missing as u64;
        self.seats.extend(new.iter().map(|id| (*id, Stage::Vacant)));
        self.reached = false;
        self.note_reached();
        new
    }

    pub(super) fn has(&self, id: SeatId) -> bool {
        self.seats.contains_key(&id)
    }

    /// An environment is made for the seat, unless it is gone.
    pub(super) fn take(&mut self, id: SeatId) -> bool {
        self.set(id, Stage::Initializing)
    }

    pub(super) fn initialised(&mut self, id: SeatId) {
        self.set(id, Stage::Initialised);
        self.note_reached();
    }

    pub(super) fn failed(&mut self, id: SeatId, failure: ProvisionFailure) {
        let Some(stage) = self.seats.get_mut(&id) else { return };
        if *stage == Stage::Initialised {
            *stage = Stage::Initializing;
        }
        self.failure = Some(failure);
        // Enough others may be there.
        self.note_reached();
    }

    /// The seat's environment has ended. Whether there is to be another.
    pub(super) fn vacate(&mut self, id: SeatId) -> bool {
        !self.give_up_surplus(id) && self.set(id, Stage::Vacant)
    }

    /// Whether the seat's environment, which is not in use, is to go; then the seat is gone.
    pub(super) fn give_up_surplus(&mut self, id: SeatId) -> bool {
        if self.surplus() > 0 {
            self.seats.remove(&id);
            self.note_reached();
        }
        !self.has(id)
    }

    pub(super) fn progress(&self) -> Progress {
        let count = |stage| self.seats.values().filter(|other| **other == stage).count();
        let status = match (&self.failure, self.reached) {
            (Some(failure), _) => ProvisionStatus::Failed(failure.clone()),
            (None, true) => ProvisionStatus::Ready,
            (None, false) => ProvisionStatus::InProgress,
        };
        Progress {
            requested: self.requested,
            allocated: self.seats.len() - count(Stage::Vacant),
            available: count(Stage::Initialised),
            status,
        }
    }

    /// Whether there are more than are wanted.
    pub(super) fn has_surplus(&self) -> bool {
        self.surplus() > 0
    }

    fn surplus(&self) -> usize {
        self.seats.len().saturating_sub(self.requested)
    }

    fn set(&mut self, id: SeatId, stage: Stage) -> bool {
        self.seats.get_mut(&id).map(|present| *present = stage).is_some()
    }

    fn note_reached(&mut self) {
        let initialised = self.seats.values().filter(|stage| **stage == Stage::Initialised).count();
        if initialised >= self.requested {
            self.reached = true;
            self.failure = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure() -> ProvisionFailure {
        ProvisionFailure::Init { error_type: "Runtime.ExitError".into() }
    }

    #[track_caller]
    fn check(seats: &Seats, counts: [usize; 3], status: ProvisionStatus) {
        let [requested, allocated, available] = counts;
        assert_eq!(seats.progress(), Progress { requested, allocated, available, status });
    }

    #[test]
    fn ready_when_all_are_initialised_and_while_one_is_replaced() {
        let mut seats = Seats::default();
        let ids = seats.request(2);
        check(&seats, [2, 0, 0], ProvisionStatus::InProgress);
        assert!(seats.take(ids[0]) && seats.take(ids[1]));
        seats.initialised(ids[0]);
        check(&seats, [2, 2, 1], ProvisionStatus::InProgress);
        seats.initialised(ids[1]);
        check(&seats, [2, 2, 2], ProvisionStatus::Ready);
        assert!(seats.vacate(ids[0]));
        check(&seats, [2, 1, 1], ProvisionStatus::Ready);
    }

    #[test]
    fn failed_until_all_are_initialised() {
        let mut seats = Seats::default();
        let ids = seats.request(2);
        seats.take(ids[0]);
        seats.failed(ids[0], failure());
        assert!(seats.vacate(ids[0]));
        check(&seats, [2, 0, 0], ProvisionStatus::Failed(failure()));
        for id in ids {
            seats.take(id);
            seats.initialised(id);
        }
        check(&seats, [2, 2, 2], ProvisionStatus::Ready);
    }

    #[test]
    fn fewer_are_reached_by_those_that_are_not_in_use() {
        let mut seats = Seats::default();
        let ids = seats.request(4);
        for id in &ids[..3] {
            seats.take(*id);
            seats.initialised(*id);
        }
        assert!(seats.request(2).is_empty());
        assert!(!seats.has(ids[3]), "vacant");
        check(&seats, [2, 3, 3], ProvisionStatus::Ready);
        assert!(seats.give_up_surplus(ids[1]));
        assert!(!seats.give_up_surplus(ids[0]), "two are wanted");
        assert!(!seats.vacate(ids[1]), "its keeper ends");
        let more = seats.request(3);
        assert_eq!(more.len(), 1);
        assert!(!ids.contains(&more[0]));
        check(&seats, [3, 2, 2], ProvisionStatus::InProgress);
    }

    proptest! {
        /// Whatever happens, as many are kept as are wanted: by those that do their part, and no keeper more.
        #[test]
        fn there_are_as_many_as_are_wanted(steps in proptest::collection::vec((0u8..6, 0usize..6), 1..80)) {
            let mut seats = Seats::default();
            let mut keepers = seats.request(1);
            for (step, which) in steps {
                match (step, keepers.get(which).copied()) {
                    (0, _) => keepers.extend(seats.request(which)),
                    (1, Some(id)) => drop(seats.take(id)),
                    (2, Some(id)) => seats.initialised(id),
                    (3, Some(id)) => seats.failed(id, failure()),
                    (4, Some(id)) => drop(seats.give_up_surplus(id)),
                    (_, Some(id)) => drop(seats.vacate(id)),
                    (_, None) => {}
                }
                keepers.retain(|id| seats.has(*id));
                let progress = seats.progress();
                prop_assert!(keepers.len() >= progress.requested);
                prop_assert!(progress.available <= progress.allocated && progress.allocated <= keepers.len());
                if progress.available >= progress.requested {
                    prop_assert_eq!(&progress.status, &ProvisionStatus::Ready);
                }
            }
            let requested = seats.progress().requested;
            keepers.retain(|id| seats.vacate(*id));
            prop_assert_eq!(keepers.len(), requested);
        }
    }
}
