//! What is in events and results.

use serde_json::{Value, json};

use crate::bench::Bench;
use crate::event::{ACTION, echo};
use crate::platform::{Reply, shortened};
use crate::session::{Heard, is_next, same_value, seen};
use crate::verdict::{Outcome, Stop};

/// Most bytes of an event or a response.
const LIMIT_BYTES: usize = 6 * 1024 * 1024;

pub(super) async fn values(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    let values = [
        json!(null),
        json!(false),
        json!(0),
        json!(""),
        json!([]),
        json!({}),
        json!(true),
        json!(-1.5),
        json!(9_007_199_254_740_991_i64),
        json!("text"),
        json!([null, [1, "two", {"three": 3}]]),
        json!({"": "an empty name", "nested": {"a": [{}]}}),
    ];
    for value in &values {
        session.echo(value).await?;
    }
    Ok(())
}

pub(super) async fn unicode(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    for text in ["Grüße, Ωμέγα, Привет", "שלום مرحبا", "日本語テキスト", "🦀 👩‍👩‍👧 e\u{301} \u{feff} \u{2028}"]
    {
        session.echo(&json!(text)).await?;
        session.echo(&json!({text: [text]})).await?;
    }
    Ok(())
}

pub(super) async fn binary(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    let all: String = (0_u8..=255).map(char::from).collect();
    let value = json!(format!("{all}{all}"));
    session.echo(&value).await?;
    // The same with everything escaped that can be, as other writers of JSON do.
    let escaped: String =
        all.chars().chain(all.chars()).map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let event = session.event(format!(r#"{{"{ACTION}":"echo","value":"{escaped}"}}"#));
    let back = session.play_event(&event, &echo(&value)).await?;
    same_value(&value, &back)
}

pub(super) async fn large_event(bench: &mut Bench<'_>) -> Outcome {
    let plays = bench.plays();
    let session = bench.start().await?;
    let around = echo(&json!("")).to_string().len();
    let value = json!("0123456789abcdef".repeat((LIMIT_BYTES - around) / 16));
    let action = echo(&value);
    if plays {
        return session.echo(&value).await;
    }
    let event = session.action(&action);
    session.invoke(&event).await?.accept();
    session.next().await.map(drop)
}

pub(super) async fn large_response(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start_playing().await?;
    let bytes = LIMIT_BYTES - 2;
    let value = session.play(&json!({ACTION: "size", "bytes": bytes})).await?;
    match &value {
        Value::String(text) if text.len() == bytes => Ok(()),
        _ => Err(Stop::failed(
            format!("a string of {bytes} characters"),
            format!("a response of {}", shortened(value.to_string().as_bytes())),
        )),
    }
}

pub(super) async fn too_large(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    let event = session.action(&echo(&json!("as if it were too large")));
    let answer = session.invoke(&event).await?;
    answer.reply(Reply::too_large());
    let event = session.action(&echo(&json!("the next one")));
    // Told of the 413, it may report an error for the same event; that is refused, as on AWS.
    let next = match session.hear(session.answer_limit).await? {
        Heard::Call(call) if call.request.path.ends_with("/error") => {
            call.reply(Reply::refused());
            session.next().await?
        }
        Heard::Call(call) if is_next(&call.request) => call,
        heard => {
            let expected = "GET /2018-06-01/runtime/invocation/next after 413";
            return Err(Stop::failed(expected, seen(&heard)));
        }
    };
    next.reply(event.reply());
    session.answer(&event).await?.accept();
    Ok(())
}
