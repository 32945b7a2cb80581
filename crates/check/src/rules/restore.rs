//! SnapStart. Applicable to runtimes that ask for the restore; those that ask for an event have no hooks.

use serde_json::json;

use crate::bench::Bench;
use crate::event::echo;
use crate::platform::Reply;
use crate::session::{Heard, is_next, is_restore_next, seen};
use crate::verdict::{Outcome, Stop};

pub(super) async fn next(bench: &mut Bench<'_>) -> Outcome {
    let session = bench
        .start_with(&[
            ("AWS_LAMBDA_INITIALIZATION_TYPE", Some("snap-start".into())),
            // As on AWS, where neither is true any more after a restore.
            ("AWS_LAMBDA_LOG_GROUP_NAME", None),
            ("AWS_LAMBDA_LOG_STREAM_NAME", None),
        ])
        .await?;
    match session.hear(session.answer_limit).await? {
        Heard::Call(call) if is_restore_next(&call.request) => call.reply(Reply::new(200, "OK", Vec::new())),
        Heard::Call(call) if is_next(&call.request) => {
            return Err(Stop::not_applicable("it asks for events without a restore"));
        }
        heard => {
            return Err(Stop::failed(
                "GET /2018-06-01/runtime/restore/next, or …/invocation/next",
                seen(&heard),
            ));
        }
    }
    let event = session.action(&echo(&json!("after the restore")));
    session.invoke(&event).await?.accept();
    Ok(())
}
