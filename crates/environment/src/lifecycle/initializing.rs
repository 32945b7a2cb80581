//! The rules of an init: extensions first, then the runtime, then everybody's first `next`.
//!
//! ```text
//!  Extensions ─ all registered ─► Runtime ─ next ─────────► Barrier ─ all asked ─► Idle, or the event
//!  (if there are any)                └────── restore/next ─► Barrier ─ all asked ─► Restoring ─ next ─┘
//! ```
//!
//! An init that fails in its own phase is done again inside the invocation that waits for it; there, a failure is
//! final. A restore that fails is not tried again.

use std::sync::Arc;

use firesteel_runtime_api::ExtensionRefusal;

use super::event::{Effect, ExtensionFailure, Failure, InitResult, Refusal};
use super::extensions::{self, Index};
use super::state::{InitStage, Initializing, Phase, Purpose, Then};
use super::{Step, Verdict};

impl Step {
    pub(super) fn begin_init(&mut self, purpose: Purpose) {
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

    pub(super) fn start_runtime(&mut self, purpose: Purpose) {
        self.state.phase = Phase::Initializing(Initializing { purpose, stage: InitStage::Runtime });
        self.state.runtime_runs = true;
        self.effects.push(Effect::StartRuntime);
    }

    pub(super) fn reach_barrier(&mut self, purpose: Purpose, restore: bool) {
        let stage = InitStage::Barrier { restore };
        self.state.phase = Phase::Initializing(Initializing { purpose, stage });
        self.pass_barrier_if_all_asked();
    }

    pub(super) fn pass_barrier_if_all_asked(&mut self) {
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

    pub(super) fn initialized(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::InitPhase { waiting: None } => self.rest(),
            Purpose::InitPhase { waiting: Some(id) } => {
                self.effects.push(Effect::BeginInvocation(id));
                self.deliver(id);
            }
            Purpose::Suppressed { invocation } => self.deliver(invocation),
        }
    }

    pub(super) fn init_error_posted(&mut self) -> Verdict {
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

    pub(super) fn restore_next_called(&mut self) -> Verdict {
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

    pub(super) fn restore_error_posted(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, Failure::RestoreError);
                Ok(())
            }
            Some(_) | None => Err(self.state.refuse_transition("RuntimeRestoreErrorState")),
        }
    }

    pub(super) fn register(&mut self, name: &Arc<str>, invoke: bool, shutdown: bool) -> Verdict {
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

    pub(super) fn subscribe(&mut self, index: Index) -> Verdict {
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

    pub(super) fn init_deadline_passed(&mut self) -> Verdict {
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

    pub(super) fn restore_deadline_passed(&mut self) -> Verdict {
        match self.state.initializing() {
            Some(Initializing { purpose, stage: InitStage::Restoring }) => {
                self.fail_restore(purpose, Failure::TimedOut);
                Ok(())
            }
            Some(_) | None => Err(Refusal::Irrelevant),
        }
    }

    /// In the init phase the invocation that waits gets a second init inside itself; there, a failure is final.
    pub(super) fn fail_init(&mut self, purpose: Purpose, failure: Failure) {
        self.effects.push(Effect::InitEnded(InitResult::Failed(failure)));
        match purpose {
            Purpose::InitPhase { waiting } => self.end(Then::Reset { waiting }, failure.shutdown_reason()),
            Purpose::Suppressed { invocation } => self.fail_invocation(invocation, failure),
        }
    }

    /// A restore that fails is not tried again: the caller is told.
    pub(super) fn fail_restore(&mut self, purpose: Purpose, failure: Failure) {
        self.effects.push(Effect::RestoreEnded(InitResult::Failed(failure)));
        match purpose {
            Purpose::InitPhase { waiting: None } => {
                self.end(Then::Reset { waiting: None }, failure.shutdown_reason());
            }
            Purpose::InitPhase { waiting: Some(invocation) } | Purpose::Suppressed { invocation } => {
                self.fail_invocation(invocation, failure);
            }
        }
    }
}
