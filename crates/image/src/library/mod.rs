//! The images of a server: from the name of one to its files.
//!
//! ```text
//! add   Reference ─► sources ─► flatten ─► store             once per image, however many servers there are
//! load  ImageId ─► store: manifest, keys ─┬─► prefetch: what starts before this one read
//!                                         ├─► tiers ─► BlockFile ─► mounted ─► LoadedImage
//!                                         └─► recording: what this start reads ─► store
//! ```
//!
//! [`Library`] adds, finds and removes images, and needs no rights; [`Loader`] mounts them, and has the worker's own
//! cache. Both are put together by whoever owns the process: `serve`, or a command. An image is loaded once per server and
//! shared by all its environments; it stays for as long as a [`LoadedImage`] is held, and so does its root of the store.

mod adding;
#[cfg(target_os = "linux")]
mod loading;
#[cfg(target_os = "linux")]
mod recording;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::chunk::Domain;
use crate::code_store::DiskError;
use crate::flatten::{FlatImage, FlattenError, FlattenLimits};
use crate::manifest::{ImageId, KeyVault};
use crate::oci::{ImageSources, OciLimits, Platform, RegistrySettings};
use crate::source::S3Settings;
use crate::store::{ImageStore, SlotReader, StateError, StoreOpenError, StoreSettings};

pub use self::adding::{AddError, Added};
#[cfg(target_os = "linux")]
pub use self::loading::{LoadError, LoadedImage, Loader, LoaderOpenError, LoaderSettings};

/// Whose images they are, as long as a deployment has one owner.
const TENANT: &str = "deployment";

/// Where a library keeps what.
#[derive(Debug)]
pub struct LibrarySettings {
    /// Of this host: what is downloaded and unpacked meanwhile, the keys, and the store, if it is not in a bucket.
    pub folder: PathBuf,
    /// Where chunks and manifests are.
    pub place: StorePlace,
    /// How registries are reached.
    pub registries: RegistrySettings,
    /// For which machines images are.
    pub platform: Platform,
}

/// Where chunks and manifests are.
#[derive(Clone, Debug)]
pub enum StorePlace {
    /// In the library's own folder.
    Folder,
    /// In a bucket, which other servers may share.
    Bucket {
        /// Of whom.
        s3: S3Settings,
        /// Its name.
        bucket: String,
        /// What its keys begin with.
        prefix: Option<String>,
    },
}

/// Images that are stored, and the means to add some. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Library {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sources: ImageSources,
    store: ImageStore,
    platform: Platform,
    /// To flatten takes a core and the disk: one at a time.
    flattening: Semaphore,
}

/// Why there is no library. The host's matter, or that of whoever configured it.
#[derive(Debug, thiserror::Error)]
pub enum LibraryOpenError {
    /// Its folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its store.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
}

impl Library {
    /// Opens it; all that is missing is made.
    pub async fn open(settings: LibrarySettings) -> Result<Self, LibraryOpenError> {
        let LibrarySettings { folder, place, registries, platform } = settings;
        let sources = ImageSources::open(&folder.join("downloads"), OciLimits::default(), registries)?;
        let vault = Arc::new(KeyVault::in_folder(&folder.join("keys")));
        let store = match place {
            StorePlace::Folder => {
                ImageStore::in_folder(&folder.join("store"), vault, StoreSettings::default()).await?
            }
            StorePlace::Bucket { s3, bucket, prefix } => {
                let settings = StoreSettings::default();
                ImageStore::in_bucket(&s3, &bucket, prefix.as_deref(), vault, settings).await?
            }
        };
        let shared = Shared { sources, store, platform, flattening: Semaphore::new(1) };
        Ok(Library { shared: Arc::new(shared) })
    }

    /// What is stored, for all that is not adding and loading.
    pub fn store(&self) -> &ImageStore {
        &self.shared.store
    }

    /// The image that is called so, or whose digest or id this is, or begins so.
    pub async fn find(&self, name: &str) -> Result<Option<ImageId>, StateError> {
        if let Some(image) = self.store().resolve(TENANT, name).await? {
            return Ok(Some(image));
        }
        let begins = |text: &str| name.len() >= MIN_PREFIX && text.starts_with(name);
        let images = self.store().list().await?;
        let mut found = images.iter().filter(|(image, row, _)| {
            begins(&image.to_string())
                || begins(&row.digest)
                || begins(row.digest.trim_start_matches("sha256:"))
        });
        // Of two it would be anybody's guess.
        match (found.next(), found.next()) {
            (Some((image, ..)), None) => Ok(Some(*image)),
            _ => Ok(None),
        }
    }
}

/// A shorter beginning of a digest names nothing.
const MIN_PREFIX: usize = 6;

/// The image made from a source, as this library stores it.
fn image_id(digest: &str) -> ImageId {
    ImageId::of(TENANT, digest, &Domain::Deployment)
}

impl SlotReader for FlatImage {
    type Error = FlattenError;

    fn image_bytes(&self) -> u64 {
        self.image_bytes()
    }

    fn read_slot(
        &self,
        slot: u32,
        into: &mut [u8; crate::chunk::CHUNK_BYTES as usize],
    ) -> Result<(), FlattenError> {
        self.read_slot(slot, into)
    }
}

#[cfg(target_os = "linux")]
impl crate::serve::SlotTable for crate::manifest::OpenImage {
    fn image_bytes(&self) -> u64 {
        self.image_bytes()
    }

    fn slot(&self, index: u32) -> Option<(crate::chunk::ChunkRef, &crate::chunk::ChunkKey)> {
        self.slot(index)
    }
}
