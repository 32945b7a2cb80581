//! Storing an image.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use super::lease::WriteLease;
use super::register::{StateError, UpdateError};
use super::roots::{Event, ImageRow, Refusal, State};
use super::{ImageStore, Shared, place};
use crate::chunk::{CHUNK_BYTES, ChunkKey, Domain, Salt, VerifiedChunk, seal};
use crate::manifest::{Draft, ImageId, MAX_IMAGE_BYTES, Manifest, RootId, SealError, Slot, slots_of};

/// Each attempt but the last has failed because the server slept for minutes.
const ATTEMPTS: u32 = 3;

/// An image as it is laid out, read a slot at a time. Threads read different slots at once.
pub trait SlotReader: Send + Sync + 'static {
    /// Why a slot cannot be read.
    type Error: Error + Send + Sync + 'static;

    /// Of the whole image.
    fn image_bytes(&self) -> u64;

    /// Fills `into` with a slot. What is past the end of the image does not count. Blocking.
    fn read_slot(&self, slot: u32, into: &mut [u8; CHUNK_BYTES as usize]) -> Result<(), Self::Error>;
}

/// What is stored, but for its content.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// Whose it is, and whose key seals it.
    pub tenant: String,
    /// Of what it was made from: the same one again is the same image.
    pub digest: String,
    /// With whom it shares chunks.
    pub domain: Domain,
    /// In which order and where it has its files.
    pub layout: u16,
    /// JSON, sealed along with the keys.
    pub config: String,
    /// What it is called from then on.
    pub name: Option<String>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// What it is called in the store.
    pub image: ImageId,
    /// Whether it was there before; then nothing was written and the rest is zero.
    pub was_there: bool,
    /// Different chunks that it has.
    pub chunks: usize,
    /// Those that were not there before.
    pub new_chunks: usize,
    /// Of all its chunks.
    pub stored_bytes: u64,
    /// Of those that were not there before.
    pub new_bytes: u64,
    /// Slots of nothing but zeros.
    pub zero_slots: u32,
}

/// Why an image is not stored.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// It cannot be read.
    #[error("slot {slot} of the image cannot be read")]
    Read {
        /// Which.
        slot: u32,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Over the limit.
    #[error("the image has {image_bytes} bytes, over the limit of {limit_bytes}")]
    TooLarge {
        /// How many.
        image_bytes: u64,
        /// How many there may be.
        limit_bytes: u64,
    },
    /// A thread that reads and seals came to no proper end.
    #[error("the image was not read to its end")]
    Ended(#[source] JoinError),
    /// Its manifest cannot be made.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The state cannot be had or written.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The store does not take it.
    #[error("writing {key}")]
    Store {
        /// What.
        key: Key,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
}

/// A slot, sealed by one of the threads.
struct SealedSlot {
    index: u32,
    chunk: VerifiedChunk,
    key: ChunkKey,
}

impl ImageStore {
    /// Stores an image. After this it is there for good.
    ///
    /// Dropped at an await, or failing, it leaves chunks that go with their root, and no image; but one that failed to write
    /// the state at the very end may be there all the same.
    pub async fn put<S: SlotReader>(&self, slots: Arc<S>, new: &NewImage) -> Result<Put, PutError> {
        let image_bytes = slots.image_bytes();
        if image_bytes > MAX_IMAGE_BYTES {
            return Err(PutError::TooLarge { image_bytes, limit_bytes: MAX_IMAGE_BYTES });
        }
        let image = ImageId::of(&new.tenant, &new.digest, &new.domain);
        let mut attempt = 1;
        loop {
            if let Some(put) = self.put_again(image, new).await? {
                return Ok(put);
            }
            let lease = WriteLease::take(&self.shared).await?;
            match self.put_under(lease, image, &slots, new).await {
                Err(PutError::Update(UpdateError::Refused(Refusal::NoLease))) if attempt < ATTEMPTS => {
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// If it is there already, it is only named.
    async fn put_again(&self, image: ImageId, new: &NewImage) -> Result<Option<Put>, PutError> {
        let state = self.shared.register.read().await?;
        if !state.images.contains_key(&image) {
            return Ok(None);
        }
        if let Some(name) = &new.name {
            match self.name(&new.tenant, name, Some(image)).await {
                Ok(()) => {}
                // Removed meanwhile.
                Err(UpdateError::Refused(Refusal::NoImage { .. })) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Put::was_there(image)))
    }

    async fn put_under<S: SlotReader>(
        &self,
        lease: WriteLease,
        image: ImageId,
        slots: &Arc<S>,
        new: &NewImage,
    ) -> Result<Put, PutError> {
        let shared = &self.shared;
        let salted = shared.register.last_seen().and_then(|state: Arc<State>| state.salt(lease.root));
        let (salt_id, salt) = salted.ok_or(UpdateError::Refused(Refusal::NoLease))?;
        let mut put = Put::nothing(image);
        let filled = shared.upload(&lease, slots, salt, new.domain.clone(), &mut put).await?;
        let draft = Draft {
            image,
            layout: new.layout,
            root: lease.root,
            salt: salt_id,
            image_bytes: slots.image_bytes(),
            slots: filled,
            config: new.config.clone(),
        };
        let manifest = Manifest::seal(draft, &shared.vault, &new.tenant).await?;
        let key = place::manifest(lease.root, manifest.id());
        shared.create(&key, manifest.bytes().clone().into()).await?;
        let row = ImageRow {
            root: lease.root,
            manifest: manifest.id(),
            tenant: new.tenant.clone(),
            digest: new.digest.clone(),
            image_bytes: manifest.image_bytes(),
            stored_bytes: put.stored_bytes,
            created_ms: shared.now_ms(),
        };
        let event = Event::Commit { lease: lease.id, image, row, name: new.name.clone() };
        shared.register.apply(event).await?;
        lease.spent();
        Ok(put)
    }
}

impl Shared {
    /// Seals all slots and stores those chunks that are not there. The slots come back in order.
    async fn upload<S: SlotReader>(
        &self,
        lease: &WriteLease,
        slots: &Arc<S>,
        salt: Salt,
        domain: Domain,
        put: &mut Put,
    ) -> Result<Vec<(Slot, ChunkKey)>, PutError> {
        let (mut sealed, mut threads) = seal_all(slots, salt, domain);
        let mut seen = HashSet::new();
        let mut filled = Vec::new();
        let arriving = stream::poll_fn(|context| sealed.poll_recv(context));
        // What is the same within the image is stored once.
        let storing = arriving.map(|slot| {
            let slot = slot?;
            let chunk = slot.chunk.reference();
            let first = seen.insert(chunk.id);
            filled.push((Slot { index: slot.index, chunk }, slot.key));
            Ok(first.then_some(slot.chunk))
        });
        let storing = storing.map(|chunk: Result<_, PutError>| async move {
            let Some(chunk) = chunk? else { return Ok(None) };
            lease.keep().await?;
            let is_new = self.store_chunk(lease.root, &chunk).await?;
            Ok::<_, PutError>(Some((is_new, u64::from(chunk.reference().stored_bytes))))
        });
        let mut storing = storing.buffer_unordered(self.settings.requests);
        while let Some(stored) = storing.try_next().await? {
            let Some((is_new, stored_bytes)) = stored else { continue };
            put.chunks += 1;
            put.stored_bytes += stored_bytes;
            if is_new {
                put.new_chunks += 1;
                put.new_bytes += stored_bytes;
            }
        }
        drop(storing);
        // A slot that was not read must not pass for zeros.
        while let Some(ended) = threads.join_next().await {
            ended.map_err(PutError::Ended)?;
        }
        filled.sort_unstable_by_key(|(slot, _)| slot.index);
        let occupied = u32::try_from(filled.len()).unwrap_or(u32::MAX);
        put.zero_slots = slots_of(slots.image_bytes()).saturating_sub(occupied);
        Ok(filled)
    }

    /// Whether it was not there. Asked first: most are, and need not be sent.
    pub(super) async fn store_chunk(&self, root: RootId, chunk: &VerifiedChunk) -> Result<bool, PutError> {
        let key = place::chunk(root, chunk.reference().id);
        let failed = |source| PutError::Store { key: key.clone(), source };
        match self.store.head(&key).await {
            Ok(there) if there.size == u64::from(chunk.reference().stored_bytes) => Ok(false),
            // It was cut off, by whatever means. What comes in its place is right.
            Ok(_) => {
                tracing::warn!(%key, "a chunk of the wrong length is replaced");
                self.store.put(&key, chunk.ciphertext().clone().into()).await.map_err(failed)?;
                Ok(true)
            }
            Err(object_store::Error::NotFound { .. }) => {
                self.create(&key, chunk.ciphertext().clone().into()).await
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether it was not there.
    pub(super) async fn create(&self, key: &Key, payload: PutPayload) -> Result<bool, PutError> {
        match self.store.put_opts(key, payload, PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(source) => Err(PutError::Store { key: key.clone(), source }),
        }
    }
}

/// Reads and seals on as many threads as there are processors. They end when nobody receives any more.
fn seal_all<S: SlotReader>(
    slots: &Arc<S>,
    salt: Salt,
    domain: Domain,
) -> (mpsc::Receiver<Result<SealedSlot, PutError>>, JoinSet<()>) {
    let threads = available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = mpsc::channel(2 * threads);
    let next = Arc::new(AtomicU32::new(0));
    let sealing = Arc::new((salt, domain));
    let mut running = JoinSet::new();
    for _ in 0..threads.min(slots_of(slots.image_bytes()) as usize) {
        let (slots, next, sealing, sender) =
            (Arc::clone(slots), Arc::clone(&next), Arc::clone(&sealing), sender.clone());
        running.spawn_blocking(move || {
            let (salt, domain) = &*sealing;
            let count = slots_of(slots.image_bytes());
            let mut plaintext: Box<[u8; CHUNK_BYTES as usize]> =
                vec![0; CHUNK_BYTES as usize].try_into().expect("it is as long as a slot");
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return;
                }
                let sealed = match slots.read_slot(index, &mut plaintext) {
                    Ok(()) => match seal(within(&plaintext[..], index, slots.image_bytes()), salt, domain) {
                        Some(sealed) => Ok(SealedSlot { index, chunk: sealed.chunk, key: sealed.key }),
                        None => continue,
                    },
                    Err(error) => Err(PutError::Read { slot: index, source: Box::new(error) }),
                };
                if sealed.is_err() {
                    next.store(count, Ordering::Relaxed);
                }
                if sender.blocking_send(sealed).is_err() {
                    return;
                }
            }
        });
    }
    (receiver, running)
}

/// What of a slot is before the end of the image.
fn within(slot: &[u8], index: u32, image_bytes: u64) -> &[u8] {
    let left = image_bytes.saturating_sub(u64::from(index) * u64::from(CHUNK_BYTES));
    &slot[..usize::try_from(left).map_or(slot.len(), |left| left.min(slot.len()))]
}

impl Put {
    /// Of an image for which nothing had to be done.
    pub(crate) fn was_there(image: ImageId) -> Self {
        Put { was_there: true, ..Put::nothing(image) }
    }

    fn nothing(image: ImageId) -> Self {
        Put {
            image,
            was_there: false,
            chunks: 0,
            new_chunks: 0,
            stored_bytes: 0,
            new_bytes: 0,
            zero_slots: 0,
        }
    }
}

impl From<StateError> for PutError {
    fn from(error: StateError) -> Self {
        PutError::Update(error.into())
    }
}
