//! HTTP, and platforms that are slow, lost or broken.

use std::time::Duration;

use serde_json::json;

use crate::bench::Bench;
use crate::event::echo;
use crate::platform::{Closing, Letters, Reply};
use crate::rules::init::TO_END;
use crate::session::{Heard, Session, played, same_value, seen};
use crate::verdict::{Outcome, Stop};

pub(super) async fn http(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    let next = session.first_next().await?;
    let event = session.action(&echo(&json!("http")));
    let asked = next.request.clone();
    next.reply(event.reply());
    let answered = session.answer(&event).await?.accept();
    for request in [&asked, &answered] {
        if request.minor_version == 1 && request.header("Host").is_none() {
            return Err(Stop::failed("the header Host in a request of HTTP/1.1", request.to_string()));
        }
    }
    if !answered.chunked && answered.header("Content-Length").is_none() {
        return Err(Stop::failed(
            "Content-Length or Transfer-Encoding: chunked in a POST",
            answered.to_string(),
        ));
    }
    Ok(())
}

pub(super) async fn header_names(bench: &mut Bench<'_>) -> Outcome {
    let plays = bench.plays();
    let session = bench.start().await?;
    for letters in [Letters::Lower, Letters::Upper] {
        oddly(session, plays, |reply| Reply { letters, ..reply }).await?;
    }
    Ok(())
}

pub(super) async fn pieces(bench: &mut Bench<'_>) -> Outcome {
    let plays = bench.plays();
    let session = bench.start().await?;
    oddly(session, plays, |reply| Reply { in_pieces: true, ..reply }).await
}

pub(super) async fn chunked(bench: &mut Bench<'_>) -> Outcome {
    let plays = bench.plays();
    let session = bench.start().await?;
    oddly(session, plays, |reply| Reply { chunked: true, ..reply }).await
}

/// An invocation whose answers by the platform are odd, and a last `next` to see that both were understood.
async fn oddly(session: &mut Session, plays: bool, odd: impl Fn(Reply) -> Reply) -> Outcome {
    let value = json!("a value of some length, so that there is something to get wrong");
    let action = echo(&value);
    let event = session.action(&action);
    let next = session.next().await?;
    next.reply(odd(event.reply()));
    let answer = session.answer(&event).await?;
    let is_error = answer.is_error;
    let request = answer.reply(odd(Reply::accepted()));
    if plays {
        same_value(&value, &played(&action, is_error, &request)?)?;
    }
    let event = session.action(&action);
    session.invoke(&event).await?.accept();
    Ok(())
}

pub(super) async fn close(bench: &mut Bench<'_>) -> Outcome {
    closing(bench, Closing::Announced).await
}

pub(super) async fn lost(bench: &mut Bench<'_>) -> Outcome {
    closing(bench, Closing::Silent).await
}

/// The platform closes the connection after an answer to `next`, then after an answer to a response.
async fn closing(bench: &mut Bench<'_>, closing: Closing) -> Outcome {
    let session = bench.start().await?;
    let event = session.action(&echo(&json!("closed after the event")));
    session.next().await?.reply(event.reply().closing(closing));
    session.answer(&event).await?.reply(Reply::accepted().closing(closing));
    let event = session.action(&echo(&json!("closed after the response")));
    session.invoke(&event).await?.reply(Reply::accepted().closing(closing));
    session.next().await.map(drop)
}

pub(super) async fn patience(bench: &mut Bench<'_>) -> Outcome {
    let hold = bench.hold();
    let session = bench.start().await?;
    let next = session.first_next().await?;
    match session.hear(hold).await? {
        Heard::Silence(_) => {}
        heard => {
            let expected = format!("one GET …/next that waits, for {} ms and longer", hold.as_millis());
            return Err(Stop::failed(expected, seen(&heard)));
        }
    }
    let event = session.action(&echo(&json!("after a long time")));
    next.reply(event.reply());
    let answer = session.answer(&event).await?;
    // The platform may take its time with the other answers, too.
    match session.hear(hold.min(Duration::from_secs(1))).await? {
        Heard::Silence(_) => {}
        heard => return Err(Stop::failed("patience until the response is answered", seen(&heard))),
    }
    answer.accept();
    session.next().await.map(drop)
}

pub(super) async fn broken_platform(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    let event = session.action(&echo(&json!("before a 500")));
    session.invoke(&event).await?.reply(Reply::broken());
    session.end(TO_END, "the end of the process after 500").await.map(drop)
}
