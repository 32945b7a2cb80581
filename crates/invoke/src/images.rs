//! Container images, as far as running them needs: a reference goes in, a tree of files and its settings come out.
//!
//! Who gets images, from where and by what means, is the composition root's to say: it gives an [`Images`]. Used by
//! [`Deployments`](crate::Deployments), once for each version.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

/// Which image is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// As the function's author wrote it.
    pub uri: String,
    /// What it meant when the version was made, `sha256:…`; nothing else is to be loaded then. `None`: what it means now.
    pub digest: Option<String>,
}

/// An image whose files can be read.
#[derive(Debug, Clone)]
pub struct LoadedImage {
    /// Of its manifest, `sha256:…`.
    pub digest: String,
    /// A folder with all of its files, which nobody writes to.
    pub root: PathBuf,
    /// Program and first arguments, unless a function has its own.
    pub entrypoint: Vec<String>,
    /// Further arguments, likewise.
    pub command: Vec<String>,
    /// `ENV`.
    pub variables: Vec<(String, String)>,
    /// Where it starts, likewise; `/` otherwise.
    pub working_dir: Option<String>,
    /// What has to be held for the files to stay.
    pub keeps_alive: Arc<dyn Any + Send + Sync>,
}

/// Why an image is not there.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// There is no such image, or no more.
    #[error("image {uri} does not exist")]
    Missing {
        /// Of the image.
        uri: String,
        /// Who said so.
        #[source]
        source: Source,
    },
    /// Whoever has it does not give it to us.
    #[error("image {uri} may not be read")]
    AccessDenied {
        /// Of the image.
        uri: String,
        /// Who said so.
        #[source]
        source: Source,
    },
    /// It is no image, or none that can be run.
    #[error("image {uri} cannot be used")]
    Invalid {
        /// Of the image.
        uri: String,
        /// What is wrong with it.
        #[source]
        source: Source,
    },
    /// Too many others are on their way: it is worth to ask again in a while.
    #[error("image {uri} has to wait for others")]
    Busy {
        /// Of the image.
        uri: String,
        /// How many, for instance.
        #[source]
        source: Source,
    },
    /// Its registry does not answer, or not with it.
    #[error("image {uri} cannot be had from its registry{}", or_else(stored.as_deref()))]
    Unreachable {
        /// Of the image.
        uri: String,
        /// The reference of what it was before, if that is stored.
        stored: Option<String>,
        /// Who or what is in the way.
        #[source]
        source: Source,
    },
    /// Something on the way to it does not work.
    #[error("image {uri} could not be loaded")]
    Failed {
        /// Of the image.
        uri: String,
        /// What.
        #[source]
        source: Source,
    },
}

/// What another part has to say.
type Source = Box<dyn std::error::Error + Send + Sync>;

type Loading = Pin<Box<dyn Future<Output = Result<LoadedImage, ImageError>> + Send>>;

/// Loads images. Clones load the same way.
#[derive(Clone)]
pub struct Images(Arc<dyn Fn(ImageReference) -> Loading + Send + Sync>);

impl Images {
    /// Images are loaded by `load`, which may be asked for the same one several times.
    pub fn new<F>(load: impl Fn(ImageReference) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<LoadedImage, ImageError>> + Send + 'static,
    {
        Images(Arc::new(move |reference| Box::pin(load(reference))))
    }

    /// Loads one.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub async fn load(&self, reference: ImageReference) -> Result<LoadedImage, ImageError> {
        (self.0)(reference).await
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Images")
    }
}

impl ImageError {
    /// By AWS's codes of states.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            ImageError::Missing { .. } => "ImageDeleted",
            ImageError::AccessDenied { .. } => "ImageAccessDenied",
            ImageError::Invalid { .. } => "InvalidImage",
            ImageError::Busy { .. } | ImageError::Unreachable { .. } | ImageError::Failed { .. } => {
                "InternalError"
            }
        }
    }
}

/// Who reads the error knows then what to ask for.
fn or_else(stored: Option<&str>) -> String {
    stored.map(|stored| format!("; it was {stored} before, which is stored")).unwrap_or_default()
}
