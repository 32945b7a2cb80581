//! `Invoke`: `POST /2015-03-31/functions/{FunctionName}/invocations[?Qualifier=q]`
//!
//! | invocation type | answer |
//! |---|---|
//! | `RequestResponse` | 200 with the handler's bytes, or with error JSON and `X-Amz-Function-Error` |
//! | `Event` | 202, empty; the event is run at once |
//! | `DryRun` | 204, empty; nothing is run |
//!
//! Headers are checked before the body is read, the body before the function is looked up.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_catalog::FunctionReference;
use firesteel_invoke::{Invoker, Outcome, Reply, Request};
use serde::Deserialize;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::body::{self, BodyError};
use crate::error::{ApiError, REQUEST_ID, request_id_value};

/// Largest event of a synchronous invocation.
const SYNCHRONOUS_LIMIT_BYTES: usize = 6 * 1024 * 1024;
/// Largest event of an asynchronous invocation (256 KiB until October 2025).
const ASYNCHRONOUS_LIMIT_BYTES: usize = 1024 * 1024;
/// Largest client context, still encoded.
const CLIENT_CONTEXT_LIMIT_BYTES: usize = 3583;

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

#[derive(Debug, Deserialize)]
pub(crate) struct Parameters {
    #[serde(rename = "Qualifier")]
    qualifier: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InvocationType {
    RequestResponse,
    Event,
    DryRun,
}

pub(crate) async fn handle(
    State(invoker): State<Invoker>,
    Path(function_name): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request_id = Uuid::new_v4();
    let qualifier = parameters.qualifier.as_deref();
    match invoke(&invoker, request_id, &function_name, qualifier, &headers, body).await {
        Ok(response) => response,
        Err(error) => error.into_response_to(request_id),
    }
}

async fn invoke(
    invoker: &Invoker,
    request_id: Uuid,
    function_name: &str,
    qualifier: Option<&str>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let invocation_type = invocation_type(headers)?;
    let log_tail = log_tail(headers)?;
    let client_context = client_context(headers)?;
    let catalog = invoker.catalog();
    let reference = FunctionReference::parse(function_name, qualifier, catalog.region(), catalog.account())?;
    let payload = payload(body, invocation_type).await?;

    let request = Request {
        reference,
        request_id,
        payload,
        client_context,
        trace: text(headers, &TRACE_ID).map(str::to_owned),
        log_tail,
    };
    let id = (REQUEST_ID, request_id_value(request_id));
    Ok(match invocation_type {
        InvocationType::RequestResponse => rendered(invoker.synchronous(request).await?, id),
        InvocationType::Event => {
            invoker.asynchronous(request)?;
            (StatusCode::ACCEPTED, [id]).into_response()
        }
        InvocationType::DryRun => {
            invoker.dry_run(&request.reference)?;
            (StatusCode::NO_CONTENT, [id]).into_response()
        }
    })
}

fn rendered(reply: Reply, id: (HeaderName, HeaderValue)) -> Response {
    let (payload, failed) = match reply.outcome {
        Outcome::Success(payload) => (payload, false),
        Outcome::FunctionError(payload) => (payload, true),
    };
    let mut response = Response::new(Body::from(payload));
    let headers = response.headers_mut();
    headers.reserve(8);
    // Whatever content type the runtime gave: callers of this operation always get JSON's.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(id.0, id.1);
    let mut insert = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    insert(EXECUTED_VERSION, &reply.executed_version);
    insert(TRACE_ID, &reply.trace);
    if failed {
        insert(FUNCTION_ERROR, "Unhandled");
    }
    if let Some(log_tail) = reply.log_tail {
        insert(LOG_RESULT, &BASE64_STANDARD.encode(log_tail));
    }
    response
}

/// The event: JSON, or nothing, which functions receive as an empty object.
async fn payload(body: Body, invocation_type: InvocationType) -> Result<Bytes, ApiError> {
    let (name, limit_bytes) = match invocation_type {
        InvocationType::RequestResponse | InvocationType::DryRun => {
            ("RequestResponse", SYNCHRONOUS_LIMIT_BYTES)
        }
        InvocationType::Event => ("Event", ASYNCHRONOUS_LIMIT_BYTES),
    };
    let payload = body::read(body, limit_bytes).await.map_err(|error| match error {
        BodyError::TooLarge { size_bytes } => {
            ApiError::PayloadTooLarge { size_bytes, invocation_type: name, limit_bytes }
        }
        BodyError::Unreadable => ApiError::BodyUnreadable,
    })?;
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    // Checked, not changed: the function gets the bytes that the caller sent.
    serde_json::from_slice::<IgnoredAny>(&payload).map_err(ApiError::PayloadNotJson)?;
    Ok(payload)
}

fn invocation_type(headers: &HeaderMap) -> Result<InvocationType, ApiError> {
    match text(headers, &INVOCATION_TYPE) {
        None | Some("RequestResponse") => Ok(InvocationType::RequestResponse),
        Some("Event") => Ok(InvocationType::Event),
        Some("DryRun") => Ok(InvocationType::DryRun),
        Some(other) => Err(not_in_set(other, "invocationType", "[Event, RequestResponse, DryRun]")),
    }
}

fn log_tail(headers: &HeaderMap) -> Result<bool, ApiError> {
    match text(headers, &LOG_TYPE) {
        None | Some("None") => Ok(false),
        Some("Tail") => Ok(true),
        Some(other) => Err(not_in_set(other, "logType", "[None, Tail]")),
    }
}

fn not_in_set(value: &str, member: &'static str, set: &str) -> ApiError {
    ApiError::Validation {
        value: value.to_owned(),
        member,
        constraint: format!("Member must satisfy enum value set: {set}"),
    }
}

fn client_context(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(encoded) = headers.get(&CLIENT_CONTEXT) else { return Ok(None) };
    if encoded.len() > CLIENT_CONTEXT_LIMIT_BYTES {
        return Err(ApiError::ClientContext);
    }
    let decoded = BASE64_STANDARD.decode(encoded.as_bytes()).map_err(|_| ApiError::ClientContext)?;
    let context = String::from_utf8(decoded).map_err(|_| ApiError::ClientContext)?;
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&context) {
        // As a header it must be one line; JSON means the same without its line breaks.
        Ok(object) if context.contains(['\n', '\r']) => {
            Ok(Some(serde_json::Value::Object(object).to_string()))
        }
        Ok(_) => Ok(Some(context)),
        Err(_) => Err(ApiError::ClientContext),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}
