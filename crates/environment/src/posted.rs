//! What a runtime posted, or what is said in its place: on its way from the end of its body to the caller.

use bytes::Bytes;
use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{AnswerBody, ForwardEnd};
use uuid::Uuid;

use crate::failure::PlatformError;
use crate::logs::platform_event::Status;
use crate::outcome::{Answer, StreamEnd};

/// What the runtime posted.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) body: PostedBody,
    pub(crate) status: Status,
    pub(crate) size_bytes: Option<u64>,
}

/// Whole, or the end of what the caller has begun to read.
#[derive(Debug)]
pub(crate) enum PostedBody {
    Whole(Answer),
    End(StreamEnd),
}

impl Posted {
    pub(crate) fn whole(answer: Answer, status: Status) -> Self {
        let size_bytes = match &answer {
            Answer::Response { payload, .. } | Answer::FunctionError { payload, .. } => {
                Some(payload.len() as u64)
            }
            Answer::Stream { .. } | Answer::RestoreFailed { .. } | Answer::PlatformFailed { .. } => None,
        };
        Posted { body: PostedBody::Whole(answer), status, size_bytes }
    }

    /// Of the body of an invocation's answer, and what the runtime is told if it may be passed on.
    pub(crate) fn of(
        body: AnswerBody,
        request_id: Uuid,
        is_stream: bool,
    ) -> (Self, Result<(), runtime_api::Refusal>) {
        match body {
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
                    ForwardEnd::Complete(_) => Ok(()),
                    ForwardEnd::TooLarge => Err(runtime_api::Refusal::TooLarge),
                    ForwardEnd::Truncated => Err(runtime_api::Refusal::Truncated),
                };
                (Posted::end(end, size_bytes, request_id), verdict)
            }
            AnswerBody::TooLarge { .. } => {
                let (answer, status) = platform_failure(&PlatformError::response_too_large(), request_id);
                (Posted::whole(answer, status), Err(runtime_api::Refusal::TooLarge))
            }
            AnswerBody::Truncated => {
                (Posted::cut_off(request_id, is_stream), Err(runtime_api::Refusal::Truncated))
            }
        }
    }

    /// What is told of a body that ended before its end.
    pub(crate) fn cut_off(request_id: Uuid, is_stream: bool) -> Self {
        if is_stream {
            return Posted::end(ForwardEnd::Truncated, 0, request_id);
        }
        let (answer, status) = platform_failure(&PlatformError::truncated_response(), request_id);
        Posted::whole(answer, status)
    }

    /// Of an answer in a mode that does not exist: its type in the log, nothing for the caller, as on AWS.
    pub(crate) fn of_invalid_mode(request_id: Uuid) -> Self {
        let (_, status) = platform_failure(&PlatformError::invalid_response_mode(), request_id);
        Posted::whole(function_error("Runtime.InvalidResponseModeHeader", Bytes::new()), status)
    }

    /// The end of a forwarded response.
    fn end(end: ForwardEnd, size_bytes: u64, request_id: Uuid) -> Self {
        let failure = |error: PlatformError| {
            let (answer, status) = platform_failure(&error, request_id);
            (stream_end(answer), status)
        };
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

/// The answer that the runtime itself gave.
pub(crate) fn reported(error_type: String, content_type: String, payload: Bytes) -> (Answer, Status) {
    let content_type = if content_type.is_empty() { "application/json".into() } else { content_type };
    let status = Status::Reported(error_type.clone());
    (Answer::FunctionError { error_type, content_type, payload }, status)
}

pub(crate) fn function_error(error_type: &str, payload: Bytes) -> Answer {
    Answer::FunctionError { error_type: error_type.into(), content_type: "application/json".into(), payload }
}

/// The answer to a post that the platform cannot pass on.
fn platform_failure(error: &PlatformError, request_id: Uuid) -> (Answer, Status) {
    (function_error(error.error_type, error.payload(request_id)), Status::Error(error.error_type.into()))
}

/// An answer for one who has the beginning of another.
pub(crate) fn stream_end(answer: Answer) -> StreamEnd {
    match answer {
        Answer::FunctionError { error_type, payload, .. } => StreamEnd::Failed { error_type, payload },
        Answer::PlatformFailed { reason } => StreamEnd::PlatformFailed { reason },
        Answer::Response { .. } | Answer::Stream { .. } | Answer::RestoreFailed { .. } => StreamEnd::Complete,
    }
}
