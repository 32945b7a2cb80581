//! What can happen to an environment, what its driver must do then, and why something may not happen.

use std::sync::Arc;

use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal, ShutdownReason};
use uuid::Uuid;

use super::ending::Action;
use super::extensions::Index;

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
    /// A runtime that reported a failure has not ended in time.
    ExitOverdue,
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
    /// The runtime reported a failure and is about to end: it has a moment for that, from here.
    AwaitExit,
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

/// The effects of one step, in order.
pub type Effects = Vec<Effect>;

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

impl AnswerKind {
    pub(super) fn state_name(self) -> &'static str {
        match self {
            AnswerKind::Response => "InvocationResponse",
            AnswerKind::Error => "InvocationErrorResponse",
        }
    }
}

impl Failure {
    /// What extensions are told of an end that it is the reason for.
    pub(crate) fn shutdown_reason(self) -> ShutdownReason {
        match self {
            Failure::TimedOut => ShutdownReason::Timeout,
            Failure::Exited
            | Failure::Launch
            | Failure::InitError
            | Failure::RestoreError
            | Failure::Extension(_)
            | Failure::Sandbox => ShutdownReason::Failure,
        }
    }
}
