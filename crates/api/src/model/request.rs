//! One JSON object out of a request, with the members that its operation's input has, wherever they were sent.

use axum::http::request::Parts;
use serde_json::{Map, Value};

use super::routing::Route;
use super::schema::{Kind, Location, Member};
use super::serialization::{self, Malformed};
use crate::error::ApiError;

/// The members of the operation's input, each under its name in the model. What was not sent is not there.
pub(super) fn assemble(route: &Route, parts: &Parts, body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let input = route.input;
    let of_body = input.iter().any(|member| matches!(member.location, Location::Body));
    let mut assembled = if of_body { in_body(input, body)? } else { Map::new() };
    for member in input {
        let value = match member.location {
            Location::Body => continue,
            // It is for who runs the function to read, and may be large.
            Location::Payload => None,
            Location::Path(name) => {
                route.label(name).map(|text| serialization::from_text(member.shape, text))
            }
            Location::Query(name) => in_query(member, name, parts.uri.query().unwrap_or_default()),
            Location::Header(name) => in_headers(member, name, parts),
        };
        if let Some(value) = value {
            assembled.insert(member.name.to_owned(), value?);
        }
    }
    Ok(assembled)
}

/// The body, which is JSON, or nothing.
fn in_body(input: &[Member], body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let not_json =
        |error| ApiError::Malformed(Some(format!("Could not parse request body into json: {error}")));
    match serde_json::from_slice(body).map_err(not_json)? {
        Value::Null => Ok(Map::new()),
        sent => Ok(serialization::structure(input, sent)?),
    }
}

fn in_query(member: &Member, name: &str, query: &str) -> Option<Result<Value, Malformed>> {
    let mut given = form_urlencoded::parse(query.as_bytes()).filter(|parameter| parameter.0 == name);
    let Kind::List { element, .. } = &member.shape.kind else {
        return given.next().map(|(_, text)| serialization::from_text(member.shape, &text));
    };
    let values: Result<Vec<_>, _> = given.map(|(_, text)| serialization::from_text(element, &text)).collect();
    match values {
        // Not an empty list: none was sent.
        Ok(values) if values.is_empty() => None,
        values => Some(values.map(Value::Array)),
    }
}

/// An empty header is taken for none.
fn in_headers(member: &Member, name: &str, parts: &Parts) -> Option<Result<Value, Malformed>> {
    let text = parts.headers.get(name)?.to_str().ok().filter(|text| !text.is_empty())?;
    Some(serialization::from_text(member.shape, text))
}

impl From<Malformed> for ApiError {
    fn from(Malformed(words): Malformed) -> Self {
        ApiError::Malformed(words)
    }
}

#[cfg(test)]
mod tests {
    use super::super::routing::route;
    use super::*;
    use axum::http;
    use serde_json::json;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn assembled(parts: &Parts, body: &str) -> Result<Value, ApiError> {
        let route = route(&parts.method, &parts.uri).unwrap();
        let assembled = assemble(&route, parts, body.as_bytes());
        assembled.map(Value::Object)
    }

    #[test]
    fn members_are_found_where_the_model_puts_them() {
        let parts = parts(
            "POST",
            "/2015-03-31/functions/f%3Aprod/invocations?Qualifier=a%2Bb&Other=1",
            &[("X-Amz-Invocation-Type", "Event"), ("X-Amz-Log-Type", "")],
        );
        let expected = json!({"FunctionName": "f:prod", "InvocationType": "Event", "Qualifier": "a+b"});
        assert_eq!(assembled(&parts, "an event, not JSON").unwrap(), expected);
    }

    #[test]
    fn a_body_cannot_stand_in_for_a_path() {
        let parts = parts("PUT", "/2015-03-31/functions/f/configuration", &[]);
        let body = r#"{"FunctionName": 7, "Timeout": 3, "Unheard": 1}"#;
        assert_eq!(assembled(&parts, body).unwrap(), json!({"FunctionName": "f", "Timeout": 3}));
        assert_eq!(assembled(&parts, "").unwrap(), json!({"FunctionName": "f"}));
        assert_eq!(assembled(&parts, "null").unwrap(), json!({"FunctionName": "f"}));
    }

    #[test]
    fn lists_and_numbers_are_read_from_queries() {
        let list = parts("DELETE", "/2017-03-31/tags/arn?tagKeys=a&tagKeys=b%20c", &[]);
        assert_eq!(assembled(&list, "").unwrap(), json!({"Resource": "arn", "TagKeys": ["a", "b c"]}));
        let none = parts("DELETE", "/2017-03-31/tags/arn", &[]);
        assert_eq!(assembled(&none, "").unwrap(), json!({"Resource": "arn"}));
        let number = parts("GET", "/2015-03-31/functions/?MaxItems=7&FunctionVersion=ALL", &[]);
        assert_eq!(assembled(&number, "").unwrap(), json!({"FunctionVersion": "ALL", "MaxItems": 7}));
        let not_one = parts("GET", "/2015-03-31/functions?MaxItems=x", &[]);
        let error = assembled(&not_one, "").unwrap_err();
        assert_eq!(error.to_string(), "STRING_VALUE can not be converted to an Integer");
        assert_eq!(error.class(), "SerializationException");
    }

    #[test]
    fn a_body_that_is_no_object_is_malformed() {
        let parts = parts("POST", "/2015-03-31/functions", &[]);
        for (body, expected) in [
            ("{", "Could not parse request body into json: EOF while parsing an object at line 1 column 1"),
            ("[]", "Start of list found where not expected"),
            ("7", "Expected null"),
        ] {
            assert_eq!(assembled(&parts, body).unwrap_err().to_string(), expected, "{body}");
        }
    }
}
