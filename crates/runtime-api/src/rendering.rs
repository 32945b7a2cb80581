//! What goes back to the guest, to the byte.
//!
//! Errors are in `refusal` and `extension_refusal`. JSON is spelled as the service spells it: no spaces, a trailing
//! newline, and the characters HTML cares about escaped.

use std::fmt::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode};
use uuid::Uuid;

use crate::routes::header;
use crate::{Delivery, ExtensionEvent, Registered, ShutdownReason};

/// An answer of this server; its body is always whole.
pub(crate) type Answer = Response<Full<Bytes>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// 202: the call was taken.
pub(crate) fn accepted() -> Answer {
    json(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
}

/// 200: the next event. Headers in the order of the service's documents; what is empty is left out.
pub(crate) fn delivery(event: Delivery) -> Answer {
    let mut answer = Answer::new(Full::new(event.payload));
    let headers = answer.headers_mut();
    headers.reserve(9);
    insert(headers, header::REQUEST_ID, Some(event.request_id));
    insert(headers, header::INVOCATION_ID, event.invocation_id);
    headers.insert(header::DEADLINE_MS, HeaderValue::from(event.deadline_ms));
    insert(headers, header::FUNCTION_ARN, Some(event.function_arn));
    insert(headers, header::TRACE_ID, event.trace_id);
    insert(headers, header::CLIENT_CONTEXT, event.client_context);
    insert(headers, header::COGNITO_IDENTITY, event.cognito_identity);
    insert(headers, header::TENANT_ID, event.tenant_id);
    let content_type = if event.content_type.is_empty() { JSON } else { header_value(event.content_type) };
    headers.insert(CONTENT_TYPE, content_type);
    answer
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        headers.insert(name, header_value(value));
    }
}

/// 200: what a registered extension is told.
pub(crate) fn registered(registered: &Registered) -> Answer {
    let mut body = format!(
        "{{\"functionName\":{},\"functionVersion\":{},\"handler\":{}",
        json_string(&registered.function_name),
        json_string(&registered.function_version),
        json_string(&registered.handler),
    );
    if let Some(account_id) = &registered.account_id {
        body.push_str(",\"accountId\":");
        body.push_str(&json_string(account_id));
    }
    body.push_str("}\n");
    identified(header::EXTENSION_IDENTIFIER, registered.identifier, body)
}

/// 200: the next event of an extension. `INVOKE` has an identifier of its own, new with every delivery.
pub(crate) fn extension_event(event: &ExtensionEvent) -> Answer {
    match event {
        ExtensionEvent::Invoke { deadline_ms, request_id, function_arn, trace } => {
            let mut body = format!(
                "{{\"eventType\":\"INVOKE\",\"deadlineMs\":{deadline_ms},\"requestId\":{},\"invokedFunctionArn\":{}",
                json_string(request_id),
                json_string(function_arn),
            );
            if let Some(trace) = trace.as_deref().filter(|trace| !trace.is_empty()) {
                body.push_str(",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":");
                body.push_str(&json_string(trace));
                body.push('}');
            }
            body.push_str("}\n");
            identified(header::EXTENSION_EVENT_IDENTIFIER, Uuid::new_v4(), body)
        }
        ExtensionEvent::Shutdown { reason, deadline_ms } => {
            let reason = match reason {
                ShutdownReason::Spindown => "spindown",
                ShutdownReason::Timeout => "timeout",
                ShutdownReason::Failure => "failure",
            };
            let body = format!(
                "{{\"eventType\":\"SHUTDOWN\",\"shutdownReason\":\"{reason}\",\"deadlineMs\":{deadline_ms}}}\n"
            );
            json(StatusCode::OK, body.into())
        }
    }
}

/// 200 with an identifier in the headers.
fn identified(name: HeaderName, identifier: Uuid, body: String) -> Answer {
    let mut answer = Answer::new(Full::new(body.into()));
    answer.headers_mut().insert(name, header_value(identifier.to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// 200: a subscription was taken. The one JSON text without a line break at its end.
pub(crate) fn subscribed() -> Answer {
    json(StatusCode::OK, Bytes::from_static(b"\"OK\""))
}

/// 200 with a line of text.
pub(crate) fn text(body: &'static str) -> Answer {
    let mut answer = Answer::new(Full::new(Bytes::from_static(body.as_bytes())));
    answer.headers_mut().insert(CONTENT_TYPE, TEXT);
    answer
}

/// 404: no such route.
pub(crate) fn not_found() -> Answer {
    let mut answer = text("404 page not found\n");
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

/// 405: the route has another method.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// An error as every API of this port tells it.
pub(crate) fn error(status: StatusCode, error_type: &'static str, message: &str) -> Answer {
    json(status, error_body(error_type, message))
}

/// `{"errorMessage":…,"errorType":…}`
pub(crate) fn error_body(error_type: &'static str, message: &str) -> Bytes {
    let message = json_string(message);
    format!("{{\"errorMessage\":{message},\"errorType\":\"{error_type}\"}}\n").into()
}

/// A finished JSON text.
pub(crate) fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Answer::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// The connection ends with this answer.
pub(crate) fn and_close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// A JSON string literal of `text`, with `<`, `>`, `&` and the two line separators of JavaScript escaped.
pub(crate) fn json_string(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => literal.extend(['\\', char]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(literal, "\\u{:04x}", u32::from(char)).expect("writing to a string cannot fail");
            }
            _ => literal.push(char),
        }
    }
    literal.push('"');
    literal
}

/// A header value of any text: like the service, with a blank where a line break was (a client context may
/// be pretty-printed JSON). Takes the text's buffer, copies nothing.
fn header_value(text: String) -> HeaderValue {
    let mut bytes = text.into_bytes();
    for byte in &mut bytes {
        if byte.is_ascii_control() && *byte != b'\t' {
            *byte = b' ';
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(bytes)).expect("control characters were replaced")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn html_characters_are_escaped() {
        assert_eq!(
            json_string("<a href=\"x\">&\u{2028}\n\u{1}é"),
            r#""\u003ca href=\"x\"\u003e\u0026\u2028\n\u0001é""#
        );
    }

    proptest! {
        #[test]
        fn a_json_string_reads_back(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&json_string(&text)).unwrap(), text);
        }

        #[test]
        fn any_text_becomes_a_header(text in any::<String>()) {
            let value = header_value(text.clone());
            prop_assert_eq!(value.as_bytes().len(), text.len());
        }
    }
}
