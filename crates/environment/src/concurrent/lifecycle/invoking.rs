//! The rules of invocations: each waits for a `next`, is answered or runs out of time, and is over.

use uuid::Uuid;

use super::event::{Effect, Refusal};
use super::state::{InitStage, Phase, Stage};
use super::{Step, Verdict};
use crate::lifecycle::{AnswerKind, Failure};

impl Step {
    pub(super) fn invoke(&mut self, id: Uuid) -> Verdict {
        let state = &mut self.state;
        // Without a look at slots that are lost: what was handed over waits for the next one that is found.
        if !state.serves() || state.knows(id) || state.waiting.len() + state.running.len() >= state.slots {
            return Err(Refusal::Busy);
        }
        state.waiting.push_back(id);
        if state.phase == Phase::Serving {
            self.effects.push(Effect::BeginInvocation(id));
            self.hand_out();
        }
        Ok(())
    }

    pub(super) fn next_called(&mut self) -> Verdict {
        let stage = match self.state.phase {
            Phase::Initializing(stage @ (InitStage::Runtime | InitStage::Barrier)) => Some(stage),
            Phase::Serving => None,
            Phase::New
            | Phase::Initializing(InitStage::Extensions | InitStage::Reported)
            | Phase::Ending(_)
            | Phase::Terminated => {
                return Err(self.state.refuse_transition("Ready"));
            }
        };
        if self.state.idle >= self.state.slots {
            return Err(Refusal::TooManyIdleRuntimes);
        }
        self.state.idle += 1;
        self.effects.push(Effect::Park);
        match stage {
            Some(InitStage::Runtime) => self.reach_barrier(),
            Some(_) => {}
            None => self.hand_out(),
        }
        Ok(())
    }

    pub(super) fn next_gone(&mut self) -> Verdict {
        self.state.idle = self.state.idle.checked_sub(1).ok_or(Refusal::Irrelevant)?;
        Ok(())
    }

    pub(super) fn answer_begun(&mut self, id: Option<Uuid>, kind: AnswerKind) -> Verdict {
        let id = id.ok_or(Refusal::InvalidRequestId)?;
        let Some(stage) = self.state.running.get_mut(&id) else {
            return self.too_late(id);
        };
        match (*stage, kind) {
            (Stage::Running, _) | (Stage::Answering(AnswerKind::Response), AnswerKind::Error) => {
                *stage = Stage::Answering(kind);
                Ok(())
            }
            (Stage::Answering(_), _) => Err(Refusal::InvalidRequestId),
        }
    }

    pub(super) fn answer_ended(&mut self, id: Uuid, kind: AnswerKind) -> Verdict {
        match self.state.running.get(&id) {
            Some(Stage::Answering(read)) if *read == kind => {
                self.state.running.remove(&id);
                self.effects.extend([Effect::Answer(id), Effect::Finish(id)]);
                Ok(())
            }
            // An error has taken its place.
            Some(_) => Err(Refusal::InvalidRequestId),
            None => self.too_late(id),
        }
    }

    /// An answer that nobody waits for frees the slot that it was expected in, and is refused.
    fn too_late(&mut self, id: Uuid) -> Verdict {
        match self.state.timed_out.iter().position(|known| *known == id) {
            Some(index) => {
                self.state.timed_out.remove(index);
                self.effects.push(Effect::RefuseLateAnswer(id));
                Ok(())
            }
            None => Err(Refusal::InvalidRequestId),
        }
    }

    pub(super) fn invoke_deadline_passed(&mut self, id: Uuid) -> Verdict {
        if self.state.running.remove(&id).is_some() {
            self.state.remember(id);
        } else if let Some(index) = self.state.waiting.iter().position(|waiting| *waiting == id) {
            self.state.waiting.remove(index);
        } else {
            return Err(Refusal::Irrelevant);
        }
        self.effects.extend([Effect::Fail(id, Failure::TimedOut), Effect::Finish(id)]);
        Ok(())
    }

    /// Gives those that wait to the `next` that wait.
    pub(super) fn hand_out(&mut self) {
        while self.state.idle > 0
            && let Some(id) = self.state.waiting.pop_front()
        {
            self.state.idle -= 1;
            self.state.running.insert(id, Stage::Running);
            self.effects.push(Effect::Deliver(id));
        }
    }

    /// Whatever is under way fails, and is over.
    pub(super) fn fail_all(&mut self, failure: Failure) {
        let running = std::mem::take(&mut self.state.running).into_keys();
        for id in running.chain(std::mem::take(&mut self.state.waiting)) {
            self.effects.extend([Effect::Fail(id, failure), Effect::Finish(id)]);
        }
        self.state.idle = 0;
    }
}
