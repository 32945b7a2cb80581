//! Events, as the platform hands them to the runtime.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::Reply;

/// The key by which a check handler knows what is asked of it, and says that it does not know.
pub(crate) const ACTION: &str = "firesteel-check";

/// What a check handler answers to an action that it does not play.
pub(crate) const NOT_PLAYED: &str = "not played";

/// One event and its headers.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) deadline_ms: u128,
    pub(crate) function_arn: String,
    /// More headers, by name.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Event {
    /// With the headers that every event has.
    pub(crate) fn new(body: Vec<u8>, function_arn: &str, time_limit: Duration) -> Self {
        // The clock of a machine that is before 1970 gives a deadline in the past, which is what it is there.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Event {
            id: Uuid::new_v4().to_string(),
            body,
            deadline_ms: (now + time_limit).as_millis(),
            function_arn: function_arn.to_owned(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// The answer to `GET …/next`.
    pub(crate) fn reply(&self) -> Reply {
        let headers = [
            ("Content-Type", "application/json".to_owned()),
            ("Lambda-Runtime-Aws-Request-Id", self.id.clone()),
            ("Lambda-Runtime-Deadline-Ms", self.deadline_ms.to_string()),
            ("Lambda-Runtime-Invoked-Function-Arn", self.function_arn.clone()),
        ];
        let headers = headers.into_iter().chain(self.headers.iter().cloned());
        Reply {
            headers: headers.map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Reply::new(200, "OK", self.body.clone())
        }
    }
}

/// `{"firesteel-check": "echo", "value": …}`
pub(crate) fn echo(value: &Value) -> Value {
    json!({ACTION: "echo", "value": value})
}
