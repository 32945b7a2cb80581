//! What a handler returned, as an HTTP answer (invoke mode `BUFFERED`).
//!
//! | the handler returned | status | body |
//! |---|---|---|
//! | an object with `statusCode` | that | its `body`, a text, or base64 with `isBase64Encoded` |
//! | a text | 200 | its characters, without quotation marks, as recordings of the service have it |
//! | anything else | 200 | its JSON |
//! | what is no JSON, or an object with members of other types | 502 | |
//!
//! All of it is `application/json` unless the handler says otherwise.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::head::{Head, InvalidHead, Members};

/// Why what a handler returned is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidResponse {
    #[error("it is not JSON")]
    NotJson(#[source] serde_json::Error),
    #[error("a member has another type")]
    Member(#[source] serde_json::Error),
    #[error(transparent)]
    Head(#[from] InvalidHead),
    #[error("its body is not base64")]
    Body(#[source] base64::DecodeError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

pub(super) fn interpreted(payload: &Bytes) -> Result<(Head, Bytes), InvalidResponse> {
    match serde_json::from_slice(payload).map_err(InvalidResponse::NotJson)? {
        Value::Object(members) if members.contains_key("statusCode") => structured(&Value::Object(members)),
        Value::String(text) => Ok((Head::default(), text.into())),
        _ => Ok((Head::default(), payload.clone())),
    }
}

fn structured(answer: &Value) -> Result<(Head, Bytes), InvalidResponse> {
    let head = Members::deserialize(answer).map_err(InvalidResponse::Member)?.head()?;
    let content = Content::deserialize(answer).map_err(InvalidResponse::Member)?;
    let text = content.body.unwrap_or_default();
    let body = if content.is_base64_encoded == Some(true) {
        BASE64_STANDARD.decode(text).map_err(InvalidResponse::Body)?.into()
    } else {
        text.into()
    };
    Ok((head, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn answer(payload: &'static str) -> (u16, Bytes) {
        let (head, body) = interpreted(&Bytes::from(payload)).unwrap();
        (head.status.as_u16(), body)
    }

    #[test]
    fn an_object_with_a_status_is_the_answer() {
        assert_eq!(answer(r#"{"statusCode":201,"body":"é\n"}"#), (201, "é\n".into()));
        assert_eq!(answer(r#"{"statusCode":204}"#), (204, "".into()));
        assert_eq!(
            answer(r#"{"statusCode":200,"body":null,"isBase64Encoded":null,"x":1}"#),
            (200, "".into())
        );
        let base64 = r#"{"statusCode":200,"body":"/wA=","isBase64Encoded":true}"#;
        assert_eq!(answer(base64), (200, Bytes::from_static(b"\xff\0")));
        let text = r#"{"statusCode":200,"body":"/wA=","isBase64Encoded":false}"#;
        assert_eq!(answer(text), (200, "/wA=".into()));
    }

    #[test]
    fn a_text_is_its_characters() {
        assert_eq!(answer(r#""hello""#), (200, "hello".into()));
        assert_eq!(answer(r#""""#), (200, "".into()));
    }

    #[test]
    fn anything_else_is_its_json_byte_for_byte() {
        for payload in [r#"{ "body" : 1.0 }"#, "[1, 2]", "7", "true", "null", "{}"] {
            assert_eq!(answer(payload), (200, payload.into()));
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for payload in [
            "",
            "hello",
            r#"{"statusCode":200}x"#,
            r#"{"statusCode":"OK"}"#,
            r#"{"statusCode":200.0}"#,
            r#"{"statusCode":999999}"#,
            r#"{"statusCode":200,"body":{"a":1}}"#,
            r#"{"statusCode":200,"body":7}"#,
            r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"isBase64Encoded":"yes"}"#,
            r#"{"statusCode":200,"headers":"a: b"}"#,
        ] {
            interpreted(&Bytes::from(payload)).unwrap_err();
        }
    }
}
