//! What S3 says when it refuses.
//!
//! `object_store` tells apart some refusals by their status and drops the rest of the answer: whether bucket or key
//! is missing, both 404, is only in its body. So the body is read here, below `object_store`, and what it says
//! becomes an error that travels up through the library's own, as the innermost source.
//!
//! ```text
//! S3Store ─► object_store ─► Refusals ─► reqwest
//!    ▲            │              │ 3xx, 4xx: read, parsed, an HttpError with a Refusal in it
//!    └── Refusal::within ◄───────┘ else: as it is; the library repeats what may be repeated
//! ```

use std::error::Error;

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use serde::Deserialize;

/// Longer is no error of S3's.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// S3's answer to a request that it will not fulfil, however often it is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Of HTTP.
    pub status: u16,
    /// For instance `NoSuchKey`.
    pub code: String,
    /// A sentence, for instance `The specified key does not exist.`
    pub message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    code: String,
    #[serde(default)]
    message: String,
}

impl Refusal {
    /// The refusal that `error` comes of, if it does.
    pub(super) fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
        std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
    }

    /// Stores that give no reason are spoken for, in S3's words.
    fn read(status: u16, body: &[u8]) -> Self {
        let body = std::str::from_utf8(body).ok().and_then(|text| quick_xml::de::from_str::<Body>(text).ok());
        let (code, message) = match (body, status) {
            (Some(body), _) => (body.code, body.message),
            (None, 403) => ("AccessDenied".to_owned(), "Access Denied".to_owned()),
            (None, 404) => ("NoSuchKey".to_owned(), "The specified key does not exist.".to_owned()),
            (None, status) => (status.to_string(), "The store gave no reason.".to_owned()),
        };
        Refusal { status, code, message }
    }
}

/// Connects once, for all buckets.
#[derive(Clone, Debug)]
pub(super) struct Connection(HttpClient);

impl Connection {
    pub(super) fn new(connector: &impl HttpConnector, options: &ClientOptions) -> object_store::Result<Self> {
        Ok(Connection(HttpClient::new(Refusals(connector.connect(options)?))))
    }
}

impl HttpConnector for Connection {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

#[derive(Debug)]
struct Refusals(HttpClient);

#[async_trait]
impl HttpService for Refusals {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        let status = response.status().as_u16();
        // These two mean "later".
        if !(300..500).contains(&status) || [408, 429].contains(&status) {
            return Ok(response);
        }
        let body = read(response.into_body()).await.unwrap_or_default();
        // Of this kind, because it is the one that is not repeated.
        Err(HttpError::new(HttpErrorKind::Unknown, Refusal::read(status, &body)))
    }
}

async fn read(body: HttpResponseBody) -> Option<Vec<u8>> {
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.ok()?;
    Some(body.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_message_are_read_wherever_they_stand() {
        let body = br#"<?xml version="1.0" encoding="UTF-8"?>
            <Error><Resource>/b/k</Resource><Message>a &lt; b</Message><Code>NoSuchBucket</Code></Error>"#;
        let expected = Refusal { status: 404, code: "NoSuchBucket".to_owned(), message: "a < b".to_owned() };
        assert_eq!(Refusal::read(404, body), expected);
    }

    #[test]
    fn without_a_body_the_status_has_to_do() {
        for (status, body, code) in [
            (404, &b""[..], "NoSuchKey"),
            (403, b"<html>no</html>", "AccessDenied"),
            (400, b"\xff", "400"),
            (404, b"<Error><Message>no code</Message></Error>", "NoSuchKey"),
        ] {
            assert_eq!(Refusal::read(status, body).code, code);
        }
    }
}
