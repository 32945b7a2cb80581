//! One event after the other.

use serde_json::json;

use crate::bench::Bench;
use crate::event::echo;
use crate::session::{played, same_value};
use crate::verdict::{Outcome, Stop};

pub(super) async fn answer(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    let next = session.first_next().await?;
    let event = session.action(&echo(&json!("first")));
    next.reply(event.reply());
    // An error is an answer, too: a handler need not understand the event.
    session.answer(&event).await?.accept();
    let event = session.action(&echo(&json!("second")));
    session.invoke(&event).await?.accept();
    session.next().await.map(drop)
}

pub(super) async fn thousand(bench: &mut Bench<'_>) -> Outcome {
    let (plays, invocations) = (bench.plays(), bench.options.invocations);
    let session = bench.start().await?;
    let mut next = session.first_next().await?;
    for number in 0..invocations {
        let value = json!({"number": number, "padding": "x".repeat(number as usize % 100)});
        let action = echo(&value);
        let event = session.action(&action);
        next.reply(event.reply());
        let answer = session.answer(&event).await.map_err(|stop| at_event(stop, number))?;
        let is_error = answer.is_error;
        let request = answer.accept();
        if plays {
            let back = played(&action, is_error, &request).map_err(|stop| at_event(stop, number))?;
            same_value(&value, &back).map_err(|stop| at_event(stop, number))?;
        }
        next = session.next().await.map_err(|stop| at_event(stop, number))?;
    }
    Ok(())
}

fn at_event(stop: Stop, number: u32) -> Stop {
    match stop {
        Stop::Failed { expected, seen, advice } => {
            Stop::Failed { expected: format!("{expected} (event {})", number + 1), seen, advice }
        }
        other => other,
    }
}

pub(super) async fn id_echo(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    for attempt in ["attempt-1", "attempt-2"] {
        let event = session.action(&echo(&json!(attempt))).with("Lambda-Runtime-Invocation-Id", attempt);
        let request = session.invoke(&event).await?.accept();
        if request.header("Lambda-Runtime-Invocation-Id") != Some(attempt) {
            let expected = format!("Lambda-Runtime-Invocation-Id: {attempt}, as the event had it");
            return Err(Stop::failed(expected, request.to_string()));
        }
    }
    Ok(())
}
