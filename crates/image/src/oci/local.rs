//! Images on this disk: OCI layout folders, and archives of `docker save`.
//!
//! ```text
//! FOLDER/  oci-layout  index.json  blobs/sha256/DIGEST                       layout folder
//! FILE:    oci-layout  index.json  blobs/sha256/DIGEST  [manifest.json …]    archive, newer: the same in a tar file
//! FILE:    manifest.json  DIGEST.json  …/layer.tar                           archive, older: no digests of layers
//! ```
//!
//! All of it is blocking. Only documents are read here; of a layer it is said where its bytes are.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::config::{self, BadConfig, ImageConfig};
use super::digest::Digest;
use super::error::SourceError;
use super::limits::OciLimits;
use super::manifest::{BadManifest, Catalog, Descriptor, NotMeant, Search, Step, is_name_of, shown};
use super::platform::Platform;
use super::section::Section;
use super::spools::Spools;
use super::tar_index::TarIndex;
use super::unpack::{Allowance, Packed, WrongBytes, unpack_any};

/// An image whose documents have been read. `L` says where a layer is.
#[derive(Debug)]
pub(super) struct Found<L> {
    pub(super) digest: Digest,
    pub(super) config: ImageConfig,
    /// Each with the digest of its tar file.
    pub(super) layers: Vec<(Digest, L)>,
}

impl<L> Found<L> {
    /// Reads the configuration, which counts more than what an index says of the image.
    pub(super) fn new(
        digest: Digest,
        config: (Digest, &[u8]),
        layers: Vec<L>,
        platform: &Platform,
    ) -> Result<Self, SourceError> {
        let (config_digest, bytes) = config;
        let (config, diff_ids) = config::parse(bytes, layers.len())
            .map_err(|source| SourceError::Config { digest: config_digest, source })?;
        if !platform.accepts(&config.os, &config.architecture) {
            return Err(SourceError::WrongPlatform {
                platform: platform.clone(),
                os: shown(&config.os),
                architecture: shown(&config.architecture),
            });
        }
        Ok(Found { digest, config, layers: diff_ids.into_iter().zip(layers).collect() })
    }
}

impl<L> Found<L> {
    pub(super) fn map<M>(self, place: impl Fn(L) -> M) -> Found<M> {
        let layers = self.layers.into_iter().map(|(diff_id, layer)| (diff_id, place(layer)));
        Found { digest: self.digest, config: self.config, layers: layers.collect() }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// As given, for errors.
    pub(super) reference: &'a str,
    /// Which image, if there are several.
    pub(super) name: Option<&'a str>,
    pub(super) platform: &'a Platform,
    pub(super) limits: &'a OciLimits,
}

impl Wanted<'_> {
    fn not_meant(&self, why: NotMeant) -> SourceError {
        let reference = self.reference.to_owned();
        match why {
            NotMeant::Unknown(has) => SourceError::Unknown { reference, has },
            NotMeant::Ambiguous(has) => SourceError::Ambiguous { reference, has },
        }
    }
}

/// The image in a layout folder.
pub(super) fn find_in_layout(folder: &Path, wanted: Wanted<'_>) -> Result<Found<Packed>, SourceError> {
    let in_folder = |name: &'static str| {
        let path = folder.join(name);
        match open(&path) {
            Err(SourceError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(SourceError::NotALayout { folder: folder.to_owned(), missing: name })
            }
            opened => opened,
        }
    };
    in_folder("oci-layout")?;
    let index = in_folder("index.json")?;
    find_by_digest(&index, wanted, |digest| {
        let path = folder.join("blobs/sha256").join(digest.hex().to_string());
        match open(&path) {
            Err(SourceError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    })
}

/// The image in an archive. A compressed one is unpacked into a file without a name first.
pub(super) fn find_in_archive(
    file: &Path,
    wanted: Wanted<'_>,
    spools: &Spools,
) -> Result<Found<Packed>, SourceError> {
    let mut archive = open(file)?;
    let head =
        archive.part(0, 4).read().map_err(|source| SourceError::Open { path: file.to_owned(), source })?;
    if matches!(head.as_slice(), [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]) {
        let mut plain = spools.unnamed()?;
        // Twice as much as an image may have, since an archive of several may be larger than each.
        let limits =
            OciLimits { unpacked_bytes: wanted.limits.unpacked_bytes.saturating_mul(2), ..*wanted.limits };
        unpack_any(&archive, &Allowance::new(limits), &mut plain)
            .map_err(|source| SourceError::Unpack { file: file.to_owned(), source })?;
        archive = Section::of(plain).map_err(|source| SourceError::Open { path: file.to_owned(), source })?;
    }
    let index =
        TarIndex::read(archive).map_err(|source| SourceError::Archive { file: file.to_owned(), source })?;
    if let Some(catalog) = index.get("index.json") {
        return find_by_digest(&catalog, wanted, |digest| {
            Ok(index.get(&format!("blobs/sha256/{}", digest.hex())))
        });
    }
    match index.get("manifest.json") {
        Some(list) => find_by_list(file, &list, &index, wanted),
        None => Err(SourceError::NotAnArchive { file: file.to_owned() }),
    }
}

fn find_by_digest(
    index: &Section,
    wanted: Wanted<'_>,
    blob: impl Fn(Digest) -> Result<Option<Section>, SourceError>,
) -> Result<Found<Packed>, SourceError> {
    let in_index = |source| SourceError::Manifest { name: "index.json".to_owned(), source };
    let catalog = read(index, "index.json", wanted.limits.manifest_bytes)?
        .ok_or(BadManifest::TooLarge { limit_bytes: wanted.limits.manifest_bytes })
        .and_then(|bytes| Catalog::parse(&bytes))
        .map_err(in_index)?;
    let mut descriptor = catalog.get(wanted.name).map_err(|why| wanted.not_meant(why))?;
    let blob = |descriptor: &Descriptor| {
        let missing = || SourceError::Missing { blob: descriptor.digest.to_string() };
        let section = blob(descriptor.digest)?.ok_or_else(missing)?;
        WrongBytes::check_length(section.bytes(), descriptor)
            .map_err(|source| SourceError::Wrong { digest: descriptor.digest, source })?;
        Ok::<_, SourceError>(section)
    };
    let document = |descriptor: &Descriptor, limit_bytes| {
        let bytes = read(&blob(descriptor)?, &descriptor.to_string(), limit_bytes)?;
        let wrong = |source| SourceError::Wrong { digest: descriptor.digest, source };
        bytes.iter().try_for_each(|bytes| WrongBytes::check(bytes, descriptor)).map_err(wrong)?;
        Ok::<_, SourceError>(bytes)
    };
    let mut search = Search::new(wanted.platform, wanted.limits);
    let manifest = loop {
        let limit_bytes = wanted.limits.manifest_bytes;
        let unusable = |source| SourceError::Manifest { name: descriptor.to_string(), source };
        let bytes = document(&descriptor, limit_bytes)?
            .ok_or(BadManifest::TooLarge { limit_bytes })
            .map_err(unusable)?;
        match search.step(&bytes).map_err(unusable)? {
            Step::Into(next) => descriptor = next,
            Step::Image(manifest) => break manifest,
        }
    };
    let limit_bytes = wanted.limits.config_bytes;
    let config = document(&manifest.config, limit_bytes)?.ok_or(SourceError::Config {
        digest: manifest.config.digest,
        source: BadConfig::TooLarge { limit_bytes },
    })?;
    let layers = manifest.layers.iter().map(|layer| {
        let section = blob(layer)?;
        Ok(Packed { section, digest: Some(layer.digest) })
    });
    let layers = layers.collect::<Result<Vec<_>, SourceError>>()?;
    Found::new(descriptor.digest, (manifest.config.digest, &config), layers, wanted.platform)
}

/// An image in `manifest.json` of an archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn find_by_list(
    file: &Path,
    list: &Section,
    index: &TarIndex,
    wanted: Wanted<'_>,
) -> Result<Found<Packed>, SourceError> {
    let OciLimits { manifest_bytes, config_bytes, layers: limit, .. } = *wanted.limits;
    let unusable = |source| SourceError::Manifest { name: "manifest.json".to_owned(), source };
    let bytes = read(list, "manifest.json", manifest_bytes)?
        .ok_or(BadManifest::TooLarge { limit_bytes: manifest_bytes })
        .map_err(unusable)?;
    let images: Vec<Listed> = serde_json::from_slice(&bytes)
        .map_err(|source| SourceError::ArchiveManifest { file: file.to_owned(), source })?;
    let image = choose(&images, wanted.name).map_err(|why| wanted.not_meant(why))?;
    if image.layers.len() > limit {
        return Err(unusable(BadManifest::TooManyLayers { count: image.layers.len(), limit }));
    }
    let get = |name: &str| index.get(name).ok_or_else(|| SourceError::Missing { blob: shown(name) });
    let config = get(&image.config)?;
    let config = read(&config, &image.config, config_bytes)?;
    let named = Path::new(&image.config).file_stem().and_then(|stem| Digest::from_hex(stem.to_str()?));
    let Some(config) = config else {
        return Err(SourceError::Config {
            digest: named.unwrap_or_else(|| Digest::of(&[])),
            source: BadConfig::TooLarge { limit_bytes: config_bytes },
        });
    };
    let digest = Digest::of(&config);
    if let Some(named) = named.filter(|named| *named != digest) {
        return Err(SourceError::Wrong { digest: named, source: WrongBytes::Digest { found: digest } });
    }
    let layers = image.layers.iter().map(|layer| Ok(Packed { section: get(layer)?, digest: None }));
    let layers = layers.collect::<Result<Vec<_>, SourceError>>()?;
    Found::new(digest, (digest, &config), layers, wanted.platform)
}

fn choose<'a>(images: &'a [Listed], name: Option<&str>) -> Result<&'a Listed, NotMeant> {
    let tags = |image: &Listed| image.repo_tags.clone().unwrap_or_default();
    let names = || images.iter().flat_map(tags).map(|tag| shown(&tag)).collect();
    match (name, images) {
        (None, [image]) => Ok(image),
        (None, []) => Err(NotMeant::Unknown(Vec::new())),
        (None, _) => Err(NotMeant::Ambiguous(names())),
        (Some(name), _) => {
            let named = |image: &&Listed| tags(image).iter().any(|tag| is_name_of(name, tag));
            images.iter().find(named).ok_or_else(|| NotMeant::Unknown(names()))
        }
    }
}

/// All of a document, unless it is larger than `limit_bytes`.
fn read(section: &Section, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, SourceError> {
    if section.bytes() > limit_bytes {
        return Ok(None);
    }
    section.read().map(Some).map_err(|source| SourceError::Open { path: PathBuf::from(name), source })
}

/// Opens a regular file; a pipe would wait for its other end.
fn open(path: &Path) -> Result<Section, SourceError> {
    let opened = || {
        if fs::metadata(path)?.is_file() {
            Section::of(File::open(path)?)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"))
        }
    };
    opened().map_err(|source| SourceError::Open { path: path.to_owned(), source })
}
