//! An error report as the platform keeps it, made of a request's headers and body.
//!
//! The body is the caller's payload and stays untouched, with one exception: a body of the cause content
//! type carries the X-Ray cause inside and loses it here. Called by `runtime` for its three error routes; refuses
//! nothing, whatever the runtime sent.

use std::fmt;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::{ErrorReport, error_type, routes, xray_cause};

const CAUSE_CONTENT_TYPE: &str = "application/vnd.aws.lambda.error.cause+json";
const CAUSE_MEMBER: &str = "errorCause";
/// What the caller sees in place of a cause body that does not parse.
const INVALID_BODY: &[u8] = br#""Invalid error body""#;

/// `Lambda-Runtime-Function-Error-Type` after the platform's rule.
pub(crate) fn error_type(headers: &HeaderMap) -> String {
    error_type::recorded(&routes::text(headers, routes::header::ERROR_TYPE).unwrap_or_default())
}

/// The report of `/runtime/invocation/{id}/error`.
pub(crate) fn of_invocation(headers: &HeaderMap, body: Bytes) -> ErrorReport {
    let error_type = error_type(headers);
    let content_type = routes::text(headers, CONTENT_TYPE).unwrap_or_default();
    if content_type == CAUSE_CONTENT_TYPE {
        return match take_cause(&body) {
            Some((rest, xray_cause)) => ErrorReport {
                error_type,
                content_type: "application/json".to_owned(),
                body: rest,
                xray_cause,
            },
            None => ErrorReport {
                error_type,
                content_type: "application/octet-stream".to_owned(),
                body: Bytes::from_static(INVALID_BODY),
                xray_cause: None,
            },
        };
    }
    ErrorReport { error_type, content_type, body, xray_cause: header_cause(headers) }
}

/// The report of `/runtime/init/error` and `/runtime/restore/error`: the content type is judged by the body, not by the header.
pub(crate) fn of_init(headers: &HeaderMap, body: Bytes) -> ErrorReport {
    let is_json = serde_json::from_slice::<&RawValue>(&body).is_ok();
    let content_type = if is_json { "application/json" } else { "application/octet-stream" };
    ErrorReport {
        error_type: error_type(headers),
        content_type: content_type.to_owned(),
        body,
        xray_cause: header_cause(headers),
    }
}

fn header_cause(headers: &HeaderMap) -> Option<String> {
    xray_cause::accepted(headers.get(routes::header::XRAY_CAUSE)?.as_bytes())
}

/// The error object without its cause, and the cause. None when the body is no JSON object.
fn take_cause(body: &[u8]) -> Option<(Bytes, Option<String>)> {
    let mut members: Members<'_> = serde_json::from_slice(body).ok()?;
    let cause = members
        .0
        .iter()
        .rfind(|(name, _)| name == CAUSE_MEMBER)
        .and_then(|(_, cause)| xray_cause::accepted(cause.get().as_bytes()));
    members.0.retain(|(name, _)| name != CAUSE_MEMBER);
    let rest = serde_json::to_vec(&members).expect("members that were parsed serialize again");
    Some((rest.into(), cause))
}

/// A JSON object whose values nobody looks into. Keeps the order the runtime chose, and every digit of
/// its numbers.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an error object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(InOrder)
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&str, &str)]) -> HeaderMap {
        let pairs = of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn a_cause_body_loses_its_cause_and_nothing_else() {
        let report = of_invocation(
            &headers(&[("content-type", CAUSE_CONTENT_TYPE)]),
            Bytes::from_static(
                br#"{"z": 1.00, "errorCause": {"working_directory":"/w"}, "errorMessage": "m<", "a": [ 1 ]}"#,
            ),
        );
        assert_eq!(report.body, br#"{"z":1.00,"errorMessage":"m<","a":[ 1 ]}"#.as_slice());
        assert_eq!(report.content_type, "application/json");
        assert_eq!(report.xray_cause.unwrap(), r#"{"exceptions":[],"working_directory":"/w","paths":[]}"#);
    }

    #[test]
    fn a_cause_body_that_is_no_object_is_replaced() {
        for body in ["", "{", "[]", "3", "{}x", "null"] {
            let report = of_invocation(&headers(&[("content-type", CAUSE_CONTENT_TYPE)]), body.into());
            assert_eq!(report.body, INVALID_BODY, "for {body}");
            assert_eq!(report.content_type, "application/octet-stream");
        }
    }

    #[test]
    fn an_invalid_cause_in_a_body_is_dropped_and_the_rest_kept() {
        let report = of_invocation(
            &headers(&[("content-type", CAUSE_CONTENT_TYPE)]),
            Bytes::from_static(br#"{"errorCause":{},"errorType":"T"}"#),
        );
        assert_eq!((report.body, report.xray_cause), (r#"{"errorType":"T"}"#.into(), None));
    }

    #[test]
    fn any_other_body_is_the_callers_payload() {
        let report = of_invocation(&headers(&[("content-type", "text/x")]), Bytes::from_static(b"\xff{"));
        assert_eq!((report.body, report.content_type.as_str()), (Bytes::from_static(b"\xff{"), "text/x"));
        assert_eq!(report.error_type, "Runtime.Unknown");
    }

    #[test]
    fn the_content_type_of_an_init_error_follows_from_its_body() {
        for (body, expected) in [
            (&b"{\"a\":1}"[..], "application/json"),
            (b" null ", "application/json"),
            (b"", "application/octet-stream"),
            (b"{", "application/octet-stream"),
            (b"\"\xff\"", "application/octet-stream"),
        ] {
            let report = of_init(&headers(&[("content-type", "text/x")]), Bytes::from_static(body));
            assert_eq!(report.content_type, expected, "for {body:?}");
        }
    }
}
