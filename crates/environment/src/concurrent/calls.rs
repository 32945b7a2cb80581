//! What the guest calls, judged.

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::telemetry::Subscription;
use firesteel_runtime_api::{
    AnswerBody, AnswerHead, Call, Delivery, ExtensionErrorPhase, ExtensionEvent, Intake, Registered,
    Registration, Reply, ResponseMode,
};
use uuid::Uuid;

use super::lifecycle::{Event, Stage};
use super::{Driver, rendered};
use crate::lifecycle::AnswerKind;
use crate::posted::Posted;

impl Driver {
    pub(super) fn guest_called(&mut self, call: Call) {
        match call {
            Call::Next { reply } => self.next(reply),
            Call::AnswerBegun { answer, reply } => self.answer_begun(&answer, reply),
            Call::AnswerEnded { request_id, body, reply } => {
                let _ = reply.send(self.answer_ended(&request_id, body));
            }
            Call::InitError { report, reply } => {
                self.processes.cause.runtime_report.get_or_insert(report);
                let _ = reply.send(self.judge(Event::InitErrorPosted).map_err(rendered));
            }
            // There is no snapshot, so these are no routes here.
            Call::RestoreNext { reply } | Call::RestoreError { reply, .. } => {
                let _ = reply.send(Err(runtime_api::Refusal::Platform));
            }
            Call::Register { registration, reply } => {
                let _ = reply.send(self.register(&registration));
            }
            Call::ExtensionNext { extension, reply } => self.extension_next(extension, reply),
            Call::ExtensionError { extension, phase, error_type, reply } => {
                let _ = reply.send(self.extension_error(extension, phase, error_type));
            }
            Call::Subscribe { extension, subscription, reply } => {
                let _ = reply.send(self.subscribe(extension, subscription));
            }
        }
    }

    fn next(&mut self, reply: Reply<Delivery>) {
        self.forget_gone();
        // In its place before the verdict, which may deliver to it.
        self.parked.push_back(reply);
        if let Err(refusal) = self.judge(Event::NextCalled)
            && let Some(reply) = self.parked.pop_back()
        {
            let _ = reply.send(Err(rendered(refusal)));
        }
    }

    fn answer_begun(&mut self, answer: &AnswerHead, reply: Reply<Intake>) {
        let id = Uuid::try_parse(&answer.request_id).ok();
        let kind = match answer.kind {
            runtime_api::AnswerKind::Response { .. } => AnswerKind::Response,
            runtime_api::AnswerKind::Error { .. } => AnswerKind::Error,
        };
        let current = id.and_then(|id| self.invocations.get(&id));
        if current.is_some_and(|current| !current.is_of_this_attempt(answer)) {
            let _ = reply.send(Err(runtime_api::Refusal::InvalidRequestId));
            return;
        }
        if let Err(refusal) = self.judge_answer(Event::AnswerBegun(id, kind)) {
            let _ = reply.send(Err(refusal));
            return;
        }
        let Some(id) = id else { return };
        if kind == AnswerKind::Response && answer.mode == ResponseMode::Unknown {
            self.posted = Some(Posted::of_invalid_mode(id));
            self.apply(Event::AnswerEnded(id, kind));
            let _ = reply.send(Err(runtime_api::Refusal::InvalidResponseMode));
            return;
        }
        let Some(current) = self.invocations.get_mut(&id) else { return };
        current.times.answer_began();
        let intake = current.intake(answer);
        let is_stream = current.stream.is_some();
        if reply.send(Ok(intake)).is_err() {
            // The guest is gone, and with it the body that was asked for.
            self.posted = Some(Posted::cut_off(id, is_stream));
            self.apply(Event::AnswerEnded(id, kind));
        }
    }

    fn answer_ended(&mut self, request_id: &str, body: AnswerBody) -> Result<(), runtime_api::Refusal> {
        let id = Uuid::try_parse(request_id).map_err(|_| runtime_api::Refusal::InvalidRequestId)?;
        let kind = match &body {
            AnswerBody::Response { .. } | AnswerBody::Forwarded { .. } => AnswerKind::Response,
            AnswerBody::Error(_) => AnswerKind::Error,
            // Which body it was is not said. Of two, either end leaves the caller with a failure.
            AnswerBody::TooLarge { .. } | AnswerBody::Truncated => match self.state.running.get(&id) {
                Some(Stage::Answering(kind)) => *kind,
                Some(Stage::Running) | None => AnswerKind::Response,
            },
        };
        let is_stream = self.invocations.get(&id).is_some_and(|current| current.stream.is_some());
        let (posted, on_success) = Posted::of(body, id, is_stream);
        self.posted = Some(posted);
        let verdict = self.judge_answer(Event::AnswerEnded(id, kind));
        self.posted = None;
        verdict.and(on_success)
    }

    fn judge_answer(&mut self, event: Event) -> Result<(), runtime_api::Refusal> {
        self.late = false;
        self.judge(event).map_err(rendered)?;
        if self.late { Err(runtime_api::Refusal::InvokeTimeout) } else { Ok(()) }
    }

    fn register(&mut self, registration: &Registration) -> Result<Registered, runtime_api::Refusal> {
        let Registration { name, invoke, shutdown, .. } = registration;
        let event = Event::Register { name: name.as_str().into(), invoke: *invoke, shutdown: *shutdown };
        self.judge(event).map_err(rendered)?;
        self.processes.registered(registration, &self.state.extensions)
    }

    fn extension_next(&mut self, extension: Uuid, reply: Reply<ExtensionEvent>) {
        match self.processes.extension(extension) {
            Ok(index) => {
                let before = self.processes.park(index, reply);
                if let Err(refusal) = self.judge(Event::ExtensionNextCalled(index)) {
                    self.processes.unpark(index, before, rendered(refusal));
                }
            }
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
    }

    fn extension_error(
        &mut self,
        extension: Uuid,
        phase: ExtensionErrorPhase,
        error_type: String,
    ) -> Result<(), runtime_api::Refusal> {
        let index = self.processes.extension(extension)?;
        let before = self.processes.note_extension_error(index, error_type);
        self.judge(Event::ExtensionErrorPosted(index, phase)).map_err(|refusal| {
            self.processes.extension_error_refused(before);
            rendered(refusal)
        })
    }

    fn subscribe(&mut self, extension: Uuid, subscription: Subscription) -> Result<(), runtime_api::Refusal> {
        let index = self.processes.extension(extension)?;
        self.judge(Event::Subscribe(index)).map_err(rendered)?;
        self.processes.subscribe(index, subscription, &self.state.extensions)
    }
}
