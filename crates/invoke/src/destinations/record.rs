//! The JSON that a destination is told of an event.
//!
//! Payloads pass through as they came, byte for byte, if they are JSON; a function may answer with anything, and what is
//! not JSON is told as a string.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::queue::rules::Condition;
use crate::queue::{Event, Response};

/// What a record tells.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) event: &'a Event,
    pub(crate) condition: Condition,
    /// Runs of the function.
    pub(crate) attempts: u32,
    /// Absent if the event did not end with a run.
    pub(crate) response: Option<&'a Response>,
    pub(crate) ended_ms: u64,
}

/// Members and their order as AWS documents them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow)]
    version: &'a RawValue,
    timestamp: &'a RawValue,
    request_context: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_payload: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_context: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_payload: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    request_id: String,
    function_arn: String,
    condition: &'a str,
    approximate_invoke_count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext<'a> {
    status_code: u16,
    executed_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_error: Option<&'a str>,
}

impl Record<'_> {
    /// With its payloads, however long they are.
    pub(crate) fn render(&self) -> Bytes {
        let request_context = RequestContext {
            request_id: self.event.request_id.to_string(),
            function_arn: self.event.qualified_arn(),
            condition: self.condition.name(),
            approximate_invoke_count: self.attempts,
        };
        let response_context = self.response.map(|response| ResponseContext {
            // Of the invocation, which is 200 also where the function failed.
            status_code: 200,
            executed_version: &response.executed_version,
            function_error: (self.condition != Condition::Success).then_some("Unhandled"),
        });
        let response_context = response_context.as_ref().map(raw);
        let response_payload = self.response.map(|response| json(&response.payload));
        let members = Members {
            version: &raw(&"1.0"),
            timestamp: &raw(&timestamp(self.ended_ms)),
            request_context: &raw(&request_context),
            request_payload: Some(&json(&self.event.payload)),
            response_context: response_context.as_deref(),
            response_payload: response_payload.as_deref(),
        };
        Bytes::from(serde_json::to_vec(&members).expect("a record has only texts and JSON"))
    }
}

/// The record, without the answer if it is too long for its destination, and without the event if it still is.
pub(crate) fn within(record: &Bytes, limit_bytes: usize) -> Bytes {
    if record.len() <= limit_bytes {
        return record.clone();
    }
    let Ok(mut members) = serde_json::from_slice::<Members<'_>>(record) else { return record.clone() };
    let render =
        |members: &Members<'_>| serde_json::to_vec(members).expect("a record has only texts and JSON");
    members.response_payload = None;
    let shorter = render(&members);
    if shorter.len() <= limit_bytes {
        return shorter.into();
    }
    members.request_payload = None;
    render(&members).into()
}

/// Like `2019-11-14T18:16:05.568Z`.
fn timestamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok());
    format!("{:.3}", at.unwrap_or(Timestamp::MAX))
}

fn raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("texts and numbers can be written as JSON")
}

/// The payload as a JSON value. An empty one is what the function was given for it.
fn json(payload: &[u8]) -> Box<RawValue> {
    if payload.is_empty() {
        return raw(&serde_json::Map::new());
    }
    match serde_json::from_slice::<&RawValue>(payload) {
        Ok(value) => value.to_owned(),
        Err(_) => raw(&String::from_utf8_lossy(payload)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn event(payload: &'static str) -> Event {
        Event {
            request_id: Uuid::from_u128(0x4f1c),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            qualifier: None,
            trace: None,
            client_context: None,
            payload: Bytes::from_static(payload.as_bytes()),
        }
    }

    fn response(payload: &'static str) -> Response {
        Response { executed_version: "$LATEST".into(), payload: Bytes::from_static(payload.as_bytes()) }
    }

    fn rendered(condition: Condition, attempts: u32, response: Option<&Response>) -> String {
        let event = event(r#"{"big":12345678901234567890123, "b":[1]}"#);
        let record = Record { event: &event, condition, attempts, response, ended_ms: 1_573_755_365_568 };
        String::from_utf8(record.render().into()).unwrap()
    }

    #[test]
    fn a_success_is_told_with_event_and_answer_as_they_were() {
        let answer = response(r#"{"ok": 1.50}"#);
        assert_eq!(
            rendered(Condition::Success, 1, Some(&answer)),
            concat!(
                r#"{"version":"1.0","timestamp":"2019-11-14T18:16:05.568Z","requestContext":{"#,
                r#""requestId":"00000000-0000-0000-0000-000000004f1c","#,
                r#""functionArn":"arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST","#,
                r#""condition":"Success","approximateInvokeCount":1},"#,
                r#""requestPayload":{"big":12345678901234567890123, "b":[1]},"#,
                r#""responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"#,
                r#""responsePayload":{"ok": 1.50}}"#,
            )
        );
    }

    #[test]
    fn a_failure_names_the_functions_error() {
        let error = response(r#"{"errorMessage":"it broke"}"#);
        let record: Value =
            serde_json::from_str(&rendered(Condition::RetriesExhausted, 3, Some(&error))).unwrap();
        assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(
            record["responseContext"],
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"})
        );
        assert_eq!(record["responsePayload"], json!({"errorMessage": "it broke"}));
    }

    #[test]
    fn where_nothing_ran_nothing_is_said_of_an_answer() {
        let record: Value =
            serde_json::from_str(&rendered(Condition::ZeroReservedConcurrency, 0, None)).unwrap();
        assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
        assert!(record.get("responseContext").is_none() && record.get("responsePayload").is_none());
    }

    #[test]
    fn what_is_not_json_is_told_as_a_string() {
        let answer = response("<html>");
        let record: Value = serde_json::from_str(&rendered(Condition::Success, 1, Some(&answer))).unwrap();
        assert_eq!(record["responsePayload"], "<html>");
        assert_eq!(json(b"").get(), "{}");
    }

    #[test]
    fn a_record_that_is_too_long_loses_the_answer_and_then_the_event() {
        let answer = response(r#""a long answer, longer than the event that it answers""#);
        let whole = Bytes::from(rendered(Condition::Success, 1, Some(&answer)));
        assert_eq!(within(&whole, whole.len()), whole);
        let without_answer = within(&whole, whole.len() - 1);
        let members: Value = serde_json::from_slice(&without_answer).unwrap();
        assert!(members.get("responsePayload").is_none() && members.get("requestPayload").is_some());
        assert_eq!(members["responseContext"]["statusCode"], 200);
        let bare = within(&whole, without_answer.len() - 1);
        let members: Value = serde_json::from_slice(&bare).unwrap();
        assert!(members.get("responsePayload").is_none() && members.get("requestPayload").is_none());
        assert_eq!(members["requestContext"]["condition"], "Success");
    }
}
