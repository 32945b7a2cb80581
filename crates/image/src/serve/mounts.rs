//! The images that are mounted on this host: each once, whoever uses it.
//!
//! ```text
//!  mount(name) ─┬─ mounted already ─────────────────► Arc<MountedImage>
//!               └─ BlockFile ─► FOLDER/<n>/root ────► Arc<MountedImage> ─ last one dropped ─► unmounted, by a thread of its own
//! ```
//!
//! All environments of an image share one mount, and so one page cache. A [`MountedImage`] that is held is a mount that stays.
//! The folder is the run's own; what a killed run has left in it is removed by
//! [`remove_abandoned`](super::remove_abandoned).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::Handle;

use super::block_file::{BlockFile, ReadStatistics};
use super::mounted::{MountError, Mounted};
use super::path::ServingPath;

/// Mounts images. Dropped, it waits for those that are being unmounted; those that are held stay until they are dropped.
#[derive(Debug)]
pub struct Mounts {
    folder: PathBuf,
    path: ServingPath,
    /// On which chunks are fetched. None of its threads may read what is mounted: it would wait for itself.
    runtime: Handle,
    by_name: Mutex<HashMap<String, Named>>,
    next: AtomicU64,
    ending: Arc<Ending>,
}

/// What is known under a name.
#[derive(Debug, Default)]
struct Named {
    image: Weak<MountedImage>,
    /// Held by whoever mounts it, so that others wait for that.
    making: Arc<tokio::sync::Mutex<()>>,
}

/// An image that is mounted, for as long as it is held.
///
/// Its tree is read-only, and so is every mount of it: what a function may write goes elsewhere. A part that cannot be had ends in
/// EIO for whoever reads it, in time; once it can be had again, so can the file.
#[derive(Debug)]
pub struct MountedImage {
    name: String,
    path: ServingPath,
    root: PathBuf,
    /// Until it is dropped.
    mounted: Option<Mounted>,
    ending: Arc<Ending>,
}

/// How many are being unmounted.
#[derive(Debug, Default)]
struct Ending {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Mounts {
    /// Mounts images below `folder`, which is made if need be, is on any file system, and nobody else's.
    pub fn open(folder: &Path, path: ServingPath, runtime: Handle) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Mounts {
            folder: folder.to_owned(),
            path,
            runtime,
            by_name: Mutex::default(),
            next: AtomicU64::new(0),
            ending: Arc::default(),
        })
    }

    /// By which path.
    pub fn path(&self) -> ServingPath {
        self.path
    }

    /// The image of this name, which is mounted if it is not: of what `file` gives then. The same name is the same image.
    ///
    /// Dropped at an await, it is mounted to the end, and unmounted.
    pub async fn mount(
        &self,
        name: &str,
        file: impl FnOnce() -> BlockFile,
    ) -> Result<Arc<MountedImage>, MountError> {
        let making = {
            let mut by_name = self.by_name();
            by_name.retain(|_, named| named.image.strong_count() > 0 || Arc::strong_count(&named.making) > 1);
            Arc::clone(&by_name.entry(name.to_owned()).or_default().making)
        };
        let _alone = making.lock().await;
        if let Some(image) = self.by_name().get(name).and_then(|named| named.image.upgrade()) {
            return Ok(image);
        }
        let place = self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let (path, runtime, file) = (self.path, self.runtime.clone(), file());
        let mounting = move || Mounted::new(path, file, &place, &runtime);
        let mounted = match self.runtime.spawn_blocking(mounting).await {
            Ok(mounted) => mounted?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Err(MountError::Ending),
        };
        let image = Arc::new(MountedImage {
            name: name.to_owned(),
            path,
            root: mounted.root(),
            mounted: Some(mounted),
            ending: Arc::clone(&self.ending),
        });
        if let Some(named) = self.by_name().get_mut(name) {
            named.image = Arc::downgrade(&image);
        }
        Ok(image)
    }

    /// Those that are mounted now.
    pub fn mounted(&self) -> Vec<Arc<MountedImage>> {
        self.by_name().values().filter_map(|named| named.image.upgrade()).collect()
    }

    /// Waits until all that were dropped before are unmounted. Blocks.
    pub fn wait_for_unmounts(&self) {
        let mut count = self.ending.count();
        while *count > 0 {
            count = self.ending.changed.wait(count).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn by_name(&self) -> MutexGuard<'_, HashMap<String, Named>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        self.wait_for_unmounts();
        // Fails if there are still some.
        let _ = fs::remove_dir(&self.folder);
    }
}

impl MountedImage {
    /// The name it was mounted by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tree, read-only, without set-user-id and devices. It may be the lower folder of an overlay.
    ///
    /// Only those see it whose mount namespace is this process's, or was made after it was mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// By which path it is served.
    pub fn path(&self) -> ServingPath {
        self.path
    }

    /// How long the image is.
    pub fn image_bytes(&self) -> u64 {
        self.mounted.as_ref().map_or(0, |mounted| mounted.file().image_bytes())
    }

    /// What has been read of it since it was mounted.
    pub fn statistics(&self) -> ReadStatistics {
        self.mounted.as_ref().map_or_else(ReadStatistics::default, |mounted| mounted.file().statistics())
    }
}

impl Drop for MountedImage {
    fn drop(&mut self) {
        let Some(mounted) = self.mounted.take() else { return };
        *self.ending.count() += 1;
        let ending = Arc::clone(&self.ending);
        let unmount = move || {
            drop(mounted);
            *ending.count() -= 1;
            ending.changed.notify_all();
        };
        // The kernel takes its time, and whoever drops it may be an async task.
        let thread = std::thread::Builder::new().name("unmounting".into());
        if let Err(error) = thread.spawn(unmount) {
            tracing::warn!(%error, "no thread to unmount an image");
            // Dropped with the closure, it has been unmounted here.
            *self.ending.count() -= 1;
            self.ending.changed.notify_all();
        }
    }
}

impl Ending {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
