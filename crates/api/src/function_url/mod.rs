//! Function URLs: plain HTTP requests in, answered by a function.
//!
//! ```text
//!  request ─► event: payload format 2.0 ─► Invoker ─┬─ BUFFERED ─► response: the handler's JSON, interpreted ──┐
//!                                                   └─ RESPONSE_STREAM ─► prelude (if any), then bytes ────────┤
//!                          head: status, headers and cookies, as functions write them ◄────────────────────────┘
//! ```
//!
//! Each URL has a listener of its own, so that paths and the `Host` header are the function's affair alone. What the
//! front end of AWS does itself is done here: limits, 502 for what is no answer, headers of the connection. It
//! authenticates nobody (auth type `NONE`) and adds no CORS headers.

mod event;
mod head;
mod prelude;
mod response;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firesteel_catalog::{FunctionName, FunctionReference};
use firesteel_invoke::{InvokeError, Invoker, Outcome, ResponseStream, StreamReply, trace};
use futures_util::stream::{self, Stream};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::body::{self, BodyError};
use crate::error::{ApiError, REQUEST_ID, request_id_value};
use crate::function_url::event::Arrival;
use crate::function_url::head::Head;
use crate::function_url::prelude::PreludeParser;
use crate::operations::invocation::{SYNCHRONOUS_LIMIT_BYTES, TRACE_ID, text};
use crate::server;

/// Content type of a stream that begins with status and headers.
const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
/// Content type of a stream that says nothing of its own.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How the answer of the function is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvokeMode {
    /// As JSON, when all of it is there.
    Buffered,
    /// As bytes, as they come.
    ResponseStream,
}

/// A function that answers HTTP requests.
#[derive(Debug, Clone)]
pub struct FunctionUrl {
    /// The function; its `$LATEST` runs.
    pub function: FunctionName,
    /// How its answers are understood.
    pub mode: InvokeMode,
}

/// One URL, and what its requests are answered with.
#[derive(Debug)]
struct Door {
    url: FunctionUrl,
    /// 32 letters and digits, as AWS's; the same in every run.
    url_id: String,
    port: u16,
    invoker: Invoker,
}

/// Why a request has no answer of its function.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    /// Found before the function answered.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// A tunnel is asked for, which an answer of 200 would promise.
    #[error("a function is no proxy")]
    Tunnel,
    /// The function failed, which its log tells about.
    #[error("the function failed")]
    FunctionError,
    /// The function succeeded with something that is no answer.
    #[error("the answer of the function is no HTTP response")]
    Uninterpretable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The function failed, or the platform, after a part of the answer had left.
#[derive(Debug, thiserror::Error)]
#[error("the response broke off")]
struct BrokenOff;

/// Serves one URL on `listener` until `shutdown` resolves, then finishes the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    url: FunctionUrl,
    invoker: Invoker,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let arn = invoker.store().account().function_arn(&url.function, None).to_string();
    let url_id = Uuid::new_v5(&Uuid::NAMESPACE_URL, arn.as_bytes()).simple().to_string();
    let door = Door { url, url_id, port: listener.local_addr()?.port(), invoker };
    let router = Router::new().fallback(handle).with_state(Arc::new(door));
    server::serve(listener, router, server::Settings::default(), shutdown).await;
    Ok(())
}

async fn handle(
    State(door): State<Arc<Door>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let request_id = Uuid::new_v4();
    let trace = trace::continued(text(request.headers(), &TRACE_ID));
    let trace_value = HeaderValue::from_str(&trace);
    let mut response = match door.answer(request_id, trace, caller, request).await {
        Ok(response) => response,
        Err(Refusal::Api(error)) => error.into_response_to(request_id),
        Err(Refusal::Tunnel) => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        Err(refusal) => {
            if let Refusal::Uninterpretable(cause) = &refusal {
                let error = &**cause as &(dyn std::error::Error + 'static);
                tracing::warn!(%request_id, function = %door.url.function, error, "{refusal}");
            }
            let content_type = [(header::CONTENT_TYPE, JSON)];
            (StatusCode::BAD_GATEWAY, content_type, "Internal Server Error").into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id_value(request_id));
    if let Ok(trace) = trace_value {
        headers.insert(TRACE_ID, trace);
    }
    response
}

impl Door {
    async fn answer(
        &self,
        request_id: Uuid,
        trace: String,
        caller: SocketAddr,
        request: Request,
    ) -> Result<Response, Refusal> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::CONNECT {
            return Err(Refusal::Tunnel);
        }
        let too_large = |size_bytes| ApiError::PayloadTooLarge {
            size_bytes,
            invocation_type: "RequestResponse",
            limit_bytes: SYNCHRONOUS_LIMIT_BYTES,
        };
        let body = body::read(body, SYNCHRONOUS_LIMIT_BYTES).await.map_err(|error| match error {
            BodyError::TooLarge { size_bytes } => too_large(size_bytes),
            BodyError::Unreadable => ApiError::BodyUnreadable,
        })?;
        let arrival = Arrival {
            request_id,
            trace: &trace,
            source_ip: caller.ip(),
            port: self.port,
            url_id: &self.url_id,
            time: jiff::Timestamp::now(),
        };
        let payload = event::event(&parts, &body, &arrival);
        if payload.len() > SYNCHRONOUS_LIMIT_BYTES {
            return Err(too_large(payload.len() as u64).into());
        }
        let request = firesteel_invoke::Request {
            reference: FunctionReference { name: self.url.function.clone(), qualifier: None },
            request_id,
            payload: payload.into(),
            client_context: None,
            trace: Some(trace),
            log_tail: false,
        };
        match self.url.mode {
            InvokeMode::Buffered => match self.invoker.synchronous(request).await?.outcome {
                Outcome::Success(payload) => {
                    let (head, body) = response::interpreted(&payload).map_err(uninterpretable)?;
                    Ok(head.response(JSON, Body::from(body)))
                }
                Outcome::FunctionError(_) => Err(Refusal::FunctionError),
            },
            InvokeMode::ResponseStream => streamed(self.invoker.streaming(request).await?).await,
        }
    }
}

/// The answer whose status and headers are known, which takes the prelude, or the first bytes.
async fn streamed(reply: StreamReply) -> Result<Response, Refusal> {
    let StreamReply { content_type, mut body, .. } = reply;
    if is_http_integration(&content_type) {
        let mut parser = PreludeParser::default();
        loop {
            let Some(chunk) = body.next().await else {
                succeeded(body).await?;
                return Err(uninterpretable("the stream ended before the prelude did"));
            };
            if let Some((head, first)) = parser.push(&chunk).map_err(uninterpretable)? {
                return Ok(head.response(BYTES, Body::from_stream(pieces(first, body))));
            }
        }
    }
    let content_type = HeaderValue::from_str(&content_type).unwrap_or(BYTES);
    let body = match body.next().await {
        Some(first) => Body::from_stream(pieces(first, body)),
        None => {
            succeeded(body).await?;
            Body::empty()
        }
    };
    Ok(Head::default().response(content_type, body))
}

fn is_http_integration(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(HTTP_INTEGRATION))
}

async fn succeeded(body: ResponseStream) -> Result<(), Refusal> {
    match body.end().await?.error {
        None => Ok(()),
        Some(_) => Err(Refusal::FunctionError),
    }
}

/// The rest of an answer. One that broke off ends in an error, on which the connection is cut: its reader sees no
/// last chunk, and so knows.
fn pieces(first: Bytes, body: ResponseStream) -> impl Stream<Item = Result<Bytes, BrokenOff>> + Send {
    stream::unfold(Some((first, body)), async |rest| {
        let (first, mut body) = rest?;
        if !first.is_empty() {
            return Some((Ok(first), Some((Bytes::new(), body))));
        }
        if let Some(piece) = body.next().await {
            return Some((Ok(piece), Some((Bytes::new(), body))));
        }
        succeeded(body).await.err()?;
        // What was written before an error is lost unless the connection has a turn to send it.
        tokio::task::yield_now().await;
        Some((Err(BrokenOff), None))
    })
}

fn uninterpretable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refusal {
    Refusal::Uninterpretable(cause.into())
}

impl From<InvokeError> for Refusal {
    fn from(error: InvokeError) -> Self {
        Refusal::Api(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_invoke::{StreamEnd, StreamError};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::{mpsc, oneshot};

    /// What a caller reads, until the connection ends, of an answer that a function begins with `pieces`.
    async fn read(content_type: &str, pieces: &[&'static [u8]], end: Option<StreamEnd>) -> String {
        let (sender, chunks) = mpsc::channel(8);
        let (end_sender, end_receiver) = oneshot::channel();
        let reply = StreamReply {
            executed_version: "$LATEST".into(),
            trace: String::new(),
            content_type: content_type.into(),
            body: ResponseStream::forwarded(chunks, end_receiver),
        };
        for piece in pieces {
            sender.try_send(Bytes::from_static(piece)).unwrap();
        }
        match end {
            Some(end) => end_sender.send(end).unwrap(),
            None => drop(end_sender),
        }
        let reply = Arc::new(std::sync::Mutex::new(Some(reply)));
        let answer = move || async move {
            let reply = reply.lock().unwrap().take().unwrap();
            streamed(reply).await.map_err(|refusal| (StatusCode::BAD_GATEWAY, refusal.to_string()))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        caller.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        caller.read_to_string(&mut text).await.unwrap();
        text
    }

    fn failed() -> StreamEnd {
        let error = StreamError { code: "Mine".into(), details: "{}".into() };
        StreamEnd { error: Some(error), log_tail: None }
    }

    const GOOD: StreamEnd = StreamEnd { error: None, log_tail: None };

    #[tokio::test]
    async fn pieces_are_chunks_and_a_good_end_is_the_last() {
        let text = read("text/x", &[b"ab", b"c"], Some(GOOD)).await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/x\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"), "{text}");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_has_no_last_chunk_and_keeps_what_came_before() {
        for end in [Some(failed()), None] {
            let text = read("", &[b"ab"], end.clone()).await;
            assert!(text.ends_with("\r\n\r\n2\r\nab\r\n"), "{text}");
            let text = read(HTTP_INTEGRATION, &[b"{\"statusCode\":201}\0\0", b"\0\0\0\0\0\0a"], end).await;
            assert!(text.starts_with("HTTP/1.1 201 Created\r\n"), "{text}");
            assert!(text.ends_with("\r\n\r\n1\r\na\r\n"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_failure_before_the_head_is_told_by_the_status() {
        for content_type in ["", HTTP_INTEGRATION] {
            let text = read(content_type, &[], Some(failed())).await;
            assert!(text.starts_with("HTTP/1.1 502 ") && text.ends_with("the function failed"), "{text}");
        }
        let text = read(HTTP_INTEGRATION, &[b"{}"], Some(failed())).await;
        assert!(text.ends_with("the function failed"), "{text}");
        let text = read(HTTP_INTEGRATION, &[b"{}"], Some(GOOD)).await;
        assert!(text.ends_with("the answer of the function is no HTTP response"), "{text}");
    }

    #[test]
    fn the_http_integration_is_known_by_its_type_alone() {
        assert!(is_http_integration(HTTP_INTEGRATION));
        assert!(is_http_integration("Application/vnd.awslambda.http-integration-response; charset=utf-8"));
        assert!(!is_http_integration("application/json") && !is_http_integration(""));
    }
}
