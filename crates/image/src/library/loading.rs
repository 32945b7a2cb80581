//! From the store to a tree of files.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};

use super::recording::{Recording, Recordings};
use super::{Library, image_id};
use crate::chunk::{ChunkRef, ChunkSource};
use crate::manifest::{ImageId, OpenImage};
use crate::oci::ImageConfig;
use crate::serve::{BlockFile, MountError, MountedImage, Mounts, ServingPath, remove_abandoned};
use crate::store::{OpenError, Opened};
use crate::tiers::{AdmissionOptions, Prefetch, StartAdmission, StartRefused, Tiers, Touches};

/// What a loader may use.
#[derive(Debug)]
pub struct LoaderSettings {
    /// Where images are mounted: nobody else's, and on no file system that cannot be mounted upon.
    pub mounts: PathBuf,
    /// How long a reader waits for bytes that are not here.
    pub read_deadline: Duration,
    /// Fetches ahead what starts before have read; off only to measure what that is worth.
    pub prefetch: bool,
    /// How many images are loaded at a time.
    pub admission: AdmissionOptions,
}

/// Mounts images of a library.
#[derive(Debug)]
pub struct Loader {
    library: Library,
    settings: LoaderSettings,
    tiers: Tiers,
    mounts: Mounts,
    /// Asked once for each image that has to be mounted: what is mounted already costs nobody anything.
    starts: StartAdmission,
    /// One at a time for each image, so that nobody mounts what another is mounting.
    loading: Mutex<HashMap<ImageId, Arc<tokio::sync::Mutex<Weak<LoadedImage>>>>>,
}

/// An image whose files can be read, for as long as this is held.
pub struct LoadedImage {
    image: ImageId,
    digest: String,
    config: ImageConfig,
    /// Before what it reads from.
    mounted: Arc<MountedImage>,
    _opened: Opened,
    _prefetch: Option<Prefetch>,
    recording: Arc<Recording>,
    recording_task: AbortHandle,
}

/// Why images cannot be loaded on this host, or by this process.
#[derive(Debug, thiserror::Error)]
pub enum LoaderOpenError {
    /// No way to mount one.
    #[error("images cannot be mounted here: {why}")]
    Path {
        /// For people.
        why: String,
        /// What may help.
        next: Option<&'static str>,
    },
    /// Its folder of mounts.
    #[error("mounting images below {}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Why an image is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not stored, or not as it should be.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Stored by another version of this program.
    #[error("the configuration of image {image} cannot be read")]
    Config {
        /// Which.
        image: ImageId,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Others are being loaded, and slowly. Nothing was tried; another time it may go better.
    #[error("image {image} is not loaded now")]
    Busy {
        /// Which.
        image: ImageId,
        /// How many others.
        #[source]
        source: StartRefused,
    },
    /// It cannot be mounted.
    #[error("image {image} cannot be mounted")]
    Mount {
        /// Which.
        image: ImageId,
        /// Why.
        #[source]
        source: MountError,
    },
}

impl Loader {
    /// For one process. What a killed run has left in the folder of mounts is removed. Blocks.
    pub fn open(
        library: Library,
        tiers: Tiers,
        settings: LoaderSettings,
        runtime: Handle,
    ) -> Result<Self, LoaderOpenError> {
        let folder = |source| LoaderOpenError::Folder { folder: settings.mounts.clone(), source };
        if settings.mounts.exists() {
            remove_abandoned(&settings.mounts).map_err(folder)?;
        }
        let found = ServingPath::detect(&settings.mounts, &runtime);
        let Some(path) = found.path else {
            let why = found.why_not_fuse.or(found.why_not_erofs).unwrap_or_default();
            return Err(LoaderOpenError::Path { why, next: found.next });
        };
        Ok(Loader {
            tiers,
            mounts: Mounts::open(&settings.mounts, path, runtime).map_err(folder)?,
            starts: StartAdmission::new(settings.admission),
            loading: Mutex::default(),
            library,
            settings,
        })
    }

    /// Where it loads from.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The image that was made from a source of this digest, if it is stored.
    pub async fn load_by_digest(&self, digest: &str) -> Result<Arc<LoadedImage>, LoadError> {
        self.load(image_id(digest)).await
    }

    /// Loads an image, or gives the one that is loaded.
    pub async fn load(&self, image: ImageId) -> Result<Arc<LoadedImage>, LoadError> {
        let turn = {
            let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds, and nobody is loading.
            loading.retain(|_, turn| {
                Arc::strong_count(turn) > 1 || turn.try_lock().is_ok_and(|loaded| loaded.strong_count() > 0)
            });
            Arc::clone(loading.entry(image).or_default())
        };
        let mut loaded = turn.lock().await;
        if let Some(loaded) = loaded.upgrade() {
            return Ok(loaded);
        }
        let _start = self.starts.admit().map_err(|source| LoadError::Busy { image, source })?;
        let made = Arc::new(self.mount(image).await?);
        *loaded = Arc::downgrade(&made);
        Ok(made)
    }

    async fn mount(&self, image: ImageId) -> Result<LoadedImage, LoadError> {
        let store = self.library.store();
        let opened = store.open(image).await?;
        let config = serde_json::from_str(opened.image.config());
        let config: ImageConfig = config.map_err(|source| LoadError::Config { image, source })?;
        let origin: Arc<dyn ChunkSource> = Arc::clone(&opened.origin) as Arc<dyn ChunkSource>;
        let source = self.tiers.source(&opened.row.tenant, origin);
        let recordings = self.recordings(image).await;
        // Before the mount, which is the first to read.
        let prefetch = self.settings.prefetch.then(|| {
            let wanted = recordings.wanted();
            self.tiers.prefetch(chunks_of(&opened.image, wanted.slots()), Arc::clone(&source))
        });
        let touches = Arc::new(Touches::new(opened.image.slots()));
        let on_touch = {
            let touches = Arc::clone(&touches);
            Arc::new(move |slot| touches.record(slot))
        };
        let slots = Arc::clone(&opened.image) as Arc<dyn crate::serve::SlotTable>;
        let deadline = self.settings.read_deadline;
        let file = || BlockFile::new(slots, source, deadline, on_touch);
        let mounted = self.mounts.mount(&image.to_string(), file).await;
        let mounted = mounted.map_err(|source| LoadError::Mount { image, source })?;
        let recording = Arc::new(Recording::new(touches, store.clone(), image, recordings));
        let recording_task = tokio::spawn(Arc::clone(&recording).to_its_end()).abort_handle();
        Ok(LoadedImage {
            image,
            digest: opened.row.digest.clone(),
            config,
            mounted,
            _opened: opened,
            _prefetch: prefetch,
            recording,
            recording_task,
        })
    }

    /// None where there are none, or where they cannot be read: a start is only slower then.
    async fn recordings(&self, image: ImageId) -> Recordings {
        match self.library.store().prefetch_list(image).await {
            Ok(Some(bytes)) => Recordings::parse(&bytes).unwrap_or_default(),
            Ok(None) => Recordings::default(),
            Err(error) => {
                tracing::warn!(%image, %error, "what starts have read is not known");
                Recordings::default()
            }
        }
    }

    /// All starts are over: what they have read is kept.
    pub async fn started(&self) {
        let turns: Vec<_> =
            self.loading.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for turn in turns {
            let loaded = turn.lock().await.upgrade();
            if let Some(loaded) = loaded {
                loaded.started().await;
            }
        }
    }

    /// Waits until what nobody holds any more is unmounted. Blocks for as long.
    pub async fn unmounted(self: Arc<Self>) {
        let _ended = spawn_blocking(move || self.mounts.wait_for_unmounts()).await;
    }
}

impl LoadedImage {
    /// Its name in the store.
    pub fn image(&self) -> ImageId {
        self.image
    }

    /// Of what it was made from, `sha256:…`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// How its process is started.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Its files, read-only.
    pub fn root(&self) -> &Path {
        self.mounted.root()
    }

    /// A start is over, says who knows: what it has read is kept for the next ones. Otherwise that is done when nothing has been
    /// read for some seconds, if this is still held then.
    pub async fn started(&self) {
        self.recording.keep().await;
    }
}

impl Drop for LoadedImage {
    fn drop(&mut self) {
        self.recording_task.abort();
    }
}

impl fmt::Debug for LoadedImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoadedImage").field("image", &self.image).finish_non_exhaustive()
    }
}

/// Of these slots, without those of zeros, and without those that the image does not have.
fn chunks_of(image: &OpenImage, slots: &[u32]) -> Vec<ChunkRef> {
    slots.iter().filter_map(|slot| image.slot(*slot)).map(|(chunk, _)| chunk).collect()
}
