//! The store of images: chunks, each kept once, manifests, and which of them are there.
//!
//! ```text
//! put ─┬─ slots of a flat image ─ seal ─► roots/ROOT/chunks/XX/ID          only if absent
//!      ├─ manifest ─────────────────────► roots/ROOT/manifests/ID
//!      └─ row of the state ─────────────► state/NUMBER                     only now it is there
//!
//! open ─ row ─ lease on its root ─ manifest ─ tenant's key ─► Opened { OpenImage, Origin }
//! collect ─ retired roots: live images copied forward ─ expired ─ quarantine ─ deleted, by prefix
//! ```
//!
//! Any `object_store` will do that can create an object only if there is none, and lists what has just been written: a local
//! folder, S3, what speaks its protocol.
//! What it gives is not trusted. Chunks and manifests are named after their content, and the state, which names the
//! manifests, is sealed: see `register`. So a store that returns other bytes, of another object or another
//! time, is found out, and a reader gets an error at worst.
//!
//! - A crash at any step, of any server, leaves an image that is there whole or not at all, and chunks that go with their root.
//! - Nothing is removed that an image, a reader or a writer needs: see `roots`. Space is free again once a
//!   root is gone, so [`ImageStore::rotate`] has to be called now and then, and [`ImageStore::collect`] more often.
//! - Several servers may use a store at once. Their clocks may differ by a minute.
//! - The state is one object, written with every image that comes or goes: a few hundred bytes for each that is there.
//!
//! Called by whoever stores images, and by whoever serves their blocks: to the latter an [`Origin`] is the last of the tiers.

mod clock;
mod collect;
mod error;
mod lease;
mod local;
mod origin;
mod place;
mod put;
mod register;
mod roots;
mod stats;
mod verify;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};

use self::lease::ReadLeases;
use self::register::Register;
use self::roots::{Event, SecretSalt, State};
use crate::chunk::Salt;
use crate::manifest::{ImageId, KeyVault, Manifest, ManifestId, OpenImage, RootId, random};
use crate::source::S3Settings;

pub use self::clock::Clock;
pub use self::collect::{CollectError, Collected};
pub use self::error::{OpenError, StoreOpenError};
pub use self::origin::Origin;
pub use self::put::{NewImage, Put, PutError, SlotReader};
pub use self::register::{StateError, UpdateError};
pub use self::roots::{ImageRow, Phase, Refusal};
pub use self::stats::Stats;
pub use self::verify::Verified;

/// A week: whoever still reads from a root that nothing refers to is noticed by then.
const QUARANTINE_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// A server that is killed keeps a root from expiring for as long.
const LEASE_MS: u64 = 10 * 60 * 1000;
/// Of what is written, and of the state.
const RETRIES: usize = 3;
/// Enough to hide the latency of a store behind its bandwidth, at 16 MiB in memory.
const REQUESTS: usize = 32;

/// How a store is used.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// How long an expired root is kept.
    pub quarantine_ms: u64,
    /// How long a lease lasts that nobody renews.
    pub lease_ms: u64,
    /// How many requests for chunks are made at once, by each operation.
    pub requests: usize,
    /// What is compared with the times of other servers.
    pub clock: Clock,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings {
            quarantine_ms: QUARANTINE_MS,
            lease_ms: LEASE_MS,
            requests: REQUESTS,
            clock: Clock::system(),
        }
    }
}

/// Images of a deployment. Cheap to clone.
#[derive(Clone)]
pub struct ImageStore {
    shared: Arc<Shared>,
}

/// What operations have in common.
struct Shared {
    store: Arc<dyn ObjectStore>,
    /// The same, by which functions read their chunks: once. What a slow store is asked again for makes it slower, for all.
    chunks: Arc<dyn ObjectStore>,
    /// Of a local store: objects leave folders behind.
    folder: Option<PathBuf>,
    vault: Arc<KeyVault>,
    register: Register,
    settings: StoreSettings,
    /// Of this server, one per root.
    reading: ReadLeases,
}

/// An image that can be read for as long as this is held: its root does not expire.
#[derive(Clone, Debug)]
pub struct Opened {
    /// As it was stored.
    pub row: ImageRow,
    /// Which chunks it has, and what opens them.
    pub image: Arc<OpenImage>,
    /// The last of the tiers that has them.
    pub origin: Arc<Origin>,
}

/// What is known of an image without its tenant's key.
#[derive(Clone, Debug)]
pub struct Described {
    /// As it was stored.
    pub row: ImageRow,
    /// Ascending.
    pub names: Vec<String>,
    /// Its chunks.
    pub manifest: Manifest,
}

/// A root, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootStatus {
    /// Which.
    pub root: RootId,
    /// What may be done with it.
    pub phase: Phase,
    /// How many are in it.
    pub images: usize,
    /// How many read or write it.
    pub leases: usize,
}

impl ImageStore {
    /// That in a folder, which is made if need be.
    pub async fn in_folder(
        folder: &Path,
        vault: Arc<KeyVault>,
        settings: StoreSettings,
    ) -> Result<Self, StoreOpenError> {
        let disk = |source: io::Error| StoreOpenError::Disk { folder: folder.to_owned(), source };
        let made = folder.to_owned();
        let made = tokio::task::spawn_blocking(move || fs::create_dir_all(made)).await;
        made.map_err(io::Error::other).and_then(|made| made).map_err(disk)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|source| StoreOpenError::Disk {
            folder: folder.to_owned(),
            source: io::Error::other(source),
        })?;
        // What was answered for is there after the power was gone.
        let store = Arc::new(store.with_fsync(true));
        Self::with(Arc::clone(&store) as _, store, Some(folder.to_owned()), vault, settings).await
    }

    /// That in a bucket, under a prefix if there is one. The store must support conditional writes, as S3 does.
    pub async fn in_bucket(
        s3: &S3Settings,
        bucket: &str,
        prefix: Option<&str>,
        vault: Arc<KeyVault>,
        settings: StoreSettings,
    ) -> Result<Self, StoreOpenError> {
        let client = |retries| -> Result<Arc<dyn ObjectStore>, StoreOpenError> {
            let objects = s3.objects(bucket, retries);
            let objects =
                objects.map_err(|source| StoreOpenError::Bucket { bucket: bucket.to_owned(), source })?;
            Ok(match prefix {
                None => Arc::new(objects),
                Some(prefix) => Arc::new(PrefixStore::new(objects, prefix)),
            })
        };
        Self::with(client(RETRIES)?, client(0)?, None, vault, settings).await
    }

    /// That in any store of objects. It is made at its first opening.
    pub async fn over(
        store: Arc<dyn ObjectStore>,
        vault: Arc<KeyVault>,
        settings: StoreSettings,
    ) -> Result<Self, StoreOpenError> {
        Self::with(Arc::clone(&store), store, None, vault, settings).await
    }

    async fn with(
        store: Arc<dyn ObjectStore>,
        chunks: Arc<dyn ObjectStore>,
        folder: Option<PathBuf>,
        vault: Arc<KeyVault>,
        settings: StoreSettings,
    ) -> Result<Self, StoreOpenError> {
        let is_empty = async { Ok(store.list(Some(&Key::from("roots"))).try_next().await?.is_none()) };
        let register = Register::open(Arc::clone(&store), Arc::clone(&vault), is_empty).await?;
        let reading = ReadLeases::default();
        Ok(ImageStore {
            shared: Arc::new(Shared { store, chunks, folder, vault, register, settings, reading }),
        })
    }

    /// An image, to read it.
    pub async fn open(&self, image: ImageId) -> Result<Opened, OpenError> {
        Ok(self.open_with_manifest(image).await?.0)
    }

    async fn open_with_manifest(&self, image: ImageId) -> Result<(Opened, Manifest), OpenError> {
        let shared = &self.shared;
        loop {
            let state = shared.register.read().await?;
            let row = state.images.get(&image).ok_or(OpenError::NoImage { image })?.clone();
            let lease = match ReadLeases::on(shared, row.root).await {
                Ok(lease) => lease,
                // Moved meanwhile, and nothing else was in the root.
                Err(UpdateError::Refused(Refusal::Phase { .. } | Refusal::NoRoot { .. })) => continue,
                Err(error) => return Err(error.into()),
            };
            let manifest = shared.manifest(row.root, row.manifest).await?;
            let opened = manifest.open(image, &shared.vault, &row.tenant).await?;
            let origin = Origin::new(Arc::clone(shared), row.root, lease);
            return Ok((Opened { row, image: Arc::new(opened), origin: Arc::new(origin) }, manifest));
        }
    }

    /// The image that a tenant's name is of.
    pub async fn resolve(&self, tenant: &str, name: &str) -> Result<Option<ImageId>, StateError> {
        let state = self.shared.register.read().await?;
        Ok(state.names.get(tenant).and_then(|names| names.get(name)).copied())
    }

    /// Calls an image so from now on, whatever was called so before; `None`: nothing is.
    pub async fn name(&self, tenant: &str, name: &str, image: Option<ImageId>) -> Result<(), UpdateError> {
        let event = Event::Name { tenant: tenant.to_owned(), name: name.to_owned(), image };
        self.shared.register.apply(event).await.map(drop)
    }

    /// All images, and what each is called by its tenant.
    pub async fn list(&self) -> Result<Vec<(ImageId, ImageRow, Vec<String>)>, StateError> {
        let state = self.shared.register.read().await?;
        Ok(state.images.iter().map(|(image, row)| (*image, row.clone(), state.names_of(*image))).collect())
    }

    /// What is known of one without its tenant's key.
    pub async fn inspect(&self, image: ImageId) -> Result<Described, OpenError> {
        let state = self.shared.register.read().await?;
        let row = state.images.get(&image).ok_or(OpenError::NoImage { image })?.clone();
        let manifest = self.shared.manifest(row.root, row.manifest).await?;
        Ok(Described { row, names: state.names_of(image), manifest })
    }

    /// Forgets an image and what it is called, and says whether there was one. Whoever has it open may read on; its
    /// space is free again when its root is gone.
    pub async fn remove(&self, image: ImageId) -> Result<bool, UpdateError> {
        let there = self.shared.register.read().await?.images.contains_key(&image);
        if there {
            self.shared.register.apply(Event::Remove { image }).await?;
        }
        Ok(there)
    }

    /// Begins a new root, with another salt if so wanted: then what is stored from now on shares nothing with what was. Images
    /// are moved to it by [`ImageStore::collect`].
    pub async fn rotate(&self, new_salt: bool) -> Result<RootId, UpdateError> {
        let register = &self.shared.register;
        let active = register.read().await?.active();
        let salt = new_salt.then(|| SecretSalt(Salt::from_bytes(random())));
        match register.apply(Event::Rotate { active, salt }).await {
            Ok(state) => Ok(state.active()),
            // Another server was faster, or this one was without noticing.
            Err(UpdateError::Refused(Refusal::Phase { .. } | Refusal::NoRoot { .. })) => {
                Ok(register.read().await?.active())
            }
            Err(error) => Err(error),
        }
    }

    /// All roots, in order.
    pub async fn roots(&self) -> Result<Vec<RootStatus>, StateError> {
        let state = self.shared.register.read().await?;
        let roots = state.roots.iter().map(|(root, found)| RootStatus {
            root: *root,
            phase: found.phase,
            images: state.images.values().filter(|row| row.root == *root).count(),
            leases: state.leases.values().filter(|lease| lease.root == *root).count(),
        });
        Ok(roots.collect())
    }

    /// After the alarm of a root that was read when it had expired: a person has looked, and it may go after another quarantine.
    pub async fn thaw(&self, root: RootId) -> Result<(), UpdateError> {
        let now_ms = self.shared.now_ms();
        self.shared.register.apply(Event::Thaw { root, now_ms }).await.map(drop)
    }

    /// What was recorded of an image's first touches, if anything was.
    pub async fn prefetch_list(&self, image: ImageId) -> Result<Option<Bytes>, OpenError> {
        let row = self.shared.row(image).await?;
        self.shared.prefetch_list(row.root, image).await
    }

    /// Keeps it, in place of the one before. Nothing depends on it but time.
    pub async fn put_prefetch_list(&self, image: ImageId, list: Bytes) -> Result<(), OpenError> {
        let row = self.shared.row(image).await?;
        let written = self.shared.store.put(&place::prefetch(row.root, image), list.into()).await;
        written.map(drop).map_err(|source| OpenError::Store {
            action: "writing",
            what: "prefetch list",
            source,
        })
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        self.settings.clock.now_ms()
    }

    /// When a lease ends that is taken now.
    fn expires_ms(&self) -> u64 {
        self.now_ms().saturating_add(self.settings.lease_ms)
    }

    async fn row(&self, image: ImageId) -> Result<ImageRow, OpenError> {
        let state = self.register.read().await?;
        state.images.get(&image).cloned().ok_or(OpenError::NoImage { image })
    }

    /// None where there is none, nor where there is what cannot be one: it is a hint.
    async fn prefetch_list(&self, root: RootId, image: ImageId) -> Result<Option<Bytes>, OpenError> {
        match self.store.get(&place::prefetch(root, image)).await {
            Ok(object) if object.meta.size > place::MAX_PREFETCH_BYTES => Ok(None),
            Ok(object) => Ok(Some(object.bytes().await.map_err(OpenError::reading("prefetch list"))?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(OpenError::reading("prefetch list")(error)),
        }
    }

    /// The one of this name: nothing else is taken for it.
    async fn manifest(&self, root: RootId, manifest: ManifestId) -> Result<Manifest, OpenError> {
        let bytes = match self.store.get(&place::manifest(root, manifest)).await {
            Ok(object) if object.meta.size <= place::MAX_MANIFEST_BYTES => {
                object.bytes().await.map_err(OpenError::reading("manifest"))?
            }
            Ok(_) => return Err(OpenError::Damaged { manifest }),
            Err(object_store::Error::NotFound { .. }) => return Err(OpenError::NoManifest { manifest }),
            Err(error) => return Err(OpenError::reading("manifest")(error)),
        };
        if ManifestId::of(&bytes) != manifest {
            return Err(OpenError::Damaged { manifest });
        }
        Manifest::parse(bytes).map_err(|source| OpenError::Unreadable { manifest, source })
    }
}

impl State {
    fn names_of(&self, image: ImageId) -> Vec<String> {
        let names: Option<&BTreeMap<String, ImageId>> =
            self.images.get(&image).and_then(|row| self.names.get(&row.tenant));
        let named = names.into_iter().flatten().filter(|(_, named)| **named == image);
        named.map(|(name, _)| name.clone()).collect()
    }
}

impl fmt::Debug for ImageStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ImageStore").field(&self.shared).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at {:?}", self.store, self.register)
    }
}
