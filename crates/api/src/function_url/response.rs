//! What a handler returned, as an HTTP answer (invoke mode `BUFFERED`).
//!
//! | the handler returned | status | body |
//! |---|---|---|
//! | an object with `statusCode` | that | its `body`: a text, or base64 with `isBase64Encoded`, or anything else's JSON |
//! | a text | 200 | its characters, without quotation marks |
//! | anything else | 200 | its JSON |
//! | what is no JSON, or an object with members of other types | 502 | |
//!
//! All of it is `application/json` unless the handler says otherwise. The service was recorded to write JSON anew, without
//! space between its parts. Space is all that is taken out here: numbers and texts stay as the handler wrote them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

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
struct Content<'a> {
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    is_base64_encoded: Option<bool>,
}

pub(super) fn interpreted(payload: &Bytes) -> Result<(Head, Bytes), InvalidResponse> {
    match serde_json::from_slice(payload).map_err(InvalidResponse::NotJson)? {
        Value::Object(members) if members.contains_key("statusCode") => {
            let head = Members::deserialize(Value::Object(members)).map_err(InvalidResponse::Member)?;
            let content = serde_json::from_slice(payload).map_err(InvalidResponse::Member)?;
            Ok((head.head()?, body(&content)?))
        }
        Value::String(text) => Ok((Head::default(), text.into())),
        _ => Ok((Head::default(), compact(payload))),
    }
}

fn body(Content { body, is_base64_encoded }: &Content<'_>) -> Result<Bytes, InvalidResponse> {
    let Some(json) = body.map(RawValue::get) else { return Ok(Bytes::new()) };
    let text = match json.starts_with('"') {
        true => serde_json::from_str::<String>(json).map_err(InvalidResponse::Member)?.into(),
        false => compact(json.as_bytes()),
    };
    match is_base64_encoded {
        Some(true) => Ok(BASE64_STANDARD.decode(text).map_err(InvalidResponse::Body)?.into()),
        _ => Ok(text),
    }
}

/// JSON without the space between its parts.
fn compact(json: &[u8]) -> Bytes {
    let (mut in_text, mut escaped) = (false, false);
    let kept = json.iter().copied().filter(|byte| {
        match (in_text, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, false, b'"') => in_text = !in_text,
            _ => {}
        }
        in_text || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
    });
    kept.collect()
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

    /// Recorded, but for the spaces in texts and the number that no reader could keep.
    #[test]
    fn anything_else_is_its_json_without_space() {
        for (payload, body) in [
            (r#"{"hello": "world"}"#, r#"{"hello":"world"}"#),
            (r#"["hello", 3, true]"#, r#"["hello",3,true]"#),
            ("3", "3"),
            ("3.1", "3.1"),
            ("true", "true"),
            ("null", "null"),
            ("{}\n", "{}"),
            (
                r#"{ "a b" : "c \" d\\" , "e":
                1.000000000000000000001 }"#,
                r#"{"a b":"c \" d\\","e":1.000000000000000000001}"#,
            ),
        ] {
            assert_eq!(answer(payload), (200, body.into()));
        }
    }

    /// Recorded of an object.
    #[test]
    fn a_body_that_is_no_text_is_its_json() {
        for (body, expected) in
            [(r#"{"a": [1, "b c"]}"#, r#"{"a":[1,"b c"]}"#), ("7", "7"), ("[ ]", "[]"), ("false", "false")]
        {
            let payload = Bytes::from(format!(r#"{{"statusCode": 200, "body": {body}}}"#));
            assert_eq!(interpreted(&payload).unwrap().1, expected);
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
            r#"{"statusCode":200,"body":"?","isBase64Encoded":true}"#,
            r#"{"statusCode":200,"body":{"a":1},"isBase64Encoded":true}"#,
            r#"{"statusCode":200,"isBase64Encoded":"yes"}"#,
            r#"{"statusCode":200,"headers":"a: b"}"#,
        ] {
            interpreted(&Bytes::from(payload)).unwrap_err();
        }
    }
}
