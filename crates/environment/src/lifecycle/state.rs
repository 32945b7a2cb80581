//! Where an environment stands.
//!
//! The values that [`step`](super::step) goes from one to another of. Everything here is plain data that can be
//! compared; what may follow what is in the files beside this one.

use std::sync::Arc;

use uuid::Uuid;

use super::event::{AnswerKind, Refusal};
use super::{Extensions, ending};

/// Where an environment stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// Where in its life.
    pub phase: Phase,
    /// Who else takes part.
    pub extensions: Extensions,
    /// The runtime's process was started and has not ended.
    pub runtime_runs: bool,
}

/// Where in its life an environment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Made, nothing started.
    New,
    /// Processes were started, and not everybody has asked for an event.
    Initializing(Initializing),
    /// Everybody waits for an event.
    Idle,
    /// An event was handed out, and not everybody has asked for another.
    Invoking(Invoking),
    /// Every process is being ended.
    Ending(Ending),
    /// No process runs. The next invocation starts the runtime inside itself.
    Cold,
    /// Over. Nothing leads out of here.
    Terminated,
}

/// An init that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Initializing {
    /// On whose time.
    pub purpose: Purpose,
    /// How far it has come.
    pub stage: InitStage,
}

/// On whose time an init runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The init phase proper, bounded by its own limit, before any invocation's clock runs.
    InitPhase {
        /// The invocation for which the environment was made, if it has been told of one.
        waiting: Option<Uuid>,
    },
    /// Init again, inside an invocation and under its deadline.
    Suppressed {
        /// That invocation.
        invocation: Uuid,
    },
}

/// How far an init has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitStage {
    /// External extensions were started and have not all registered.
    Extensions,
    /// The runtime was started and has not asked for anything.
    Runtime,
    /// The runtime waits; not every extension does.
    Barrier {
        /// It waits for a restore and not for an event.
        restore: bool,
    },
    /// It was told that it has been restored, and runs its hooks.
    Restoring,
    /// It reported that it failed, and has a moment to end on its own: to log, to flush what it holds.
    Reported(Report),
}

/// What a runtime reported before its first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Report {
    /// `init/error`
    Init,
    /// `restore/error`, or `init/error` after a restore.
    Restore,
}

/// An invocation that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Invoking {
    /// Its request id.
    pub invocation: Uuid,
    /// How far it has come.
    pub stage: Stage,
}

/// How far an invocation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// The runtime has the event.
    Running,
    /// It has begun to post a result, whose body is being read. If its process ends meanwhile, its last words
    /// are heard out first.
    Answering(AnswerKind),
    /// Its result is with the caller.
    Answered,
    /// The runtime asked for the next event; not every extension did.
    Extensions,
}

/// The end of all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ending {
    /// What comes after it.
    pub then: Then,
    /// How far it has come.
    pub step: ending::Step,
}

/// What comes after all processes were ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Then {
    /// The environment goes on, with its `/tmp`.
    Reset {
        /// An invocation that waits for the reset: it initialises the runtime inside itself.
        waiting: Option<Uuid>,
    },
    /// It does not.
    Stop,
}

impl State {
    /// An environment in which these files are started as extensions.
    #[must_use]
    pub fn new(extension_files: Arc<[Arc<str>]>) -> Self {
        State { phase: Phase::New, extensions: Extensions::of_files(extension_files), runtime_runs: false }
    }

    /// Whether an invocation may be handed over.
    #[must_use]
    pub fn takes_invocation(&self) -> bool {
        matches!(
            self.phase,
            Phase::Initializing(Initializing { purpose: Purpose::InitPhase { waiting: None }, .. })
                | Phase::Idle
                | Phase::Ending(Ending { then: Then::Reset { waiting: None }, .. })
                | Phase::Cold
        )
    }

    /// The runtime's state by the name that the Runtime API's refusals print.
    pub(super) fn runtime_name(&self) -> &'static str {
        match self.phase {
            Phase::New => "Started",
            Phase::Initializing(Initializing { stage, .. }) => match stage {
                InitStage::Extensions | InitStage::Runtime => "Started",
                InitStage::Barrier { restore: false } => "Ready",
                InitStage::Barrier { restore: true } => "RestoreReady",
                InitStage::Restoring => "Restoring",
                InitStage::Reported(Report::Init) => "InitError",
                InitStage::Reported(Report::Restore) => "RuntimeRestoreErrorState",
            },
            Phase::Idle => "Ready",
            Phase::Invoking(Invoking { stage, .. }) => match stage {
                Stage::Running => "Running",
                Stage::Answering(kind) => kind.state_name(),
                Stage::Answered => "RuntimeResponseSentState",
                Stage::Extensions => "Ready",
            },
            // The process that still speaks is on its way out. AWS's emulator knows no name for this.
            Phase::Ending(_) | Phase::Cold | Phase::Terminated => "InitError",
        }
    }

    pub(super) fn refuse_transition(&self, to: &'static str) -> Refusal {
        Refusal::Transition { from: self.runtime_name(), to }
    }

    /// The invocation whose id the guest may name: one that was delivered and is not over.
    pub(super) fn delivered(&self) -> Option<Uuid> {
        match self.phase {
            Phase::Invoking(invoking) => Some(invoking.invocation),
            _ => None,
        }
    }

    pub(super) fn initializing(&self) -> Option<Initializing> {
        match self.phase {
            Phase::Initializing(initializing) => Some(initializing),
            _ => None,
        }
    }
}
