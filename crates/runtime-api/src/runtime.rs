//! The Runtime API: each route asks the lifecycle and renders its verdict.
//!
//! ```text
//! next        Call::Next ──────────────────────────────► 200, the event
//! response ┐  Call::AnswerBegun ─ body ─ AnswerEnded ──► 202
//! error    ┘
//! init/error  body ─ Call::InitError ──────────────────► 202
//! ```
//!
//! Every call may also be refused, see [`Refusal`], or find nobody behind the port any more: then the answer
//! is a 500 and the connection is closed, for the environment is ending.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use tokio::sync::{mpsc, oneshot};

use crate::body::{Collected, RequestBody};
use crate::rendering::{self, Answer};
use crate::routes::{self, header};
use crate::{
    AnswerBody, AnswerHead, AnswerKind, Call, Intake, Refusal, Reply, ResponseMode, StreamError, error_report,
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
        let answering = Answering::begin(calls, head).await?;
        let body = match body.collect().await {
            Collected::Whole { bytes, trailers } => AnswerBody::Response {
                content_type: content_type(),
                body: bytes,
                stream_error: trailers.as_ref().and_then(stream_error),
            },
            Collected::TooLarge { size_bytes } => AnswerBody::TooLarge { size_bytes },
            Collected::Truncated { .. } => AnswerBody::Truncated,
        };
        answering.end(body).await
    };
    render_taken(taken.await)
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
        let answering = Answering::begin(calls, head).await?;
        let body = match body.collect().await {
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
    let bytes = match body.collect().await {
        Collected::Whole { bytes, .. } | Collected::Truncated { bytes } => bytes,
        Collected::TooLarge { .. } => return Refusal::TooLarge.render(),
    };
    let report = error_report::of_init(headers, bytes);
    render_taken(ask(calls, |reply| Call::InitError { report, reply }).await)
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

/// Why a call was not granted.
enum Unanswered {
    Refused(Refusal),
    /// Nobody listens to the calls of this environment, or the reply was dropped.
    Gone,
}

impl Unanswered {
    fn render(self) -> Answer {
        match self {
            Unanswered::Refused(refusal) => refusal.render(),
            Unanswered::Gone => rendering::and_close(Refusal::Platform.render()),
        }
    }
}

fn render_taken(taken: Result<(), Unanswered>) -> Answer {
    match taken {
        Ok(()) => rendering::accepted(),
        Err(unanswered) => unanswered.render(),
    }
}

async fn ask<T>(calls: &mpsc::Sender<Call>, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, Unanswered> {
    let (reply, mut verdict) = oneshot::channel();
    calls.send(call(reply)).await.map_err(|_| Unanswered::Gone)?;
    read(&mut verdict).await
}

async fn read<T>(verdict: &mut oneshot::Receiver<Result<T, Refusal>>) -> Result<T, Unanswered> {
    verdict.await.map_err(|_| Unanswered::Gone)?.map_err(Unanswered::Refused)
}

/// An answer between its two calls.
///
/// Holds the debt of an `AnswerEnded` to the lifecycle: the request's future is dropped when its connection
/// breaks, at any await, and then the debt is paid with [`AnswerBody::Truncated`].
struct Answering<'a> {
    calls: &'a mpsc::Sender<Call>,
    request_id: String,
    debt: Debt,
}

enum Debt {
    /// None, unless the verdict turns out to be in the channel already.
    Undecided(oneshot::Receiver<Result<Intake, Refusal>>),
    Owed,
    Settled,
}

impl<'a> Answering<'a> {
    async fn begin(calls: &'a mpsc::Sender<Call>, answer: AnswerHead) -> Result<Self, Unanswered> {
        let request_id = answer.request_id.clone();
        let permit = calls.reserve().await.map_err(|_| Unanswered::Gone)?;
        let (reply, verdict) = oneshot::channel();
        permit.send(Call::AnswerBegun { answer, reply });
        let mut answering = Self { calls, request_id, debt: Debt::Undecided(verdict) };
        if let Debt::Undecided(verdict) = &mut answering.debt {
            let accepted = read(verdict).await;
            answering.debt = if accepted.is_ok() { Debt::Owed } else { Debt::Settled };
            drop(accepted?);
        }
        Ok(answering)
    }

    async fn end(mut self, body: AnswerBody) -> Result<(), Unanswered> {
        let permit = self.calls.reserve().await.map_err(|_| Unanswered::Gone)?;
        let (reply, mut verdict) = oneshot::channel();
        self.debt = Debt::Settled;
        permit.send(Call::AnswerEnded { request_id: std::mem::take(&mut self.request_id), body, reply });
        read(&mut verdict).await
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let is_owed = match &mut self.debt {
            Debt::Undecided(verdict) => {
                // From here on the lifecycle sees its own sending fail.
                verdict.close();
                matches!(verdict.try_recv(), Ok(Ok(_)))
            }
            Debt::Owed => true,
            Debt::Settled => false,
        };
        if !is_owed {
            return;
        }
        let (reply, _) = oneshot::channel();
        let request_id = std::mem::take(&mut self.request_id);
        let ended = Call::AnswerEnded { request_id, body: AnswerBody::Truncated, reply };
        if let Err(mpsc::error::TrySendError::Full(ended)) = self.calls.try_send(ended)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let calls = self.calls.clone();
            // A lifecycle that is gone by then is owed nothing.
            runtime.spawn(async move { calls.send(ended).await.is_ok() });
        }
    }
}
