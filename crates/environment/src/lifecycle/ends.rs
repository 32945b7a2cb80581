//! The rules of everything that ends: processes, extensions that report it, resets, the environment.
//!
//! Whatever ends first is the reason; what ends because of it is only noted. How an end goes on is in
//! [`ending`](super::ending).

use firesteel_runtime_api::{ExtensionErrorPhase, ShutdownReason};

use super::event::{Effect, ExtensionFailure, Failure, Finish, Refusal};
use super::extensions::Index;
use super::state::{Ending, Initializing, Invoking, Phase, Purpose, Stage, Then};
use super::{Step, Verdict, ending};

impl Step {
    pub(super) fn extension_next_called(&mut self, index: Index) -> Verdict {
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

    pub(super) fn extension_error_posted(&mut self, index: Index, phase: ExtensionErrorPhase) -> Verdict {
        let failure = match phase {
            ExtensionErrorPhase::Init => self.state.extensions.init_error(index)?,
            ExtensionErrorPhase::Exit => self.state.extensions.exit_error(index)?,
        };
        if let Some(failure) = failure {
            self.extension_failed(failure);
        }
        Ok(())
    }

    pub(super) fn runtime_ended(&mut self, failure: Failure) -> Verdict {
        if !self.state.runtime_runs {
            return Err(Refusal::Irrelevant);
        }
        self.state.runtime_runs = false;
        match self.state.phase {
            // Whatever the runtime left running goes with it, so that the next init finds a clean sandbox.
            Phase::Initializing(initializing) => self.fail_initializing(initializing, failure),
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

    pub(super) fn extension_launch_failed(&mut self, index: Index) -> Verdict {
        let failure = self.state.extensions.launch_failed(index)?;
        self.extension_ended(failure);
        Ok(())
    }

    pub(super) fn extension_exited(&mut self, index: Index) -> Verdict {
        let failure = self.state.extensions.exited(index)?;
        self.extension_ended(failure);
        Ok(())
    }

    fn extension_ended(&mut self, failure: ExtensionFailure) {
        if let Phase::Ending(Ending { then, step }) = self.state.phase {
            let (step, actions) = ending::extension_exited(&self.state.extensions, step);
            self.state.phase = Phase::Ending(Ending { then, step });
            self.effects.extend(actions.into_iter().map(Effect::End));
        } else {
            self.extension_failed(failure);
        }
    }

    /// An extension is as vital as the runtime.
    pub(super) fn extension_failed(&mut self, failure: ExtensionFailure) {
        let failure = Failure::Extension(failure);
        match self.state.phase {
            Phase::Initializing(initializing) => self.fail_initializing(initializing, failure),
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

    pub(super) fn ending_time_up(&mut self) -> Verdict {
        let Phase::Ending(Ending { then, step }) = self.state.phase else { return Err(Refusal::Irrelevant) };
        if step == ending::Step::Processes {
            return Err(Refusal::Irrelevant);
        }
        let (step, actions) = ending::time_is_up(&mut self.state.extensions, step);
        self.state.phase = Phase::Ending(Ending { then, step });
        self.effects.extend(actions.into_iter().map(Effect::End));
        Ok(())
    }

    pub(super) fn emptied(&mut self) -> Verdict {
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

    pub(super) fn sandbox_lost(&mut self) -> Verdict {
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
    pub(super) fn shutdown(&mut self) -> Verdict {
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

    pub(super) fn leave_nobody_waiting(&mut self) {
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

    pub(super) fn end(&mut self, then: Then, reason: ShutdownReason) {
        let (step, actions) = ending::begin(&mut self.state.extensions, self.state.runtime_runs, reason);
        self.state.phase = Phase::Ending(Ending { then, step });
        self.effects.extend(actions.into_iter().map(Effect::End));
    }
}
