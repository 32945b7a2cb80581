//! One repository in one registry, or in a mirror of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, Url};
use tokio::sync::Mutex as AsyncMutex;

use super::RegistryError;
use super::authorization::{Challenge, who};
use super::endpoint::Endpoint;
use super::http::{Http, shown_url};
use super::patience::Patience;
use crate::oci::digest::Digest;
use crate::oci::manifest::Descriptor;

/// Manifests first: a registry that can give either then gives the one that needs no choice.
const DOCUMENTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";
const DIGEST_HEADER: &str = "docker-content-digest";

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) http: Arc<Http>,
    endpoint: Endpoint,
    name: String,
    /// Which registry is meant, for a mirror of several.
    namespace: Option<String>,
    /// What it was shown last, and let pass.
    authorization: Mutex<Option<HeaderValue>>,
    /// Held by who asks for a token, so that others wait for it.
    renewing: AsyncMutex<()>,
    /// It does not answer: only the last one there is is asked in spite of it.
    down: AtomicBool,
}

impl Repository {
    pub(super) fn new(http: Arc<Http>, endpoint: Endpoint, name: String, namespace: Option<String>) -> Self {
        Repository {
            http,
            endpoint,
            name,
            namespace,
            authorization: Mutex::default(),
            renewing: AsyncMutex::default(),
            down: AtomicBool::new(false),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// What an error says of the registry itself. Of a mirror's failure nobody would hear otherwise, since the next is
    /// asked; not to have something is none.
    pub(super) fn note(&self, error: &RegistryError) {
        if self.namespace.is_some() && !matches!(error, RegistryError::NotFound { .. }) {
            tracing::warn!(error = error as &dyn std::error::Error, "a mirror of a registry is passed over");
        }
        if matches!(error, RegistryError::Unreachable { .. } | RegistryError::TimedOut { .. }) {
            self.down.store(true, Ordering::Relaxed);
        }
    }

    /// A manifest or an index, by tag or digest.
    pub(super) async fn manifest(&self, wanted: &str, limit_bytes: u64) -> Result<Vec<u8>, RegistryError> {
        let path = format!("manifests/{wanted}");
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(DOCUMENTS));
        let (bytes, told) = self.document(&path, &headers, limit_bytes).await?;
        if told.is_some_and(|told| told != Digest::of(&bytes)) {
            let problem = "another document than its digest says";
            return Err(RegistryError::Malformed { url: self.shown(&path), problem });
        }
        Ok(bytes)
    }

    /// A blob that is little.
    pub(super) async fn blob(&self, blob: &Descriptor, limit_bytes: u64) -> Result<Vec<u8>, RegistryError> {
        let path = format!("blobs/{}", blob.digest);
        Ok(self.document(&path, &HeaderMap::new(), limit_bytes).await?.0)
    }

    /// The beginning of an answer with a blob's bytes from `start` on, if the registry can do that.
    pub(super) async fn blob_from(&self, blob: &Descriptor, start: u64) -> Result<Response, RegistryError> {
        let mut headers = HeaderMap::new();
        // What is in between may otherwise compress it once more.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if start > 0 {
            let range = HeaderValue::from_str(&format!("bytes={start}-")).expect("digits can be sent");
            headers.insert(RANGE, range);
        }
        self.request(&format!("blobs/{}", blob.digest), &headers).await
    }

    async fn document(
        &self,
        path: &str,
        headers: &HeaderMap,
        limit_bytes: u64,
    ) -> Result<(Vec<u8>, Option<Digest>), RegistryError> {
        let mut patience = Patience::new(&self.http.settings);
        loop {
            let read = async {
                let response = self.request(path, headers).await?;
                let told =
                    response.headers().get(DIGEST_HEADER).and_then(|told| told.to_str().ok()?.parse().ok());
                Ok::<_, RegistryError>((self.http.document(response, limit_bytes).await?, told))
            };
            match read.await {
                Ok(read) => return Ok(read),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// The beginning of an answer of success, or of none that can be gone on from (416).
    async fn request(&self, path: &str, headers: &HeaderMap) -> Result<Response, RegistryError> {
        let url = self.url(path)?;
        let mut authorization = self.authorization();
        let mut renewed = false;
        loop {
            let response = self.http.get(url.clone(), headers, authorization.as_ref()).await?;
            let status = response.status();
            if status.is_success() || status.as_u16() == 416 {
                return Ok(response);
            }
            // A store that a registry redirects to has no say in what is shown to whom.
            let asks = status.as_u16() == 401 && self.endpoint.is_origin_of(response.url());
            let challenge = if asks && !renewed { Challenge::of(response.headers()) } else { None };
            let Some(challenge) = challenge else {
                // Of no interest otherwise, and to know it may take a program of the user's.
                let who = match status.as_u16() {
                    401 | 403 => who(self.login().await?.as_ref()),
                    _ => String::new(),
                };
                return Err(self.http.refusal(response, &who).await);
            };
            authorization = Some(self.renew(&challenge, &url, authorization).await?);
            renewed = true;
        }
    }

    /// Another authorization than `used`, which is none, or too old.
    async fn renew(
        &self,
        challenge: &Challenge,
        url: &Url,
        used: Option<HeaderValue>,
    ) -> Result<HeaderValue, RegistryError> {
        let _turn = self.renewing.lock().await;
        match self.authorization() {
            Some(other) if Some(&other) != used.as_ref() => return Ok(other),
            _ => {}
        }
        let login = self.login().await?;
        let answer = challenge.answer(&self.http, url, &self.name, login.as_ref()).await?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.clone());
        Ok(answer)
    }

    async fn login(&self) -> Result<Option<super::Login>, RegistryError> {
        self.http.settings.credentials.login(&self.endpoint.authority(), &self.name).await
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = self.endpoint.url(&format!("v2/{}/{path}", self.name));
        let mut url = url.ok_or_else(|| RegistryError::NotFound { url: path.to_owned() })?;
        if let Some(namespace) = &self.namespace {
            url.query_pairs_mut().append_pair("ns", namespace);
        }
        Ok(url)
    }

    /// For errors.
    pub(super) fn shown(&self, path: &str) -> String {
        self.url(path).map_or(path.to_owned(), |url| shown_url(&url))
    }
}
