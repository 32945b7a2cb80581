//! Whose turn it is: fair between lanes, bounded in all, and patient with a lane that is throttled.
//!
//! A lane is the tasks of one function, or those for one destination. Of each only a few upcoming ids are known here; the
//! rest stays in the file.
//!
//! ```text
//!             due                    its turn
//!  Waiting ────────► Ready ──────────────────────► a task runs; the lane goes to the back of the queue, waits
//!     ▲                                              for the next to be due, or is Blocked
//!     └── Blocked: all that it has runs, or as much of it as may ◄──┘
//! ```
//!
//! Each lane has a window of tasks that may run at a time. A task that was throttled closes it to what runs already;
//! tasks that ran open it again one by one. If nothing of the lane runs, it rests for a moment, then one task is tried:
//! a hundred thousand events of a throttled function cost one try a second, and other functions nothing.
//!
//! Synchronous, without a clock; the writer owns it and tells it of every committed change.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// How many ids a lane looks ahead, beside those that run.
const AHEAD: usize = 64;

/// What a finished task tells its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passage {
    /// There was room for it.
    Free,
    /// There was none; if nothing else runs, the lane rests until then.
    Throttled { rest_until_ms: u64 },
}

/// The lanes of one stage.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// Tasks that may run at a time, in all.
    slots: usize,
    running: usize,
    /// All that are kept, in all lanes.
    tasks: usize,
    lanes: HashMap<Arc<str>, Lane>,
    /// In the order of their turns. A name whose lane is not at `Place::Ready` is passed over.
    ready: VecDeque<Arc<str>>,
    /// By the moment at which they may be ready.
    waiting: BTreeSet<(u64, Arc<str>)>,
}

#[derive(Debug)]
struct Lane {
    /// All that are kept, the running included.
    tasks: usize,
    running: HashSet<i64>,
    /// The first of those that do not run, by due moment: a prefix, or nothing if it must be looked up.
    upcoming: VecDeque<(u64, i64)>,
    /// How many may run at a time.
    window: usize,
    /// Tasks that found room since the window changed.
    passed: usize,
    rest_until_ms: u64,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Ready,
    Waiting(u64),
    Blocked,
}

impl Lanes {
    pub(crate) fn new(slots: usize) -> Self {
        Lanes {
            slots: slots.max(1),
            running: 0,
            tasks: 0,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// What a lane has at a start, none of it running.
    pub(crate) fn restore(&mut self, name: &str, tasks: usize, due_ms: u64) {
        for _ in 0..tasks {
            self.added(name, due_ms);
        }
    }

    /// One more task.
    pub(crate) fn added(&mut self, name: &str, due_ms: u64) {
        let widest = self.widest();
        let name = match self.lanes.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let lane = self.lanes.entry(Arc::clone(&name)).or_insert_with(|| Lane::new(widest));
        lane.tasks += 1;
        lane.expect_due(due_ms);
        self.tasks += 1;
        self.hasten(&name, due_ms);
    }

    /// The next task that may run at this moment, which counts as running from now on. `look_up` reads the first due
    /// moments and ids of a lane, at most so many.
    pub(crate) fn next<E>(
        &mut self,
        now_ms: u64,
        mut look_up: impl FnMut(&str, usize) -> Result<Vec<(u64, i64)>, E>,
    ) -> Result<Option<i64>, E> {
        if self.running >= self.slots {
            return Ok(None);
        }
        while self.waiting.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            let (_, name) = self.waiting.pop_first().expect("it has a first");
            self.lanes.get_mut(&name).expect("a lane that waits is there").place = Place::Ready;
            self.ready.push_back(name);
        }
        while let Some(name) = self.ready.pop_front() {
            let Some(lane) = self.lanes.get_mut(&name).filter(|lane| lane.place == Place::Ready) else {
                continue;
            };
            lane.place = Place::Blocked;
            if lane.is_full() {
                continue;
            }
            if lane.upcoming.is_empty() {
                let first = match look_up(&name, lane.running.len() + AHEAD) {
                    Ok(first) => first,
                    Err(error) => {
                        self.put(&name, Place::Ready);
                        return Err(error);
                    }
                };
                lane.upcoming = first.into_iter().filter(|(_, id)| !lane.running.contains(id)).collect();
            }
            let Some(&(due_ms, id)) = lane.upcoming.front() else { continue };
            let due_ms = due_ms.max(lane.rest_until_ms);
            if due_ms > now_ms {
                self.put(&name, Place::Waiting(due_ms));
                continue;
            }
            lane.upcoming.pop_front();
            lane.running.insert(id);
            self.running += 1;
            match lane.soonest_ms() {
                Some(at_ms) if at_ms <= now_ms => self.put(&name, Place::Ready),
                Some(at_ms) => self.put(&name, Place::Waiting(at_ms)),
                None => {}
            }
            return Ok(Some(id));
        }
        Ok(None)
    }

    /// A running task has left the queue, or stays in it and is due again at that moment.
    pub(crate) fn finished(&mut self, name: &str, id: i64, due_again_ms: Option<u64>, passage: Passage) {
        let widest = self.widest();
        let Some((name, _)) = self.lanes.get_key_value(name) else { return };
        let name = Arc::clone(name);
        let lane = self.lanes.get_mut(&name).expect("it was looked up");
        if !lane.running.remove(&id) {
            return;
        }
        self.running -= 1;
        lane.adapt(passage, widest);
        match due_again_ms {
            // The only one that does not run: nothing needs to be looked up.
            Some(due_ms) if lane.tasks == lane.running.len() + 1 => lane.upcoming = [(due_ms, id)].into(),
            Some(due_ms) => lane.expect_due(due_ms),
            None => {
                lane.tasks -= 1;
                self.tasks -= 1;
            }
        }
        if lane.tasks == 0 {
            let place = lane.place;
            self.lanes.remove(&name);
            if let Place::Waiting(at_ms) = place {
                self.waiting.remove(&(at_ms, name));
            }
        } else if let Some(at_ms) = lane.soonest_ms() {
            self.hasten(&name, at_ms);
        }
    }

    /// When the next task may run, if slots are free; a moment in the past means now.
    pub(crate) fn wake_ms(&self) -> Option<u64> {
        if self.running >= self.slots {
            return None;
        }
        if self.ready.is_empty() { self.waiting.first().map(|(at_ms, _)| *at_ms) } else { Some(0) }
    }

    /// Kept tasks, the running included.
    pub(crate) fn tasks(&self) -> usize {
        self.tasks
    }

    /// No lane has more than half of all slots, so that one whose tasks take long leaves some to the others.
    fn widest(&self) -> usize {
        self.slots.div_ceil(2)
    }

    /// The lane may be ready at this moment, if not sooner.
    fn hasten(&mut self, name: &Arc<str>, due_ms: u64) {
        let lane = &self.lanes[name];
        let at_ms = due_ms.max(lane.rest_until_ms);
        match lane.place {
            Place::Ready => {}
            Place::Blocked if lane.is_full() => {}
            Place::Waiting(before_ms) if before_ms <= at_ms => {}
            Place::Waiting(_) | Place::Blocked => self.put(name, Place::Waiting(at_ms)),
        }
    }

    fn put(&mut self, name: &Arc<str>, place: Place) {
        let lane = self.lanes.get_mut(name).expect("only lanes that are there are put anywhere");
        if let Place::Waiting(at_ms) = lane.place {
            self.waiting.remove(&(at_ms, Arc::clone(name)));
        }
        lane.place = place;
        match place {
            Place::Ready => self.ready.push_back(Arc::clone(name)),
            Place::Waiting(at_ms) => drop(self.waiting.insert((at_ms, Arc::clone(name)))),
            Place::Blocked => {}
        }
    }
}

impl Lane {
    fn new(window: usize) -> Self {
        Lane {
            tasks: 0,
            running: HashSet::new(),
            upcoming: VecDeque::new(),
            window,
            passed: 0,
            rest_until_ms: 0,
            place: Place::Blocked,
        }
    }

    fn is_full(&self) -> bool {
        self.running.len() >= self.window
    }

    /// A task is due then that may belong among the upcoming ones: they are looked up again unless it comes after them.
    fn expect_due(&mut self, due_ms: u64) {
        if self.upcoming.back().is_some_and(|(last_ms, _)| due_ms < *last_ms) {
            self.upcoming.clear();
        }
    }

    /// When it may be this lane's turn, as far as is known: at once where its upcoming tasks must be looked up first.
    fn soonest_ms(&self) -> Option<u64> {
        if self.is_full() || self.tasks == self.running.len() {
            return None;
        }
        let due_ms = self.upcoming.front().map_or(0, |(due_ms, _)| *due_ms);
        Some(due_ms.max(self.rest_until_ms))
    }

    fn adapt(&mut self, passage: Passage, widest: usize) {
        match passage {
            Passage::Free => {
                self.passed += 1;
                if self.passed >= self.window {
                    self.passed = 0;
                    self.window = (self.window + 1).min(widest);
                }
            }
            Passage::Throttled { rest_until_ms } => {
                self.passed = 0;
                self.window = self.window.min(self.running.len()).max(1);
                if self.running.is_empty() {
                    self.rest_until_ms = self.rest_until_ms.max(rest_until_ms);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
