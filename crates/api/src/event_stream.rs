//! The binary framing of `application/vnd.amazon.eventstream`, and the messages of `InvokeWithResponseStream` in it.
//!
//! ```text
//!  total length │ length of headers │ CRC-32 of these two │ headers │ payload │ CRC-32 of all before
//!       4       │         4         │          4          │    n    │    m    │          4
//! ```
//!
//! Integers are big-endian. A header is its name's length (1 byte), the name, the type 7 for text, the value's length
//! (2 bytes), the value. The published crate for this needs a newer compiler than Firesteel does, and ten crates more.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use firesteel_invoke::StreamEnd;
use serde::Serialize;

use crate::error::ApiError;

/// Content type of a body of such messages.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
const TEXT: u8 = 7;

/// Bytes of the function's. At most 24 MiB, or readers refuse the message.
pub(crate) fn payload_chunk(payload: &[u8]) -> Bytes {
    let content_type = (":content-type", "application/octet-stream");
    message(&[(":event-type", "PayloadChunk"), content_type, (":message-type", "event")], payload)
}

/// How an invocation ended, the last message of one that did.
pub(crate) fn invoke_complete(end: &StreamEnd) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct InvokeComplete<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        error_code: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error_details: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        log_result: Option<String>,
    }
    let error = end.error.as_ref();
    let complete = InvokeComplete {
        error_code: error.map(|error| error.code.as_str()),
        error_details: error.map(|error| String::from_utf8_lossy(&error.details).into_owned()),
        log_result: end.log_tail.as_ref().map(|log_tail| BASE64_STANDARD.encode(log_tail)),
    };
    let payload = serde_json::to_vec(&complete).expect("three texts are JSON");
    let content_type = (":content-type", "application/json");
    message(&[(":event-type", "InvokeComplete"), content_type, (":message-type", "event")], &payload)
}

/// The last message of a stream that the service could not bring to its end. The model has no exceptions in this
/// stream, so it is an error by name and text, which clients show as such.
pub(crate) fn error(error: &ApiError) -> Bytes {
    let text = error.to_string();
    let headers = [(":error-code", error.class()), (":error-message", &text), (":message-type", "error")];
    message(&headers, b"")
}

fn message(headers: &[(&'static str, &str)], payload: &[u8]) -> Bytes {
    let headers_bytes: usize = headers.iter().map(|(name, value)| 1 + name.len() + 1 + 2 + value.len()).sum();
    let total_bytes = PRELUDE_BYTES + headers_bytes + payload.len() + CHECKSUM_BYTES;
    let mut message = BytesMut::with_capacity(total_bytes);
    message.put_u32(length(total_bytes));
    message.put_u32(length(headers_bytes));
    message.put_u32(crc32fast::hash(&message));
    for (name, value) in headers {
        message.put_u8(length(name.len()));
        message.put_slice(name.as_bytes());
        message.put_u8(TEXT);
        message.put_u16(length(value.len()));
        message.put_slice(value.as_bytes());
    }
    message.put_slice(payload);
    message.put_u32(crc32fast::hash(&message));
    message.freeze()
}

fn length<T: TryFrom<usize, Error: std::fmt::Debug>>(bytes: usize) -> T {
    T::try_from(bytes).expect("headers are short and payloads are below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_invoke::StreamError;

    /// Payload of a message, after its headers.
    fn payload(message: &[u8]) -> &str {
        let headers_bytes = u32::from_be_bytes(message[4..8].try_into().unwrap());
        let from = PRELUDE_BYTES + usize::try_from(headers_bytes).unwrap();
        std::str::from_utf8(&message[from..message.len() - CHECKSUM_BYTES]).unwrap()
    }

    /// Lengths counted by hand, checksums by Python's `binascii.crc32`.
    #[test]
    fn a_chunk_byte_by_byte() {
        let expected = [
            b"\x00\x00\x00\x6d\x00\x00\x00\x5a\x8f\x3e\xd4\x7f".as_slice(),
            b"\x0b:event-type\x07\x00\x0cPayloadChunk",
            b"\x0d:content-type\x07\x00\x18application/octet-stream",
            b"\x0d:message-type\x07\x00\x05event",
            b"abc",
            b"\x30\xc8\xfa\x65",
        ];
        assert_eq!(payload_chunk(b"abc"), expected.concat());
    }

    #[test]
    fn an_end_has_the_members_that_there_are() {
        let mut end = StreamEnd { error: None, log_tail: None };
        assert_eq!(payload(&invoke_complete(&end)), "{}");
        end.log_tail = Some("log".into());
        assert_eq!(payload(&invoke_complete(&end)), r#"{"LogResult":"bG9n"}"#);
        let details = r#"{"errorType":"É"}"#;
        end.error = Some(StreamError { code: "Unhandled".into(), details: details.into() });
        assert_eq!(
            payload(&invoke_complete(&end)),
            r#"{"ErrorCode":"Unhandled","ErrorDetails":"{\"errorType\":\"É\"}","LogResult":"bG9n"}"#
        );
    }

    #[test]
    fn a_failure_of_the_platform_has_name_and_text() {
        let message = error(&ApiError::Service);
        assert_eq!(payload(&message), "");
        let text = String::from_utf8_lossy(&message);
        assert!(text.contains(":error-code\u{7}\0\u{10}ServiceException"), "{text}");
        assert!(text.contains("An error occurred and the request cannot be processed."), "{text}");
        assert!(text.contains(":message-type\u{7}\0\u{5}error"), "{text}");
    }
}
