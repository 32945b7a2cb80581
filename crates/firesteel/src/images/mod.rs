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

#[cfg(target_os = "linux")]
mod functions;
#[cfg(not(target_os = "linux"))]
mod no_functions;
#[cfg(target_os = "linux")]
mod tiers;
#[cfg(target_os = "linux")]
mod unpacked;

use std::path::{Path, PathBuf};

use firesteel_image::library::{Library, LibrarySettings, StorePlace};
use firesteel_image::oci::{Credentials, Mirror, Platform, Reference, RegistrySettings};
use firesteel_image::tiers::{NodeAccess, NodeTls, Secret};

#[cfg(target_os = "linux")]
pub(crate) use self::functions::{FunctionImages, loader};
#[cfg(not(target_os = "linux"))]
pub(crate) use self::no_functions::FunctionImages;
#[cfg(target_os = "linux")]
pub(crate) use self::tiers::tiers;
use crate::cli::{CacheAccessArguments, ImageStoreArguments, LibraryArguments};
use crate::data_folder;
use crate::door::Outside;
use crate::exit::{Exit, Failure};

/// What a name on the command line means; a path in it is from the root on, so that it means the same everywhere.
pub(crate) fn reference(text: &str, arguments: &ImageStoreArguments) -> Result<Reference, Failure> {
    let absolute = |path: PathBuf| {
        std::path::absolute(&path)
            .map_err(|error| Failure::usage(format!("{} is no path", path.display())).because(&error))
    };
    let parsed = Reference::parse(text, arguments.default_registry.as_deref()).map_err(|error| {
        Failure::from_error(Exit::Usage, &error)
            .try_next("REGISTRY/REPOSITORY:TAG, oci:FOLDER, or docker-archive:FILE")
    })?;
    Ok(match parsed {
        Reference::Layout { folder, tag } => Reference::Layout { folder: absolute(folder)?, tag },
        Reference::Archive { file, name } => Reference::Archive { file: absolute(file)?, name },
        in_registry @ Reference::Registry(_) => in_registry,
    })
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
        registries: registries(arguments)?,
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
        _ => Err(Failure::usage(format!("`{url}` is no store of images"))
            .try_next("s3://BUCKET or s3://BUCKET/PREFIX")),
    }
}

fn registries(arguments: &ImageStoreArguments) -> Result<RegistrySettings, Failure> {
    let mirrors = arguments.registry_mirror.iter().map(|mirror| match mirror.split_once('=') {
        Some((registry, endpoint)) if !registry.is_empty() && !endpoint.is_empty() => {
            Ok(Mirror { registry: registry.to_owned(), endpoint: endpoint.to_owned() })
        }
        _ => Err(Failure::usage(format!("`{mirror}` is no mirror"))
            .try_next("--registry-mirror REGISTRY=HOST:PORT")),
    });
    let credentials = match &arguments.registry_config {
        Some(file) => Credentials::default().with_file(file.clone()),
        None => Credentials::of_container_tools(),
    };
    let mirrors = mirrors.collect::<Result<_, _>>()?;
    Ok(RegistrySettings { mirrors, credentials, ..RegistrySettings::default() })
}

/// How cache nodes and those who ask them know each other.
pub(crate) fn access(arguments: &CacheAccessArguments) -> Result<NodeAccess, Failure> {
    let CacheAccessArguments { cache_secret, cache_certificate, cache_key, cache_authority } = arguments;
    let secret = cache_secret.as_deref().map(secret).transpose()?;
    let tls = match (cache_certificate, cache_key, cache_authority) {
        (Some(certificate), Some(key), Some(authority)) => {
            Some(NodeTls::of_files(certificate, key, authority).map_err(|error| {
                Failure::from_error(Exit::Usage, &error)
                    .try_next("--cache-certificate, --cache-key and --cache-authority with PEM files that belong together")
            })?)
        }
        _ => None,
    };
    match (secret, tls) {
        (Some(secret), None) => Ok(NodeAccess::by_secret(secret)),
        (None, Some(tls)) => Ok(NodeAccess::by_certificates(tls)),
        (Some(secret), Some(tls)) => Ok(NodeAccess::by_certificates(tls).and_secret(secret)),
        (None, None) => Err(Failure::usage("whoever finds a cache node could ask it")
            .try_next("--cache-secret FILE, the same for all; or certificates by --cache-certificate")),
    }
}

fn secret(file: &Path) -> Result<Secret, Failure> {
    let next = || {
        format!(
            "head -c 32 /dev/urandom > {0} && chmod 600 {0}, and the same file everywhere",
            file.display()
        )
    };
    let bytes = std::fs::read(file).map_err(|error| {
        Failure::usage(format!("{} cannot be read", file.display())).because(&error).try_next(next())
    })?;
    Secret::new(&bytes).map_err(|error| Failure::from_error(Exit::Usage, &error).try_next(next()))
}
