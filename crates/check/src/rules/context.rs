//! What the handler is told beside its event. Each rule sends two events: what was true of the first must not be
//! told of the second.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::event::{ACTION, Event};
use crate::session::Session;
use crate::verdict::{Outcome, Stop};

pub(super) async fn request_id(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    for _ in 0..2 {
        let event = asking(session);
        let told = told(session, &event, "request_id").await?;
        expect(&told, &json!(event.id), "request_id")?;
    }
    Ok(())
}

pub(super) async fn deadline(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    for later_ms in [0, 100_000] {
        let mut event = asking(session);
        event.deadline_ms += later_ms;
        let told = told(session, &event, "deadline_ms").await?;
        // Some contexts keep it in seconds, others make it anew from what is left.
        let told_ms = told.as_f64().or_else(|| told.as_str().and_then(|text| text.parse().ok()));
        let close = told_ms.is_some_and(|told_ms| (told_ms - event.deadline_ms as f64).abs() <= 1000.0);
        if !close {
            return Err(unexpected("deadline_ms", &told, &json!(event.deadline_ms.to_string())));
        }
    }
    Ok(())
}

pub(super) async fn function_arn(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    for qualifier in ["", ":live"] {
        let mut event = asking(session);
        event.function_arn.push_str(qualifier);
        let told = told(session, &event, "function_arn").await?;
        expect(&told, &json!(event.function_arn), "function_arn")?;
    }
    Ok(())
}

pub(super) async fn trace(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    for (root, sampled) in
        [("1-5759e988-bd862e3fe1be46a994272793", 1), ("1-5759e989-0123456789abcdef01234567", 0)]
    {
        let header = format!("Root={root};Parent=53995c3f42cd8ad8;Sampled={sampled}");
        let event = asking(session).with("Lambda-Runtime-Trace-Id", &header);
        let told = told(session, &event, "trace_id").await?;
        expect(&told, &json!(header), "trace_id")?;
    }
    nothing_left(session, "trace_id").await
}

pub(super) async fn client_context(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    // Without `client`: which of a mobile application's fields it has is between that and its SDK.
    let context = json!({"custom": {"key": "value"}, "env": {"locale": "en"}});
    let event = asking(session).with("Lambda-Runtime-Client-Context", context.to_string());
    let told = told(session, &event, "client_context").await?;
    if parsed(&told).pointer("/custom/key") != Some(&json!("value")) {
        return Err(unexpected("client_context", &told, &context));
    }
    nothing_left(session, "client_context").await
}

pub(super) async fn identity(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    let identity = json!({"cognitoIdentityId": "us-east-1:check", "cognitoIdentityPoolId": "us-east-1:pool"});
    let event = asking(session).with("Lambda-Runtime-Cognito-Identity", identity.to_string());
    let told = told(session, &event, "identity").await?;
    // Each language has its own spelling of the names.
    let told_text = parsed(&told).to_string();
    if !["us-east-1:check", "us-east-1:pool"].iter().all(|id| told_text.contains(id)) {
        return Err(unexpected("identity", &told, &identity));
    }
    nothing_left(session, "identity").await
}

fn asking(session: &Session) -> Event {
    session.action(&json!({ACTION: "context"}))
}

/// What the handler says it was told; not applicable where it is not told such a thing.
async fn told(session: &mut Session, event: &Event, name: &str) -> Outcome<Value> {
    let answer = session.play_event(event, &json!({ACTION: "context"})).await?;
    match answer.get(name) {
        Some(value) if !is_nothing(value) => Ok(value.clone()),
        _ => Err(Stop::not_applicable(format!("the handler knows no {name} of an event that has one"))),
    }
}

/// An event without the header is not told the one of the event before.
async fn nothing_left(session: &mut Session, name: &str) -> Outcome {
    let event = asking(session);
    let answer = session.play_event(&event, &json!({ACTION: "context"})).await?;
    match answer.get(name) {
        Some(value) if holds_anything(&parsed(value)) => Err(unexpected(name, value, &Value::Null)),
        _ => Ok(()),
    }
}

/// Runtimes with an object for it may hand out an empty one.
fn holds_anything(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(holds_anything),
        Value::Array(items) => items.iter().any(holds_anything),
        _ => !is_nothing(value),
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// JSON that is handed on as text counts as what it says.
fn parsed(value: &Value) -> Value {
    value.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}

fn expect(told: &Value, expected: &Value, name: &str) -> Outcome {
    if told == expected { Ok(()) } else { Err(unexpected(name, told, expected)) }
}

fn unexpected(name: &str, told: &Value, expected: &Value) -> Stop {
    Stop::failed(format!("{name} of this event: {expected}"), format!("the handler was told {told}"))
}
