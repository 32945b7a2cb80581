//! The rules of an invocation: handed out, answered, over when everybody asks for the next one.
//!
//! ```text
//!  Running ─ post ─► Answering ─ body read ─► Answered ─ next ─► Extensions ─ all asked ─► Idle
//! ```
//!
//! The caller has the answer at *Answered*; the environment is busy until the end.

use uuid::Uuid;

use super::event::{AnswerKind, Effect, Failure, Finish, InitResult, Refusal};
use super::state::{Ending, InitStage, Initializing, Invoking, Phase, Purpose, Stage, Then};
use super::{Step, Verdict};

impl Step {
    pub(super) fn invoke(&mut self, id: Uuid) -> Verdict {
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

    pub(super) fn suppressed_init(&mut self, invocation: Uuid) {
        self.effects.push(Effect::BeginInvocation(invocation));
        self.begin_init(Purpose::Suppressed { invocation });
    }

    /// To the extensions first, as AWS does; all of them run at the same time.
    pub(super) fn deliver(&mut self, invocation: Uuid) {
        let told = self.state.extensions.deliver_invocation();
        self.effects.extend(told.map(|index| Effect::DeliverToExtension(index, invocation)));
        self.effects.push(Effect::Deliver(invocation));
        self.state.phase = Phase::Invoking(Invoking { invocation, stage: Stage::Running });
    }

    pub(super) fn next_called(&mut self) -> Verdict {
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
                InitStage::Extensions | InitStage::Barrier { restore: true } | InitStage::Reported(_) => {
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

    pub(super) fn finish_if_all_asked(&mut self) {
        if let Phase::Invoking(Invoking { invocation, stage: Stage::Extensions }) = self.state.phase
            && self.state.extensions.invocation_is_over()
        {
            self.effects.push(Effect::Finish(invocation, Finish::Completed));
            self.rest();
        }
    }

    pub(super) fn answer_begun(&mut self, id: Option<Uuid>, kind: AnswerKind) -> Verdict {
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

    pub(super) fn answer_ended(&mut self, id: Uuid) -> Verdict {
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

    pub(super) fn invoke_deadline_passed(&mut self) -> Verdict {
        match self.state.phase {
            Phase::Initializing(initializing @ Initializing { purpose: Purpose::Suppressed { .. }, .. }) => {
                self.fail_initializing(initializing, Failure::TimedOut);
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

    pub(super) fn fail_invocation(&mut self, invocation: Uuid, failure: Failure) {
        self.effects.push(Effect::Fail(invocation, failure));
        self.finish_failed(invocation, failure);
    }

    pub(super) fn finish_failed(&mut self, invocation: Uuid, failure: Failure) {
        self.effects.push(Effect::Finish(invocation, Finish::Failed(failure)));
        self.end(Then::Reset { waiting: None }, failure.shutdown_reason());
    }
}
