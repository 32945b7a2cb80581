//! What the queue keeps: events to be run, and records of what became of them, to be delivered.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest payload of an asynchronous event: 1 MiB.
pub const EVENT_PAYLOAD_LIMIT_BYTES: usize = 1024 * 1024;

/// An asynchronous invocation that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The same in every run of this event.
    pub request_id: Uuid,
    /// The function, without a qualifier: its events take turns with those of others.
    pub function_arn: String,
    /// Version or alias, as the caller named it.
    pub qualifier: Option<String>,
    /// `X-Amzn-Trace-Id` of the caller; for the run, what the function shall see.
    pub trace: Option<String>,
    /// The caller's client context, as JSON text.
    pub client_context: Option<String>,
    /// What the handler is given. At most [`EVENT_PAYLOAD_LIMIT_BYTES`].
    #[serde(skip)]
    pub payload: Bytes,
}

impl Event {
    /// The function's ARN with the qualifier that records show, `$LATEST` where the caller gave none.
    #[must_use]
    pub fn qualified_arn(&self) -> String {
        format!("{}:{}", self.function_arn, self.qualifier.as_deref().unwrap_or("$LATEST"))
    }
}

/// What has happened to an event so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When it was accepted, in milliseconds since 1970.
    pub accepted_ms: u64,
    /// Runs of the function.
    pub attempts: u32,
    /// How often in a row it could not be run.
    pub backoffs: u32,
}

/// The status and text of the last try, which a dead-letter queue is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// As a synchronous caller would have had it: 200 for a function error.
    pub status: u16,
    /// At most 1 KiB.
    pub message: String,
}

impl LastError {
    const MESSAGE_LIMIT_BYTES: usize = 1024;

    /// With the beginning of the message, as much as is told.
    #[must_use]
    pub fn new(status: u16, message: &str) -> Self {
        let mut end = message.len().min(Self::MESSAGE_LIMIT_BYTES);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        LastError { status, message: message[..end].to_owned() }
    }
}

/// Something that a destination shall be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Of the event.
    pub request_id: Uuid,
    /// The function whose event it was, with its qualifier.
    pub function_arn: String,
    /// ARN of the destination.
    pub target: String,
    /// The trace, so that a loop through the destination is counted.
    pub trace: Option<String>,
    /// What the body is.
    pub message: Message,
    /// When the event ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// How often it was tried in vain.
    pub failures: u32,
    /// The record, or the event itself.
    #[serde(skip)]
    pub body: Bytes,
}

/// The two kinds of message about an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// An invocation record for a destination.
    Record {
        /// Whether the function succeeded.
        success: bool,
    },
    /// The event for a dead-letter queue, and why it is there.
    DeadLetter(LastError),
}

/// What is to be done, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    Run { event: Event, history: History, last_error: Option<LastError> },
    Deliver(Delivery),
}

/// The two sorts of tasks. Each has slots of its own: destinations that do not answer hold up no function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Stage {
    Run,
    Deliver,
}

impl Stage {
    pub(crate) const ALL: [Stage; 2] = [Stage::Run, Stage::Deliver];
}

impl Task {
    pub(crate) fn stage(&self) -> Stage {
        match self {
            Task::Run { .. } => Stage::Run,
            Task::Deliver(_) => Stage::Deliver,
        }
    }

    /// Tasks of one lane wait for each other, those of different lanes do not.
    pub(crate) fn lane(&self) -> &str {
        match self {
            Task::Run { event, .. } => &event.function_arn,
            Task::Deliver(delivery) => &delivery.target,
        }
    }

    pub(crate) fn payload(&self) -> &Bytes {
        match self {
            Task::Run { event, .. } => &event.payload,
            Task::Deliver(delivery) => &delivery.body,
        }
    }

    pub(crate) fn with_payload(mut self, bytes: Bytes) -> Self {
        match &mut self {
            Task::Run { event, .. } => event.payload = bytes,
            Task::Deliver(delivery) => delivery.body = bytes,
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_is_cut_between_characters() {
        let long = "ä".repeat(600);
        let error = LastError::new(200, &format!("x{long}"));
        assert_eq!(error.message.len(), 1023);
        assert!(error.message.starts_with("xä"));
    }

    #[test]
    fn records_name_latest_where_the_caller_named_nothing() {
        let mut event = Event {
            request_id: Uuid::nil(),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            qualifier: None,
            trace: None,
            client_context: None,
            payload: Bytes::new(),
        };
        assert_eq!(event.qualified_arn(), "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST");
        event.qualifier = Some("blue".into());
        assert_eq!(event.qualified_arn(), "arn:aws:lambda:eu-west-1:123456789012:function:f:blue");
    }
}
