//! An invocation that an environment is busy with: who waits for it, when what happened, what came of it.
//!
//! A driver has one, or one for each slot.

use std::time::{Duration, SystemTime};

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{AnswerHead, Delivery, Intake};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::PlatformError;
use crate::invocation::{Admitted, Invocation, ResponseDelivery};
use crate::logs::Tail;
use crate::logs::platform_event::{PlatformEvent, RuntimeDone, Span, SpanName, Status};
use crate::outcome::{Answer, ChunkStream, StreamEnd};
use crate::posted::{Posted, PostedBody, stream_end};
use crate::processes::epoch_ms;

/// Chunks of a stream between the runtime and its reader. Few: what waits here is memory, and the socket's own
/// buffers keep both sides busy.
const CHUNKS: usize = 4;

#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) admitted: Box<Admitted>,
    /// Told to the runtime, which tells it back with its answer.
    pub(crate) invocation_id: Uuid,
    /// When its clock started.
    pub(crate) began: Option<Instant>,
    pub(crate) deadline_ms: u64,
    /// START was written.
    pub(crate) started: bool,
    /// An init ran inside it.
    pub(crate) suppressed_init: bool,
    /// What the runtime or the platform said of its end.
    pub(crate) status: Status,
    /// A failure found by the platform, told in the log before END.
    pub(crate) failure: Option<PlatformError>,
    /// The caller has the beginning of the answer, and this tells of its end.
    pub(crate) stream: Option<oneshot::Sender<StreamEnd>>,
    pub(crate) times: Times,
    /// The platform's lines on it, where the tail of the environment's log is nobody's alone.
    pub(crate) log_tail: Option<Tail>,
}

/// When what happened.
#[derive(Debug, Default)]
pub(crate) struct Times {
    delivered: Option<(Instant, SystemTime)>,
    answer_began: Option<Instant>,
    answer_ended: Option<Instant>,
    runtime_done: Option<Instant>,
    produced_bytes: Option<u64>,
}

impl Current {
    pub(crate) fn new(admitted: Box<Admitted>) -> Self {
        Current {
            admitted,
            invocation_id: Uuid::new_v4(),
            began: None,
            deadline_ms: 0,
            started: false,
            suppressed_init: false,
            status: Status::Success,
            failure: None,
            stream: None,
            times: Times::default(),
            log_tail: None,
        }
    }

    pub(crate) fn invocation(&self) -> &Invocation {
        &self.admitted.order.invocation
    }

    pub(crate) fn request_id(&self) -> Uuid {
        self.invocation().request_id
    }

    /// Takes the deadline: the one place, so that the guest's and ours are the same moment.
    pub(crate) fn begin(&mut self, now: Instant, timeout: Duration) -> Instant {
        self.began = Some(now);
        self.deadline_ms = epoch_ms(SystemTime::now() + timeout);
        now + timeout
    }

    /// START.
    pub(crate) fn start(&mut self) -> PlatformEvent {
        self.started = true;
        let invocation = self.invocation();
        PlatformEvent::Start {
            request_id: invocation.request_id,
            function_arn: invocation.function_arn.clone(),
            trace: invocation.trace.clone(),
        }
    }

    /// The event, for the runtime.
    pub(crate) fn delivery(&self) -> Delivery {
        let invocation = self.invocation();
        Delivery {
            request_id: invocation.request_id.to_string(),
            invocation_id: Some(self.invocation_id.to_string()),
            deadline_ms: self.deadline_ms,
            function_arn: invocation.function_arn.clone(),
            trace_id: Some(invocation.trace.clone()),
            client_context: invocation.client_context.clone(),
            cognito_identity: None,
            tenant_id: None,
            content_type: invocation.content_type.clone(),
            payload: invocation.payload.clone(),
        }
    }

    /// An answer that belongs to an earlier attempt at the same event must reach nobody. Runtimes that do not know
    /// of attempts say nothing.
    pub(crate) fn is_of_this_attempt(&self, answer: &AnswerHead) -> bool {
        let is_ours = |echo: &String| Uuid::try_parse(echo).is_ok_and(|id| id == self.invocation_id);
        answer.invocation_id.as_ref().is_none_or(is_ours)
    }

    /// Where the body goes: straight to a caller who reads streams. Whether the runtime says that it streams is not
    /// asked, as the service does not ask: AWS's own runtime for Go streams without saying so.
    pub(crate) fn intake(&mut self, answer: &AnswerHead) -> Intake {
        let runtime_api::AnswerKind::Response { content_type } = &answer.kind else { return Intake::Collect };
        if self.invocation().delivery != ResponseDelivery::Streamed {
            return Intake::Collect;
        }
        let (chunks, chunks_receiver) = mpsc::channel(CHUNKS);
        let (end, end_receiver) = oneshot::channel();
        if let Some(caller) = self.admitted.order.answer.take() {
            self.stream = Some(end);
            let body = ChunkStream { chunks: chunks_receiver, end: end_receiver };
            drop(caller.send(Answer::Stream { content_type: content_type.clone(), body }));
        }
        Intake::Forward(chunks)
    }

    /// What was posted goes to the caller.
    pub(crate) fn pass_on(&mut self, posted: Posted) {
        let Posted { body, status, size_bytes } = posted;
        self.times.answer_ended(size_bytes);
        match body {
            PostedBody::Whole(answer) => self.answer(answer, status),
            PostedBody::End(end) => {
                self.status = status;
                self.admitted.lease.answered();
                if let Some(reader) = self.stream.take() {
                    // A reader that went away does not end the invocation.
                    drop(reader.send(end));
                }
            }
        }
    }

    pub(crate) fn answer(&mut self, answer: Answer, status: Status) {
        self.status = status;
        self.admitted.lease.answered();
        if let Some(caller) = self.admitted.order.answer.take() {
            // A caller that went away does not end the invocation.
            drop(caller.send(answer));
        } else if let Some(reader) = self.stream.take() {
            drop(reader.send(stream_end(answer)));
        }
    }

    /// Whether the caller has an answer, or the beginning of one.
    pub(crate) fn answered(&self) -> bool {
        self.admitted.order.answer.is_none() && self.stream.is_none()
    }
}

impl Times {
    pub(crate) fn delivered(&mut self) {
        self.delivered.get_or_insert_with(|| (Instant::now(), SystemTime::now()));
    }

    pub(crate) fn answer_began(&mut self) {
        self.answer_began = Some(Instant::now());
    }

    pub(crate) fn answer_ended(&mut self, size_bytes: Option<u64>) {
        self.answer_ended = Some(Instant::now());
        self.produced_bytes = size_bytes;
    }

    pub(crate) fn runtime_done(&mut self) {
        self.runtime_done = Some(Instant::now());
    }

    pub(crate) fn runtime_is_done(&self) -> bool {
        self.runtime_done.is_some()
    }

    /// What `platform.runtimeDone` tells.
    pub(crate) fn runtime_report(&self, invocation: &Invocation, status: Status) -> RuntimeDone {
        let end = self.runtime_done.unwrap_or_else(Instant::now);
        let overhead = self.answer_ended.zip(self.runtime_done);
        let overhead = overhead.and_then(|(from, to)| self.span(SpanName::RuntimeOverhead, from, to));
        RuntimeDone {
            request_id: invocation.request_id,
            status,
            duration: self.delivered.map_or(Duration::ZERO, |(at, _)| end - at),
            produced_bytes: self.produced_bytes,
            spans: self.response_spans().into_iter().chain(overhead).collect(),
            trace: invocation.trace.clone(),
        }
    }

    /// What `platform.report` tells where there is no `platform.runtimeDone`.
    pub(crate) fn response_spans(&self) -> Vec<Span> {
        let parts = [
            (SpanName::ResponseLatency, self.delivered.map(|(at, _)| at), self.answer_began),
            (SpanName::ResponseDuration, self.answer_began, self.answer_ended),
        ];
        parts.into_iter().filter_map(|(name, from, to)| self.span(name, from?, to?)).collect()
    }

    /// From the runtime's end to now.
    pub(crate) fn extension_overhead(&self) -> Option<Span> {
        self.span(SpanName::ExtensionOverhead, self.runtime_done?, Instant::now())
    }

    fn span(&self, name: SpanName, from: Instant, to: Instant) -> Option<Span> {
        let (delivered, delivered_at) = self.delivered?;
        let start = delivered_at + from.saturating_duration_since(delivered);
        Some(Span { name, start, duration: to.saturating_duration_since(from) })
    }
}
