//! One event for a function, on its way from a caller to an environment.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::outcome::{Account, Answer};
use crate::pool::Occupied;
use crate::pool::lease::Lease;

/// One event for a function.
#[derive(Debug)]
pub struct Invocation {
    /// The same over all retries of one asynchronous event.
    pub request_id: Uuid,
    /// ARN as the caller addressed the function.
    pub function_arn: String,
    /// The event.
    pub payload: Bytes,
    /// Content type of the event.
    pub content_type: String,
    /// X-Ray trace header.
    pub trace: String,
    /// The caller's client context, as JSON text.
    pub client_context: Option<String>,
    /// How the caller takes the response.
    pub delivery: ResponseDelivery,
    /// What is to be held until it is over, such as its place among those that may run at once.
    pub permit: Option<Arc<dyn Any + Send + Sync>>,
}

/// How a caller takes a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResponseDelivery {
    /// Whole; a runtime that streams is collected.
    #[default]
    Whole,
    /// As it comes, from a runtime that streams; else whole.
    Streamed,
}

/// An invocation whose answer is there.
#[derive(Debug)]
pub struct Invoked {
    /// Known before the environment is free again.
    pub answer: Answer,
    /// Sent when the invocation is over. Never sent for one that had no START.
    pub account: oneshot::Receiver<Account>,
}

/// An invocation, and who waits for it. Dropped, it tells the caller that there will be no answer.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) invocation: Invocation,
    /// Taken when the answer is sent.
    pub(crate) answer: Option<oneshot::Sender<Answer>>,
    /// Taken when the account is sent.
    pub(crate) account: Option<oneshot::Sender<Account>>,
    /// While it is queued. Boxed, as most orders never are and all are passed on.
    pub(crate) bell: Option<Box<Bell>>,
}

/// Tells a caller who waits, once, that it may be time for another environment.
#[derive(Debug)]
pub(crate) struct Bell {
    /// What that would take up. `None` for who waits briefly for an environment that there is.
    pub(crate) wanted: Option<Occupied>,
    pub(crate) sender: oneshot::Sender<()>,
}

impl Bell {
    /// What is waited for, if it is room, and by somebody.
    pub(crate) fn wants_room(&self) -> Option<Occupied> {
        self.wanted.filter(|_| !self.sender.is_closed())
    }

    pub(crate) fn ring(self) {
        // Whoever has gone away meanwhile needs no room.
        let _ = self.sender.send(());
    }
}

/// The caller's end of an order. Dropping it does not end the invocation.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) answer: oneshot::Receiver<Answer>,
    account: oneshot::Receiver<Account>,
}

/// An order on its way to the driver of its environment.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) order: Order,
    pub(crate) lease: Lease,
}

impl Order {
    pub(crate) fn new(invocation: Invocation) -> (Self, Pending) {
        let (answer, answer_receiver) = oneshot::channel();
        let (account, account_receiver) = oneshot::channel();
        let order = Order { invocation, answer: Some(answer), account: Some(account), bell: None };
        (order, Pending { answer: answer_receiver, account: account_receiver })
    }
}

impl Pending {
    /// Waits for the answer.
    pub(crate) async fn invoked(mut self) -> Invoked {
        let answer = (&mut self.answer).await;
        self.answered(answer)
    }

    /// The answer, or what its absence means.
    pub(crate) fn answered(self, answer: Result<Answer, oneshot::error::RecvError>) -> Invoked {
        let answer = answer.unwrap_or_else(|_| Answer::PlatformFailed {
            reason: "the execution environment ended without an answer".into(),
        });
        Invoked { answer, account: self.account }
    }
}
