//! `firesteel invoke NAME --endpoint URL`: the same from a server that runs already.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use firesteel_invoke::Outcome;
use http::{Method, StatusCode};

use crate::cli::InvokeArguments;
use crate::client::{Client, part};
use crate::exit::{Exit, Failure};
use crate::notice::tell;

pub(super) async fn run(
    endpoint: &str,
    arguments: &InvokeArguments,
    event: Bytes,
    client_context: Option<String>,
) -> Result<Exit, Failure> {
    let client = Client::of_endpoint(endpoint)?;
    let path = format!("/2015-03-31/functions/{}/invocations", part(&arguments.target));
    let context = client_context.map(|context| BASE64_STANDARD.encode(context));
    let mut headers = vec![("content-type", "application/json"), ("x-amz-log-type", "Tail")];
    headers.extend(context.as_deref().map(|context| ("x-amz-client-context", context)));
    headers.extend(arguments.trace_id.as_deref().map(|trace| ("x-amzn-trace-id", trace)));
    let answer = client.send(Method::POST, &path, &headers, event).await?;

    if let Some(tail) = answer.header("x-amz-log-result").and_then(|tail| BASE64_STANDARD.decode(tail).ok()) {
        tell(String::from_utf8_lossy(&tail).replace('\r', "\n").trim_end_matches('\n'));
    }
    if answer.status != StatusCode::OK {
        return Err(answer.refused());
    }
    let outcome = match answer.header("x-amz-function-error") {
        Some(_) => Outcome::FunctionError(answer.body),
        None => Outcome::Success(answer.body),
    };
    super::invoke::print(&outcome)
}
