//! Manifests and indexes: what an image consists of.
//!
//! ```text
//! index ─► index ─► … ─► manifest ─► configuration, layers
//!   └ by platform ┘
//! ```
//!
//! Docker's and OCI's documents differ in media types only. What a document is is told by what is in it; it is refused
//! if that is not clear, since two readers must not see two images in it. Refused as well is what cannot be the root
//! file system of a function: artifacts, layers that are encrypted or lie elsewhere, and the first, unhashed schema.

use std::fmt;

use serde::Deserialize;

use super::digest::Digest;
use super::limits::OciLimits;
use super::platform::Platform;

/// An index in an index is seen in layout folders; more than this is a loop or a joke.
const MAX_DEPTH: usize = 4;

/// A blob as a document refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Descriptor {
    pub(super) digest: Digest,
    pub(super) bytes: u64,
}

/// An image for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// Why a document describes no image that a function could be started from. The mistake of who published it, or of who
/// gave its name.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    /// Not even the right form.
    #[error("it is no manifest")]
    Malformed(#[source] serde_json::Error),
    /// Larger than anybody's.
    #[error("it is larger than {limit_bytes} bytes")]
    TooLarge {
        /// [`OciLimits::manifest_bytes`].
        limit_bytes: u64,
    },
    /// Schema 1 names no configuration and cannot be verified.
    #[error("it is of schema 1, which is no longer in use: push the image again with a tool of this decade")]
    Schema1,
    /// Both a manifest and an index, or neither.
    #[error("it is {0}")]
    Unclear(&'static str),
    /// A chart, a signature, a model …
    #[error("it is an artifact of type `{media_type}` and no image")]
    Artifact {
        /// As it calls itself.
        media_type: String,
    },
    /// The bytes of a layer can be read with a key only.
    #[error("layer {layer} is encrypted")]
    Encrypted {
        /// From 0.
        layer: usize,
    },
    /// The bytes of a layer are not where the image is.
    #[error("layer {layer} is not distributed with the image (`{media_type}`)")]
    Foreign {
        /// From 0.
        layer: usize,
        /// As the manifest says.
        media_type: String,
    },
    /// Not a tar file.
    #[error("layer {layer} is of the unknown type `{media_type}`")]
    LayerType {
        /// From 0.
        layer: usize,
        /// As the manifest says.
        media_type: String,
    },
    /// More than can be put over each other.
    #[error("it has {count} layers, and {limit} are allowed")]
    TooManyLayers {
        /// Of them.
        count: usize,
        /// [`OciLimits::layers`].
        limit: usize,
    },
    /// An index leads to an index, and so on.
    #[error("indexes in it lead nowhere")]
    TooDeep,
    /// Nothing for this platform is in it.
    #[error("it has nothing for {platform}, only {}", has.join(", "))]
    NoSuchPlatform {
        /// As asked for.
        platform: Platform,
        /// What there is.
        has: Vec<String>,
    },
    /// Several platforms, though one was wanted [exactly](Platform::exact).
    #[error("it is an index of images for several platforms: give the digest of the one for {platform}")]
    IsIndex {
        /// As asked for.
        platform: Platform,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u32>,
    artifact_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<RawPlatform>,
    artifact_type: Option<String>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// By which images in a folder or an archive are known.
#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "org.opencontainers.image.ref.name")]
    reference: Option<String>,
    #[serde(rename = "io.containerd.image.name")]
    name: Option<String>,
}

/// A document on the way from a name to a manifest.
#[derive(Debug)]
pub(super) enum Step {
    /// This has to be read next.
    Into(Descriptor),
    /// Arrived.
    Image(Manifest),
}

/// The way from a name to a manifest.
#[derive(Debug)]
pub(super) struct Search<'a> {
    platform: &'a Platform,
    limits: &'a OciLimits,
    depth: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(platform: &'a Platform, limits: &'a OciLimits) -> Self {
        Search { platform, limits, depth: 0 }
    }

    /// Reads a document that is as long as it may be, and of the digest it should have.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, BadManifest> {
        let document: Document = serde_json::from_slice(bytes).map_err(BadManifest::Malformed)?;
        if document.schema_version == Some(1) || document.fs_layers.is_some() {
            return Err(BadManifest::Schema1);
        }
        if document.schema_version != Some(2) {
            return Err(BadManifest::Unclear("of an unknown schema"));
        }
        if let Some(media_type) = document.artifact_type.filter(|media_type| !media_type.is_empty()) {
            return Err(BadManifest::Artifact { media_type: shown(&media_type) });
        }
        match (document.config, document.layers, document.manifests) {
            (Some(config), layers, None) => {
                self.manifest(&config, &layers.unwrap_or_default()).map(Step::Image)
            }
            (None, None, Some(manifests)) => self.choose(&manifests).map(Step::Into),
            (None, None, None) => Err(BadManifest::Unclear("neither a manifest nor an index")),
            _ => Err(BadManifest::Unclear("a manifest and an index at once, or half of one")),
        }
    }

    fn manifest(&self, config: &RawDescriptor, layers: &[RawDescriptor]) -> Result<Manifest, BadManifest> {
        if !is_config(&config.media_type) {
            return Err(BadManifest::Artifact { media_type: shown(&config.media_type) });
        }
        if layers.len() > self.limits.layers {
            return Err(BadManifest::TooManyLayers { count: layers.len(), limit: self.limits.layers });
        }
        for (layer, descriptor) in layers.iter().enumerate() {
            check_layer(layer, &descriptor.media_type)?;
        }
        Ok(Manifest { config: config.into(), layers: layers.iter().map(Descriptor::from).collect() })
    }

    fn choose(&mut self, manifests: &[RawDescriptor]) -> Result<Descriptor, BadManifest> {
        if self.platform.is_exact() {
            return Err(BadManifest::IsIndex { platform: self.platform.clone() });
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(BadManifest::TooDeep);
        }
        // What is made with an image, such as attestations, is of the platform unknown/unknown.
        let images: Vec<_> = manifests.iter().filter(|entry| entry.artifact_type.is_none()).collect();
        let of_platform = images.iter().filter_map(|entry| {
            let platform = entry.platform.as_ref()?;
            let wanted = platform.os == "linux" && platform.architecture == self.platform.architecture();
            wanted.then_some((variant_rank(&platform.variant), *entry))
        });
        if let Some((_, entry)) = of_platform.min_by_key(|(rank, _)| *rank) {
            return Ok(entry.into());
        }
        // Of which platform it is will be seen in its configuration.
        if let [entry] = images.as_slice()
            && entry.platform.is_none()
        {
            return Ok((*entry).into());
        }
        let mut has: Vec<String> = images.iter().map(|entry| platform_of(entry)).collect();
        has.dedup();
        has.truncate(20);
        Err(BadManifest::NoSuchPlatform { platform: self.platform.clone(), has })
    }
}

impl From<&RawDescriptor> for Descriptor {
    fn from(raw: &RawDescriptor) -> Self {
        Descriptor { digest: raw.digest, bytes: raw.size }
    }
}

/// The images of a layout folder, or of an archive with one in it: its `index.json`, which is an index of names and not
/// of platforms.
#[derive(Debug)]
pub(super) struct Catalog(Vec<(Vec<String>, Descriptor)>);

/// Why none of them is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotMeant {
    /// With what there is.
    Unknown(Vec<String>),
    /// No name was given, and there are several.
    Ambiguous(Vec<String>),
}

impl Catalog {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadManifest> {
        let document: Document = serde_json::from_slice(bytes).map_err(BadManifest::Malformed)?;
        let manifests = document.manifests.ok_or(BadManifest::Unclear("no index"))?;
        let images = manifests.iter().filter(|entry| entry.artifact_type.is_none());
        let named = images.map(|entry| {
            let names =
                entry.annotations.iter().flat_map(|annotations| [&annotations.name, &annotations.reference]);
            (names.flatten().cloned().collect(), entry.into())
        });
        Ok(Catalog(named.collect()))
    }

    /// The image of this name; without one, the only image.
    pub(super) fn get(&self, name: Option<&str>) -> Result<Descriptor, NotMeant> {
        let names = || {
            self.0.iter().map(|(names, _)| names.first().map_or("(no name)".to_owned(), |name| shown(name)))
        };
        let Some(name) = name else {
            return match self.0.as_slice() {
                [] => Err(NotMeant::Unknown(Vec::new())),
                [(_, first), others @ ..] if others.iter().all(|(_, other)| other == first) => Ok(*first),
                _ => Err(NotMeant::Ambiguous(names().collect())),
            };
        };
        let found = self.0.iter().find(|(names, _)| names.iter().any(|known| is_name_of(name, known)));
        found.map(|(_, descriptor)| *descriptor).ok_or_else(|| NotMeant::Unknown(names().collect()))
    }
}

/// Whether somebody who says `wanted` can mean the image that calls itself `known`: with or without its tag, the registry
/// and the repository before it.
pub(super) fn is_name_of(wanted: &str, known: &str) -> bool {
    let latest = |name: &str| match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => name.to_owned(),
        _ => format!("{name}:latest"),
    };
    let ends_with = |known: &str, wanted: &str| {
        known.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    wanted == known
        || ends_with(&latest(known), &latest(wanted))
        || known.rsplit_once(':').is_some_and(|(_, tag)| tag == wanted)
}

fn is_config(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
    )
}

/// How a layer is compressed is seen in its first bytes, which are right more often.
fn check_layer(layer: usize, media_type: &str) -> Result<(), BadManifest> {
    let shown = shown(media_type);
    if media_type.ends_with("+encrypted") {
        return Err(BadManifest::Encrypted { layer });
    }
    let elsewhere =
        ["application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign."];
    if elsewhere.iter().any(|prefix| media_type.starts_with(prefix)) {
        return Err(BadManifest::Foreign { layer, media_type: shown });
    }
    let base = [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.container.image.rootfs.diff.tar",
    ];
    let suffix = base.iter().find_map(|base| media_type.strip_prefix(base));
    match suffix {
        Some("" | "+gzip" | ".gzip" | "+zstd" | ".zstd") => Ok(()),
        _ => Err(BadManifest::LayerType { layer, media_type: shown }),
    }
}

/// The least that a machine of the architecture must have comes first.
fn variant_rank(variant: &str) -> u32 {
    match variant {
        "" => 0,
        "v1" | "v8" => 1,
        _ => 2,
    }
}

fn platform_of(entry: &RawDescriptor) -> String {
    match &entry.platform {
        Some(platform) => shown(&format!("{}/{}", platform.os, platform.architecture)),
        None => "one that says no platform".to_owned(),
    }
}

/// In an error, which goes to a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(200).collect::<String>().escape_debug().to_string()
}

impl fmt::Display for Descriptor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest.fmt(formatter)
    }
}
