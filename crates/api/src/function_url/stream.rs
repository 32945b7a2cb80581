//! A streamed answer (invoke mode `RESPONSE_STREAM`): sent while the function makes it.
//!
//! Status and headers are known when the prelude is whole or, without one, when the first bytes have come; so a function
//! that fails before has its 502. One that fails later can only break off.

use axum::body::Body;
use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use firesteel_invoke::{ResponseStream, StreamReply};
use futures_util::stream::{self, Stream};

use super::head::Head;
use super::prelude::PreludeParser;
use super::refusal::{Refusal, uninterpretable};

/// Content type of a stream that begins with status and headers.
const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";
/// Content type of a stream that says nothing of its own.
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The function failed, or the platform, after a part of the answer had left.
#[derive(Debug, thiserror::Error)]
#[error("the response broke off")]
struct BrokenOff;

/// The answer whose status and headers are known, which takes the prelude, or the first bytes.
pub(super) async fn streamed(reply: StreamReply) -> Result<Response, Refusal> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use axum::Router;
    use axum::http::StatusCode;
    use firesteel_invoke::{StreamEnd, StreamError};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
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
