//! What every operation works with: the catalog, the invoker, where code comes from, and how the server is reached.

use std::fmt;
use std::sync::Arc;

use firesteel_catalog::{Account, CatalogError, FunctionName, FunctionReference, ReferenceError, Store};
use firesteel_image::{CodeStore, S3Store};
use firesteel_invoke::{Change, Invoker};

use crate::authentication::Authenticator;
use crate::error::ApiError;

/// The front door's parts.
#[derive(Debug)]
pub struct Parts {
    /// Runs functions, and knows all there are.
    pub invoker: Invoker,
    /// Where code is fetched from that is named by bucket and key.
    pub s3: S3Store,
    /// How callers reach this server, for links to code and function URLs: `http://127.0.0.1:9000`.
    pub origin: String,
    /// Who may call; everybody, if nobody is asked.
    pub authenticator: Option<Arc<Authenticator>>,
    /// For function URLs of auth type `AWS_IAM`, likewise.
    pub url_authenticator: Option<Arc<Authenticator>>,
}

/// See [`Parts`]. Clones share everything.
#[derive(Clone)]
pub struct Front {
    parts: Arc<Parts>,
    /// Signs links to code: whoever was given one may fetch it, until the server ends.
    link_key: Arc<aws_lc_rs::hmac::Key>,
}

impl fmt::Debug for Front {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Front").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Front {
    /// Of these parts.
    ///
    /// # Errors
    ///
    /// The system has no random numbers for the key of links.
    pub fn new(parts: Parts) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let link_key = aws_lc_rs::hmac::Key::generate(aws_lc_rs::hmac::HMAC_SHA256, &random)?;
        Ok(Front { parts: Arc::new(parts), link_key: Arc::new(link_key) })
    }

    pub(crate) fn invoker(&self) -> &Invoker {
        &self.parts.invoker
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        self.parts.invoker.store()
    }

    pub(crate) fn account(&self) -> &Account {
        self.store().account()
    }

    pub(crate) fn s3(&self) -> &S3Store {
        &self.parts.s3
    }

    pub(crate) fn origin(&self) -> &str {
        &self.parts.origin
    }

    pub(crate) fn authenticator(&self) -> Option<&Arc<Authenticator>> {
        self.parts.authenticator.as_ref()
    }

    pub(crate) fn url_authenticator(&self) -> Option<&Arc<Authenticator>> {
        self.parts.url_authenticator.as_ref()
    }

    pub(crate) fn link_key(&self) -> &aws_lc_rs::hmac::Key {
        &self.link_key
    }

    /// Where packages are kept.
    pub(crate) fn code(&self) -> Result<&Arc<CodeStore>, ApiError> {
        self.parts.invoker.deployments().code().ok_or_else(|| {
            tracing::error!("packages cannot be taken: this server has no store of code");
            ApiError::Service
        })
    }

    /// Which function a call means that does not run it.
    pub(crate) fn reference(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<FunctionReference, ApiError> {
        let Account { region, id, .. } = self.account();
        FunctionReference::parse(name, qualifier, region, id).map_err(|error| match error {
            // Recorded of `CreateFunction`. Whoever invokes a function is told in words.
            ReferenceError::OtherAccount { .. } => ApiError::OtherAccount,
            error => error.into(),
        })
    }

    /// Work on the catalog, which reads and syncs files, off the threads that answer.
    pub(crate) async fn catalog<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = Arc::clone(self.store());
        Ok(self.blocking(move || work(&store)).await??)
    }

    /// Any work that blocks.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "an operation broke off");
            ApiError::Service
        })
    }

    /// What follows from a write to the catalog that was made.
    pub(crate) async fn changed(&self, name: &FunctionName, change: Change) -> Result<(), ApiError> {
        Ok(self.invoker().changed(name, change).await?)
    }
}
