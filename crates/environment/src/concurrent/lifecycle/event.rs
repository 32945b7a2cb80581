//! What can happen to an environment that takes several invocations at a time, and what its driver must do then.

use std::sync::Arc;

use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal};
use uuid::Uuid;

use crate::lifecycle::ending::Action;
use crate::lifecycle::extensions::Index;
use crate::lifecycle::{AnswerKind, Failure, InitResult};

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
    /// The body of a result came to its end; of which one, since there may be both for one invocation.
    AnswerEnded(Uuid, AnswerKind),
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
    /// The runtime reported a failure and is about to end: it has a moment for that, from here, instead of what is left
    /// for the init.
    AwaitExit,
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
    /// The answer comes too late: it is refused, and its slot counts again.
    RefuseLateAnswer(Uuid),
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
