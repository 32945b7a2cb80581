//! What the calls that run a function have in common: header values, the event, the function's name.
//!
//! Headers are checked before the body is read, the body before the function is looked up.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_catalog::{Account, FunctionReference};
use firesteel_invoke::Request;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::body::{self, BodyError};
use crate::error::ApiError;
use crate::model::Route;

/// Largest event of a synchronous invocation.
pub(crate) const SYNCHRONOUS_LIMIT_BYTES: usize = 6 * 1024 * 1024;
/// Largest event of an asynchronous invocation (256 KiB until October 2025).
const ASYNCHRONOUS_LIMIT_BYTES: usize = 1024 * 1024;
/// Largest client context, still encoded.
const CLIENT_CONTEXT_LIMIT_BYTES: usize = 3583;

pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
pub(super) const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");

/// A call as it came in.
pub(crate) struct Call {
    pub(super) request_id: Uuid,
    function_name: String,
    qualifier: Option<String>,
    headers: HeaderMap,
    body: Body,
}

impl Call {
    pub(super) fn new(request_id: Uuid, route: &Route, parts: Parts, body: Body) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let qualifier =
            parameters.find_map(|(name, value)| (name == "Qualifier").then(|| value.into_owned()));
        let function_name = route.label("FunctionName").unwrap_or_default().to_owned();
        Call { request_id, function_name, qualifier, headers: parts.headers, body }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvocationType {
    Event,
    RequestResponse,
    DryRun,
}

/// The request, and what is to be done with it; the operation takes the types `allowed`.
pub(super) async fn read(
    call: Call,
    account: &Account,
    allowed: &[InvocationType],
) -> Result<(InvocationType, Request), ApiError> {
    let invocation_type = invocation_type(&call.headers, allowed)?;
    Ok((invocation_type, read_as(call, account, invocation_type).await?))
}

/// The request, of a type that is known.
pub(super) async fn read_as(
    call: Call,
    account: &Account,
    invocation_type: InvocationType,
) -> Result<Request, ApiError> {
    let Call { request_id, function_name, qualifier, headers, body } = call;
    let log_tail = log_tail(&headers)?;
    let client_context = client_context(&headers)?;
    let Account { region, id, .. } = account;
    let reference = FunctionReference::parse(&function_name, qualifier.as_deref(), region, id)?;
    let payload = payload(body, invocation_type).await?;
    let trace = text(&headers, &TRACE_ID).map(str::to_owned);
    Ok(Request { reference, request_id, payload, client_context, trace, log_tail })
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

fn invocation_type(headers: &HeaderMap, allowed: &[InvocationType]) -> Result<InvocationType, ApiError> {
    let Some(given) = text(headers, &INVOCATION_TYPE) else { return Ok(InvocationType::RequestResponse) };
    let named = allowed.iter().find(|allowed| allowed.name() == given);
    named.copied().ok_or_else(|| {
        let names: Vec<_> = allowed.iter().map(|allowed| allowed.name()).collect();
        not_in_set(given, "invocationType", &format!("[{}]", names.join(", ")))
    })
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

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

impl InvocationType {
    fn name(self) -> &'static str {
        match self {
            InvocationType::Event => "Event",
            InvocationType::RequestResponse => "RequestResponse",
            InvocationType::DryRun => "DryRun",
        }
    }
}
