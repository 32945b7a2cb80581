//! What the queue has others do: run a function, know its settings, reach a destination.
//!
//! The invoker is the one who does; tests have their own.

use std::future::Future;

use bytes::Bytes;

use super::event::{Delivery, Event, LastError};
use super::rules::{EventSettings, RunOutcome};
use crate::{InvokeError, Outcome, Reply};

/// Runs events and delivers what became of them.
pub trait Executor: Send + Sync + 'static {
    /// How this event is treated: by the settings of its qualifier. `None` if the function or the qualifier is gone.
    fn settings(&self, event: &Event) -> impl Future<Output = Option<EventSettings>> + Send;

    /// Runs the function once. The event's trace is what the function shall see.
    fn run(&self, event: Event) -> impl Future<Output = RunResult> + Send;

    /// Tells a destination, once.
    fn deliver(&self, delivery: Delivery) -> impl Future<Output = Result<(), DeliveryError>> + Send;
}

/// What a run gave.
#[derive(Debug, Clone)]
pub enum RunResult {
    /// The handler's result.
    Success(Response),
    /// The function failed; the payload is its error JSON.
    FunctionError(Response),
    /// It may not run now.
    Throttled,
    /// The platform failed, by what a synchronous caller would have been told.
    PlatformError {
        /// HTTP status.
        status: u16,
        /// Why.
        message: String,
    },
    /// The function or its qualifier went away meanwhile.
    NotFound,
}

/// What a function answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The version that ran.
    pub executed_version: String,
    /// As the function sent it.
    pub payload: Bytes,
}

/// Why a destination was not told.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// It will not take this message, now or later.
    #[error("{target} refuses the message: {reason}")]
    Refused {
        /// Its ARN.
        target: String,
        /// In its words, or why it was not even asked.
        reason: String,
    },
    /// It cannot be reached, or has too much to do.
    #[error("{target} cannot be reached: {reason}")]
    Unavailable {
        /// Its ARN.
        target: String,
        /// Why.
        reason: String,
    },
}

/// A synchronous invocation in place of its caller's answer.
impl From<Result<Reply, InvokeError>> for RunResult {
    fn from(invoked: Result<Reply, InvokeError>) -> Self {
        let internal = |message: String| RunResult::PlatformError { status: 500, message };
        match invoked {
            Ok(Reply { executed_version, outcome: Outcome::Success(payload), .. }) => {
                RunResult::Success(Response { executed_version, payload })
            }
            Ok(Reply { executed_version, outcome: Outcome::FunctionError(payload), .. }) => {
                RunResult::FunctionError(Response { executed_version, payload })
            }
            Err(InvokeError::NotFound { .. }) => RunResult::NotFound,
            Err(InvokeError::Throttled(_)) => RunResult::Throttled,
            Err(InvokeError::RestoreFailed { message, .. }) => internal(message),
            Err(error @ InvokeError::NotActive { .. }) => {
                RunResult::PlatformError { status: 409, message: error.to_string() }
            }
            Err(error @ InvokeError::Platform(_)) => internal(error.to_string()),
        }
    }
}

impl RunResult {
    pub(crate) fn outcome(&self) -> RunOutcome {
        match self {
            RunResult::Success(_) => RunOutcome::Success,
            RunResult::FunctionError(_) => RunOutcome::FunctionError,
            RunResult::Throttled => RunOutcome::Throttled,
            RunResult::PlatformError { .. } => RunOutcome::PlatformError,
            RunResult::NotFound => RunOutcome::NotFound,
        }
    }

    pub(crate) fn response(&self) -> Option<&Response> {
        match self {
            RunResult::Success(response) | RunResult::FunctionError(response) => Some(response),
            RunResult::Throttled | RunResult::PlatformError { .. } | RunResult::NotFound => None,
        }
    }

    /// For a dead-letter queue, if it failed.
    pub(crate) fn error(&self) -> Option<LastError> {
        match self {
            RunResult::Success(_) | RunResult::NotFound => None,
            RunResult::FunctionError(response) => {
                Some(LastError::new(200, &error_message(&response.payload)))
            }
            RunResult::Throttled => Some(LastError::new(429, THROTTLED)),
            RunResult::PlatformError { status, message } => Some(LastError::new(*status, message)),
        }
    }
}

/// What AWS tells callers that it throttles.
pub(crate) const THROTTLED: &str = "Rate Exceeded.";

/// The text in a function's error JSON, or all of what it sent in place of one.
fn error_message(payload: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct ErrorJson {
        #[serde(rename = "errorMessage")]
        error_message: String,
    }
    match serde_json::from_slice::<ErrorJson>(payload) {
        Ok(error) => error.error_message,
        Err(_) => String::from_utf8_lossy(payload).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Throttle, ThrottleReason};

    #[test]
    fn what_a_synchronous_caller_would_be_told_decides_over_an_event() {
        let reply = |outcome| {
            Ok(Reply {
                executed_version: "7".into(),
                trace: String::new(),
                content_type: "application/json".into(),
                outcome,
                log_tail: None,
            })
        };
        let payload = Bytes::from_static(b"1");
        let throttled =
            InvokeError::from(Throttle::by_concurrency(ThrottleReason::ConcurrentInvocationLimitExceeded));
        for (invoked, expected) in [
            (reply(Outcome::Success(payload.clone())), RunOutcome::Success),
            (reply(Outcome::FunctionError(payload)), RunOutcome::FunctionError),
            (Err(throttled), RunOutcome::Throttled),
            (Err(InvokeError::Platform("broken".into())), RunOutcome::PlatformError),
            (
                Err(InvokeError::RestoreFailed { timed_out: true, message: "slow".into() }),
                RunOutcome::PlatformError,
            ),
        ] {
            assert_eq!(RunResult::from(invoked).outcome(), expected);
        }
    }

    #[test]
    fn a_dead_letter_tells_status_and_message_of_the_last_try() {
        let failed = |payload: &'static str| {
            let payload = Bytes::from_static(payload.as_bytes());
            RunResult::FunctionError(Response { executed_version: "1".into(), payload }).error().unwrap()
        };
        let json = failed(r#"{"errorMessage":"it broke","errorType":"Broken","stackTrace":[]}"#);
        assert_eq!(json, LastError { status: 200, message: "it broke".into() });
        assert_eq!(failed("no json"), LastError { status: 200, message: "no json".into() });
        let throttled = LastError { status: 429, message: "Rate Exceeded.".into() };
        assert_eq!(RunResult::Throttled.error().unwrap(), throttled);
        assert!(RunResult::NotFound.error().is_none());
    }
}
