//! `InvokeAsync`: `POST /2014-11-13/functions/{FunctionName}/invoke-async`, what `Event` was before there were invocation types.
//!
//! Answered with 202, and `{"Status":202}` for a body, as its SDKs read the member from either.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use firesteel_invoke::Invoker;

use super::invocation::{self, Asked, Call, InvocationType};
use crate::error::{ApiError, REQUEST_ID, request_id_value};
use crate::model::InvokeAsyncRequest;

pub(crate) async fn answer(invoker: &Invoker, call: Call) -> Result<Response, ApiError> {
    let id = (REQUEST_ID, request_id_value(call.request_id));
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let InvokeAsyncRequest { function_name } = call.read()?;
    let asked =
        Asked { function_name, qualifier: None, invocation_type: InvocationType::Event, log_type: None };
    let request = invocation::request(call, invoker.store().account(), asked).await?;
    invoker.asynchronous(request).await?;
    Ok((StatusCode::ACCEPTED, [id, json], r#"{"Status":202}"#).into_response())
}
