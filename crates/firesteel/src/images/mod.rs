//! Container images, as this program has them: where they are kept, and how functions get theirs.
//!
//! ```text
//!  DATA/images/downloads/     layers, while an image is being added
//!             /keys/          what seals the keys of chunks; without it nothing here can be read
//!             /store/         chunks, manifests, and which images there are; or a bucket (--image-store)
//!             /cache/         of a bucket: chunks that this machine has read
//!      /runs/<id>/images/     where the images of this run are mounted
//! ```
//!
//! The folder is used by all runs and commands on `DATA` at once. What is in it stays, as what container tools fetch does, also
//! that of a server which keeps nothing else. Nothing is opened or tried before an image is wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;

use firesteel_image::library::{Library, LibrarySettings, StorePlace};
#[cfg(target_os = "linux")]
use firesteel_image::library::{AddError, LoadError, Loader, LoaderOpenError, LoaderSettings};
use firesteel_image::oci::{Platform, Reference, SourceSettings};
#[cfg(target_os = "linux")]
use firesteel_image::tiers::{DiskOptions, LocalOptions, OriginOptions};
use firesteel_invoke::Images;
#[cfg(target_os = "linux")]
use firesteel_invoke::{ImageError, ImageReference, LoadedImage};
#[cfg(target_os = "linux")]
use tokio::sync::OnceCell;

use crate::cli::{ImageStoreArguments, LibraryArguments};
use crate::data_folder::{self, DataFolder};
use crate::door::Outside;
use crate::exit::{Exit, Failure};

/// Of the chunks of a bucket, on disk.
#[cfg(target_os = "linux")]
const CACHE_BYTES: u64 = 16 << 30;
/// Of chunks in memory: what is read twice is in the kernel's page cache by then, so that little is enough.
#[cfg(target_os = "linux")]
const MEMORY_BYTES: u64 = 64 << 20;
/// A function waits no longer for a part of its image.
#[cfg(target_os = "linux")]
const READ_DEADLINE: Duration = Duration::from_secs(30);

/// What a name on the command line, or an `ImageUri`, means.
pub(crate) fn reference(text: &str, arguments: &ImageStoreArguments) -> Result<Reference, Failure> {
    Reference::parse(text, arguments.default_registry.as_deref())
        .map_err(|error| Failure::from_error(Exit::Usage, &error).try_next("REGISTRY/REPOSITORY:TAG, oci:FOLDER, or docker-archive:FILE"))
}

/// For commands that are not about functions.
pub(crate) async fn library_of(arguments: &LibraryArguments) -> Result<Library, Failure> {
    let outside = Outside::new(arguments.aws_endpoint.as_deref(), &arguments.region);
    library(&data_folder::images(arguments.data.as_deref())?, &arguments.images, &outside).await
}

/// That below `folder`.
pub(crate) async fn library(
    folder: &Path,
    arguments: &ImageStoreArguments,
    outside: &Outside,
) -> Result<Library, Failure> {
    let settings = LibrarySettings {
        folder: folder.to_owned(),
        place: place(arguments, outside)?,
        sources: sources(arguments)?,
        platform: Platform::of_host(),
    };
    Library::open(settings).await.map_err(|error| {
        Failure::from_error(Exit::Usage, &error)
            .try_next("--data DIR with a folder that you may write to, or --image-store s3://BUCKET")
    })
}

fn place(arguments: &ImageStoreArguments, outside: &Outside) -> Result<StorePlace, Failure> {
    let Some(url) = &arguments.image_store else { return Ok(StorePlace::Folder) };
    let bucket = url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    match bucket {
        Some((bucket, prefix)) if !bucket.is_empty() => {
            let prefix = Some(prefix.trim_matches('/')).filter(|prefix| !prefix.is_empty());
            let prefix = prefix.map(str::to_owned);
            Ok(StorePlace::Bucket { s3: outside.s3_settings(), bucket: bucket.to_owned(), prefix })
        }
        _ => Err(Failure::usage(format!("`{url}` is no store of images")).try_next("s3://BUCKET or s3://BUCKET/PREFIX")),
    }
}

fn sources(arguments: &ImageStoreArguments) -> Result<SourceSettings, Failure> {
    todo!()
}

/// Mounts images of a library, for this run.
#[cfg(target_os = "linux")]
pub(crate) fn loader(library: Library, data: &DataFolder, cache: Option<PathBuf>) -> Result<Arc<Loader>, Failure> {
    open_loader(library, data.mounts(), cache).map(Arc::new).map_err(|error| not_mounting(&error))
}

#[cfg(target_os = "linux")]
fn open_loader(
    library: Library,
    mounts: PathBuf,
    cache: Option<PathBuf>,
) -> Result<Loader, LoaderOpenError> {
    let settings = |disk| LoaderSettings {
        mounts: mounts.clone(),
        local: LocalOptions { memory_bytes: MEMORY_BYTES, disk, ..LocalOptions::default() },
        origin: OriginOptions::default(),
        read_deadline: READ_DEADLINE,
        prefetch: true,
    };
    let runtime = tokio::runtime::Handle::current();
    let disk = cache.map(|folder| DiskOptions { folder, bytes: CACHE_BYTES });
    match Loader::open(library.clone(), settings(disk), runtime.clone()) {
        // Another run on the same data has it; this one does with its memory.
        Err(LoaderOpenError::Cache(error)) => {
            tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "chunks are not kept on disk");
            Loader::open(library, settings(None), runtime)
        }
        opened => opened,
    }
}

#[cfg(target_os = "linux")]
fn not_mounting(error: &LoaderOpenError) -> Failure {
    let failure = Failure::from_error(Exit::Platform, error);
    match error {
        LoaderOpenError::Path { next: Some(next), .. } => failure.try_next(next),
        _ => failure.try_next("firesteel doctor"),
    }
}

/// How functions of this run get their images: added if need be, and mounted.
#[cfg(target_os = "linux")]
pub(crate) fn of_functions(arguments: ImageStoreArguments, outside: Outside, data: &DataFolder) -> Images {
    let opening = Arc::new(Opening {
        folder: data.images(),
        mounts: data.mounts(),
        arguments,
        outside,
        loader: OnceCell::new(),
    });
    Images::new(move |reference| {
        let opening = Arc::clone(&opening);
        async move { opening.load(reference).await }
    })
}

/// Nothing is opened before the first function of an image is there.
#[cfg(target_os = "linux")]
struct Opening {
    folder: PathBuf,
    mounts: PathBuf,
    arguments: ImageStoreArguments,
    outside: Outside,
    loader: OnceCell<Arc<Loader>>,
}

#[cfg(target_os = "linux")]
impl Opening {
    async fn load(&self, wanted: ImageReference) -> Result<LoadedImage, ImageError> {
        let uri = wanted.uri;
        let failed = |failure: Failure| ImageError::Failed { uri: uri.clone(), source: failure.to_string().into() };
        let loader = self.loader.get_or_try_init(|| self.open()).await.map_err(failed)?;
        // What a version was made of is what it goes on with, if it is stored, whoever has removed the image elsewhere.
        let stored = match &wanted.digest {
            Some(digest) => loader.load_by_digest(digest).await.ok(),
            None => None,
        };
        let loaded = match stored {
            Some(loaded) => loaded,
            None => {
                let reference = Reference::parse(&uri, self.arguments.default_registry.as_deref())
                    .map_err(|error| ImageError::Invalid { uri: uri.clone(), source: error.into() })?;
                let reference = match wanted.digest {
                    Some(digest) => reference.at(&digest),
                    None => reference,
                };
                let added = loader.library().add(&reference, Arc::new(())).await;
                let added = added.map_err(|error| not_had(&uri, error))?;
                loader.load(added.image).await.map_err(|error| not_loaded(&uri, error))?
            }
        };
        let config = loaded.config().clone();
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
        let cache = self.arguments.image_store.is_some().then(|| self.folder.join("cache"));
        let mounts = self.mounts.clone();
        let opened = tokio::task::spawn_blocking(move || open_loader(library, mounts, cache)).await;
        let opened = opened.map_err(|error| Failure::platform("images cannot be mounted").because(&error))?;
        opened.map(Arc::new).map_err(|error| not_mounting(&error))
    }
}

#[cfg(target_os = "linux")]
fn not_loaded(uri: &str, error: LoadError) -> ImageError {
    ImageError::Failed { uri: uri.to_owned(), source: error.into() }
}

#[cfg(target_os = "linux")]
fn not_had(uri: &str, error: AddError) -> ImageError {
    let uri = uri.to_owned();
    todo!()
}

/// Nothing is mounted here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of_functions(_: ImageStoreArguments, _: Outside, _: &DataFolder) -> Option<Images> {
    None
}
