//! A client of a running server, for the commands that deploy to it, ask it or invoke what it serves.
//!
//! ```text
//!  command ─► Client::call ─► signed, if there are credentials ─► server ─► JSON, or the server's error as a Failure
//!                └─► upload: the same, with a bar on a terminal while a large body leaves
//! ```
//!
//! It speaks the Lambda API as the AWS CLI does, so it works with any endpoint that does. Which server, and with whose
//! credentials, is told by [`EndpointArguments`] and the environment variables of the AWS CLI.

mod signing;

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::EndpointArguments;
use crate::client::signing::Signer;
use crate::exit::Failure;

/// Bodies from here on have a bar on a terminal: less is away before it could be read.
const WORTH_A_BAR_BYTES: usize = 256 * 1024;
const UPLOAD_PIECE_BYTES: usize = 64 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What stays as it is in one part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A server, and how requests to it are signed.
#[derive(Debug)]
pub(crate) struct Client {
    endpoint: String,
    http: reqwest::Client,
    signer: Option<Signer>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(arguments: &EndpointArguments) -> Result<Self, Failure> {
        Self::of_endpoint(&arguments.endpoint)
    }

    /// `endpoint`: `http` or `https`, without a path.
    pub(crate) fn of_endpoint(endpoint: &str) -> Result<Self, Failure> {
        let bad_url = || {
            Failure::usage(format!("`{endpoint}` is not the URL of a server"))
                .try_next("--endpoint http://127.0.0.1:9000")
        };
        let url: http::Uri =
            endpoint.parse().map_err(|error: http::uri::InvalidUri| bad_url().because(&error))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(bad_url());
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .tcp_nodelay(true)
            // A server on this machine is not behind a proxy; one elsewhere is named by its own address.
            .no_proxy()
            .build()
            .map_err(|error| Failure::platform("no client could be made").because(&error))?;
        let signer = Signer::of_environment();
        Ok(Client { endpoint: endpoint.trim_end_matches('/').to_owned(), http, signer })
    }

    /// Calls an operation. `path` begins with `/` and is encoded.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let answer = self.send(method, path, &[("content-type", "application/json")], body).await?;
        answer.json()
    }

    /// Calls an operation, and tells `None` where the server says that there is no such thing.
    pub(crate) async fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        let answer = self.send(Method::GET, path, &[], Bytes::new()).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.json().map(Some)
    }

    /// All pages of a list whose items are in `member`.
    pub(crate) async fn list(&self, path: &str, member: &str) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let page = match &marker {
                Some(marker) => format!("{path}{separator}Marker={}", part(marker)),
                None => path.to_owned(),
            };
            let mut answer = self.call(Method::GET, &page, None).await?;
            if let Some(Value::Array(page)) = answer.get_mut(member).map(Value::take) {
                items.extend(page);
            }
            match answer.get("NextMarker").and_then(Value::as_str) {
                Some(next) if !next.is_empty() && marker.as_deref() != Some(next) => {
                    marker = Some(next.to_owned());
                }
                _ => return Ok(items),
            }
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body).map_err(|error| {
            Failure::usage("the request cannot be put into HTTP").because(&error).try_next("another value")
        })?;
        if let Some(signer) = &self.signer {
            signer.sign(&mut request)?;
        }
        let (parts, body) = request.into_parts();
        let bar = bar(body.len());
        let body = with_progress(body, bar.clone());
        let request = reqwest::Request::try_from(Request::from_parts(parts, body)).map_err(|error| {
            Failure::usage(format!("`{}` is not the URL of a server", self.endpoint)).because(&error)
        })?;
        let response = self.http.execute(request).await;
        bar.finish_and_clear();
        let response = response.map_err(|error| {
            Failure::platform(format!("the server at {} could not be reached", self.endpoint))
                .because(&error.without_url())
                .try_next("is it running? firesteel serve TARGET --listen 127.0.0.1:9000")
        })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(|error| {
            Failure::platform(format!("the answer of the server at {} broke off", self.endpoint))
                .because(&error.without_url())
        })?;
        Ok(Answer { status, headers, body })
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn json(self) -> Result<Value, Failure> {
        if !self.status.is_success() {
            return Err(self.refused());
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::platform("the server's answer is not JSON").because(&error))
    }

    /// What the server refused, and why. The caller's mistakes are usage errors here, everything else is the platform's.
    pub(crate) fn refused(&self) -> Failure {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = json.get("Message").or_else(|| json.get("message")).and_then(Value::as_str);
        let class = self.header("x-amzn-errortype").unwrap_or(self.status.as_str());
        let mut what = format!("{class}: {}", text.unwrap_or("the server gave no reason"));
        if let Some(reason) = json.get("Reason").and_then(Value::as_str) {
            what.push_str(&format!(" ({reason})"));
        }
        if self.status == StatusCode::FORBIDDEN {
            return Failure::usage(what)
                .try_next("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of a credential of the server");
        }
        if self.status == StatusCode::NOT_FOUND {
            return Failure::usage(what).try_next("firesteel functions, for those there are");
        }
        if self.status.is_client_error() && self.status != StatusCode::TOO_MANY_REQUESTS {
            Failure::usage(what)
        } else {
            Failure::platform(what)
        }
    }
}

/// A name as one part of a path, or as the value of a query.
pub(crate) fn part(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

fn bar(bytes: usize) -> ProgressBar {
    if bytes < WORTH_A_BAR_BYTES {
        return ProgressBar::hidden();
    }
    // Drawn on stderr, and there only if it is a terminal.
    let style = ProgressStyle::with_template("uploading {bar:30} {bytes} of {total_bytes} ({bytes_per_sec})");
    let bar = ProgressBar::new(bytes as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The body in pieces that are counted as the connection takes them.
fn with_progress(body: Bytes, bar: ProgressBar) -> reqwest::Body {
    if bar.is_hidden() {
        return body.into();
    }
    let pieces = stream::unfold(body, move |mut rest| {
        let bar = bar.clone();
        async move {
            if rest.is_empty() {
                return None;
            }
            let piece = rest.split_to(rest.len().min(UPLOAD_PIECE_BYTES));
            bar.inc(piece.len() as u64);
            Some((Ok::<_, std::convert::Infallible>(piece), rest))
        }
    });
    reqwest::Body::wrap_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_part_of_a_path() {
        assert_eq!(part("hello"), "hello");
        assert_eq!(part("f:$LATEST"), "f%3A%24LATEST");
        assert_eq!(part("a/b?c"), "a%2Fb%3Fc");
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for url in ["127.0.0.1:9000", "", "http://", "::", "ftp://127.0.0.1"] {
            let said = Client::of_endpoint(url).unwrap_err().to_string();
            assert!(said.contains("is not the URL of a server"), "{url}: {said}");
        }
        assert_eq!(Client::of_endpoint("http://127.0.0.1:9000/").unwrap().endpoint, "http://127.0.0.1:9000");
        Client::of_endpoint("https://localhost").unwrap();
    }

    #[tokio::test]
    async fn a_body_with_a_bar_leaves_whole() {
        use http_body_util::BodyExt;
        let bytes: Bytes = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let bar =
            ProgressBar::with_draw_target(Some(bytes.len() as u64), indicatif::ProgressDrawTarget::stderr());
        let sent = with_progress(bytes.clone(), bar).collect().await.unwrap().to_bytes();
        assert_eq!(sent, bytes);
    }
}
