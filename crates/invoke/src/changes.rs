//! What follows from a change of the catalog: environments end, code goes, new versions are made ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use firesteel_catalog::{
    CatalogError, CodeDigest, FunctionName, FunctionReference, Paging, Qualifier, Store,
};
use firesteel_environment::Progress;
use firesteel_image::Sha256;

use crate::Invoker;
use crate::provisioning::Wanted;

/// What a write to the catalog left to be done.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Versions of which nothing will be invoked any more, by their instances.
    pub gone: Vec<u64>,
    /// Packages that nothing needs any more.
    pub unreferenced: Vec<CodeDigest>,
}

impl Invoker {
    /// Begins with what the catalog holds: versions that a killed server had not made ready, and provisioned concurrency.
    pub async fn begin(&self) -> Result<(), CatalogError> {
        let store = Arc::clone(&self.inner.store);
        let (unsettled, provisioned) =
            blocking(move || Ok((store.unsettled()?, store.all_provisioned_concurrency()?))).await?;
        self.inner.deployments.make_ready(unsettled);
        let names: BTreeSet<FunctionName> = provisioned.into_iter().map(|config| config.arn.name).collect();
        for name in names {
            self.provision(&name).await?;
        }
        Ok(())
    }

    /// Follows a change of a function that has been written.
    pub async fn changed(&self, name: &FunctionName, change: Change) -> Result<(), CatalogError> {
        self.inner.deployments.forget(&change.gone);
        let store = Arc::clone(&self.inner.store);
        let of = name.clone();
        let unsettled = blocking(move || store.unsettled()).await?;
        self.inner.deployments.make_ready(unsettled.into_iter().filter(|version| *version.name() == of));
        self.provision(name).await?;
        self.remove_code(change.unreferenced).await;
        Ok(())
    }

    /// Packages that nothing needs any more, unless somebody has begun to, or is about to. Environments that still run of
    /// them keep their folders.
    pub async fn remove_code(&self, unreferenced: Vec<CodeDigest>) {
        let Some(code) = self.inner.deployments.code().filter(|_| !unreferenced.is_empty()) else { return };
        let (code, store) = (Arc::clone(code), Arc::clone(&self.inner.store));
        let removed = tokio::task::spawn_blocking(move || {
            for digest in unreferenced {
                let is_needed = || match store.is_code_referenced(digest) {
                    Ok(is_referenced) => is_referenced,
                    Err(error) => {
                        tracing::warn!(%digest, error = &error as &(dyn std::error::Error + 'static), "a package stays");
                        true
                    }
                };
                if let Err(error) = code.remove_unless(Sha256::from(digest.0), is_needed) {
                    tracing::warn!(%digest, error = &error as &(dyn std::error::Error + 'static), "a package could not be removed");
                }
            }
        });
        // What was not removed now is at the next start.
        drop(removed.await);
    }

    /// How far provisioned concurrency of a version or alias has come; `None` where there is none.
    #[must_use]
    pub fn provisioned(&self, name: &FunctionName, qualifier: &Qualifier) -> Option<Progress> {
        self.inner.provisioning.progress(name, qualifier)
    }

    async fn provision(&self, name: &FunctionName) -> Result<(), CatalogError> {
        let store = Arc::clone(&self.inner.store);
        let of = name.clone();
        let wanted = blocking(move || wanted(&store, &of)).await?;
        self.inner.provisioning.reconcile(name, wanted, &self.inner.deployments).await;
        Ok(())
    }
}

/// What the function's versions and aliases are to have ready: nothing, if there is no such function any more.
fn wanted(store: &Store, name: &FunctionName) -> Result<Vec<Wanted>, CatalogError> {
    let mut wanted = Vec::new();
    let mut paging = Paging::default();
    loop {
        let page = match store.list_provisioned_concurrency(name, &paging) {
            Err(CatalogError::Refused(_)) => return Ok(wanted),
            page => page?,
        };
        for config in page.items {
            let Some(qualifier) = config.arn.qualifier else { continue };
            let reference = FunctionReference { name: name.clone(), qualifier: Some(qualifier.clone()) };
            let resolved = match store.resolve(&reference) {
                // Deleted in between, which is told of, too.
                Err(CatalogError::Refused(_)) => continue,
                resolved => resolved?,
            };
            wanted.push(Wanted {
                qualifier,
                version: Arc::clone(&resolved.target.version),
                count: config.requested,
                is_reserved: resolved.reserved_concurrency.is_some(),
            });
        }
        if page.next_marker.is_none() {
            return Ok(wanted);
        }
        paging.marker = page.next_marker;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, CatalogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
