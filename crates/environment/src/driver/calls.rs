//! What the guest calls, judged.

use std::sync::Arc;

use bytes::Bytes;
use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::telemetry::Subscription;
use firesteel_runtime_api::{
    AnswerBody, AnswerHead, Call, ExtensionErrorPhase, ExtensionRefusal, Intake, Registered, Registration,
    Reply, ResponseMode,
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::current::{Posted, PostedBody};
use super::failures::{function_error, reported, stream_end};
use super::{Driver, rendered};
use crate::failure::PlatformError;
use crate::invocation::ResponseDelivery;
use crate::lifecycle::{self, Event};
use crate::logs::platform_event::Status;
use crate::outcome::{Answer, ChunkStream};

/// Chunks of a stream between the runtime and its reader. Few: what waits here is memory, and the socket's own
/// buffers keep both sides busy.
const CHUNKS: usize = 4;

const UNKNOWN: runtime_api::Refusal = runtime_api::Refusal::Extension(ExtensionRefusal::UnknownIdentifier);

impl Driver {
    pub(super) fn guest_called(&mut self, call: Option<Call>) {
        match call {
            Some(Call::Next { reply }) => {
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
            Some(Call::AnswerBegun { answer, reply }) => self.answer_begun(&answer, reply),
            Some(Call::AnswerEnded { request_id, body, reply }) => {
                self.answer_ended(&request_id, body, reply);
            }
            Some(Call::InitError { report, reply }) => {
                self.cause.runtime_report = Some(report);
                let _ = reply.send(self.judge(Event::InitErrorPosted).map_err(rendered));
            }
            Some(Call::RestoreNext { reply }) => {
                self.parked.restore.retain(|parked| !parked.is_closed());
                self.parked.restore.push(reply);
                if let Err(refusal) = self.judge(Event::RestoreNextCalled)
                    && let Some(reply) = self.parked.restore.pop()
                {
                    let _ = reply.send(Err(rendered(refusal)));
                }
            }
            Some(Call::RestoreError { report, reply }) => {
                self.cause.runtime_report = Some(report);
                let _ = reply.send(self.judge(Event::RestoreErrorPosted).map_err(rendered));
            }
            Some(Call::Register { registration, reply }) => {
                let _ = reply.send(self.register(registration));
            }
            Some(Call::ExtensionNext { extension, reply }) => self.extension_next(extension, reply),
            Some(Call::ExtensionError { extension, phase, error_type, reply }) => {
                let _ = reply.send(self.extension_error(extension, phase, error_type));
            }
            Some(Call::Subscribe { extension, subscription, reply }) => {
                let _ = reply.send(self.subscribe(extension, subscription));
            }
            // Its server ended: it does so only with the processes.
            None => self.generation = None,
        }
    }

    fn answer_begun(&mut self, answer: &AnswerHead, reply: Reply<Intake>) {
        let id = Uuid::try_parse(&answer.request_id).ok();
        let kind = match answer.kind {
            runtime_api::AnswerKind::Response { .. } => lifecycle::AnswerKind::Response,
            runtime_api::AnswerKind::Error { .. } => lifecycle::AnswerKind::Error,
        };
        if !self.is_of_this_attempt(answer) {
            let _ = reply.send(Err(runtime_api::Refusal::InvalidRequestId));
            return;
        }
        if let Err(refusal) = self.judge(Event::AnswerBegun(id, kind)) {
            let _ = reply.send(Err(rendered(refusal)));
            return;
        }
        let Some(id) = id else { return };
        if kind == lifecycle::AnswerKind::Response && answer.mode == ResponseMode::Unknown {
            // Type in the log, nothing for the caller, as on AWS.
            let (_, status) = self.platform_failure(&PlatformError::invalid_response_mode());
            let nothing = function_error("Runtime.InvalidResponseModeHeader", Bytes::new());
            self.posted = Some(Posted::whole(nothing, status));
            self.apply(Event::AnswerEnded(id));
            let _ = reply.send(Err(runtime_api::Refusal::InvalidResponseMode));
            return;
        }
        if let Some(current) = &mut self.current {
            current.times.answer_began();
        }
        let intake = self.intake(answer);
        if reply.send(Ok(intake)).is_err() {
            // The guest is gone, and with it the body that was asked for.
            let cut = self.cut_off();
            self.posted = Some(cut);
            self.apply(Event::AnswerEnded(id));
        }
    }

    /// An answer that belongs to an earlier attempt at the same event must reach nobody. Runtimes that do not know
    /// of attempts say nothing.
    fn is_of_this_attempt(&self, answer: &AnswerHead) -> bool {
        match (&answer.invocation_id, &self.current) {
            (Some(echo), Some(current)) => Uuid::try_parse(echo).is_ok_and(|id| id == current.invocation_id),
            _ => true,
        }
    }

    /// Where the body goes: straight to a caller who reads streams. Whether the runtime says that it streams is not
    /// asked, as the service does not ask: AWS's own runtime for Go streams without saying so.
    fn intake(&mut self, answer: &AnswerHead) -> Intake {
        let runtime_api::AnswerKind::Response { content_type } = &answer.kind else { return Intake::Collect };
        let Some(current) = &mut self.current else { return Intake::Collect };
        if current.invocation().delivery != ResponseDelivery::Streamed {
            return Intake::Collect;
        }
        let (chunks, chunks_receiver) = mpsc::channel(CHUNKS);
        let (end, end_receiver) = oneshot::channel();
        if let Some(caller) = current.admitted.order.answer.take() {
            current.stream = Some(end);
            let body = ChunkStream { chunks: chunks_receiver, end: end_receiver };
            drop(caller.send(Answer::Stream { content_type: content_type.clone(), body }));
        }
        Intake::Forward(chunks)
    }

    /// What is told of a body that ended before its end.
    fn cut_off(&self) -> Posted {
        let error = PlatformError::truncated_response();
        if self.current.as_ref().is_some_and(|current| current.stream.is_some()) {
            Posted::end(runtime_api::ForwardEnd::Truncated, 0, |error| self.stream_failure(&error))
        } else {
            let (answer, status) = self.platform_failure(&error);
            Posted::whole(answer, status)
        }
    }

    fn answer_ended(&mut self, request_id: &str, body: AnswerBody, reply: Reply<()>) {
        let (posted, on_success) = match body {
            AnswerBody::Response { content_type, body, stream_error: None } => {
                let answer = Answer::Response { content_type, payload: body };
                (Posted::whole(answer, Status::Success), Ok(()))
            }
            // A caller that does not stream gets a stream's late failure instead of what came before it.
            AnswerBody::Response { stream_error: Some(error), .. } => {
                let (answer, status) =
                    reported(error.error_type, "application/json".into(), error.error_body);
                (Posted::whole(answer, status), Ok(()))
            }
            AnswerBody::Error(report) => {
                let (answer, status) = reported(report.error_type, report.content_type, report.body);
                (Posted::whole(answer, status), Ok(()))
            }
            AnswerBody::Forwarded { size_bytes, end } => {
                let verdict = match &end {
                    runtime_api::ForwardEnd::Complete(_) => Ok(()),
                    runtime_api::ForwardEnd::TooLarge => Err(runtime_api::Refusal::TooLarge),
                    runtime_api::ForwardEnd::Truncated => Err(runtime_api::Refusal::Truncated),
                };
                (Posted::end(end, size_bytes, |error| self.stream_failure(&error)), verdict)
            }
            AnswerBody::TooLarge { .. } => {
                let (answer, status) = self.platform_failure(&PlatformError::response_too_large());
                (Posted::whole(answer, status), Err(runtime_api::Refusal::TooLarge))
            }
            AnswerBody::Truncated => (self.cut_off(), Err(runtime_api::Refusal::Truncated)),
        };
        let verdict = match Uuid::try_parse(request_id) {
            Ok(id) => {
                self.posted = Some(posted);
                self.judge(Event::AnswerEnded(id)).map_err(rendered).and(on_success)
            }
            Err(_) => Err(runtime_api::Refusal::InvalidRequestId),
        };
        self.posted = None;
        let _ = reply.send(verdict);
    }

    /// What was posted goes to the caller.
    pub(super) fn pass_on(&mut self) {
        let Some(Posted { body, status, size_bytes }) = self.posted.take() else { return };
        if let Some(current) = &mut self.current {
            current.times.answer_ended(size_bytes);
        }
        match body {
            PostedBody::Whole(answer) => self.answer(answer, status),
            PostedBody::End(end) => {
                let Some(current) = &mut self.current else { return };
                current.status = status;
                current.admitted.lease.answered();
                if let Some(reader) = current.stream.take() {
                    // A reader that went away does not end the invocation.
                    drop(reader.send(end));
                }
            }
        }
    }

    pub(super) fn answer(&mut self, answer: Answer, status: Status) {
        let Some(current) = &mut self.current else { return };
        current.status = status;
        current.admitted.lease.answered();
        if let Some(caller) = current.admitted.order.answer.take() {
            // A caller that went away does not end the invocation.
            drop(caller.send(answer));
        } else if let Some(reader) = current.stream.take() {
            drop(reader.send(stream_end(answer)));
        }
    }

    fn register(&mut self, registration: Registration) -> Result<Registered, runtime_api::Refusal> {
        let Registration { name, invoke, shutdown, account_id } = registration;
        let name: Arc<str> = name.into();
        let event = Event::Register { name: Arc::clone(&name), invoke, shutdown };
        self.judge(event).map_err(rendered)?;
        let registered = self.state.extensions.members().iter().position(|known| known.name == name);
        let (Some(index), Some(generation)) = (registered, &mut self.generation) else {
            return Err(runtime_api::Refusal::Platform);
        };
        Ok(Registered {
            identifier: generation.identify(index),
            function_name: self.spec.function_name.clone(),
            function_version: self.spec.version.clone(),
            handler: self.spec.handler.clone(),
            account_id: account_id.then(|| self.spec.account_id.clone()),
        })
    }

    fn extension_next(&mut self, extension: Uuid, reply: Reply<runtime_api::ExtensionEvent>) {
        let Some(index) = self.extension(extension) else {
            let _ = reply.send(Err(UNKNOWN));
            return;
        };
        if self.parked.extensions.len() <= index {
            self.parked.extensions.resize_with(index + 1, || None);
        }
        // In its place before the verdict, which may deliver to it; what was there waits on if it is refused.
        let before = self.parked.extensions[index].replace(reply);
        if let Err(refusal) = self.judge(Event::ExtensionNextCalled(index))
            && let Some(refused) = self.parked.extensions.get_mut(index).and_then(|place| place.take())
        {
            let _ = refused.send(Err(rendered(refusal)));
            self.parked.extensions[index] = before;
        }
    }

    fn extension_error(
        &mut self,
        extension: Uuid,
        phase: ExtensionErrorPhase,
        error_type: String,
    ) -> Result<(), runtime_api::Refusal> {
        let index = self.extension(extension).ok_or(UNKNOWN)?;
        // An internal one has no process whose end would be told of.
        self.cause.extension = Some(error_type.clone());
        let known = self.cause.extension_errors.clone();
        self.cause.extension_errors.entry(index).or_insert(error_type);
        self.judge(Event::ExtensionErrorPosted(index, phase)).map_err(|refusal| {
            // What was accepted before stands.
            self.cause.extension_errors = known;
            rendered(refusal)
        })
    }

    fn subscribe(&mut self, extension: Uuid, subscription: Subscription) -> Result<(), runtime_api::Refusal> {
        let index = self.extension(extension).ok_or(UNKNOWN)?;
        self.judge(Event::Subscribe(index)).map_err(rendered)?;
        let Some(extension) = self.state.extensions.members().get(index) else { return Err(UNKNOWN) };
        if self.log.subscription_of(&extension.name).is_some_and(|api| api != subscription.api) {
            // One API or the other, as AWS has it.
            return Err(runtime_api::Refusal::Extension(ExtensionRefusal::SubscriptionClosed));
        }
        self.log.subscribe(&extension.name, subscription);
        Ok(())
    }

    fn extension(&self, identifier: Uuid) -> Option<usize> {
        self.generation.as_ref()?.extension(identifier)
    }
}
