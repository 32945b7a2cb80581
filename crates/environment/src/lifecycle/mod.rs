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
//! The states are in `state`, the vocabulary in `event`; the rules are in `initializing`, `invoking` and `ends`, with
//! the steps of an end in [`ending`] and what an extension may do in [`extensions`].
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
mod ends;
mod event;
pub mod extensions;
mod initializing;
mod invoking;
mod state;

pub use self::event::{
    AnswerKind, Effect, Effects, Event, ExtensionFailure, Failure, Finish, InitResult, Refusal,
};
use self::extensions::Extensions;
pub use self::state::{
    Ending, InitStage, Initializing, Invoking, Phase, Purpose, Report, Stage, State, Then,
};

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
        Event::ExtensionLaunchFailed(index) => step.extension_launch_failed(index),
        Event::ExtensionExited(index) => step.extension_exited(index),
        Event::InitDeadlinePassed => step.init_deadline_passed(),
        Event::RestoreDeadlinePassed => step.restore_deadline_passed(),
        Event::ExitOverdue => step.exit_overdue(),
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

    fn rest(&mut self) {
        self.state.phase = Phase::Idle;
        self.effects.push(Effect::Rest);
    }
}
