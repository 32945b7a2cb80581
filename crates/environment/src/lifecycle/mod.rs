//! The rules of one execution environment: which event may happen in which state, and what follows.
//!
//! ```text
//!                 ┌────────────────── Invoke ───────────────────┐
//!  New ─ Start ─► Initializing ─ all asked ─► Idle ─ Invoke ─► Invoking
//!                    │      ▲                  │ ▲               │   │
//!    init error, exit,      │ Emptied,         │ └─ answered, ───┘   │ exit, deadline
//!    10 s passed            │ Invoke           │    all asked        │
//!                    ▼      │ waiting          │ exit                ▼
//!                  Ending(Reset) ◄─────────────┴────────────── Ending(Reset)
//!                    │ Emptied
//!                    ▼
//!                   Cold ─ Invoke ─► Initializing (inside the invocation: "suppressed init")
//!
//!  any ─ Shutdown ─► Ending(Stop) ─ Emptied ─► Terminated       any ─ SandboxLost ─► Terminated
//! ```
//!
//! *All asked* means: the runtime asked for the next event, and every extension that has a part in the phase did.
//! How an init goes on inside is in [`InitStage`], how an end does in [`ending`], what an extension may do in
//! [`extensions`].
//!
//! [`step`] is synchronous and total: no lock, clock, await or I/O. Every pair of state and event is decided
//! on purpose. It is called by the driver of an environment and by nobody else; the driver carries out the
//! returned [`Effect`]s in their order and owns everything that is not a rule (bodies, times, processes).
//!
//! It refuses what AWS refuses, with the same words: a [`Refusal`] leaves the state as it was.
//!
//! Matched behaviour: the published Runtime API state machine, in which the path's request id is judged
//! before the state, an event is delivered again to a second `next`, and an invocation is over when the
//! runtime and the extensions ask for the next one, not when it has been answered.

pub mod ending;
pub mod extensions;

use std::sync::Arc;

use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal, ShutdownReason};
use uuid::Uuid;

use self::ending::Action;
use self::extensions::{Extensions, Index};

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

/// The two ways in which a runtime ends an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerKind {
    /// `POST …/response`
    Response,
    /// `POST …/error`
    Error,
}

/// What can happen to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The pool wants the environment to come up.
    Start,
    /// The pool hands over an invocation.
    Invoke(Uuid),
    /// The runtime asked for the next event.
    NextCalled,
    /// The runtime began to post the result of the named invocation (`None`: not a request id at all).
    AnswerBegun(Option<Uuid>, AnswerKind),
    /// The body of that result came to its end: whole, too large or cut off. What it was is the driver's
    /// business; the rules are the same.
    AnswerEnded(Uuid),
    /// The runtime reported that its init failed.
    InitErrorPosted,
    /// The runtime asked to be told of its restore.
    RestoreNextCalled,
    /// The runtime reported that a hook failed after its restore.
    RestoreErrorPosted,
    /// An extension registers. It has the last index then, or that of its file.
    Register {
        /// Its name.
        name: Arc<str>,
        /// Whether it wants to be told of invocations.
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
    /// The init phase took longer than it may.
    InitDeadlinePassed,
    /// The hooks after a restore took longer than they may.
    RestoreDeadlinePassed,
    /// The invocation took longer than the function's timeout.
    InvokeDeadlinePassed,
    /// The time for the present step of the end is over.
    EndingTimeUp,
    /// The last process of the sandbox is gone, after it was asked for.
    Emptied,
    /// The sandbox itself is gone.
    SandboxLost,
    /// The environment is no longer wanted.
    Shutdown,
}

/// What the driver must do, in the order given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// An init begins; its limit runs from here if `limited`.
    BeginInit {
        /// False inside an invocation, whose own deadline is the limit.
        limited: bool,
    },
    /// Start the process of every external extension.
    StartExtensions,
    /// Start the runtime's process.
    StartRuntime,
    /// The runtime came to the end of its part of the init.
    RuntimeInitialized,
    /// The init came to its end.
    InitEnded(InitResult),
    /// Tell the runtime that it was restored; the limit of its hooks runs from here if `limited`.
    ReleaseRestore {
        /// As in [`Effect::BeginInit`].
        limited: bool,
    },
    /// The restore came to its end.
    RestoreEnded(InitResult),
    /// The invocation's clock starts: take the deadline, write START.
    BeginInvocation(Uuid),
    /// Hand the event to an extension.
    DeliverToExtension(Index, Uuid),
    /// Hand the event to every `next` that waits.
    Deliver(Uuid),
    /// Keep this call waiting: `next`, `restore/next` or an extension's.
    Park,
    /// The caller gets the result that was just read.
    Answer(Uuid),
    /// The caller gets a failure.
    Fail(Uuid, Failure),
    /// The runtime has done its part of the invocation.
    RuntimeDone(Uuid),
    /// The invocation is over: write END and REPORT, give the lease back once the environment is at rest.
    Finish(Uuid, Finish),
    /// Nothing is to run until further notice.
    Rest,
    /// It is.
    Wake,
    /// A part of the end. After [`Action::KillAll`], [`Event::Emptied`] follows.
    End(Action),
    /// Give the sandbox up; nothing follows.
    CloseSandbox,
}

/// How an init ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitResult {
    /// Everybody asked for their first event.
    Succeeded,
    /// They did not, and this is why.
    Failed(Failure),
}

/// How an invocation ended, seen from the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// The runtime answered, and everybody asked for the next event.
    Completed,
    /// They did not.
    Failed(Failure),
}

/// Why the platform, and not the runtime, ends an init or an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The runtime's process ended.
    Exited,
    /// It could not be started.
    Launch,
    /// The runtime reported that its init failed.
    InitError,
    /// The runtime reported that a hook failed after its restore.
    RestoreError,
    /// An extension failed.
    Extension(ExtensionFailure),
    /// A deadline passed.
    TimedOut,
    /// The environment was ended from outside, or its sandbox broke.
    Sandbox,
}

/// How an extension failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionFailure {
    /// Its process could not be started.
    Launch(Index),
    /// It reported that it cannot begin.
    InitError(Index),
    /// It reported that it is about to exit.
    ExitError(Index),
    /// Its process ended.
    Crash(Index),
}

/// Why an event may not happen now. The state stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A call of the guest names an invocation that is not the current one.
    InvalidRequestId,
    /// A call of the guest is not allowed in the runtime's present state.
    Transition {
        /// Name of the present state, as the Runtime API prints it.
        from: &'static str,
        /// Name of the state that the call would lead to.
        to: &'static str,
    },
    /// A call of an extension is not allowed.
    Extension(ExtensionRefusal),
    /// The environment cannot take an invocation now: it has one, or it is going down.
    Busy,
    /// The event is of no consequence in this state: it comes late, or it was decided already.
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
    fn runtime_name(&self) -> &'static str {
        match self.phase {
            Phase::New => "Started",
            Phase::Initializing(Initializing { stage, .. }) => match stage {
                InitStage::Extensions | InitStage::Runtime => "Started",
                InitStage::Barrier { restore: false } => "Ready",
                InitStage::Barrier { restore: true } => "RestoreReady",
                InitStage::Restoring => "Restoring",
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

    fn refuse_transition(&self, to: &'static str) -> Refusal {
        Refusal::Transition { from: self.runtime_name(), to }
    }

    /// The invocation whose id the guest may name: one that was delivered and is not over.
    fn delivered(&self) -> Option<Uuid> {
        match self.phase {
            Phase::Invoking(invoking) => Some(invoking.invocation),
            _ => None,
        }
    }

    fn initializing(&self) -> Option<Initializing> {
        match self.phase {
            Phase::Initializing(initializing) => Some(initializing),
            _ => None,
        }
    }
}

impl AnswerKind {
    fn state_name(self) -> &'static str {
        match self {
            AnswerKind::Response => "InvocationResponse",
            AnswerKind::Error => "InvocationErrorResponse",
        }
    }
}

/// One event in one state: the next state and what to do, or why not.
pub fn step(state: &State, event: Event) -> Result<(State, Effects), Refusal> {
    let mut step = Step { state: state.clone(), effects: Vec::new() };
    match event {
        Event::Start => step.start(),
        Event::Invoke(id) => step.invoke(id),
        Event::NextCalled => step.next_called(),
        Event::AnswerBegun(id, kind) => step.answer_begun(id, kind),
        Event::AnswerEnded(id) => step.answer_ended(id),
        Event::InitErrorPosted => step.init_error_posted(),
        Event::RestoreNextCalled => step.restore_next_called(),
        Event::RestoreErrorPosted => step.restore_error_posted(),
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
        Event::RestoreDeadlinePassed => step.restore_deadline_passed(),
        Event::InvokeDeadlinePassed => step.invoke_deadline_passed(),
        Event::EndingTimeUp => step.ending_time_up(),
        Event::Emptied => step.emptied(),
        Event::SandboxLost => step.sandbox_lost(),
        Event::Shutdown => step.shutdown(),
    }?;
    Ok((step.state, step.effects))
}

/// A step that is being made. Dropped half-made, it changes nothing.
struct Step {
    state: State,
    effects: Effects,
}

type Verdict = Result<(), Refusal>;

impl Step {
    fn start(&mut self) -> Verdict {
        match self.state.phase {
            Phase::New => {
                self.begin_init(Purpose::InitPhase { waiting: None });
                Ok(())
            }
            Phase::Initializing(_)
            | Phase::Idle
            | Phase::Invoking(_)
            | Phase::Ending(_)
            | Phase::Cold
            | Phase::Terminated => Err(Refusal::Irrelevant),
        }
    }

    fn begin_init(&mut self, purpose: Purpose) {
        let limited = matches!(purpose, Purpose::InitPhase { .. });
        self.effects.push(Effect::BeginInit { limited });
        if !self.state.extensions.has_files() {
            self.state.extensions.clear();
            self.start_runtime(purpose);
            return;
        }
        let within_limit = self.state.extensions.start();
        self.state.phase = Phase::Initializing(Initializing { purpose, stage: InitStage::Extensions });
        self.effects.push(Effect::StartExtensions);
        if !within_limit {
            let surplus = ExtensionFailure::Launch(extensions::MAX_EXTENSIONS);
            self.fail_init(purpose, Failure::Extension(surplus));
        }
    }

    fn start_runtime(&mut self, purpose: Purpose) {
        self.state.phase = Phase::Initializing(Initializing { purpose, stage: InitStage::Runtime });
        self.state.runtime_runs = true;
        self.effects.push(Effect::StartRuntime);
    }

    fn invoke(&mut self, id: Uuid) -> Verdict {
        match self.state.phase {
            Phase::Idle => {
                self.effects.extend([Effect::Wake, Effect::BeginInvocation(id)]);
                self.deliver(id);
                Ok(())
            }
            Phase::Initializing(Initializing { purpose: Purpose::InitPhase { waiting: None }, stage }) => {
                let purpose = Purpose::InitPhase { waiting: Some(id) };
                self.state.phase = Phase::Initializing(Initializing { purpose, stage });
                Ok(())
            }
            Phase::Ending(Ending { then: Then::Reset { waiting: None }, step }) => {
                self.state.phase = Phase::Ending(Ending { then: Then::Reset { waiting: Some(id) }, step });
                Ok(())
            }
            Phase::Cold => {
                self.suppressed_init(id);
                Ok(())
            }
            Phase::New
            | Phase::Initializing(_)
            | Phase::Invoking(_)
            | Phase::Ending(_)
            | Phase::Terminated => Err(Refusal::Busy),
        }
    }

    fn suppressed_init(&mut self, invocation: Uuid) {
        self.effects.push(Effect::BeginInvocation(invocation));
        self.begin_init(Purpose::Suppressed { invocation });
    }

    /// To the extensions first, as AWS does; all of them run at the same time.
    fn deliver(&mut self, invocation: Uuid) {
        let told = self.state.extensions.deliver_invocation();
        self.effects.extend(told.map(|index| Effect::DeliverToExtension(index, invocation)));
        self.effects.push(Effect::Deliver(invocation));
        self.state.phase = Phase::Invoking(Invoking { invocation, stage: Stage::Running });
    }

    fn next_called(&mut self) -> Verdict {
        match self.state.phase {
            Phase::Initializing(Initializing { purpose, stage }) => match stage {
                InitStage::Runtime => {
                    self.effects.extend([Effect::Park, Effect::RuntimeInitialized]);
                    self.reach_barrier(purpose, false);
                    Ok(())
                }
                InitStage::Barrier { restore: false } => {
                    self.effects.push(Effect::Park);
                    Ok(())
                }
                InitStage::Restoring => {
                    self.effects.extend([Effect::Park, Effect::RestoreEnded(InitResult::Succeeded)]);
                    self.initialized(purpose);
                    Ok(())
                }
                InitStage::Extensions | InitStage::Barrier { restore: true } => {
                    Err(self.state.refuse_transition("Ready"))
                }
            },
            Phase::Idle | Phase::Invoking(Invoking { stage: Stage::Extensions, .. }) => {
                self.effects.push(Effect::Park);
                Ok(())
            }
            Phase::Invoking(Invoking { invocation, stage: Stage::Running }) => {
                self.effects.extend([Effect::Park, Effect::Deliver(invocation)]);
                Ok(())
            }
            Phase::Invoking(Invoking { invocation, stage: Stage::Answered }) => {
                self.effects.extend([Effect::Park, Effect::RuntimeDone(invocation)]);
                self.state.phase = Phase::Invoking(Invoking { invocation, stage: Stage::Extensions });
                self.finish_if_all_asked();
                Ok(())
            }
            Phase::New
            | Phase::Invoking(Invoking { stage: Stage::Answering(_), .. })
            | Phase::Ending(_)
            | Phase::Cold
            | Phase::Terminated => Err(self.state.refuse_transition("Ready")),
        }
    }

    fn reach_barrier(&mut self, purpose: Purpose, restore: bool) {
        let stage = InitStage::Barrier { restore };
        self.state.phase = Phase::Initializing(Initializing { purpose, stage });
        self.pass_barrier_if_all_asked();
    }

    fn pass_barrier_if_all_asked(&mut self) {
        let Some(Initializing { purpose, stage: InitStage::Barrier { restore } }) = self.state.initializing()
        else {
            return;
        };
        if !self.state.extensions.all_ready() {
            return;
        }
        self.effects.push(Effect::InitEnded(InitResult::Succeeded));
        if restore {
            let limited = matches!(purpose, Purpose::InitPhase { .. });
            self.effects.push(Effect::ReleaseRestore { limited });
            let stage = InitStage::Restoring;
            self.state.phase = Phase::Initializing(Initializing { purpose, stage });
        } else {
            self.initialized(purpose);
        }
    }

    fn initialized(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::InitPhase { waiting: None } => self.rest(),
            Purpose::InitPhase { waiting: Some(id) } => {
                self.effects.push(Effect::BeginInvocation(id));
                self.deliver(id);
            }
            Purpose::Suppressed { invocation } => self.deliver(invocation),
        }
    }

    fn rest(&mut self) {
        self.state.phase = Phase::Idle;
        self.effects.push(Effect::Rest);
    }

    fn finish_if_all_asked(&mut self) {
        if let Phase::Invoking(Invoking { invocation, stage: Stage::Extensions }) = self.state.phase
            && self.state.extensions.invocation_is_over()
        {
            self.effects.push(Effect::Finish(invocation, Finish::Completed));
            self.rest();
        }
    }

    fn answer_begun(&mut self, id: Option<Uuid>, kind: AnswerKind) -> Verdict {
        // Before the state machine: a wrong id must not move anything.
        if id.is_none() || id != self.state.delivered() {
            return Err(Refusal::InvalidRequestId);
        }
        match self.state.phase {
            Phase::Invoking(Invoking { invocation, stage: Stage::Running }) => {
                self.state.phase = Phase::Invoking(Invoking { invocation, stage: Stage::Answering(kind) });
                Ok(())
            }
            Phase::New
            | Phase::Initializing(_)
            | Phase::Idle
            | Phase::Invoking(_)
            | Phase::Ending(_)
            | Phase::Cold
            | Phase::Terminated => Err(self.state.refuse_transition(kind.state_name())),
        }
    }

    fn answer_ended(&mut self, id: Uuid) -> Verdict {
        match self.state.phase {
            Phase::Invoking(Invoking { invocation, stage: Stage::Answering(_) }) if invocation == id => {
                self.effects.push(Effect::Answer(id));
                if self.state.runtime_runs {
                    self.state.phase = Phase::Invoking(Invoking { invocation, stage: Stage::Answered });
                } else {
                    self.finish_failed(id, Failure::Exited);
                }
                Ok(())
            }
            // The invocation was over before its body was: the deadline, a reset, a shutdown came first.
            Phase::New
            | Phase::Initializing(_)
            | Phase::Idle
            | Phase::Invoking(_)
            | Phase::Ending(_)
            | Phase::Cold
            | Phase::Terminated => Err(Refusal::InvalidRequestId),
        }
    }

    fn init_error_posted(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing { purpose, stage: InitStage::Runtime }) => {
                self.fail_init(purpose, Failure::InitError);
                Ok(())
            }
            Some(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, Failure::RestoreError);
                Ok(())
            }
            Some(_) | None => Err(self.state.refuse_transition("InitError")),
        }
    }

    fn restore_next_called(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing { purpose, stage: InitStage::Runtime }) => {
                self.effects.extend([Effect::Park, Effect::RuntimeInitialized]);
                self.reach_barrier(purpose, true);
                Ok(())
            }
            Some(Initializing { stage: InitStage::Barrier { restore: true }, .. }) => {
                self.effects.push(Effect::Park);
                Ok(())
            }
            Some(_) | None => Err(self.state.refuse_transition("RestoreReady")),
        }
    }

    fn restore_error_posted(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, Failure::RestoreError);
                Ok(())
            }
            Some(_) | None => Err(self.state.refuse_transition("RuntimeRestoreErrorState")),
        }
    }

    fn register(&mut self, name: &Arc<str>, invoke: bool, shutdown: bool) -> Verdict {
        let initializing = self.state.initializing();
        let open = initializing.is_some_and(|initializing| {
            matches!(initializing.stage, InitStage::Extensions | InitStage::Runtime)
        });
        self.state.extensions.register(name, invoke, shutdown, open)?;
        if let Some(Initializing { purpose, stage: InitStage::Extensions }) = initializing
            && self.state.extensions.all_registered()
        {
            self.start_runtime(purpose);
        }
        Ok(())
    }

    fn extension_next_called(&mut self, index: Index) -> Verdict {
        self.state.extensions.ask(index)?;
        self.effects.push(Effect::Park);
        match self.state.phase {
            Phase::Initializing(_) => self.pass_barrier_if_all_asked(),
            Phase::Invoking(_) => self.finish_if_all_asked(),
            Phase::Ending(Ending { step, .. }) => {
                let actions = ending::extension_asked(&mut self.state.extensions, step, index);
                self.effects.extend(actions.into_iter().map(Effect::End));
            }
            Phase::New | Phase::Idle | Phase::Cold | Phase::Terminated => {}
        }
        Ok(())
    }

    fn extension_error_posted(&mut self, index: Index, phase: ExtensionErrorPhase) -> Verdict {
        let (news, failure) = match phase {
            ExtensionErrorPhase::Init => {
                (self.state.extensions.init_error(index)?, ExtensionFailure::InitError(index))
            }
            ExtensionErrorPhase::Exit => {
                (self.state.extensions.exit_error(index)?, ExtensionFailure::ExitError(index))
            }
        };
        if news {
            self.extension_failed(failure);
        }
        Ok(())
    }

    fn subscribe(&mut self, index: Index) -> Verdict {
        // Asking changes nothing: the index is known, or this refuses.
        if self.state.extensions.members().get(index).is_none() {
            return Err(ExtensionRefusal::UnknownIdentifier.into());
        }
        match self.state.initializing() {
            Some(Initializing { stage: InitStage::Restoring, .. }) | None => {
                Err(ExtensionRefusal::SubscriptionClosed.into())
            }
            Some(_) => Ok(()),
        }
    }

    fn runtime_ended(&mut self, failure: Failure) -> Verdict {
        if !self.state.runtime_runs {
            return Err(Refusal::Irrelevant);
        }
        self.state.runtime_runs = false;
        match self.state.phase {
            // Whatever the runtime left running goes with it, so that the next init finds a clean sandbox.
            Phase::Initializing(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, failure);
            }
            Phase::Initializing(Initializing { purpose, .. }) => self.fail_init(purpose, failure),
            Phase::Idle => {
                self.effects.push(Effect::Wake);
                self.end(Then::Reset { waiting: None }, ShutdownReason::Failure);
            }
            Phase::Invoking(Invoking { invocation, stage }) => match stage {
                Stage::Running => self.fail_invocation(invocation, failure),
                // Its last words first.
                Stage::Answering(_) => {}
                Stage::Answered | Stage::Extensions => self.finish_failed(invocation, failure),
            },
            Phase::Ending(Ending { then, step }) => {
                let (step, actions) = ending::runtime_exited(&mut self.state.extensions, step);
                self.state.phase = Phase::Ending(Ending { then, step });
                self.effects.extend(actions.into_iter().map(Effect::End));
            }
            Phase::New | Phase::Cold | Phase::Terminated => return Err(Refusal::Irrelevant),
        }
        Ok(())
    }

    fn extension_ended(
        &mut self,
        index: Index,
        stage: extensions::Stage,
        failure: ExtensionFailure,
    ) -> Verdict {
        if matches!(self.state.phase, Phase::New | Phase::Cold | Phase::Terminated) {
            return Err(Refusal::Irrelevant);
        }
        self.state.extensions.ended(index, stage)?;
        if let Phase::Ending(Ending { then, step }) = self.state.phase {
            let (step, actions) = ending::extension_exited(&self.state.extensions, step);
            self.state.phase = Phase::Ending(Ending { then, step });
            self.effects.extend(actions.into_iter().map(Effect::End));
        } else {
            self.extension_failed(failure);
        }
        Ok(())
    }

    /// An extension is as vital as the runtime.
    fn extension_failed(&mut self, failure: ExtensionFailure) {
        let failure = Failure::Extension(failure);
        match self.state.phase {
            Phase::Initializing(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, failure);
            }
            Phase::Initializing(Initializing { purpose, .. }) => self.fail_init(purpose, failure),
            Phase::Idle => {
                self.effects.push(Effect::Wake);
                self.end(Then::Reset { waiting: None }, ShutdownReason::Failure);
            }
            Phase::Invoking(Invoking { invocation, stage: Stage::Running | Stage::Answering(_) }) => {
                self.fail_invocation(invocation, failure);
            }
            Phase::Invoking(Invoking { invocation, stage: Stage::Answered | Stage::Extensions }) => {
                self.finish_failed(invocation, failure);
            }
            // It is being ended already.
            Phase::New | Phase::Ending(_) | Phase::Cold | Phase::Terminated => {}
        }
    }

    fn init_deadline_passed(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing {
                purpose: purpose @ Purpose::InitPhase { .. },
                stage: InitStage::Extensions | InitStage::Runtime | InitStage::Barrier { .. },
            }) => {
                self.fail_init(purpose, Failure::TimedOut);
                Ok(())
            }
            Some(_) | None => Err(Refusal::Irrelevant),
        }
    }

    fn restore_deadline_passed(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, Failure::TimedOut);
                Ok(())
            }
            Some(_) | None => Err(Refusal::Irrelevant),
        }
    }

    fn invoke_deadline_passed(&mut self) -> Verdict {
        match self.state.phase {
            Phase::Initializing(Initializing { purpose: Purpose::Suppressed { invocation }, stage }) => {
                let failed = InitResult::Failed(Failure::TimedOut);
                self.effects.push(match stage {
                    InitStage::Restoring => Effect::RestoreEnded(failed),
                    InitStage::Extensions | InitStage::Runtime | InitStage::Barrier { .. } => {
                        Effect::InitEnded(failed)
                    }
                });
                self.fail_invocation(invocation, Failure::TimedOut);
                Ok(())
            }
            Phase::Invoking(Invoking { invocation, stage }) => {
                match stage {
                    // An end of the process that nobody heard out until now is no timeout.
                    Stage::Answering(_) if !self.state.runtime_runs => {
                        self.fail_invocation(invocation, Failure::Exited);
                    }
                    Stage::Running | Stage::Answering(_) => {
                        self.fail_invocation(invocation, Failure::TimedOut);
                    }
                    // The caller has its answer; what is cut short is the time until everybody asks again.
                    Stage::Answered | Stage::Extensions => self.finish_failed(invocation, Failure::TimedOut),
                }
                Ok(())
            }
            Phase::New
            | Phase::Initializing(_)
            | Phase::Idle
            | Phase::Ending(_)
            | Phase::Cold
            | Phase::Terminated => Err(Refusal::Irrelevant),
        }
    }

    fn ending_time_up(&mut self) -> Verdict {
        let Phase::Ending(Ending { then, step }) = self.state.phase else { return Err(Refusal::Irrelevant) };
        if step == ending::Step::Processes {
            return Err(Refusal::Irrelevant);
        }
        let (step, actions) = ending::time_is_up(&mut self.state.extensions, step);
        self.state.phase = Phase::Ending(Ending { then, step });
        self.effects.extend(actions.into_iter().map(Effect::End));
        Ok(())
    }

    fn emptied(&mut self) -> Verdict {
        let Phase::Ending(Ending { then, step: ending::Step::Processes }) = self.state.phase else {
            return Err(Refusal::Irrelevant);
        };
        self.state.extensions.clear();
        self.state.runtime_runs = false;
        match then {
            Then::Reset { waiting: None } => self.state.phase = Phase::Cold,
            Then::Reset { waiting: Some(id) } => self.suppressed_init(id),
            Then::Stop => {
                self.state.phase = Phase::Terminated;
                self.effects.push(Effect::CloseSandbox);
            }
        }
        Ok(())
    }

    fn sandbox_lost(&mut self) -> Verdict {
        if self.state.phase == Phase::Terminated {
            return Err(Refusal::Irrelevant);
        }
        self.leave_nobody_waiting();
        self.state.phase = Phase::Terminated;
        self.state.extensions.clear();
        self.state.runtime_runs = false;
        self.effects.push(Effect::CloseSandbox);
        Ok(())
    }

    /// The end from outside.
    fn shutdown(&mut self) -> Verdict {
        match self.state.phase {
            Phase::Ending(Ending { then: Then::Stop, .. }) | Phase::Terminated => {
                return Err(Refusal::Irrelevant);
            }
            Phase::Ending(Ending { then: Then::Reset { .. }, step }) => {
                self.leave_nobody_waiting();
                self.state.phase = Phase::Ending(Ending { then: Then::Stop, step });
            }
            Phase::New | Phase::Initializing(_) | Phase::Idle | Phase::Invoking(_) | Phase::Cold => {
                self.leave_nobody_waiting();
                if self.state.phase == Phase::Idle {
                    self.effects.push(Effect::Wake);
                }
                self.end(Then::Stop, ShutdownReason::Spindown);
            }
        }
        Ok(())
    }

    fn leave_nobody_waiting(&mut self) {
        let (invocation, answered) = match self.state.phase {
            Phase::Initializing(Initializing {
                purpose: Purpose::InitPhase { waiting: Some(id) } | Purpose::Suppressed { invocation: id },
                ..
            })
            | Phase::Ending(Ending { then: Then::Reset { waiting: Some(id) }, .. }) => (id, false),
            Phase::Invoking(Invoking { invocation, stage }) => {
                (invocation, matches!(stage, Stage::Answered | Stage::Extensions))
            }
            Phase::New
            | Phase::Initializing(_)
            | Phase::Idle
            | Phase::Ending(_)
            | Phase::Cold
            | Phase::Terminated => return,
        };
        if !answered {
            self.effects.push(Effect::Fail(invocation, Failure::Sandbox));
        }
        self.effects.push(Effect::Finish(invocation, Finish::Failed(Failure::Sandbox)));
    }

    /// In the init phase the invocation that waits gets a second init inside itself; there, a failure is final.
    fn fail_init(&mut self, purpose: Purpose, failure: Failure) {
        self.effects.push(Effect::InitEnded(InitResult::Failed(failure)));
        match purpose {
            Purpose::InitPhase { waiting } => self.end(Then::Reset { waiting }, reason(failure)),
            Purpose::Suppressed { invocation } => self.fail_invocation(invocation, failure),
        }
    }

    /// A restore that fails is not tried again: the caller is told.
    fn fail_restore(&mut self, purpose: Purpose, failure: Failure) {
        self.effects.push(Effect::RestoreEnded(InitResult::Failed(failure)));
        match purpose {
            Purpose::InitPhase { waiting: None } => self.end(Then::Reset { waiting: None }, reason(failure)),
            Purpose::InitPhase { waiting: Some(invocation) } | Purpose::Suppressed { invocation } => {
                self.fail_invocation(invocation, failure);
            }
        }
    }

    fn fail_invocation(&mut self, invocation: Uuid, failure: Failure) {
        self.effects.push(Effect::Fail(invocation, failure));
        self.finish_failed(invocation, failure);
    }

    fn finish_failed(&mut self, invocation: Uuid, failure: Failure) {
        self.effects.push(Effect::Finish(invocation, Finish::Failed(failure)));
        self.end(Then::Reset { waiting: None }, reason(failure));
    }

    fn end(&mut self, then: Then, reason: ShutdownReason) {
        let (step, actions) = ending::begin(&mut self.state.extensions, self.state.runtime_runs, reason);
        self.state.phase = Phase::Ending(Ending { then, step });
        self.effects.extend(actions.into_iter().map(Effect::End));
    }
}

fn reason(failure: Failure) -> ShutdownReason {
    match failure {
        Failure::TimedOut => ShutdownReason::Timeout,
        Failure::Exited
        | Failure::Launch
        | Failure::InitError
        | Failure::RestoreError
        | Failure::Extension(_)
        | Failure::Sandbox => ShutdownReason::Failure,
    }
}
