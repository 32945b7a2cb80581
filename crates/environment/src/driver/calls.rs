//! What the guest calls, judged.

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::telemetry::Subscription;
use firesteel_runtime_api::{
    AnswerBody, AnswerHead, Call, ExtensionErrorPhase, ExtensionEvent, Intake, Registered, Registration,
    Reply, ResponseMode,
};
use uuid::Uuid;

use super::{Driver, rendered};
use crate::lifecycle::{self, Event};
use crate::posted::Posted;

impl Driver {
    pub(super) fn guest_called(&mut self, call: Call) {
        match call {
            Call::Next { reply } => {
                // A runtime that asks, goes away and asks again must not pile up calls that nobody waits for.
                self.parked.next.retain(|parked| !parked.is_closed());
                // In its place before the verdict, which may deliver to it.
                self.parked.next.push(reply);
                if let Err(refusal) = self.judge(Event::NextCalled)
                    && let Some(reply) = self.parked.next.pop()
                {
                    let _ = reply.send(Err(rendered(refusal)));
                }
            }
            Call::AnswerBegun { answer, reply } => self.answer_begun(&answer, reply),
            Call::AnswerEnded { request_id, body, reply } => {
                self.answer_ended(&request_id, body, reply);
            }
            Call::InitError { report, reply } => {
                self.processes.cause.runtime_report = Some(report);
                let _ = reply.send(self.judge(Event::InitErrorPosted).map_err(rendered));
            }
            Call::RestoreNext { reply } => {
                self.parked.restore.retain(|parked| !parked.is_closed());
                self.parked.restore.push(reply);
                if let Err(refusal) = self.judge(Event::RestoreNextCalled)
                    && let Some(reply) = self.parked.restore.pop()
                {
                    let _ = reply.send(Err(rendered(refusal)));
                }
            }
            Call::RestoreError { report, reply } => {
                self.processes.cause.runtime_report = Some(report);
                let _ = reply.send(self.judge(Event::RestoreErrorPosted).map_err(rendered));
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

    fn answer_begun(&mut self, answer: &AnswerHead, reply: Reply<Intake>) {
        let id = Uuid::try_parse(&answer.request_id).ok();
        let kind = match answer.kind {
            runtime_api::AnswerKind::Response { .. } => lifecycle::AnswerKind::Response,
            runtime_api::AnswerKind::Error { .. } => lifecycle::AnswerKind::Error,
        };
        if self.current.as_ref().is_some_and(|current| !current.is_of_this_attempt(answer)) {
            let _ = reply.send(Err(runtime_api::Refusal::InvalidRequestId));
            return;
        }
        if let Err(refusal) = self.judge(Event::AnswerBegun(id, kind)) {
            let _ = reply.send(Err(rendered(refusal)));
            return;
        }
        let Some(id) = id else { return };
        if kind == lifecycle::AnswerKind::Response && answer.mode == ResponseMode::Unknown {
            self.posted = Some(Posted::of_invalid_mode(id));
            self.apply(Event::AnswerEnded(id));
            let _ = reply.send(Err(runtime_api::Refusal::InvalidResponseMode));
            return;
        }
        let Some(current) = &mut self.current else { return };
        current.times.answer_began();
        let intake = current.intake(answer);
        let is_stream = current.stream.is_some();
        if reply.send(Ok(intake)).is_err() {
            // The guest is gone, and with it the body that was asked for.
            self.posted = Some(Posted::cut_off(id, is_stream));
            self.apply(Event::AnswerEnded(id));
        }
    }

    fn answer_ended(&mut self, request_id: &str, body: AnswerBody, reply: Reply<()>) {
        let verdict = match (Uuid::try_parse(request_id), &self.current) {
            (Ok(id), Some(current)) => {
                let (posted, on_success) = Posted::of(body, current.request_id(), current.stream.is_some());
                self.posted = Some(posted);
                self.judge(Event::AnswerEnded(id)).map_err(rendered).and(on_success)
            }
            (Err(_), _) | (_, None) => Err(runtime_api::Refusal::InvalidRequestId),
        };
        self.posted = None;
        let _ = reply.send(verdict);
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
