//! From a source to the store.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::{FlattenLimits, Library, TENANT, image_id};
use crate::chunk::Domain;
use crate::flatten::{FlattenError, LAYOUT, flatten};
use crate::manifest::ImageId;
use crate::oci::{Fault, ImageConfig, Progress, Reference, RegistryReference, SourceError};
use crate::store::{NewImage, Put, PutError, Refusal, UpdateError};

/// An image that is in the library now.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// Its name in the store.
    pub image: ImageId,
    /// Of its manifest, `sha256:…`: what the reference meant.
    pub digest: String,
    /// What had to be written.
    pub put: Put,
}

/// Why an image is not added. Nothing of it is in the library then.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// It cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What its name means now cannot be found out, and is not for us to guess.
    #[error("it was {stored} before, which is stored")]
    Unresolved {
        /// What it meant when it was added last, by its digest.
        stored: Reference,
        /// Why not.
        #[source]
        source: SourceError,
    },
    /// Its layers make no file system.
    #[error("its layers make no file system")]
    Flatten(#[from] FlattenError),
    /// It cannot be stored.
    #[error("it cannot be stored")]
    Put(#[from] PutError),
    /// The store cannot be asked, or does not take its name.
    #[error(transparent)]
    Name(#[from] UpdateError),
    /// A thread came to no proper end.
    #[error("the work broke off")]
    BrokeOff,
}

impl AddError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            AddError::Source(error) => error.fault(),
            AddError::Flatten(FlattenError::Read { .. }) => Fault::Failed,
            AddError::Flatten(_) | AddError::Put(PutError::TooLarge { .. }) => Fault::Invalid,
            AddError::Unresolved { .. } | AddError::Put(_) | AddError::Name(_) | AddError::BrokeOff => {
                Fault::Failed
            }
        }
    }
}

impl Library {
    /// Fetches an image, unless what the reference means is here already, and calls it by its reference from then on.
    ///
    /// What a digest means never changes: of an image that is here nobody is asked, or nobody has to answer, if the digest is of
    /// a choice for several platforms. What any other name means is what its registry says, and nothing if it says nothing.
    ///
    /// Dropped at an await, or failing, it leaves what the next attempt goes on with, and no image.
    pub async fn add(&self, reference: &Reference, progress: Arc<dyn Progress>) -> Result<Added, AddError> {
        let shared = &self.shared;
        let name = reference.to_string();
        if let Reference::Registry(RegistryReference { digest: Some(digest), .. }) = reference
            && let Some(added) = self.known_as(&name, digest.to_string()).await?
        {
            return Ok(added);
        }
        let resolved = match shared.sources.resolve(reference, &shared.platform).await {
            Ok(resolved) => resolved,
            Err(error) => return self.unresolved(reference, error).await,
        };
        let digest = resolved.digest();
        if let Some(added) = self.known_as(&name, digest.clone()).await? {
            return Ok(added);
        }
        let source = shared.sources.gather(resolved, progress).await?;
        let _turn = shared.flattening.acquire().await;
        let layers = source.layers.clone();
        let flat = spawn_blocking(move || flatten(&layers, &FlattenLimits::default()));
        let flat = flat.await.map_err(|_| AddError::BrokeOff)??;
        let new = NewImage {
            tenant: TENANT.to_owned(),
            digest: source.digest.clone(),
            domain: Domain::Deployment,
            layout: LAYOUT,
            config: config_json(&source.config),
            name: Some(name),
        };
        let put = self.store().put(Arc::new(flat), &new).await?;
        // Its layers are of no more use: what they had is in the store.
        drop(source);
        let sources = shared.sources.clone();
        match spawn_blocking(move || sources.sweep()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "layers that were unpacked are still there"),
            Err(_) => return Err(AddError::BrokeOff),
        }
        Ok(Added { image: put.image, digest, put })
    }

    /// The image of this digest, if it is here; `name` means it from then on.
    async fn known_as(&self, name: &str, digest: String) -> Result<Option<Added>, AddError> {
        let image = image_id(&digest);
        match self.store().name(TENANT, name, Some(image)).await {
            Ok(()) => Ok(Some(Added { image, digest, put: Put::was_there(image) })),
            Err(UpdateError::Refused(Refusal::NoImage { .. })) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Where it cannot be found out what a reference means, what it meant before is all there is to know of a digest, and of
    /// a tag a hint.
    async fn unresolved(&self, reference: &Reference, error: SourceError) -> Result<Added, AddError> {
        let Reference::Registry(RegistryReference { digest, .. }) = reference else {
            return Err(error.into());
        };
        if error.fault() != Fault::Failed {
            return Err(error.into());
        }
        let name = reference.to_string();
        let images = self.store().list().await.map_err(UpdateError::from)?;
        match (images.into_iter().find(|(.., names)| names.contains(&name)), digest) {
            (None, _) => Err(error.into()),
            (Some((image, row, _)), Some(_)) => {
                Ok(Added { image, digest: row.digest, put: Put::was_there(image) })
            }
            (Some((_, row, _)), None) => {
                Err(AddError::Unresolved { stored: reference.clone().at(&row.digest), source: error })
            }
        }
    }
}

fn config_json(config: &ImageConfig) -> String {
    serde_json::to_string(config).expect("text and lists of it are JSON")
}
