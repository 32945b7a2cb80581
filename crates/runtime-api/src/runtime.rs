//! The Runtime API: each route asks the lifecycle and renders its verdict.
//!
//! ```text
//! next          Call::Next ───────────────────────────────────► 200, the event
//! response ┐    Call::AnswerBegun ─ body ─ Call::AnswerEnded ─► 202
//! error    ┘
//! init/error    body ─ Call::InitError ───────────────────────► 202
//! restore/next  Call::RestoreNext ────────────────────────────► 200, empty
//! restore/error body ─ Call::RestoreError ────────────────────► 202
//! ```
//!
//! Every call may also be refused, or find nobody behind the port any more, see `verdict`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use tokio::sync::mpsc;

use crate::answering::Answering;
use crate::body::{Collected, Forwarded, RequestBody};
use crate::rendering::{self, Answer};
use crate::routes::{self, header};
use crate::verdict::{Unanswered, ask};
use crate::{
    AnswerBody, AnswerHead, AnswerKind, Call, ErrorReport, ForwardEnd, Intake, Refusal, Reply, ResponseMode,
    StreamError, error_report,
};

/// `GET /runtime/invocation/next`
pub(crate) async fn next(calls: &mpsc::Sender<Call>) -> Answer {
    match ask(calls, |reply| Call::Next { reply }).await {
        Ok(event) => rendering::delivery(event),
        Err(unanswered) => unanswered.render(),
    }
}

/// `POST /runtime/invocation/{id}/response`
pub(crate) async fn response(
    calls: &mpsc::Sender<Call>,
    request_id: &str,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Answer {
    let content_type =
        || routes::text(headers, CONTENT_TYPE).unwrap_or_else(|| "application/octet-stream".to_owned());
    let head = head(AnswerKind::Response { content_type: content_type() }, request_id, headers);
    let taken = async {
        let (mut answering, intake) = Answering::begin(calls, head, body).await?;
        let body = match intake {
            Intake::Collect => match answering.collect().await {
                Collected::Whole { bytes, trailers } => AnswerBody::Response {
                    content_type: content_type(),
                    body: bytes,
                    stream_error: trailers.as_ref().and_then(stream_error),
                },
                Collected::TooLarge { size_bytes } => AnswerBody::TooLarge { size_bytes },
                Collected::Truncated { .. } => AnswerBody::Truncated,
            },
            Intake::Forward(chunks) => forwarded(&mut answering, chunks).await,
        };
        answering.end(body).await
    };
    render_taken(taken.await)
}

async fn forwarded(answering: &mut Answering<'_>, chunks: mpsc::Sender<Bytes>) -> AnswerBody {
    let end = match answering.forward(chunks).await {
        Forwarded::Whole { trailers } => ForwardEnd::Complete(trailers.as_ref().and_then(stream_error)),
        Forwarded::TooLarge => ForwardEnd::TooLarge,
        Forwarded::Truncated => ForwardEnd::Truncated,
    };
    AnswerBody::Forwarded { size_bytes: answering.read_bytes(), end }
}

/// `POST /runtime/invocation/{id}/error`
pub(crate) async fn error(
    calls: &mpsc::Sender<Call>,
    request_id: &str,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Answer {
    let head = head(AnswerKind::Error { error_type: error_report::error_type(headers) }, request_id, headers);
    let taken = async {
        // A report is needed whole, wherever a response would have gone.
        let (mut answering, _) = Answering::begin(calls, head, body).await?;
        let body = match answering.collect().await {
            Collected::Whole { bytes, .. } => AnswerBody::Error(error_report::of_invocation(headers, bytes)),
            Collected::TooLarge { size_bytes } => AnswerBody::TooLarge { size_bytes },
            Collected::Truncated { .. } => AnswerBody::Truncated,
        };
        answering.end(body).await
    };
    render_taken(taken.await)
}

/// `POST /runtime/init/error`
pub(crate) async fn init_error(
    calls: &mpsc::Sender<Call>,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Answer {
    report(calls, headers, body, |report, reply| Call::InitError { report, reply }).await
}

/// `GET /runtime/restore/next`
pub(crate) async fn restore_next(calls: &mpsc::Sender<Call>) -> Answer {
    match ask(calls, |reply| Call::RestoreNext { reply }).await {
        Ok(()) => Answer::default(),
        Err(unanswered) => unanswered.render(),
    }
}

/// `POST /runtime/restore/error`
pub(crate) async fn restore_error(
    calls: &mpsc::Sender<Call>,
    headers: &HeaderMap,
    body: &mut RequestBody,
) -> Answer {
    report(calls, headers, body, |report, reply| Call::RestoreError { report, reply }).await
}

async fn report(
    calls: &mpsc::Sender<Call>,
    headers: &HeaderMap,
    body: &mut RequestBody,
    call: impl FnOnce(ErrorReport, Reply<()>) -> Call,
) -> Answer {
    let bytes = match body.collect().await {
        Collected::Whole { bytes, .. } | Collected::Truncated { bytes } => bytes,
        Collected::TooLarge { .. } => return Refusal::TooLarge.render(),
    };
    let report = error_report::of_init(headers, bytes);
    render_taken(ask(calls, |reply| call(report, reply)).await)
}

fn head(kind: AnswerKind, request_id: &str, headers: &HeaderMap) -> AnswerHead {
    let mode = match headers.get(header::RESPONSE_MODE).map(|mode| mode.as_bytes()) {
        None | Some(b"") => ResponseMode::Buffered,
        Some(b"streaming") => ResponseMode::Streaming,
        Some(_) => ResponseMode::Unknown,
    };
    AnswerHead {
        kind,
        request_id: request_id.to_owned(),
        invocation_id: routes::text(headers, header::INVOCATION_ID),
        mode,
    }
}

/// Looked for in every chunked body: Go declares the trailers of ordinary responses too.
fn stream_error(trailers: &HeaderMap) -> Option<StreamError> {
    let error_type = routes::text(trailers, header::ERROR_TYPE);
    let error_body = trailers.get(header::ERROR_BODY).filter(|body| !body.is_empty());
    if error_type.is_none() && error_body.is_none() {
        return None;
    }
    let error_body = error_body
        .map(|body| STANDARD.decode(body.as_bytes()).unwrap_or_else(|_| body.as_bytes().to_owned()).into());
    Some(StreamError {
        error_type: error_type.unwrap_or_default(),
        error_body: error_body.unwrap_or_default(),
    })
}

fn render_taken(taken: Result<(), Unanswered>) -> Answer {
    match taken {
        Ok(()) => rendering::accepted(),
        Err(unanswered) => unanswered.render(),
    }
}
