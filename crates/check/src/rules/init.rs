//! From the start of the process to its first `next`.

use std::time::Duration;

use crate::bench::Bench;
use crate::platform::{Reply, Request};
use crate::rules::error::error_of;
use crate::session::{Heard, Session, is_init_error, is_next, seen};
use crate::verdict::{Outcome, Stop};

/// A handler that no package has.
const NO_SUCH_HANDLER: &str = "firesteel-check-no-such-file.no_such_handler";

/// How long a runtime may take to end, once it has nothing left to do.
pub(super) const TO_END: Duration = Duration::from_secs(5);

pub(super) async fn next(bench: &mut Bench<'_>) -> Outcome {
    let session = bench.start().await?;
    session.first_next().await.map(drop)
}

pub(super) async fn error(bench: &mut Bench<'_>) -> Outcome {
    start_without_handler(bench).await.map(drop)
}

pub(super) async fn error_shape(bench: &mut Bench<'_>) -> Outcome {
    let (_, request) = start_without_handler(bench).await.map_err(|stop| stop.first_comes("init.error"))?;
    error_of(&request).map(drop)
}

pub(super) async fn error_exit(bench: &mut Bench<'_>) -> Outcome {
    let (session, _) = start_without_handler(bench).await.map_err(|stop| stop.first_comes("init.error"))?;
    session.end(TO_END, "the end of the process").await.map(drop)
}

/// The init error of a runtime that is told of a handler that does not exist; the call is answered.
async fn start_without_handler<'a>(bench: &'a mut Bench<'_>) -> Outcome<(&'a mut Session, Request)> {
    let limit = bench.options.answer_limit.max(TO_END);
    let session = bench.start_with(&[("_HANDLER", Some(NO_SUCH_HANDLER.into()))]).await?;
    match session.hear(limit).await? {
        Heard::Call(call) if is_init_error(&call.request) => {
            let request = call.request.clone();
            call.reply(Reply::accepted());
            Ok((session, request))
        }
        Heard::Call(call) if is_next(&call.request) => {
            Err(Stop::not_applicable("it starts whatever _HANDLER says"))
        }
        heard => Err(Stop::failed("POST /2018-06-01/runtime/init/error", seen(&heard))),
    }
}
