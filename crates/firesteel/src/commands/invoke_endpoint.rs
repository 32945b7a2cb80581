//! `firesteel invoke NAME --endpoint URL`: the same from a server that runs already.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_invoke::Outcome;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cli::InvokeArguments;
use crate::exit::{Exit, Failure};
use crate::notice::tell;

pub(super) async fn run(
    endpoint: &str,
    arguments: &InvokeArguments,
    event: Bytes,
    client_context: Option<String>,
) -> Result<Exit, Failure> {
    let request = request(endpoint, arguments, event, client_context)?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let response = client.request(request).await.map_err(|error| {
        Failure::platform(format!("the server at {endpoint} could not be reached"))
            .because(&error)
            .try_next("is it running? firesteel serve TARGET --listen 127.0.0.1:9000")
    })?;
    let (head, body) = response.into_parts();
    let payload = body.collect().await.map_err(|error| {
        Failure::platform(format!("the answer of the server at {endpoint} broke off")).because(&error)
    })?;
    let payload = payload.to_bytes();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());

    if let Some(tail) = header("x-amz-log-result").and_then(|tail| BASE64_STANDARD.decode(tail).ok()) {
        tell(String::from_utf8_lossy(&tail).replace('\r', "\n").trim_end_matches('\n'));
    }
    if head.status != StatusCode::OK {
        return Err(refused(head.status, header("x-amzn-errortype"), &payload));
    }
    let outcome = match header("x-amz-function-error") {
        Some(_) => Outcome::FunctionError(payload),
        None => Outcome::Success(payload),
    };
    super::invoke::print(&outcome)
}

fn request(
    endpoint: &str,
    arguments: &InvokeArguments,
    event: Bytes,
    client_context: Option<String>,
) -> Result<Request<Full<Bytes>>, Failure> {
    let bad_url = || {
        Failure::usage(format!("`{endpoint}` is not the URL of a server"))
            .try_next("--endpoint http://127.0.0.1:9000")
    };
    let base: Uri = endpoint.parse().map_err(|error: http::uri::InvalidUri| bad_url().because(&error))?;
    if base.scheme_str() != Some("http") {
        return Err(bad_url());
    }
    let name = utf8_percent_encode(&arguments.target, NON_ALPHANUMERIC);
    let url = format!("{}/2015-03-31/functions/{name}/invocations", endpoint.trim_end_matches('/'));
    let mut request =
        Request::post(url).header("content-type", "application/json").header("x-amz-log-type", "Tail");
    if let Some(context) = client_context {
        request = request.header("x-amz-client-context", BASE64_STANDARD.encode(context));
    }
    if let Some(trace) = &arguments.trace_id {
        request = request.header("x-amzn-trace-id", trace);
    }
    request.body(Full::new(event)).map_err(|error| bad_url().because(&error))
}

/// The caller's mistakes are usage errors here, everything else is the platform's.
fn refused(status: StatusCode, class: Option<&str>, payload: &[u8]) -> Failure {
    let json: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let text = json.get("Message").or_else(|| json.get("message")).and_then(|text| text.as_str());
    let what =
        format!("{}: {}", class.unwrap_or(status.as_str()), text.unwrap_or("the server gave no reason"));
    let reason = json.get("Reason").and_then(|reason| reason.as_str()).map(|reason| format!(" ({reason})"));
    let what = what + reason.as_deref().unwrap_or_default();
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        Failure::usage(what)
    } else {
        Failure::platform(what)
    }
}
