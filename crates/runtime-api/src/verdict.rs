//! How a route asks the lifecycle, and what it answers when it is not given what it asked for.
//!
//! Called by `runtime`, `answering` and `extension`. A call is refused, see [`Refusal`], or finds nobody behind
//! the port any more: then the answer is a 500 and the connection is closed, for the environment is ending.

use tokio::sync::{mpsc, oneshot};

use crate::rendering::{self, Answer};
use crate::{Call, Refusal, Reply};

/// Why a call was not granted.
pub(crate) enum Unanswered {
    Refused(Refusal),
    /// Nobody listens to the calls of this environment, or the reply was dropped.
    Gone,
}

impl Unanswered {
    pub(crate) fn render(self) -> Answer {
        match self {
            Unanswered::Refused(refusal) => refusal.render(),
            Unanswered::Gone => rendering::and_close(Refusal::Platform.render()),
        }
    }
}

/// Sends a call and waits for its verdict.
pub(crate) async fn ask<T>(
    calls: &mpsc::Sender<Call>,
    call: impl FnOnce(Reply<T>) -> Call,
) -> Result<T, Unanswered> {
    let (reply, mut verdict) = oneshot::channel();
    calls.send(call(reply)).await.map_err(|_| Unanswered::Gone)?;
    read(&mut verdict).await
}

/// Waits for the verdict on a call that was sent.
pub(crate) async fn read<T>(verdict: &mut oneshot::Receiver<Result<T, Refusal>>) -> Result<T, Unanswered> {
    verdict.await.map_err(|_| Unanswered::Gone)?.map_err(Unanswered::Refused)
}
