//! Several invocations at a time. Applicable to runtimes that, told of `AWS_LAMBDA_MAX_CONCURRENCY`, keep more than one
//! `next` waiting.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::event::{ACTION, Event};
use crate::platform::Call;
use crate::session::{Heard, Session, is_next, played, same_value, seen};
use crate::verdict::{Outcome, Stop};

/// What the runtime is told.
const MAX_CONCURRENCY: usize = 4;

/// A runtime that has not asked a second time by then asks once only. Starting an interpreter takes a part of it.
const UNTIL_ALL_ASK: Duration = Duration::from_secs(2);

/// In which one more than allowed would ask.
const FOR_ONE_MORE: Duration = Duration::from_millis(300);

pub(super) async fn limit(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_with(&variables()).await?;
    let waiting = waiting(session).await?;
    if waiting.len() < MAX_CONCURRENCY {
        return Ok(());
    }
    match session.hear(FOR_ONE_MORE).await? {
        Heard::Silence(_) => Ok(()),
        heard => {
            let expected = format!("{MAX_CONCURRENCY} calls of next that wait, and no more");
            Err(Stop::failed(expected, seen(&heard)))
        }
    }
}

pub(super) async fn at_once(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing_with(&variables()).await?;
    let waiting = waiting(session).await?;
    // The first sleeps, the others do not: theirs are the first answers.
    let delays_ms = (0..waiting.len()).map(|number| if number == 0 { 1000 } else { 0 }).collect();
    let answered = exchange(session, waiting, delays_ms).await?;
    if answered.first() != Some(&0) {
        return Ok(());
    }
    Err(Stop::failed(
        "answers to the short events before the one to an event that sleeps for 1000 ms",
        format!("answers to events in this order: {answered:?}, where 0 sleeps"),
    ))
}

pub(super) async fn no_cross_talk(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing_with(&variables()).await?;
    let waiting = waiting(session).await?;
    // Such that they end in the reverse order.
    let delays_ms = (0..waiting.len()).rev().map(|number| 100 * number).collect();
    exchange(session, waiting, delays_ms).await.map(drop)
}

fn variables() -> [(&'static str, Option<String>); 2] {
    [
        ("AWS_LAMBDA_MAX_CONCURRENCY", Some(MAX_CONCURRENCY.to_string())),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", Some("lambda-managed-instances".into())),
    ]
}

/// The calls of `next` that wait, once it is known that they are several.
async fn waiting(session: &mut Session) -> Outcome<Vec<Call>> {
    let mut waiting = vec![session.first_next().await?];
    while waiting.len() < MAX_CONCURRENCY {
        match session.hear(UNTIL_ALL_ASK).await? {
            Heard::Call(call) if is_next(&call.request) => waiting.push(call),
            Heard::Silence(_) => break,
            heard => return Err(Stop::failed("calls of next that wait", seen(&heard))),
        }
    }
    if waiting.len() == 1 {
        return Err(Stop::not_applicable("it keeps one next waiting, whatever AWS_LAMBDA_MAX_CONCURRENCY says"));
    }
    Ok(waiting)
}

/// Delivers one event to each, and checks all answers. Returns the numbers of the events in the order of answers.
async fn exchange(session: &mut Session, waiting: Vec<Call>, delays_ms: Vec<usize>) -> Outcome<Vec<usize>> {
    let mut open: HashMap<String, (usize, Event, Value)> = HashMap::new();
    for ((number, call), delay_ms) in waiting.into_iter().enumerate().zip(delays_ms) {
        let action = json!({ACTION: "sleep", "ms": delay_ms, "value": {"event": number, "of": "several"}});
        let event = session.action(&action);
        call.reply(event.reply());
        open.insert(event.id.clone(), (number, event, action));
    }
    let mut order = Vec::new();
    while !open.is_empty() {
        let heard = session.hear(session.answer_limit).await?;
        let Heard::Call(call) = heard else {
            return Err(Stop::failed("answers to all events", seen(&heard)));
        };
        // Those that have answered ask again, and wait.
        if is_next(&call.request) {
            session.hold(call);
            continue;
        }
        let id = call.request.path.split('/').nth(4).unwrap_or_default();
        let Some((number, event, action)) = open.remove(id) else {
            return Err(Stop::failed("an answer to one of the events", call.request.to_string()));
        };
        let answer = crate::session::Answer { is_error: !call.request.path.ends_with("/response"), call };
        let is_error = answer.is_error;
        let request = answer.accept();
        let back = played(&action, is_error, &request)?;
        same_value(&action["value"], &back).map_err(|stop| with_request(stop, &event, &request))?;
        order.push(number);
    }
    Ok(order)
}

fn with_request(stop: Stop, event: &Event, request: &crate::platform::Request) -> Stop {
    match stop {
        Stop::Failed { expected, advice, .. } => {
            Stop::Failed { expected: format!("{expected} ({})", event.id), seen: request.to_string(), advice }
        }
        other => other,
    }
}
