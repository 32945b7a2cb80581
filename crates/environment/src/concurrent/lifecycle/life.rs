//! The rules of a life: init up to everybody's first `next`, and the end, for whichever reason comes first.
//!
//! There is one init and no reset. What fails ends the environment, and with it everything under way.

use std::sync::Arc;

use firesteel_runtime_api::{ExtensionErrorPhase, ExtensionRefusal, ShutdownReason};

use super::event::{Effect, Refusal};
use super::state::{InitStage, Phase};
use super::{Step, Verdict};
use crate::lifecycle::extensions::{self, Index};
use crate::lifecycle::{ExtensionFailure, Failure, InitResult, ending};

impl Step {
    pub(super) fn start(&mut self) -> Verdict {
        if self.state.phase != Phase::New {
            return Err(Refusal::Irrelevant);
        }
        self.effects.push(Effect::BeginInit);
        if !self.state.extensions.has_files() {
            self.start_runtime();
            return Ok(());
        }
        let within_limit = self.state.extensions.start();
        self.state.phase = Phase::Initializing(InitStage::Extensions);
        self.effects.push(Effect::StartExtensions);
        if !within_limit {
            self.fail(Failure::Extension(ExtensionFailure::Launch(extensions::MAX_EXTENSIONS)));
        }
        Ok(())
    }

    fn start_runtime(&mut self) {
        self.state.phase = Phase::Initializing(InitStage::Runtime);
        self.state.runtime_runs = true;
        self.effects.push(Effect::StartRuntime);
    }

    pub(super) fn reach_barrier(&mut self) {
        self.effects.push(Effect::RuntimeInitialized);
        self.state.phase = Phase::Initializing(InitStage::Barrier);
        self.pass_barrier_if_all_asked();
    }

    fn pass_barrier_if_all_asked(&mut self) {
        if self.state.phase != Phase::Initializing(InitStage::Barrier) || !self.state.extensions.all_ready() {
            return;
        }
        self.state.phase = Phase::Serving;
        self.effects.push(Effect::InitEnded(InitResult::Succeeded));
        self.effects.extend(self.state.waiting.iter().copied().map(Effect::BeginInvocation));
        self.hand_out();
    }

    pub(super) fn init_error_posted(&mut self) -> Verdict {
        if self.state.phase != Phase::Initializing(InitStage::Runtime) {
            return Err(self.state.refuse_transition("InitError"));
        }
        self.state.phase = Phase::Initializing(InitStage::Reported);
        self.effects.push(Effect::AwaitExit);
        Ok(())
    }

    pub(super) fn init_deadline_passed(&mut self) -> Verdict {
        if !matches!(self.state.phase, Phase::Initializing(_)) {
            return Err(Refusal::Irrelevant);
        }
        self.fail(Failure::TimedOut);
        Ok(())
    }

    pub(super) fn register(&mut self, name: &Arc<str>, invoke: bool, shutdown: bool) -> Verdict {
        let external =
            self.state.extensions.members().iter().any(|known| known.external && known.name == *name);
        if !external && (invoke || shutdown) {
            return Err(ExtensionRefusal::NoEventsForInternal.into());
        }
        if invoke {
            return Err(ExtensionRefusal::InvokeNotSupported.into());
        }
        let Phase::Initializing(stage) = self.state.phase else {
            self.state.extensions.register(name, false, shutdown, false)?;
            return Ok(());
        };
        let open = matches!(stage, InitStage::Extensions | InitStage::Runtime);
        self.state.extensions.register(name, false, shutdown, open)?;
        if stage == InitStage::Extensions && self.state.extensions.all_registered() {
            self.start_runtime();
        }
        Ok(())
    }

    pub(super) fn subscribe(&mut self, index: Index) -> Verdict {
        // Asking changes nothing: the index is known, or this refuses.
        if self.state.extensions.members().get(index).is_none() {
            return Err(ExtensionRefusal::UnknownIdentifier.into());
        }
        match self.state.phase {
            Phase::Initializing(InitStage::Extensions | InitStage::Runtime | InitStage::Barrier) => Ok(()),
            Phase::New
            | Phase::Initializing(InitStage::Reported)
            | Phase::Serving
            | Phase::Ending(_)
            | Phase::Terminated => Err(ExtensionRefusal::SubscriptionClosed.into()),
        }
    }

    pub(super) fn extension_next_called(&mut self, index: Index) -> Verdict {
        self.state.extensions.ask(index)?;
        self.effects.push(Effect::Park);
        match self.state.phase {
            Phase::Initializing(_) => self.pass_barrier_if_all_asked(),
            Phase::Ending(step) => {
                let actions = ending::extension_asked(&mut self.state.extensions, step, index);
                self.effects.extend(actions.into_iter().map(Effect::End));
            }
            Phase::New | Phase::Serving | Phase::Terminated => {}
        }
        Ok(())
    }

    pub(super) fn extension_error_posted(&mut self, index: Index, phase: ExtensionErrorPhase) -> Verdict {
        let failure = match phase {
            ExtensionErrorPhase::Init => self.state.extensions.init_error(index)?,
            ExtensionErrorPhase::Exit => self.state.extensions.exit_error(index)?,
        };
        if let Some(failure) = failure {
            self.fail(Failure::Extension(failure));
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
        if let Phase::Ending(step) = self.state.phase {
            let end = ending::extension_exited(&self.state.extensions, step);
            self.go_on_ending(end);
        } else {
            self.fail(Failure::Extension(failure));
        }
    }

    pub(super) fn runtime_ended(&mut self, failure: Failure) -> Verdict {
        if !self.state.runtime_runs {
            return Err(Refusal::Irrelevant);
        }
        self.state.runtime_runs = false;
        if let Phase::Ending(step) = self.state.phase {
            let end = ending::runtime_exited(&mut self.state.extensions, step);
            self.go_on_ending(end);
        } else {
            self.fail(failure);
        }
        Ok(())
    }

    pub(super) fn ending_time_up(&mut self) -> Verdict {
        match self.state.phase {
            Phase::Ending(step) if step != ending::Step::Processes => {
                let end = ending::time_is_up(&mut self.state.extensions, step);
                self.go_on_ending(end);
                Ok(())
            }
            _ => Err(Refusal::Irrelevant),
        }
    }

    pub(super) fn emptied(&mut self) -> Verdict {
        if self.state.phase != Phase::Ending(ending::Step::Processes) {
            return Err(Refusal::Irrelevant);
        }
        self.terminate();
        Ok(())
    }

    pub(super) fn sandbox_lost(&mut self) -> Verdict {
        if self.state.phase == Phase::Terminated {
            return Err(Refusal::Irrelevant);
        }
        self.fail_all(Failure::Sandbox);
        self.terminate();
        Ok(())
    }

    pub(super) fn shutdown(&mut self) -> Verdict {
        match self.state.phase {
            Phase::New | Phase::Initializing(_) | Phase::Serving => {
                self.fail_all(Failure::Sandbox);
                self.end(ShutdownReason::Spindown);
                Ok(())
            }
            Phase::Ending(_) | Phase::Terminated => Err(Refusal::Irrelevant),
        }
    }

    /// Something that everything depends on has failed. Of an environment that is being ended that is no news.
    fn fail(&mut self, failure: Failure) {
        // The first failure wins: what was reported before is the reason.
        let was_reported = self.state.phase == Phase::Initializing(InitStage::Reported);
        let failure = if was_reported { Failure::InitError } else { failure };
        match self.state.phase {
            Phase::Initializing(_) => self.effects.push(Effect::InitEnded(InitResult::Failed(failure))),
            Phase::Serving => {}
            Phase::New | Phase::Ending(_) | Phase::Terminated => return,
        }
        self.fail_all(failure);
        self.end(failure.shutdown_reason());
    }

    fn end(&mut self, reason: ShutdownReason) {
        let end = ending::begin_concurrent(&mut self.state.extensions, self.state.runtime_runs, reason);
        self.go_on_ending(end);
    }

    fn go_on_ending(&mut self, (step, actions): (ending::Step, Vec<ending::Action>)) {
        self.state.phase = Phase::Ending(step);
        self.effects.extend(actions.into_iter().map(Effect::End));
    }

    fn terminate(&mut self) {
        self.state.phase = Phase::Terminated;
        self.state.extensions.clear();
        self.state.runtime_runs = false;
        self.effects.push(Effect::CloseSandbox);
    }
}
