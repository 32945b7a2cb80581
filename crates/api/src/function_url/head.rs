//! Status, headers and cookies of an answer, as functions write them in JSON.
//!
//! ```json
//! {"statusCode": 200, "headers": {"content-type": "text/html"}, "cookies": ["a=1; Path=/"]}
//! ```
//!
//! The same members stand in a buffered answer and in the prelude of a streamed one. A status may be a text of digits, as
//! was recorded of the service; header values may be numbers and booleans too. What no HTTP response can carry is refused; what belongs to the connection is the front end's affair
//! and left out.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Headers that are about one connection, not about the message.
pub(super) const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Status and headers of an answer, `Set-Cookie` among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// The members, each of its JSON type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Members {
    status_code: Option<StatusCodeMember>,
    headers: Option<Map<String, Value>>,
    cookies: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
struct StatusCodeMember(u16);

impl TryFrom<Value> for StatusCodeMember {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let number = match &value {
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            value => value.as_u64().and_then(|number| number.try_into().ok()),
        };
        number.map(StatusCodeMember).ok_or("the status code is no number")
    }
}

/// What no HTTP response can carry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidHead {
    #[error("status code {0} is not the status of an answer")]
    Status(u16),
    #[error("`{0}` is not the name of a header")]
    HeaderName(String),
    #[error("the value of header `{0}` is not one")]
    HeaderValue(String),
    #[error("cookie {0:?} is not the value of a header")]
    Cookie(String),
}

impl Members {
    /// Without a status it is 200.
    pub(super) fn head(self) -> Result<Head, InvalidHead> {
        let mut head = Head::default();
        if let Some(StatusCodeMember(code)) = self.status_code {
            let status = StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
            head.status = status.ok_or(InvalidHead::Status(code))?;
        }
        for (name, value) in self.headers.unwrap_or_default() {
            let Ok(known) = HeaderName::from_bytes(name.as_bytes()) else {
                return Err(InvalidHead::HeaderName(name));
            };
            let value = match value {
                Value::String(text) => text,
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => return Err(InvalidHead::HeaderValue(name)),
            };
            let Ok(value) = HeaderValue::from_str(&value) else {
                return Err(InvalidHead::HeaderValue(name));
            };
            // The true length is counted here. A wrong one would end the connection.
            if known != header::CONTENT_LENGTH && !HOP_BY_HOP.contains(&known) {
                head.headers.append(known, value);
            }
        }
        for cookie in self.cookies.unwrap_or_default() {
            let Ok(value) = HeaderValue::from_str(&cookie) else { return Err(InvalidHead::Cookie(cookie)) };
            head.headers.append(header::SET_COOKIE, value);
        }
        Ok(head)
    }
}

impl Head {
    /// The answer, with `content_type` if the function named none.
    pub(super) fn response(self, content_type: HeaderValue, body: Body) -> Response {
        // These have no body by definition: the length of one would make clients wait for it.
        let body = match self.status {
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => Body::empty(),
            _ => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response.headers_mut().entry(header::CONTENT_TYPE).or_insert(content_type);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(json: &str) -> Result<Head, InvalidHead> {
        serde_json::from_str::<Members>(json).unwrap().head()
    }

    fn lines(head: &Head) -> Vec<String> {
        let line =
            |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        head.headers.iter().map(line).collect()
    }

    #[test]
    fn members_become_status_headers_and_cookies() {
        let head = head(
            r#"{"statusCode":418,"headers":{"X-A":"a","x-n":1.5,"x-b":true,"x-none":null},
                "cookies":["a=1","b=2; Path=/"],"more":[1]}"#,
        )
        .unwrap();
        assert_eq!(head.status, StatusCode::IM_A_TEAPOT);
        assert_eq!(
            lines(&head),
            ["x-a: a", "x-n: 1.5", "x-b: true", "set-cookie: a=1", "set-cookie: b=2; Path=/"]
        );
    }

    #[test]
    fn a_status_may_be_a_text() {
        assert_eq!(head(r#"{"statusCode":"418"}"#).unwrap().status, StatusCode::IM_A_TEAPOT);
        assert_eq!(head(r#"{"statusCode":"99"}"#), Err(InvalidHead::Status(99)));
    }

    #[test]
    fn all_members_are_optional() {
        assert_eq!(head("{}").unwrap(), Head::default());
        assert_eq!(head(r#"{"statusCode":null,"headers":null,"cookies":null}"#).unwrap(), Head::default());
    }

    #[test]
    fn headers_of_the_connection_are_left_out() {
        let json = r#"{"headers":{"Content-Length":"7","Connection":"close","Transfer-Encoding":"chunked",
            "keep-alive":"1","Upgrade":"x","te":"x","Trailer":"x","x":"kept"}}"#;
        assert_eq!(lines(&head(json).unwrap()), ["x: kept"]);
    }

    #[test]
    fn what_no_response_can_carry_is_refused() {
        for (json, error) in [
            (r#"{"statusCode":0}"#, InvalidHead::Status(0)),
            (r#"{"statusCode":101}"#, InvalidHead::Status(101)),
            (r#"{"statusCode":1000}"#, InvalidHead::Status(1000)),
            (r#"{"headers":{"a b":"c"}}"#, InvalidHead::HeaderName("a b".into())),
            (r#"{"headers":{"a":"b\nc"}}"#, InvalidHead::HeaderValue("a".into())),
            (r#"{"headers":{"a":["b"]}}"#, InvalidHead::HeaderValue("a".into())),
            (r#"{"cookies":["a\r\nb"]}"#, InvalidHead::Cookie("a\r\nb".into())),
        ] {
            assert_eq!(head(json), Err(error), "{json}");
        }
    }

    #[test]
    fn members_of_another_type_are_refused() {
        for json in [
            r#"{"statusCode":""}"#,
            r#"{"statusCode":"+200"}"#,
            r#"{"statusCode":"200 OK"}"#,
            r#"{"statusCode":true}"#,
            r#"{"statusCode":200.5}"#,
            r#"{"statusCode":-1}"#,
            r#"{"headers":[]}"#,
            r#"{"cookies":"a=1"}"#,
            r#"{"cookies":[1]}"#,
            "[1]x",
        ] {
            serde_json::from_str::<Members>(json).unwrap_err();
        }
    }
}
