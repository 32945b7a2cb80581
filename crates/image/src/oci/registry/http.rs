//! Requests, the redirections they are answered with, and answers that are not too long.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::time::timeout;

use super::endpoint::{is_loopback, may_lead_to};
use super::{RegistryError, RegistrySettings};
use crate::oci::manifest::shown;

/// Registries need one; some stores behind them another.
const MAX_REDIRECTIONS: usize = 5;
/// Of what is said with an error.
const MESSAGE_BYTES: u64 = 16 * 1024;

/// What all registries are asked with.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) settings: RegistrySettings,
    /// For this machine: no proxy is in between, and no certificates of the system are needed.
    here: OnceLock<Client>,
    elsewhere: OnceLock<Client>,
}

impl Http {
    pub(super) fn new(settings: RegistrySettings) -> Self {
        Http { settings, here: OnceLock::new(), elsewhere: OnceLock::new() }
    }

    /// Asks for `url`, and for where that leads. `authorization` is for the server of `url` only.
    pub(super) async fn get(
        &self,
        mut url: Url,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let origin = url.origin();
        for _ in 0..=MAX_REDIRECTIONS {
            let mut request = self.client(&url)?.get(url.clone()).headers(headers.clone());
            if let Some(authorization) = authorization.filter(|_| url.origin() == origin) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = self.begun(&url, request.send()).await?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let malformed = |problem| RegistryError::Malformed { url: shown_url(&url), problem };
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| malformed("a redirection to nowhere"))?;
            if !may_lead_to(&url, &next) {
                return Err(malformed("a redirection to where there is no TLS"));
            }
            url = next;
        }
        Err(RegistryError::Malformed { url: shown_url(&url), problem: "one redirection after another" })
    }

    pub(super) async fn post(&self, url: Url, form: String) -> Result<Response, RegistryError> {
        let request = self
            .client(&url)?
            .post(url.clone())
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form);
        self.begun(&url, request.send()).await
    }

    /// All of an answer, if it is one of success.
    pub(super) async fn document(
        &self,
        response: Response,
        limit_bytes: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let url = response.url().clone();
        let within = self.settings.document_within;
        match timeout(within, read(response, limit_bytes)).await {
            Ok(document) => document,
            Err(_) => Err(RegistryError::TimedOut { url: shown_url(&url) }),
        }
    }

    /// The next piece of an answer.
    pub(super) async fn piece(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, RegistryError> {
        match timeout(self.settings.piece_within, response.chunk()).await {
            Ok(piece) => piece.map_err(|source| failed(response.url(), source)),
            Err(_) => Err(RegistryError::TimedOut { url: shown_url(response.url()) }),
        }
    }

    /// What an answer that is not one of success says.
    pub(super) async fn refusal(&self, response: Response, who: &str) -> RegistryError {
        let (status, url) = (response.status().as_u16(), shown_url(response.url()));
        let wait = retry_after(response.headers());
        let said =
            timeout(self.settings.piece_within, read_some(response, MESSAGE_BYTES)).await.unwrap_or_default();
        let message = message(&said);
        match status {
            404 => RegistryError::NotFound { url },
            401 | 403 => RegistryError::Denied { url, who: who.to_owned(), message },
            _ => RegistryError::Refused { url, status, message, wait },
        }
    }

    async fn begun(
        &self,
        url: &Url,
        sent: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Response, RegistryError> {
        match timeout(self.settings.connect_within + self.settings.piece_within, sent).await {
            Ok(response) => response.map_err(|source| failed(url, source)),
            Err(_) => Err(RegistryError::TimedOut { url: shown_url(url) }),
        }
    }

    /// Made when it is needed first: reading the system's certificates takes a while.
    fn client(&self, url: &Url) -> Result<&Client, RegistryError> {
        let is_here = url.scheme() == "http" && is_loopback(url);
        let place = if is_here { &self.here } else { &self.elsewhere };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let builder = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(self.settings.connect_within)
            .user_agent(concat!("firesteel/", env!("CARGO_PKG_VERSION")));
        let builder = if is_here { builder.no_proxy().tls_certs_only([]) } else { builder };
        let client = builder.build().map_err(RegistryError::Client)?;
        Ok(place.get_or_init(|| client))
    }
}

async fn read(mut response: Response, limit_bytes: u64) -> Result<Vec<u8>, RegistryError> {
    let mut document = Vec::new();
    let url = response.url().clone();
    while let Some(piece) = response.chunk().await.map_err(|source| failed(&url, source))? {
        if (document.len() + piece.len()) as u64 > limit_bytes {
            return Err(RegistryError::TooLarge { url: shown_url(&url), limit_bytes });
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}

async fn read_some(mut response: Response, limit_bytes: u64) -> Vec<u8> {
    let mut said = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        said.extend_from_slice(&piece);
        if said.len() as u64 > limit_bytes {
            break;
        }
    }
    said
}

fn failed(url: &Url, source: reqwest::Error) -> RegistryError {
    let url = shown_url(url);
    // The text of such an error has the URL in it, which is there already, and may have a signature in its query.
    if source.is_timeout() {
        RegistryError::TimedOut { url }
    } else {
        RegistryError::Unreachable { url, source: source.without_url() }
    }
}

/// Without its query, in which some stores have a signature.
pub(super) fn shown_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// Seconds. A date is passed over: the wait is then that of an answer without.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The registry's words, if they are of the form that the protocol has for them.
fn message(said: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(serde::Deserialize)]
    struct Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    if let Ok(Errors { errors }) = serde_json::from_slice(said)
        && let Some(Error { code, message }) = errors.into_iter().next()
    {
        return shown(&format!("{message} ({code})"));
    }
    let text = String::from_utf8_lossy(said);
    match text.trim() {
        "" => "it says nothing".to_owned(),
        text => shown(text),
    }
}
