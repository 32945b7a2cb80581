//! The rules of an execution environment that takes several invocations at a time (Lambda Managed Instances).
//!
//! ```text
//!  New ─ Start ─► Initializing ─ all asked ─► Serving ─ Shutdown, or anything fails ─► Ending ─ Emptied ─► Terminated
//!                                              │ ▲
//!                             Invoke, next ────┘ └──── answer read, deadline
//!
//!  an invocation:   Invoke ─► waiting ─ a next is there ─► Running ─ post ─► Answering ─ body read ─► over
//!                                └──────────────── deadline ──┴────────────────┴─► over, remembered for a while
//! ```
//!
//! Beside [`crate::lifecycle`], not inside it: here a waiting `next` is a slot and not a state, an invocation is found
//! by its id and over when its answer is, its timeout ends nothing else, and an environment of which a process ends
//! is not reset but given up. Extensions and the steps of an end are the same, see [`crate::lifecycle::extensions`] and
//! [`crate::lifecycle::ending`]; extensions may not ask for invocations.
//!
//! Synchronous and total like its sister; called by the driver beside it and by nobody else. The rules of a life, from
//! init to end, are in `life`, those of invocations in `invoking`.
//!
//! Matched behaviour: the published managed-instances core. A second `/response` and an unknown id are refused with
//! 400, an id that ran out of time with 410, once; `/error` during a `/response` takes its place. Beyond it an
//! invocation waits for a `next` that is late, where the core turns it away, and its clock runs meanwhile.

mod event;
mod invoking;
mod life;
mod state;

pub use self::event::{Effect, Effects, Event, Refusal};
pub use self::state::{InitStage, Phase, Stage, State};
use crate::lifecycle::Failure;

/// One event in one state: the next state and what to do, or why not.
pub fn step(state: &State, event: Event) -> Result<(State, Effects), Refusal> {
    let mut step = Step { state: state.clone(), effects: Vec::new() };
    match event {
        Event::Start => step.start(),
        Event::Invoke(id) => step.invoke(id),
        Event::NextCalled => step.next_called(),
        Event::NextGone => step.next_gone(),
        Event::AnswerBegun(id, kind) => step.answer_begun(id, kind),
        Event::AnswerEnded(id, kind) => step.answer_ended(id, kind),
        Event::InitErrorPosted => step.init_error_posted(),
        Event::Register { name, invoke, shutdown } => step.register(&name, invoke, shutdown),
        Event::ExtensionNextCalled(index) => step.extension_next_called(index),
        Event::ExtensionErrorPosted(index, phase) => step.extension_error_posted(index, phase),
        Event::Subscribe(index) => step.subscribe(index),
        Event::LaunchFailed => step.runtime_ended(Failure::Launch),
        Event::RuntimeExited => step.runtime_ended(Failure::Exited),
        Event::ExtensionLaunchFailed(index) => step.extension_launch_failed(index),
        Event::ExtensionExited(index) => step.extension_exited(index),
        Event::InitDeadlinePassed => step.init_deadline_passed(),
        Event::InvokeDeadlinePassed(id) => step.invoke_deadline_passed(id),
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
