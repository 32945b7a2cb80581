//! The invocation that an environment is busy with: who waits for it, when what happened, what came of it.

use std::time::{Duration, SystemTime};

use firesteel_runtime_api::ForwardEnd;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::failure::PlatformError;
use crate::invocation::{Admitted, Invocation};
use crate::logs::platform_event::{RuntimeDone, Span, SpanName, Status};
use crate::outcome::{Answer, StreamEnd};

#[derive(Debug)]
pub(super) struct Current {
    pub(super) admitted: Box<Admitted>,
    /// Told to the runtime, which tells it back with its answer.
    pub(super) invocation_id: Uuid,
    /// When its clock started.
    pub(super) began: Option<Instant>,
    pub(super) deadline_ms: u64,
    /// START was written.
    pub(super) started: bool,
    /// An init ran inside it.
    pub(super) suppressed_init: bool,
    /// What the runtime or the platform said of its end.
    pub(super) status: Status,
    /// A failure found by the platform, told in the log before END.
    pub(super) failure: Option<PlatformError>,
    /// The caller has the beginning of the answer, and this tells of its end.
    pub(super) stream: Option<oneshot::Sender<StreamEnd>>,
    pub(super) times: Times,
}

/// When what happened.
#[derive(Debug, Default)]
pub(super) struct Times {
    delivered: Option<(Instant, SystemTime)>,
    answer_began: Option<Instant>,
    answer_ended: Option<Instant>,
    runtime_done: Option<Instant>,
    produced_bytes: Option<u64>,
}

/// What the runtime posted.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) body: PostedBody,
    pub(super) status: Status,
    pub(super) size_bytes: Option<u64>,
}

/// Whole, or the end of what the caller has begun to read.
#[derive(Debug)]
pub(super) enum PostedBody {
    Whole(Answer),
    End(StreamEnd),
}

impl Current {
    pub(super) fn new(admitted: Box<Admitted>) -> Self {
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
        }
    }

    pub(super) fn invocation(&self) -> &Invocation {
        &self.admitted.order.invocation
    }

    /// Whether the caller has an answer, or the beginning of one.
    pub(super) fn answered(&self) -> bool {
        self.admitted.order.answer.is_none() && self.stream.is_none()
    }
}

impl Times {
    pub(super) fn delivered(&mut self) {
        self.delivered.get_or_insert_with(|| (Instant::now(), SystemTime::now()));
    }

    pub(super) fn answer_began(&mut self) {
        self.answer_began = Some(Instant::now());
    }

    pub(super) fn answer_ended(&mut self, size_bytes: Option<u64>) {
        self.answer_ended = Some(Instant::now());
        self.produced_bytes = size_bytes;
    }

    pub(super) fn runtime_done(&mut self) {
        self.runtime_done = Some(Instant::now());
    }

    pub(super) fn runtime_is_done(&self) -> bool {
        self.runtime_done.is_some()
    }

    /// What `platform.runtimeDone` tells.
    pub(super) fn runtime_report(&self, invocation: &Invocation, status: Status) -> RuntimeDone {
        let end = self.runtime_done.unwrap_or_else(Instant::now);
        let parts = [
            (SpanName::ResponseLatency, self.delivered.map(|(at, _)| at), self.answer_began),
            (SpanName::ResponseDuration, self.answer_began, self.answer_ended),
            (SpanName::RuntimeOverhead, self.answer_ended, self.runtime_done),
        ];
        RuntimeDone {
            request_id: invocation.request_id,
            status,
            duration: self.delivered.map_or(Duration::ZERO, |(at, _)| end - at),
            produced_bytes: self.produced_bytes,
            spans: parts.into_iter().filter_map(|(name, from, to)| self.span(name, from?, to?)).collect(),
            trace: invocation.trace.clone(),
        }
    }

    /// From the runtime's end to now.
    pub(super) fn extension_overhead(&self) -> Option<Span> {
        self.span(SpanName::ExtensionOverhead, self.runtime_done?, Instant::now())
    }

    fn span(&self, name: SpanName, from: Instant, to: Instant) -> Option<Span> {
        let (delivered, delivered_at) = self.delivered?;
        let start = delivered_at + from.saturating_duration_since(delivered);
        Some(Span { name, start, duration: to.saturating_duration_since(from) })
    }
}

impl Posted {
    pub(super) fn whole(answer: Answer, status: Status) -> Self {
        let size_bytes = match &answer {
            Answer::Response { payload, .. } | Answer::FunctionError { payload, .. } => {
                Some(payload.len() as u64)
            }
            Answer::Stream { .. } | Answer::RestoreFailed { .. } | Answer::PlatformFailed { .. } => None,
        };
        Posted { body: PostedBody::Whole(answer), status, size_bytes }
    }

    /// The end of a forwarded response. `failure` words what the platform found.
    pub(super) fn end(
        end: ForwardEnd,
        size_bytes: u64,
        failure: impl FnOnce(PlatformError) -> (StreamEnd, Status),
    ) -> Self {
        let (end, status) = match end {
            ForwardEnd::Complete(None) => (StreamEnd::Complete, Status::Success),
            ForwardEnd::Complete(Some(error)) => (
                StreamEnd::Failed { error_type: error.error_type.clone(), payload: error.error_body },
                Status::Reported(error.error_type),
            ),
            ForwardEnd::TooLarge => failure(PlatformError::response_too_large()),
            ForwardEnd::Truncated => failure(PlatformError::truncated_response()),
        };
        Posted { body: PostedBody::End(end), status, size_bytes: Some(size_bytes) }
    }
}
