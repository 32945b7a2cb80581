//! The rules of one execution environment: which event may happen in which state, and what follows.
//!
//! ```text
//!                 ┌───────────────── Invoke ──────────────────┐
//!  New ─ Start ─► Initializing ─ next ─► Idle ─ Invoke ─► Invoking
//!                    │      ▲             │ ▲               │   │
//!    init error, exit,      │ Emptied,    │ └── next, once ─┘   │ exit, deadline
//!    10 s passed            │ Invoke      │     answered        │
//!                    ▼      │ waiting     │ exit                ▼
//!                   Resetting ◄───────────┴──────────────── Resetting
//!                    │ Emptied
//!                    ▼
//!                   Cold ─ Invoke ─► Initializing (inside the invocation: "suppressed init")
//!
//!  any ─ Shutdown ─► Stopping ─ Emptied ─► Terminated        any ─ SandboxLost ─► Terminated
//! ```
//!
//! [`step`] is synchronous and total: no lock, clock, await or I/O. Every pair of state and event is decided
//! on purpose. It is called by the driver of an environment and by nobody else; the driver carries out the
//! returned [`Effect`]s in their order and owns everything that is not a rule (bodies, times, processes).
//!
//! It refuses what AWS refuses, with the same words: a [`Refusal`] leaves the state as it was.
//!
//! Matched behaviour: the published Runtime API state machine, in which the path's request id is judged
//! before the state, an event is delivered again to a second `next`, and an invocation is over when the
//! runtime asks for the next one, not when it has answered.

use uuid::Uuid;

/// Where an environment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, nothing started.
    New,
    /// The runtime's process was started and has not yet asked for an event.
    Initializing(Initializing),
    /// The runtime waits in `next`.
    Idle,
    /// An event was handed to the runtime, and the runtime has not asked for another.
    Invoking(Invoking),
    /// Every process is being ended; the environment goes on afterwards, with its `/tmp`.
    Resetting {
        /// An invocation that waits for the reset: it initialises the runtime inside itself.
        waiting: Option<Uuid>,
    },
    /// No process runs. The next invocation starts the runtime inside itself.
    Cold,
    /// Every process is being ended for good.
    Stopping,
    /// Over. Nothing leads out of here.
    Terminated,
}

/// An init that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Initializing {
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

/// An invocation that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Invoking {
    /// Its request id.
    pub invocation: Uuid,
    /// How far the runtime has come with it.
    pub stage: Stage,
}

/// How far the runtime has come with its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// It has the event.
    Running,
    /// It has begun to post a result, whose body is being read.
    Answering {
        /// Response or error, which decides the name of the state in a refusal.
        kind: AnswerKind,
        /// The process ended while its last words were still being read: they are heard out first.
        exited: bool,
    },
    /// Its result is with the caller.
    Answered,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The runtime's process could not be started.
    LaunchFailed,
    /// The runtime's process ended.
    RuntimeExited,
    /// The init phase took longer than it may.
    InitDeadlinePassed,
    /// The invocation took longer than the function's timeout.
    InvokeDeadlinePassed,
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
    /// Start the runtime's process; the init limit runs from here if `limited`.
    StartRuntime {
        /// False inside an invocation, whose own deadline is the limit.
        limited: bool,
    },
    /// The init came to its end.
    InitEnded(InitResult),
    /// The invocation's clock starts: take the deadline, write START.
    BeginInvocation(Uuid),
    /// Hand the event to every `next` that waits.
    Deliver(Uuid),
    /// Keep this `next` waiting.
    Park,
    /// The caller gets the result that was just read.
    Answer(Uuid),
    /// The caller gets a failure.
    Fail(Uuid, Failure),
    /// The invocation is over: write END and REPORT, give the lease back once the environment is at rest.
    Finish(Uuid, Finish),
    /// End every process of the sandbox; [`Event::Emptied`] follows.
    EndProcesses,
    /// Give the sandbox up; nothing follows.
    CloseSandbox,
}

/// How an init ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitResult {
    /// The runtime asked for its first event.
    Succeeded,
    /// It did not, and this is why.
    Failed(Failure),
}

/// How an invocation ended, seen from the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// The runtime answered and asked for the next event.
    Completed,
    /// It did not.
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
    /// A deadline passed.
    TimedOut,
    /// The environment was ended from outside, or its sandbox broke.
    Sandbox,
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
    /// The environment cannot take an invocation now: it has one, or it is going down.
    Busy,
    /// The event is of no consequence in this state: it comes late, or it was decided already.
    Irrelevant,
}

/// The effects of one step, in order.
pub type Effects = Vec<Effect>;

impl State {
    /// Whether an invocation may be handed over.
    #[must_use]
    pub fn takes_invocation(&self) -> bool {
        matches!(
            self,
            State::Initializing(Initializing::InitPhase { waiting: None })
                | State::Idle
                | State::Resetting { waiting: None }
                | State::Cold
        )
    }

    /// The runtime's state by the name that the Runtime API's refusals print.
    fn runtime_name(&self) -> &'static str {
        match self {
            State::New | State::Initializing(_) => "Started",
            State::Idle => "Ready",
            State::Invoking(Invoking { stage, .. }) => match stage {
                Stage::Running => "Running",
                Stage::Answering { kind, .. } => kind.state_name(),
                Stage::Answered => "RuntimeResponseSentState",
            },
            // The process that still speaks is on its way out. AWS's emulator knows no name for this.
            State::Resetting { .. } | State::Cold | State::Stopping | State::Terminated => "InitError",
        }
    }

    fn refuse_transition(&self, to: &'static str) -> Refusal {
        Refusal::Transition { from: self.runtime_name(), to }
    }

    /// The invocation whose id the guest may name: one that was delivered and is not over.
    fn delivered(&self) -> Option<Uuid> {
        match self {
            State::Invoking(invoking) => Some(invoking.invocation),
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
    match event {
        Event::Start => start(state),
        Event::Invoke(id) => invoke(state, id),
        Event::NextCalled => next_called(state),
        Event::AnswerBegun(id, kind) => answer_begun(state, id, kind),
        Event::AnswerEnded(id) => answer_ended(state, id),
        Event::InitErrorPosted => match state {
            State::Initializing(initializing) => Ok(init_failed(*initializing, Failure::InitError)),
            State::New
            | State::Idle
            | State::Invoking(_)
            | State::Resetting { .. }
            | State::Cold
            | State::Stopping
            | State::Terminated => Err(state.refuse_transition("InitError")),
        },
        Event::LaunchFailed => match state {
            State::Initializing(initializing) => Ok(init_failed(*initializing, Failure::Launch)),
            State::New
            | State::Idle
            | State::Invoking(_)
            | State::Resetting { .. }
            | State::Cold
            | State::Stopping
            | State::Terminated => Err(Refusal::Irrelevant),
        },
        Event::RuntimeExited => runtime_exited(state),
        Event::InitDeadlinePassed => match state {
            State::Initializing(initializing @ Initializing::InitPhase { .. }) => {
                Ok(init_failed(*initializing, Failure::TimedOut))
            }
            State::New
            | State::Initializing(Initializing::Suppressed { .. })
            | State::Idle
            | State::Invoking(_)
            | State::Resetting { .. }
            | State::Cold
            | State::Stopping
            | State::Terminated => Err(Refusal::Irrelevant),
        },
        Event::InvokeDeadlinePassed => invoke_deadline_passed(state),
        Event::Emptied => emptied(state),
        Event::SandboxLost => gone(state, State::Terminated),
        Event::Shutdown => gone(state, State::Stopping),
    }
}

fn start(state: &State) -> Result<(State, Effects), Refusal> {
    match state {
        State::New => Ok((
            State::Initializing(Initializing::InitPhase { waiting: None }),
            vec![Effect::StartRuntime { limited: true }],
        )),
        State::Initializing(_)
        | State::Idle
        | State::Invoking(_)
        | State::Resetting { .. }
        | State::Cold
        | State::Stopping
        | State::Terminated => Err(Refusal::Irrelevant),
    }
}

fn invoke(state: &State, id: Uuid) -> Result<(State, Effects), Refusal> {
    match state {
        State::Idle => Ok((running(id), vec![Effect::BeginInvocation(id), Effect::Deliver(id)])),
        State::Initializing(Initializing::InitPhase { waiting: None }) => {
            Ok((State::Initializing(Initializing::InitPhase { waiting: Some(id) }), vec![]))
        }
        State::Resetting { waiting: None } => Ok((State::Resetting { waiting: Some(id) }, vec![])),
        State::Cold => Ok(suppressed_init(id)),
        State::New
        | State::Initializing(
            Initializing::InitPhase { waiting: Some(_) } | Initializing::Suppressed { .. },
        )
        | State::Invoking(_)
        | State::Resetting { waiting: Some(_) }
        | State::Stopping
        | State::Terminated => Err(Refusal::Busy),
    }
}

fn next_called(state: &State) -> Result<(State, Effects), Refusal> {
    let initialized = Effect::InitEnded(InitResult::Succeeded);
    match *state {
        State::Initializing(Initializing::InitPhase { waiting: None }) => {
            Ok((State::Idle, vec![Effect::Park, initialized]))
        }
        State::Initializing(Initializing::InitPhase { waiting: Some(id) }) => Ok((
            running(id),
            vec![Effect::Park, initialized, Effect::BeginInvocation(id), Effect::Deliver(id)],
        )),
        State::Initializing(Initializing::Suppressed { invocation: id }) => {
            Ok((running(id), vec![Effect::Park, initialized, Effect::Deliver(id)]))
        }
        State::Idle => Ok((State::Idle, vec![Effect::Park])),
        State::Invoking(Invoking { invocation, stage: Stage::Running }) => {
            Ok((*state, vec![Effect::Park, Effect::Deliver(invocation)]))
        }
        State::Invoking(Invoking { invocation, stage: Stage::Answered }) => {
            Ok((State::Idle, vec![Effect::Park, Effect::Finish(invocation, Finish::Completed)]))
        }
        State::New
        | State::Invoking(Invoking { stage: Stage::Answering { .. }, .. })
        | State::Resetting { .. }
        | State::Cold
        | State::Stopping
        | State::Terminated => Err(state.refuse_transition("Ready")),
    }
}

fn answer_begun(state: &State, id: Option<Uuid>, kind: AnswerKind) -> Result<(State, Effects), Refusal> {
    // Before the state machine: a wrong id must not move anything.
    if id.is_none() || id != state.delivered() {
        return Err(Refusal::InvalidRequestId);
    }
    match *state {
        State::Invoking(Invoking { invocation, stage: Stage::Running }) => Ok((
            State::Invoking(Invoking { invocation, stage: Stage::Answering { kind, exited: false } }),
            vec![],
        )),
        State::New
        | State::Initializing(_)
        | State::Idle
        | State::Invoking(_)
        | State::Resetting { .. }
        | State::Cold
        | State::Stopping
        | State::Terminated => Err(state.refuse_transition(kind.state_name())),
    }
}

fn answer_ended(state: &State, id: Uuid) -> Result<(State, Effects), Refusal> {
    match *state {
        State::Invoking(Invoking { invocation, stage: Stage::Answering { exited, .. } })
            if invocation == id =>
        {
            if exited {
                Ok((
                    State::Resetting { waiting: None },
                    vec![
                        Effect::Answer(id),
                        Effect::Finish(id, Finish::Failed(Failure::Exited)),
                        Effect::EndProcesses,
                    ],
                ))
            } else {
                Ok((
                    State::Invoking(Invoking { invocation, stage: Stage::Answered }),
                    vec![Effect::Answer(id)],
                ))
            }
        }
        // The invocation was over before its body was: the deadline, a reset, a shutdown came first.
        State::New
        | State::Initializing(_)
        | State::Idle
        | State::Invoking(_)
        | State::Resetting { .. }
        | State::Cold
        | State::Stopping
        | State::Terminated => Err(Refusal::InvalidRequestId),
    }
}

fn runtime_exited(state: &State) -> Result<(State, Effects), Refusal> {
    match *state {
        // Whatever the runtime left running goes with it, so that the next init finds a clean sandbox.
        State::Initializing(initializing) => Ok(init_failed(initializing, Failure::Exited)),
        State::Idle => Ok((State::Resetting { waiting: None }, vec![Effect::EndProcesses])),
        State::Invoking(Invoking { invocation, stage }) => match stage {
            Stage::Running => Ok(invocation_failed(invocation, Failure::Exited)),
            Stage::Answering { kind, .. } => Ok((
                State::Invoking(Invoking { invocation, stage: Stage::Answering { kind, exited: true } }),
                vec![],
            )),
            Stage::Answered => Ok((
                State::Resetting { waiting: None },
                vec![Effect::Finish(invocation, Finish::Failed(Failure::Exited)), Effect::EndProcesses],
            )),
        },
        State::New | State::Resetting { .. } | State::Cold | State::Stopping | State::Terminated => {
            Err(Refusal::Irrelevant)
        }
    }
}

fn invoke_deadline_passed(state: &State) -> Result<(State, Effects), Refusal> {
    match *state {
        State::Initializing(Initializing::Suppressed { invocation }) => {
            let (state, mut effects) = invocation_failed(invocation, Failure::TimedOut);
            effects.insert(0, Effect::InitEnded(InitResult::Failed(Failure::TimedOut)));
            Ok((state, effects))
        }
        State::Invoking(Invoking { invocation, stage }) => match stage {
            // An end of the process that nobody heard out until now is no timeout.
            Stage::Answering { exited: true, .. } => Ok(invocation_failed(invocation, Failure::Exited)),
            Stage::Running | Stage::Answering { exited: false, .. } => {
                Ok(invocation_failed(invocation, Failure::TimedOut))
            }
            // The caller has its answer; what is cut short is the time until the runtime asks again.
            Stage::Answered => Ok((
                State::Resetting { waiting: None },
                vec![Effect::Finish(invocation, Finish::Failed(Failure::TimedOut)), Effect::EndProcesses],
            )),
        },
        State::New
        | State::Initializing(Initializing::InitPhase { .. })
        | State::Idle
        | State::Resetting { .. }
        | State::Cold
        | State::Stopping
        | State::Terminated => Err(Refusal::Irrelevant),
    }
}

fn emptied(state: &State) -> Result<(State, Effects), Refusal> {
    match *state {
        State::Resetting { waiting: None } => Ok((State::Cold, vec![])),
        State::Resetting { waiting: Some(id) } => Ok(suppressed_init(id)),
        State::Stopping => Ok((State::Terminated, vec![Effect::CloseSandbox])),
        State::New
        | State::Initializing(_)
        | State::Idle
        | State::Invoking(_)
        | State::Cold
        | State::Terminated => Err(Refusal::Irrelevant),
    }
}

/// The end from outside, in order (`Stopping`) or not (`Terminated`): nobody may be left without an answer.
fn gone(state: &State, next: State) -> Result<(State, Effects), Refusal> {
    let mut effects = match *state {
        State::New | State::Cold | State::Idle | State::Resetting { waiting: None } => vec![],
        State::Initializing(Initializing::InitPhase { waiting: None }) => vec![],
        State::Initializing(
            Initializing::InitPhase { waiting: Some(id) } | Initializing::Suppressed { invocation: id },
        )
        | State::Resetting { waiting: Some(id) }
        | State::Invoking(Invoking { invocation: id, stage: Stage::Running | Stage::Answering { .. } }) => {
            vec![Effect::Fail(id, Failure::Sandbox), Effect::Finish(id, Finish::Failed(Failure::Sandbox))]
        }
        State::Invoking(Invoking { invocation: id, stage: Stage::Answered }) => {
            vec![Effect::Finish(id, Finish::Failed(Failure::Sandbox))]
        }
        State::Stopping if next == State::Terminated => vec![],
        State::Stopping | State::Terminated => return Err(Refusal::Irrelevant),
    };
    effects.push(if next == State::Terminated { Effect::CloseSandbox } else { Effect::EndProcesses });
    Ok((next, effects))
}

fn running(invocation: Uuid) -> State {
    State::Invoking(Invoking { invocation, stage: Stage::Running })
}

fn suppressed_init(invocation: Uuid) -> (State, Effects) {
    (
        State::Initializing(Initializing::Suppressed { invocation }),
        vec![Effect::BeginInvocation(invocation), Effect::StartRuntime { limited: false }],
    )
}

/// In the init phase the invocation that waits gets a second init inside itself; there, a failure is final.
fn init_failed(initializing: Initializing, failure: Failure) -> (State, Effects) {
    let mut effects = vec![Effect::InitEnded(InitResult::Failed(failure))];
    match initializing {
        Initializing::InitPhase { waiting } => {
            effects.push(Effect::EndProcesses);
            (State::Resetting { waiting }, effects)
        }
        Initializing::Suppressed { invocation } => {
            effects.push(Effect::Fail(invocation, failure));
            effects.push(Effect::Finish(invocation, Finish::Failed(failure)));
            effects.push(Effect::EndProcesses);
            (State::Resetting { waiting: None }, effects)
        }
    }
}

fn invocation_failed(invocation: Uuid, failure: Failure) -> (State, Effects) {
    (
        State::Resetting { waiting: None },
        vec![
            Effect::Fail(invocation, failure),
            Effect::Finish(invocation, Finish::Failed(failure)),
            Effect::EndProcesses,
        ],
    )
}
