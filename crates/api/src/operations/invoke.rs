//! `Invoke`: `POST /2015-03-31/functions/{FunctionName}/invocations[?Qualifier=q]`
//!
//! | invocation type | answer |
//! |---|---|
//! | `RequestResponse` | 200 with the handler's bytes, or with error JSON and `X-Amz-Function-Error` |
//! | `Event` | 202, empty; the event is kept, and will be run |
//! | `DryRun` | 204, empty; nothing is run |

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use firesteel_invoke::{Invoker, Outcome, Reply};

use super::invocation::{self, Asked, Call, EXECUTED_VERSION, InvocationType, TRACE_ID};
use crate::error::{ApiError, REQUEST_ID, request_id_value};
use crate::model::InvocationRequest;

const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");
const LOG_RESULT: HeaderName = HeaderName::from_static("x-amz-log-result");

pub(crate) async fn answer(invoker: &Invoker, call: Call) -> Result<Response, ApiError> {
    let id = (REQUEST_ID, request_id_value(call.request_id));
    let InvocationRequest { function_name, qualifier, invocation_type, log_type, .. } = call.read()?;
    let invocation_type = InvocationType::of(invocation_type.as_deref());
    let asked = Asked { function_name, qualifier, invocation_type, log_type };
    let request = invocation::request(call, invoker.store().account(), asked).await?;
    Ok(match invocation_type {
        InvocationType::RequestResponse => rendered(invoker.synchronous(request).await?, id),
        InvocationType::Event => {
            invoker.asynchronous(request).await?;
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
