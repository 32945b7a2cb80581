//! `InvokeWithResponseStream`: `POST /2021-11-15/functions/{FunctionName}/response-streaming-invocations[?Qualifier=q]`
//!
//! | invocation type | answer |
//! |---|---|
//! | `RequestResponse` | 200 with an event stream: each piece of the handler's bytes as it comes, then how it ended |
//! | `DryRun` | 204, empty; nothing is run |
//!
//! What goes wrong before there is an answer is an ordinary error. A function that fails is told of by the end of the
//! stream, a platform that fails by a last message of its own.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firesteel_invoke::{Invoker, ResponseStream, StreamReply};
use futures_util::stream::{self, Stream};

use super::invocation::{self, Asked, Call, EXECUTED_VERSION, InvocationType, TRACE_ID};
use crate::error::{ApiError, REQUEST_ID, request_id_value};
use crate::event_stream;
use crate::model::InvokeWithResponseStreamRequest;

/// A larger piece is cut, so that readers need not hold much before they can check a message.
const CHUNK_LIMIT_BYTES: usize = 128 * 1024;

pub(crate) async fn answer(invoker: &Invoker, call: Call) -> Result<Response, ApiError> {
    let id = (REQUEST_ID, request_id_value(call.request_id));
    let InvokeWithResponseStreamRequest { function_name, qualifier, invocation_type, log_type, .. } =
        call.read()?;
    let invocation_type = InvocationType::of(invocation_type.as_deref());
    let asked = Asked { function_name, qualifier, invocation_type, log_type };
    let request = invocation::request(call, invoker.store().account(), asked).await?;
    if invocation_type == InvocationType::DryRun {
        invoker.dry_run(&request.reference)?;
        return Ok((StatusCode::NO_CONTENT, [id]).into_response());
    }
    let StreamReply { executed_version, trace, content_type: _, body } = invoker.streaming(request).await?;
    let messages = messages(body);
    let mut response = Response::new(Body::from_stream(messages));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(event_stream::CONTENT_TYPE));
    headers.insert(id.0, id.1);
    for (name, value) in [(EXECUTED_VERSION, executed_version), (TRACE_ID, trace)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// One message at a time, made when the connection has room for it.
fn messages(body: ResponseStream) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(Some((Bytes::new(), body)), async |rest| {
        let (mut piece, mut body) = rest?;
        if piece.is_empty()
            && let Some(next) = body.next().await
        {
            piece = next;
        }
        if !piece.is_empty() {
            let chunk = piece.split_to(piece.len().min(CHUNK_LIMIT_BYTES));
            return Some((Ok(event_stream::payload_chunk(&chunk)), Some((piece, body))));
        }
        let last = match body.end().await {
            Ok(end) => event_stream::invoke_complete(&end),
            Err(error) => event_stream::error(&ApiError::from(error)),
        };
        Some((Ok(last), None))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_invoke::{StreamEnd, StreamError};
    use futures_util::StreamExt;
    use tokio::sync::{mpsc, oneshot};

    #[tokio::test]
    async fn each_piece_is_a_message_at_once() {
        let (sender, chunks) = mpsc::channel(1);
        let (end_sender, end) = oneshot::channel();
        let mut messages = Box::pin(messages(ResponseStream::forwarded(chunks, end)));
        for piece in ["a", "b"] {
            sender.try_send(Bytes::from(piece)).unwrap();
            let message = messages.next().await.unwrap().unwrap();
            assert_eq!(message, event_stream::payload_chunk(piece.as_bytes()));
        }
        let error = StreamError { code: "Mine".into(), details: "{}".into() };
        let end = StreamEnd { error: Some(error), log_tail: None };
        end_sender.send(end.clone()).unwrap();
        assert_eq!(messages.next().await.unwrap().unwrap(), event_stream::invoke_complete(&end));
        assert!(messages.next().await.is_none());
    }

    #[tokio::test]
    async fn a_platform_that_fails_is_the_last_message() {
        let (sender, chunks) = mpsc::channel(1);
        let (end_sender, end) = oneshot::channel();
        let mut messages = Box::pin(messages(ResponseStream::forwarded(chunks, end)));
        sender.try_send(Bytes::from("a")).unwrap();
        drop(end_sender);
        assert_eq!(messages.next().await.unwrap().unwrap(), event_stream::payload_chunk(b"a"));
        assert_eq!(messages.next().await.unwrap().unwrap(), event_stream::error(&ApiError::Service));
        assert!(messages.next().await.is_none());
    }

    /// What is not asked for is not read, so that a slow reader slows the runtime.
    #[tokio::test]
    async fn messages_are_made_when_they_are_asked_for() {
        let (sender, chunks) = mpsc::channel(1);
        let (_end, end) = oneshot::channel();
        let mut messages = Box::pin(messages(ResponseStream::forwarded(chunks, end)));
        sender.try_send(Bytes::from(vec![0; 2 * CHUNK_LIMIT_BYTES])).unwrap();
        messages.next().await.unwrap().unwrap();
        sender.try_send(Bytes::from("b")).unwrap();
        messages.next().await.unwrap().unwrap();
        sender.try_send(Bytes::from("c")).unwrap_err();
    }
}
