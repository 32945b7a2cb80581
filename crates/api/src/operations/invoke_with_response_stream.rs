//! `InvokeWithResponseStream`: `POST /2021-11-15/functions/{FunctionName}/response-streaming-invocations[?Qualifier=q]`
//!
//! | invocation type | answer |
//! |---|---|
//! | `RequestResponse` | 200 with an event stream: each piece of the handler's bytes as it comes, then how it ended |
//! | `DryRun` | 204, empty; nothing is run |
//!
//! What goes wrong before there is an answer is an ordinary error. A function that fails is told of by the end of the
//! stream, a platform that fails by a last message of its own.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use firesteel_invoke::{Invoker, ResponseStream, StreamReply};
use futures_util::stream::{self, Stream};
use uuid::Uuid;

use super::invocation::{self, Call, EXECUTED_VERSION, InvocationType, Parameters, TRACE_ID};
use crate::error::{ApiError, REQUEST_ID, request_id_value};
use crate::event_stream;

const ALLOWED: &[InvocationType] = &[InvocationType::RequestResponse, InvocationType::DryRun];

/// A larger piece is cut, so that readers need not hold much before they can check a message.
const CHUNK_LIMIT_BYTES: usize = 128 * 1024;

pub(crate) async fn handle(
    State(invoker): State<Invoker>,
    Path(function_name): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request_id = Uuid::new_v4();
    let call = Call { request_id, function_name, parameters, headers, body };
    match invoke(&invoker, call).await {
        Ok(response) => response,
        Err(error) => error.into_response_to(request_id),
    }
}

async fn invoke(invoker: &Invoker, call: Call) -> Result<Response, ApiError> {
    let id = (REQUEST_ID, request_id_value(call.request_id));
    let (invocation_type, request) = invocation::read(call, invoker.catalog(), ALLOWED).await?;
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

/// Where the writing of a stream has come to.
enum Writing {
    /// The rest of a piece that is cut.
    Chunks(ResponseStream, Bytes),
    Done,
}

/// One message at a time, made when the connection has room for it.
fn messages(body: ResponseStream) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
    stream::unfold(Writing::Chunks(body, Bytes::new()), async |writing| {
        let Writing::Chunks(mut body, mut piece) = writing else { return None };
        if piece.is_empty()
            && let Some(next) = body.next().await
        {
            piece = next;
        }
        if !piece.is_empty() {
            let chunk = piece.split_to(piece.len().min(CHUNK_LIMIT_BYTES));
            return Some((Ok(event_stream::payload_chunk(&chunk)), Writing::Chunks(body, piece)));
        }
        let last = match body.end().await {
            Ok(end) => event_stream::invoke_complete(&end),
            Err(error) => event_stream::exception(&ApiError::from(error)),
        };
        Some((Ok(last), Writing::Done))
    })
}
