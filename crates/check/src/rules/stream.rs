//! Responses that are streamed. Applicable to handlers that answer `stream` so.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::bench::Bench;
use crate::event::{ACTION, echo};
use crate::platform::Request;
use crate::session::Session;
use crate::verdict::{Outcome, Stop};

/// Between two parts.
const PAUSE: Duration = Duration::from_millis(PAUSE_MS);
const PAUSE_MS: u64 = 400;

const PARTS: [&str; 3] = ["first, ", "Zwölf, ", "last"];

const MESSAGE: &str = "failed in mid-stream";

pub(super) async fn body(bench: &mut Bench<'_>) -> Outcome {
    let (_, request) = streamed(bench, "stream").await?;
    if !request.chunked {
        return Err(Stop::failed("Transfer-Encoding: chunked", request.to_string()));
    }
    // Runtimes that stream for HTTP put a prelude before it.
    if request.body.ends_with(PARTS.concat().as_bytes()) {
        return Ok(());
    }
    Err(Stop::failed(format!("the parts one after the other: {}", PARTS.concat()), request.to_string()))
}

pub(super) async fn at_once(bench: &mut Bench<'_>) -> Outcome {
    let (_, request) = streamed(bench, "stream").await?;
    let took = request.body_read.map_or(Duration::ZERO, |(began, ended)| ended - began);
    // Two pauses lie between the first part and the last.
    if took >= PAUSE {
        return Ok(());
    }
    Err(Stop::failed(
        format!("the first part {} ms before the last, as the handler wrote them", 2 * PAUSE_MS),
        format!("the whole body within {} ms, in\n{request}", took.as_millis()),
    ))
}

pub(super) async fn error(bench: &mut Bench<'_>) -> Outcome {
    let (_, request) = streamed(bench, "stream-fail").await?;
    let report = request
        .trailer("Lambda-Runtime-Function-Error-Body")
        .and_then(|body| BASE64_STANDARD.decode(body.trim()).ok())
        .and_then(|body| serde_json::from_slice::<Map<String, Value>>(&body).ok());
    let says_why = report.is_some_and(|report| {
        report.get("errorMessage").and_then(Value::as_str).is_some_and(|text| text.contains(MESSAGE))
    });
    if says_why && request.trailer("Lambda-Runtime-Function-Error-Type").is_some() {
        return Ok(());
    }
    let expected = "the trailers Lambda-Runtime-Function-Error-Type and Lambda-Runtime-Function-Error-Body (base64 of \
                    the error's JSON) after the last chunk";
    Err(Stop::failed(expected, request.to_string()))
}

pub(super) async fn goes_on(bench: &mut Bench<'_>) -> Outcome {
    let (session, _) = streamed(bench, "stream-fail").await?;
    let event = session.action(&echo(&json!("after a stream")));
    session.invoke(&event).await?.accept();
    Ok(())
}

/// A streamed response, accepted.
async fn streamed<'a>(bench: &'a mut Bench<'_>, action: &str) -> Outcome<(&'a mut Session, Request)> {
    let session = bench.start_playing().await?;
    let action = json!({
        ACTION: action, "parts": PARTS, "pause_ms": PAUSE_MS, "message": MESSAGE,
    });
    let event = session.action(&action);
    let answer = session.invoke(&event).await?;
    let request = answer.accept();
    if request.header("Lambda-Runtime-Function-Response-Mode") != Some("streaming") {
        return Err(Stop::not_applicable("it answers without streaming"));
    }
    let body = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    if crate::session::is_not_played(&action, &body) {
        return Err(crate::session::not_played(&action));
    }
    Ok((session, request))
}
