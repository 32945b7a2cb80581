//! The rules of an execution environment that takes several invocations at a time (Lambda Managed Instances).
//!
//! ```text
//!  New ─ Start ─► Initializing ─ all asked ─► Serving ─ Shutdown, or anything fails ─► Ending ─ Emptied ─► Terminated
//!                                              │ ▲
//!                             Invoke, next ────┘ └──── answer read, deadline
//! ```
//!
//! Beside [`crate::lifecycle`], not inside it: here a waiting `next` is a slot and not a state, an invocation is found
//! by its id and over when its answer is, its timeout ends nothing else, and an environment of which a process ends
//! is not reset but given up. Extensions and the steps of an end are the same, see [`crate::lifecycle::extensions`] and
//! [`crate::lifecycle::ending`]; extensions may not ask for invocations.
//!
//! Synchronous and total like its sister; called by the driver beside it and by nobody else.
//!
//! Matched behaviour: the published managed-instances core. A second `/response` and an unknown id are refused with
//! 400, an id that ran out of time with 410.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal, ShutdownReason};
use uuid::Uuid;

use crate::lifecycle::ending::{self, Action};
use crate::lifecycle::extensions::{self, Extensions, Index};
use crate::lifecycle::{AnswerKind, ExtensionFailure, Failure, InitResult};

/// Ids that ran out of time and are remembered, so that a late answer is told apart from a wrong one.
const REMEMBERED: usize = 1600;

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
    /// Invocations that ran out of time, the latest last.
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
}

/// How far the runtime has come with an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It has the event.
    Running,
    /// It has begun to post a result, whose body is being read.
    Answering(AnswerKind),
}

/// What can happen to an environment. As in [`crate::lifecycle::Event`], but for deadlines, which are those of single
/// invocations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The pool wants the environment to come up.
    Start,
    /// The pool hands over an invocation.
    Invoke(Uuid),
    /// The runtime asked for an event.
    NextCalled,
    /// A call for an event is found to have gone.
    NextGone,
    /// The runtime began to post a result.
    AnswerBegun(Option<Uuid>, AnswerKind),
    /// The body of that result came to its end.
    AnswerEnded(Uuid),
    /// The runtime reported that its init failed.
    InitErrorPosted,
    /// An extension registers.
    Register {
        /// Its name.
        name: Arc<str>,
        /// Whether it wants to be told of invocations, which is refused.
        invoke: bool,
        /// Whether it wants to be told of the end.
        shutdown: bool,
    },
    /// An extension asked for an event.
    ExtensionNextCalled(Index),
    /// An extension reported an error.
    ExtensionErrorPosted(Index, ExtensionErrorPhase),
    /// An extension wants telemetry.
    Subscribe(Index),
    /// The runtime's process could not be started.
    LaunchFailed,
    /// The runtime's process ended.
    RuntimeExited,
    /// An extension's process could not be started.
    ExtensionLaunchFailed(Index),
    /// An extension's process ended.
    ExtensionExited(Index),
    /// The init took longer than it may.
    InitDeadlinePassed,
    /// An invocation took longer than the function's timeout.
    InvokeDeadlinePassed(Uuid),
    /// The time for the present step of the end is over.
    EndingTimeUp,
    /// The last process of the sandbox is gone.
    Emptied,
    /// The sandbox itself is gone.
    SandboxLost,
    /// The environment is no longer wanted.
    Shutdown,
}

/// What the driver must do, in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// An init begins; its limit runs from here.
    BeginInit,
    /// Start the process of every external extension.
    StartExtensions,
    /// Start the runtime's process.
    StartRuntime,
    /// The runtime came to the end of its part of the init.
    RuntimeInitialized,
    /// The init came to its end.
    InitEnded(InitResult),
    /// The invocation's clock starts.
    BeginInvocation(Uuid),
    /// Hand the event to the `next` that waits longest.
    Deliver(Uuid),
    /// Keep this call waiting.
    Park,
    /// The caller gets the result that was just read.
    Answer(Uuid),
    /// The caller gets a failure.
    Fail(Uuid, Failure),
    /// The invocation is over.
    Finish(Uuid),
    /// A part of the end.
    End(Action),
    /// Give the sandbox up; nothing follows.
    CloseSandbox,
}

/// Why an event may not happen now. The state stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is no such invocation, or it has been answered.
    InvalidRequestId,
    /// It ran out of time.
    InvokeTimeout,
    /// More `next` wait than there are slots.
    TooManyIdleRuntimes,
    /// A call of the guest is not allowed in the runtime's present state.
    Transition {
        /// Name of the present state, as the Runtime API prints it.
        from: &'static str,
        /// Name of the state that the call would lead to.
        to: &'static str,
    },
    /// A call of an extension is not allowed.
    Extension(ExtensionRefusal),
    /// The environment cannot take an invocation now.
    Busy,
    /// The event is of no consequence in this state.
    Irrelevant,
}

impl From<ExtensionRefusal> for Refusal {
    fn from(refusal: ExtensionRefusal) -> Self {
        Refusal::Extension(refusal)
    }
}

/// The effects of one step, in order.
pub type Effects = Vec<Effect>;

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

    /// Whether an invocation may be handed over.
    #[must_use]
    pub fn takes_invocation(&self) -> bool {
        matches!(self.phase, Phase::Initializing(_) | Phase::Serving)
            && self.waiting.len() + self.running.len() < self.slots
    }

    fn knows(&self, id: Uuid) -> bool {
        self.running.contains_key(&id) || self.waiting.contains(&id)
    }

    fn refuse_transition(&self, to: &'static str) -> Refusal {
        let from = match self.phase {
            Phase::New | Phase::Initializing(InitStage::Extensions | InitStage::Runtime) => "Started",
            Phase::Initializing(InitStage::Barrier) | Phase::Serving => "Ready",
            Phase::Ending(_) | Phase::Terminated => "InitError",
        };
        Refusal::Transition { from, to }
    }
}

/// One event in one state: the next state and what to do, or why not.
pub fn step(state: &State, event: Event) -> Result<(State, Effects), Refusal> {
    let mut step = Step { state: state.clone(), effects: Vec::new() };
    match event {
        Event::Start => step.start(),
        Event::Invoke(id) => step.invoke(id),
        Event::NextCalled => step.next_called(),
        Event::NextGone => step.next_gone(),
        Event::AnswerBegun(id, kind) => step.answer_begun(id, kind),
        Event::AnswerEnded(id) => step.answer_ended(id),
        Event::InitErrorPosted => step.init_error_posted(),
        Event::Register { name, invoke, shutdown } => step.register(&name, invoke, shutdown),
        Event::ExtensionNextCalled(index) => step.extension_next_called(index),
        Event::ExtensionErrorPosted(index, phase) => step.extension_error_posted(index, phase),
        Event::Subscribe(index) => step.subscribe(index),
        Event::LaunchFailed => step.runtime_ended(Failure::Launch),
        Event::RuntimeExited => step.runtime_ended(Failure::Exited),
        Event::ExtensionLaunchFailed(index) => {
            step.extension_ended(index, extensions::Stage::LaunchError, ExtensionFailure::Launch(index))
        }
        Event::ExtensionExited(index) => {
            step.extension_ended(index, extensions::Stage::Exited, ExtensionFailure::Crash(index))
        }
        Event::InitDeadlinePassed => step.init_deadline_passed(),
        Event::InvokeDeadlinePassed(id) => step.invoke_deadline_passed(id),
        Event::EndingTimeUp => step.ending_time_up(),
        Event::Emptied => step.emptied(),
        Event::SandboxLost => step.sandbox_lost(),
        Event::Shutdown => step.shutdown(),
    }?;
    Ok((step.state, step.effects))
}
