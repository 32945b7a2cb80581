//! An answer between its two calls, and the debt it is to the lifecycle.
//!
//! ```text
//! begin ─ accepted ─► collect or forward ─► end
//!              └─ dropped in between: AnswerEnded with what is known ─► the debt is paid
//! ```
//!
//! The request's future is dropped when its connection breaks or its environment ends, at any await. The drop of
//! [`Answering`] is what then ends the answer. Used by `runtime`; decides nothing about a body.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::body::{Collected, Forwarded, RequestBody};
use crate::verdict::{Unanswered, read};
use crate::{AnswerBody, AnswerHead, Call, ForwardEnd, Intake, Refusal};

pub(crate) struct Answering<'a> {
    calls: &'a mpsc::Sender<Call>,
    request_id: String,
    body: &'a mut RequestBody,
    debt: Debt,
}

enum Debt {
    /// None, unless the verdict turns out to be in the channel already.
    Undecided(oneshot::Receiver<Result<Intake, Refusal>>),
    Collected,
    Forwarded,
    Settled,
}

impl Debt {
    fn of(intake: &Intake) -> Self {
        match intake {
            Intake::Collect => Debt::Collected,
            Intake::Forward(_) => Debt::Forwarded,
        }
    }
}

impl<'a> Answering<'a> {
    /// Has the head judged. The body is not touched.
    pub(crate) async fn begin(
        calls: &'a mpsc::Sender<Call>,
        answer: AnswerHead,
        body: &'a mut RequestBody,
    ) -> Result<(Self, Intake), Unanswered> {
        let request_id = answer.request_id.clone();
        let permit = calls.reserve().await.map_err(|_| Unanswered::Gone)?;
        let (reply, verdict) = oneshot::channel();
        permit.send(Call::AnswerBegun { answer, reply });
        let mut answering = Self { calls, request_id, body, debt: Debt::Undecided(verdict) };
        let verdict = match &mut answering.debt {
            Debt::Undecided(verdict) => read(verdict).await,
            _ => unreachable!("a new answer is undecided"),
        };
        answering.debt = verdict.as_ref().map_or(Debt::Settled, Debt::of);
        Ok((answering, verdict?))
    }

    pub(crate) async fn collect(&mut self) -> Collected {
        self.debt = Debt::Collected;
        self.body.collect().await
    }

    /// The channel is closed when this returns, so that whoever sees it end has the [`Call::AnswerEnded`] soon.
    pub(crate) async fn forward(&mut self, chunks: mpsc::Sender<Bytes>) -> Forwarded {
        self.debt = Debt::Forwarded;
        self.body.forward(chunks).await
    }

    /// Has the whole judged.
    pub(crate) async fn end(mut self, body: AnswerBody) -> Result<(), Unanswered> {
        let permit = self.calls.reserve().await.map_err(|_| Unanswered::Gone)?;
        let (reply, mut verdict) = oneshot::channel();
        self.debt = Debt::Settled;
        permit.send(Call::AnswerEnded { request_id: std::mem::take(&mut self.request_id), body, reply });
        read(&mut verdict).await
    }

    pub(crate) fn read_bytes(&self) -> u64 {
        self.body.read_bytes()
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let mut debt = std::mem::replace(&mut self.debt, Debt::Settled);
        if let Debt::Undecided(verdict) = &mut debt {
            // From here on the lifecycle sees its own sending fail.
            verdict.close();
            debt = match verdict.try_recv() {
                Ok(Ok(intake)) => Debt::of(&intake),
                _ => return,
            };
        }
        let body = match debt {
            Debt::Collected => AnswerBody::Truncated,
            Debt::Forwarded => {
                AnswerBody::Forwarded { size_bytes: self.read_bytes(), end: ForwardEnd::Truncated }
            }
            Debt::Undecided(_) | Debt::Settled => return,
        };
        let (reply, _) = oneshot::channel();
        let request_id = std::mem::take(&mut self.request_id);
        let ended = Call::AnswerEnded { request_id, body, reply };
        if let Err(mpsc::error::TrySendError::Full(ended)) = self.calls.try_send(ended)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let calls = self.calls.clone();
            // A lifecycle that is gone by then is owed nothing.
            runtime.spawn(async move { calls.send(ended).await.is_ok() });
        }
    }
}
