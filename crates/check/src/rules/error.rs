//! Handlers that fail.

use serde_json::{Map, Value, json};

use crate::bench::Bench;
use crate::event::{ACTION, echo};
use crate::platform::Request;
use crate::session::{Session, is_not_played, not_played};
use crate::verdict::{Outcome, Stop};

/// With what has to be escaped in JSON.
const MESSAGE: &str = "no good: \"quoted\", C:\\new\\table, caf\u{e9}";

pub(super) async fn report(bench: &mut Bench<'_>) -> Outcome {
    failed(bench).await.map(drop)
}

pub(super) async fn shape(bench: &mut Bench<'_>) -> Outcome {
    let (_, request) = failed(bench).await.map_err(|stop| stop.first_comes("error.report"))?;
    let error = error_of(&request)?;
    if error["errorMessage"].as_str().is_some_and(|text| text.contains(MESSAGE)) {
        return Ok(());
    }
    let expected = format!("errorMessage with the handler's own message: {}", json!(MESSAGE));
    Err(Stop::failed(expected, request.to_string()))
}

pub(super) async fn type_header(bench: &mut Bench<'_>) -> Outcome {
    let (_, request) = failed(bench).await.map_err(|stop| stop.first_comes("error.report"))?;
    let given = request.header("Lambda-Runtime-Function-Error-Type");
    let is_type = |text: &str| {
        text.split_once('.').is_some_and(|(category, reason)| !category.is_empty() && !reason.is_empty())
    };
    if given.is_some_and(is_type) {
        return Ok(());
    }
    Err(Stop::failed("Lambda-Runtime-Function-Error-Type: <category>.<reason>", request.to_string()))
}

pub(super) async fn goes_on(bench: &mut Bench<'_>) -> Outcome {
    let (session, _) = failed(bench).await.map_err(|stop| stop.first_comes("error.report"))?;
    let event = session.action(&echo(&json!("after an error")));
    let answer = session.invoke(&event).await?;
    if answer.is_error {
        return Err(Stop::failed("a result for an event after one that failed", answer.accept().to_string()));
    }
    answer.accept();
    Ok(())
}

/// A handler that has failed, and the request that said so.
async fn failed<'a>(bench: &'a mut Bench<'_>) -> Outcome<(&'a mut Session, Request)> {
    let session = bench.start_playing().await?;
    let action = json!({ACTION: "fail", "message": MESSAGE});
    let event = session.action(&action);
    let answer = session.invoke(&event).await?;
    let is_error = answer.is_error;
    let request = answer.accept();
    if is_error {
        return Ok((session, request));
    }
    if serde_json::from_slice(&request.body).is_ok_and(|body| is_not_played(&action, &body)) {
        return Err(not_played(&action));
    }
    if request.trailer("Lambda-Runtime-Function-Error-Type").is_some() {
        return Err(Stop::not_applicable("it streams, and reports errors in trailers: see stream.error"));
    }
    let expected = format!("POST /2018-06-01/runtime/invocation/{}/error", event.id);
    Err(Stop::failed(expected, request.to_string()))
}

/// The body of an error report, if it is one.
pub(super) fn error_of(request: &Request) -> Outcome<Map<String, Value>> {
    let object = serde_json::from_slice::<Map<String, Value>>(&request.body).unwrap_or_default();
    let is_text = |name: &str| object.get(name).is_some_and(Value::is_string);
    let is_named = object.get("errorType").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if is_text("errorMessage") && is_named {
        return Ok(object);
    }
    let expected = r#"a body such as {"errorMessage": "…", "errorType": "…"}"#;
    Err(Stop::failed(expected, request.to_string()))
}
