//! Where an environment that takes several invocations at a time stands: plain data.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::event::Refusal;
use crate::lifecycle::extensions::Extensions;
use crate::lifecycle::{AnswerKind, ending};

/// Ids that ran out of time and are remembered, so that a late answer is told apart from a wrong one.
const REMEMBERED: usize = 1000;

/// Where an environment stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Where in its life.
    pub phase: Phase,
    /// Who else takes part.
    pub extensions: Extensions,
    /// The runtime's process was started and has not ended.
    pub runtime_runs: bool,
    /// How many invocations it takes at a time.
    pub slots: usize,
    /// How many `next` wait.
    pub idle: usize,
    /// Invocations without a `next`, in their order.
    pub waiting: VecDeque<Uuid>,
    /// Invocations that the runtime has.
    pub running: BTreeMap<Uuid, Stage>,
    /// Invocations that ran out of time while the runtime had them, and that it has not answered since; the latest last.
    pub timed_out: VecDeque<Uuid>,
}

/// Where in its life an environment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Made, nothing started.
    New,
    /// Not everybody has asked for an event.
    Initializing(InitStage),
    /// Invocations are handed out.
    Serving,
    /// Every process is being ended.
    Ending(ending::Step),
    /// Over.
    Terminated,
}

/// How far an init has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitStage {
    /// External extensions were started and have not all registered.
    Extensions,
    /// The runtime was started and has not asked for an event.
    Runtime,
    /// It has; not every extension did.
    Barrier,
    /// The runtime reported that it failed, and has a moment to end on its own.
    Reported,
}

/// How far the runtime has come with an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It has the event.
    Running,
    /// It has begun to post a result, whose body is being read.
    Answering(AnswerKind),
}

impl State {
    /// An environment of this many slots, in which these files are started as extensions.
    #[must_use]
    pub fn new(slots: usize, extension_files: Arc<[Arc<str>]>) -> Self {
        State {
            phase: Phase::New,
            extensions: Extensions::of_files(extension_files),
            runtime_runs: false,
            slots,
            idle: 0,
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            timed_out: VecDeque::new(),
        }
    }

    /// Whether it makes sense to hand over an invocation: nothing hinders it, and a slot is free. One whose invocation
    /// ran out of time is held until the runtime answers all the same, or asks for more than it has left.
    #[must_use]
    pub fn takes_invocation(&self) -> bool {
        let (waiting, running) = (self.waiting.len(), self.running.len());
        let free = waiting < self.idle || waiting + running + self.timed_out.len() < self.slots;
        self.serves() && waiting + running < self.slots && free
    }

    /// Whether invocations are accepted at all.
    pub(super) fn serves(&self) -> bool {
        matches!(self.phase, Phase::Initializing(_) | Phase::Serving)
    }

    pub(super) fn knows(&self, id: Uuid) -> bool {
        self.running.contains_key(&id) || self.waiting.contains(&id)
    }

    pub(super) fn remember(&mut self, id: Uuid) {
        if self.timed_out.len() == REMEMBERED {
            self.timed_out.pop_front();
        }
        self.timed_out.push_back(id);
    }

    pub(super) fn refuse_transition(&self, to: &'static str) -> Refusal {
        let from = match self.phase {
            Phase::New | Phase::Initializing(InitStage::Extensions | InitStage::Runtime) => "Started",
            Phase::Initializing(InitStage::Reported) => "InitError",
            Phase::Initializing(InitStage::Barrier) | Phase::Serving => "Ready",
            Phase::Ending(_) | Phase::Terminated => "InitError",
        };
        Refusal::Transition { from, to }
    }
}
