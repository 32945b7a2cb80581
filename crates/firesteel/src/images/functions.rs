//! How functions of a run get their images: added if need be, and mounted.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use firesteel_image::library::{AddError, Library, LoadError, Loader, LoaderOpenError, LoaderSettings};
use firesteel_image::oci::{Fault, Platform, Reference, SourceError};
use firesteel_image::store::OpenError;
use firesteel_image::tiers::{AdmissionOptions, Tiers};
use firesteel_invoke::{ImageError, ImageReference, Images, LoadedImage};
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::{library, tiers, unpacked};
use crate::cli::ImageStoreArguments;
use crate::data_folder::DataFolder;
use crate::door::Outside;
use crate::exit::{Exit, Failure};
use crate::target;

/// A function waits no longer for a part of its image.
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// Images that are loaded at a time, as long as that is fast: after a start of the server, every function's may be wanted at once.
const LOADS: u32 = 1024;

/// More often than leases end, so that an epoch goes on its way soon.
const COLLECT_EVERY: Duration = Duration::from_secs(5 * 60);

/// Those of one run. Nothing is opened before the first function of an image is there. Clones are one.
#[derive(Clone)]
pub(crate) struct FunctionImages {
    opening: Arc<Opening>,
}

struct Opening {
    folder: PathBuf,
    mounts: PathBuf,
    arguments: ImageStoreArguments,
    outside: Outside,
    loader: OnceCell<Arc<Loader>>,
}

impl FunctionImages {
    pub(crate) fn new(arguments: &ImageStoreArguments, outside: Outside, data: &DataFolder) -> Self {
        let opening = Opening {
            folder: data.images(),
            mounts: data.mounts(),
            arguments: arguments.clone(),
            outside,
            loader: OnceCell::new(),
        };
        FunctionImages { opening: Arc::new(opening) }
    }

    /// What loads them.
    pub(crate) fn images(&self) -> Images {
        let opening = Arc::clone(&self.opening);
        Images::new(move |reference| {
            let opening = Arc::clone(&opening);
            async move { opening.load(reference).await }
        })
    }

    /// The functions have been called: what they have read is kept, so that the next start has it sooner.
    pub(crate) async fn started(&self) {
        if let Some(loader) = self.opening.loader.get() {
            loader.started().await;
        }
    }
}

impl Opening {
    async fn load(&self, wanted: ImageReference) -> Result<LoadedImage, ImageError> {
        let uri = wanted.uri;
        if let Some(folder) = target::local(&uri, "unpacked").map(Path::to_owned) {
            let loaded = tokio::task::spawn_blocking(move || unpacked::load(&folder, &uri)).await;
            return loaded.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        // Boxed, like the next: the compiler cannot see otherwise that any thread may go on with it.
        let opened: BoxFuture<'_, _> = Box::pin(self.open());
        let loader = self.loader.get_or_try_init(|| opened).await;
        let loader = loader.map_err(|failure| ImageError::Failed {
            uri: uri.clone(),
            source: failure.in_one_line().into(),
        })?;
        // What a version was made of is what it goes on with, whatever its reference means by now.
        let stored = match &wanted.digest {
            Some(digest) => match loader.load_by_digest(digest).await {
                Ok(loaded) => Some(loaded),
                // Removed, or this is another store: it is had once more from where it came.
                Err(LoadError::Open(OpenError::NoImage { .. })) => None,
                Err(error) => return Err(not_loaded(&uri, error)),
            },
            None => None,
        };
        let loaded = match stored {
            Some(loaded) => loaded,
            None => {
                let reference = reference(&uri, self.arguments.default_registry.as_deref())?;
                let reference = match &wanted.digest {
                    Some(digest) => reference.at(digest),
                    None => reference,
                };
                let added: BoxFuture<'_, _> = Box::pin(loader.library().add(&reference, Arc::new(())));
                let added = added.await.map_err(|error| not_added(&uri, error))?;
                loader.load(added.image).await.map_err(|error| not_loaded(&uri, error))?
            }
        };
        let config = loaded.config().clone();
        // Whoever shares the store may be another kind of machine, and who asks by digest is given what it has.
        let platform = Platform::of_host();
        if !platform.accepts(&config.os, &config.architecture) {
            let is_for = format!("it is for {}/{}, and this is {platform}", config.os, config.architecture);
            return Err(ImageError::Invalid { uri, source: is_for.into() });
        }
        Ok(LoadedImage {
            digest: loaded.digest().to_owned(),
            root: loaded.root().to_owned(),
            entrypoint: config.entrypoint,
            command: config.command,
            variables: config.environment,
            working_dir: config.working_dir,
            keeps_alive: loaded,
        })
    }

    async fn open(&self) -> Result<Arc<Loader>, Failure> {
        let library = library(&self.folder, &self.arguments, &self.outside).await?;
        let tiers = tiers(&self.arguments, &self.folder)?;
        let loader = loader(library, tiers, self.mounts.clone()).await?;
        tokio::spawn(collect(Arc::downgrade(&loader)));
        Ok(loader)
    }
}

/// What an image of a function is called. Whoever creates functions through the front door names images in registries alone:
/// paths are for the command line, which writes them with their form before them and from the root on.
fn reference(uri: &str, default_registry: Option<&str>) -> Result<Reference, ImageError> {
    let invalid = |source| ImageError::Invalid { uri: uri.to_owned(), source };
    match Reference::parse(uri, default_registry).map_err(|error| invalid(error.into()))? {
        in_registry @ Reference::Registry(_) => Ok(in_registry),
        on_disk if target::is_local(uri) => Ok(on_disk),
        _ => Err(invalid("it is a path on this machine, and no image in a registry".into())),
    }
}

/// Takes away what nobody needs any more, for as long as there is a loader. Several servers on one store may do so at once.
async fn collect(loader: Weak<Loader>) {
    loop {
        tokio::time::sleep(COLLECT_EVERY).await;
        let Some(store) = loader.upgrade().map(|loader| loader.library().store().clone()) else { return };
        match store.collect().await {
            Ok(done) => {
                for root in done.alarmed {
                    tracing::error!(%root, "an epoch of images was read after nothing referred to it any more, and is kept");
                }
                for (image, error) in done.stuck {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(%image, error, "an image cannot be moved out of an old epoch");
                }
            }
            Err(error) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::warn!(error, "what images left is not taken away this time");
            }
        }
    }
}

/// Mounts images of a library below `mounts`.
pub(crate) async fn loader(library: Library, tiers: Tiers, mounts: PathBuf) -> Result<Arc<Loader>, Failure> {
    let admission = AdmissionOptions { max: LOADS, ..AdmissionOptions::default() };
    let settings = LoaderSettings { mounts, read_deadline: READ_DEADLINE, prefetch: true, admission };
    let runtime = tokio::runtime::Handle::current();
    let opened = tokio::task::spawn_blocking(move || Loader::open(library, tiers, settings, runtime)).await;
    let opened = opened.map_err(|error| Failure::platform("images cannot be mounted").because(&error))?;
    opened.map(Arc::new).map_err(|error| {
        let failure = Failure::from_error(Exit::Platform, &error);
        match error {
            LoaderOpenError::Path { next: Some(next), .. } => failure.try_next(next),
            _ => failure.try_next("firesteel doctor"),
        }
    })
}

fn not_loaded(uri: &str, error: LoadError) -> ImageError {
    let uri = uri.to_owned();
    match error {
        LoadError::Busy { .. } => ImageError::Busy { uri, source: error.into() },
        error => ImageError::Failed { uri, source: error.into() },
    }
}

/// By what the caller can do about it.
fn not_added(uri: &str, error: AddError) -> ImageError {
    let (uri, fault) = (uri.to_owned(), error.fault());
    let error = match error {
        AddError::Unresolved { stored, source } => {
            return ImageError::Unreachable { uri, stored: Some(stored.to_string()), source: source.into() };
        }
        AddError::Source(source @ SourceError::Registry(_)) if fault == Fault::Failed => {
            return ImageError::Unreachable { uri, stored: None, source: source.into() };
        }
        error => error,
    };
    let source = error.into();
    match fault {
        Fault::Missing => ImageError::Missing { uri, source },
        Fault::Denied => ImageError::AccessDenied { uri, source },
        Fault::Invalid => ImageError::Invalid { uri, source },
        Fault::Failed => ImageError::Failed { uri, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_command_line_names_what_is_on_disk() {
        for yes in [
            "registry.example/app:1",
            "registry:5000/app.tar",
            "oci:/srv/layout",
            "docker-archive:/srv/a.tar",
        ] {
            assert!(reference(yes, None).is_ok(), "{yes}");
        }
        // The front door takes them for images in registries.
        for no in ["team/app.tar", "../srv/app.tar.gz", "oci:5000/app", "docker-archive:1/app"] {
            for default_registry in [None, Some("registry.example")] {
                let refused = reference(no, default_registry);
                assert!(matches!(refused, Err(ImageError::Invalid { .. })), "{no}: {refused:?}");
            }
        }
    }
}
