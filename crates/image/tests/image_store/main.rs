//! The store of images, by several servers at once, some of which die, over a store of objects that may do anything.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod churning;
mod collecting;
mod corrupting;
mod crashing;
mod faulty;
mod flat;
mod storing;
#[path = "../victim/mod.rs"]
mod victim;

use std::process::ExitCode;
use std::sync::Arc;

use firesteel_image::chunk::{CHUNK_BYTES, ChunkSource, FetchError};
use firesteel_image::manifest::KeyVault;
use firesteel_image::store::{Clock, ImageStore, Opened, StoreOpenError, StoreSettings};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tempfile::TempDir;
use tokio::time::Instant;

use self::victim::Test;

fn main() -> ExitCode {
    let all =
        [storing::TESTS, corrupting::TESTS, crashing::TESTS, collecting::TESTS, churning::TESTS].concat();
    victim::run(crashing::work, all.into_iter().map(victim::trial).collect())
}

/// Runs what a test awaits, by a clock that goes on only when nothing else is left to do.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build().unwrap().block_on(future)
}

/// A deployment: its objects, its keys, its time.
struct World {
    objects: Arc<dyn ObjectStore>,
    vault: Arc<KeyVault>,
    settings: StoreSettings,
    _keys: TempDir,
}

const MINUTE_MS: u64 = 60 * 1000;

impl World {
    /// To be made where time is.
    fn new() -> Self {
        let keys = TempDir::new().unwrap();
        let started = Instant::now();
        let clock =
            Clock::new(move || 1_800_000_000_000 + u64::try_from(started.elapsed().as_millis()).unwrap());
        World {
            objects: Arc::new(InMemory::new()),
            vault: Arc::new(KeyVault::in_folder(keys.path())),
            settings: StoreSettings { quarantine_ms: 60 * MINUTE_MS, clock, ..StoreSettings::default() },
            _keys: keys,
        }
    }

    /// A server of its own, which sees the objects through `objects`.
    async fn try_server(&self, objects: Arc<dyn ObjectStore>) -> Result<ImageStore, StoreOpenError> {
        ImageStore::over(objects, Arc::clone(&self.vault), self.settings.clone()).await
    }

    async fn server(&self) -> ImageStore {
        self.try_server(Arc::clone(&self.objects)).await.unwrap()
    }
}

async fn pass(minutes: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(minutes * MINUTE_MS)).await;
}

/// All bytes of an image, as a reader gets them.
async fn read(opened: &Opened) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    for index in 0..opened.image.slots() {
        let left = opened.image.image_bytes() - u64::from(index) * u64::from(CHUNK_BYTES);
        let length = u32::try_from(left.min(u64::from(CHUNK_BYTES))).unwrap();
        match opened.image.slot(index) {
            None => bytes.resize(bytes.len() + length as usize, 0),
            Some((chunk, key)) => bytes.extend(opened.origin.fetch(chunk).await?.open(key, 0..length)),
        }
    }
    Ok(bytes)
}
