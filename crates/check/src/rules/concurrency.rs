//! Several invocations at a time. Applicable to runtimes that, told of `AWS_LAMBDA_MAX_CONCURRENCY`, keep more than one
//! `next` waiting.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::event::ACTION;
use crate::platform::Call;
use crate::session::{Answer, Heard, Session, is_next, played, same_value, seen};
use crate::verdict::{Outcome, Stop};

/// What the runtime is told.
const MAX_CONCURRENCY: usize = 4;

/// A runtime that has not asked a second time by then asks once only. Starting an interpreter takes a part of it.
const UNTIL_ALL_ASK: Duration = Duration::from_secs(2);

/// How long the event sleeps that the others are to overtake, and how long it is ahead of them.
const SLEEP_MS: usize = 1200;
const LEAD: Duration = Duration::from_millis(300);

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
    let mut waiting = waiting(session).await?.into_iter().enumerate();
    let sleeper: Vec<_> = waiting.by_ref().take(1).collect();
    let mut open = deliver(session, sleeper, |_| SLEEP_MS);
    // Until then a lock that one invocation holds over all of its work has been taken.
    tokio::time::sleep(LEAD).await;
    open.extend(deliver(session, waiting, |_| 0));
    let order: Vec<_> = answers(session, open).await?.iter().map(|answer| answer.number).collect();
    if order.first() != Some(&0) {
        return Ok(());
    }
    Err(Stop::failed(
        format!("answers to the short events before the one to an event that sleeps for {SLEEP_MS} ms"),
        format!("answers to events in this order: {order:?}, where 0 sleeps"),
    ))
}

pub(super) async fn no_cross_talk(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing_with(&variables()).await?;
    let waiting = waiting(session).await?;
    // Such that they end in the reverse order.
    let last = waiting.len() - 1;
    let open = deliver(session, waiting.into_iter().enumerate(), |number| 100 * (last - number));
    for answer in answers(session, open).await? {
        same_value(&value_of(answer.number), &answer.value)?;
    }
    Ok(())
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
        return Err(Stop::not_applicable(
            "it keeps one next waiting, whatever AWS_LAMBDA_MAX_CONCURRENCY says",
        ));
    }
    Ok(waiting)
}

/// An event that has been delivered.
struct Open {
    number: usize,
    action: Value,
}

/// What came back for it.
struct Answered {
    number: usize,
    value: Value,
}

fn value_of(number: usize) -> Value {
    json!({"event": number, "of": "several"})
}

/// Delivers one event to each call. Returns them by their ids.
fn deliver(
    session: &Session,
    waiting: impl IntoIterator<Item = (usize, Call)>,
    sleep_ms: impl Fn(usize) -> usize,
) -> HashMap<String, Open> {
    let deliver = |(number, call): (usize, Call)| {
        let action = json!({ACTION: "sleep", "ms": sleep_ms(number), "value": value_of(number)});
        let event = session.action(&action);
        call.reply(event.reply());
        (event.id, Open { number, action })
    };
    waiting.into_iter().map(deliver).collect()
}

/// The answers to all of them, in the order in which they come.
async fn answers(session: &mut Session, mut open: HashMap<String, Open>) -> Outcome<Vec<Answered>> {
    let mut answers = Vec::new();
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
        let Some(Open { number, action }) = open.remove(id) else {
            return Err(Stop::failed("an answer to one of the events", call.request.to_string()));
        };
        let answer = Answer { is_error: !call.request.path.ends_with("/response"), call };
        let is_error = answer.is_error;
        let value = played(&action, is_error, &answer.accept())?;
        answers.push(Answered { number, value });
    }
    Ok(answers)
}
