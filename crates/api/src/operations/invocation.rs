//! What the calls that run a function have in common: header values, the event, the function's name.
//!
//! What the model demands is checked before the body is read, the body before the function is looked up.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_catalog::{Account, FunctionReference, Qualifier, ReferenceError};
use firesteel_invoke::Request;
use serde::de::IgnoredAny;
use uuid::Uuid;

use crate::body::{self, BodyError};
use crate::error::ApiError;
use crate::model::{self, Route};

/// Largest event of a synchronous invocation.
pub(crate) const SYNCHRONOUS_LIMIT_BYTES: usize = 6 * 1024 * 1024;
/// Largest event of an asynchronous invocation (256 KiB until October 2025).
const ASYNCHRONOUS_LIMIT_BYTES: usize = 1024 * 1024;
/// Largest client context, still encoded.
const CLIENT_CONTEXT_LIMIT_BYTES: usize = 3583;

pub(crate) const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
pub(super) const EXECUTED_VERSION: HeaderName = HeaderName::from_static("x-amz-executed-version");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");

/// A call as it came in.
pub(crate) struct Call {
    pub(super) request_id: Uuid,
    pub(super) route: Route,
    pub(super) parts: Parts,
    pub(super) body: Body,
}

impl Call {
    /// What it says outside of its body, within what the model demands.
    pub(super) fn read<T: model::Request>(&self) -> Result<T, ApiError> {
        model::read(&self.route, &self.parts, &[])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvocationType {
    Event,
    RequestResponse,
    DryRun,
}

/// What was said of it, in terms that are all operations'.
pub(super) struct Asked {
    pub(super) function_name: String,
    pub(super) qualifier: Option<String>,
    pub(super) invocation_type: InvocationType,
    pub(super) log_type: Option<String>,
}

/// The request, of which `asked` was read.
pub(super) async fn request(call: Call, account: &Account, asked: Asked) -> Result<Request, ApiError> {
    let Call { request_id, parts: Parts { headers, .. }, body, .. } = call;
    let client_context = client_context(&headers)?;
    let reference = reference(&asked.function_name, asked.qualifier.as_deref(), account)?;
    let payload = payload(body, asked.invocation_type).await?;
    let trace = text(&headers, &TRACE_ID).map(str::to_owned);
    let log_tail = asked.log_type.as_deref() == Some("Tail");
    Ok(Request { reference, request_id, payload, client_context, trace, log_tail })
}

/// Of what nothing can be called, AWS tells what it looked for, as of all that it does not find to run.
fn reference(
    name: &str,
    qualifier: Option<&str>,
    account: &Account,
) -> Result<FunctionReference, ReferenceError> {
    FunctionReference::parse(name, qualifier, &account.region, &account.id).map_err(|error| match error {
        ReferenceError::NotFound(mut arn) => {
            arn.qualifier.get_or_insert_with(|| Qualifier::Latest.to_string());
            ReferenceError::NotFound(arn)
        }
        error => error,
    })
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
    /// Of a request that is within the model's values.
    pub(super) fn of(given: Option<&str>) -> Self {
        match given {
            Some("Event") => InvocationType::Event,
            Some("DryRun") => InvocationType::DryRun,
            _ => InvocationType::RequestResponse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_catalog::AccountLimits;

    #[test]
    fn what_is_not_found_was_looked_for_in_latest() {
        let (region, id) = ("eu-west-1".into(), "111122223333".into());
        let account = Account { region, id, limits: AccountLimits::default() };
        let long = "a".repeat(65);
        for (name, qualifier, looked_for) in [
            (long.as_str(), None, format!("{long}:$LATEST")),
            ("a.b", Some("prod"), "a.b:prod".to_owned()),
            ("f", Some("$latest"), "f:$latest".to_owned()),
        ] {
            let error = reference(name, qualifier, &account).unwrap_err();
            let expected =
                format!("Function not found: arn:aws:lambda:eu-west-1:111122223333:function:{looked_for}");
            assert_eq!(error.to_string(), expected);
        }
    }
}
