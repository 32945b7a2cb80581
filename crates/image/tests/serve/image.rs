//! An image in memory, whose chunks come as a test says.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use firesteel_image::chunk::{
    CHUNK_BYTES, ChunkId, ChunkKey, ChunkRef, ChunkSource, Domain, FetchError, Salt, VerifiedChunk, seal,
};
use firesteel_image::serve::{BlockFile, OnFirstTouch, SlotTable};
use tempfile::TempDir;
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct Image {
    image_bytes: u64,
    slots: Vec<Option<(ChunkRef, ChunkKey)>>,
    chunks: HashMap<ChunkId, VerifiedChunk>,
    behaviour: watch::Sender<Behaviour>,
    /// How many reads wait for a chunk that does not come.
    waiting: watch::Sender<usize>,
    fetched: Mutex<HashSet<ChunkId>>,
}

/// Of the source, for all chunks that have not been fetched so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Answers,
    /// It says nothing until it behaves otherwise.
    Stuck,
    /// It says that it has other bytes than it should.
    Damaged,
}

impl Image {
    /// What `mkfs.erofs` makes of a folder.
    pub(crate) fn of(tree: &Path, options: &[&str]) -> Arc<Self> {
        Self::of_in(TempDir::new().unwrap().path(), tree, options)
    }

    /// Likewise; made in a folder.
    pub(crate) fn of_in(folder: &Path, tree: &Path, options: &[&str]) -> Arc<Self> {
        let file = folder.join("image");
        let made =
            Command::new("mkfs.erofs").arg("--quiet").args(options).arg(&file).arg(tree).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self::of_bytes(&std::fs::read(&file).unwrap())
    }

    pub(crate) fn of_bytes(image: &[u8]) -> Arc<Self> {
        let (mut slots, mut chunks) = (Vec::new(), HashMap::new());
        for slot in image.chunks(CHUNK_BYTES as usize) {
            slots.push(seal(slot, &Salt::from_bytes([1; 32]), &Domain::Deployment).map(|sealed| {
                let reference = sealed.chunk.reference();
                chunks.insert(reference.id, sealed.chunk);
                (reference, sealed.key)
            }));
        }
        Arc::new(Image {
            image_bytes: image.len() as u64,
            slots,
            chunks,
            behaviour: watch::Sender::new(Behaviour::Answers),
            waiting: watch::Sender::new(0),
            fetched: Mutex::default(),
        })
    }

    pub(crate) fn file(self: &Arc<Self>, deadline: Duration, touch: OnFirstTouch) -> BlockFile {
        let slots: Arc<dyn SlotTable> = Arc::<Image>::clone(self);
        BlockFile::new(slots, Arc::<Image>::clone(self), deadline, touch)
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Until a read waits for a chunk that does not come.
    pub(crate) async fn until_stuck(&self) {
        self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }

    fn has_been_fetched(&self, id: ChunkId) -> bool {
        self.fetched.lock().unwrap().contains(&id)
    }
}

impl SlotTable for Image {
    fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)> {
        self.slots[index as usize].as_ref().map(|(reference, key)| (*reference, key))
    }
}

/// Counted while it lives.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[async_trait]
impl ChunkSource for Image {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        let mut behaviour = *self.behaviour.borrow();
        if self.has_been_fetched(chunk.id) {
            behaviour = Behaviour::Answers;
        }
        if behaviour == Behaviour::Stuck {
            let _waiting = Waiting::new(&self.waiting);
            let mut changes = self.behaviour.subscribe();
            behaviour = *changes.wait_for(|behaviour| *behaviour != Behaviour::Stuck).await.unwrap();
        }
        let found = self.chunks.get(&chunk.id).ok_or(FetchError::Missing { id: chunk.id })?;
        if behaviour == Behaviour::Damaged {
            let mut bytes = found.ciphertext().to_vec();
            bytes[0] ^= 1;
            let damaged = VerifiedChunk::verify(chunk, Bytes::from(bytes));
            return damaged.map_err(|source| FetchError::Corrupt { id: chunk.id, source });
        }
        self.fetched.lock().unwrap().insert(chunk.id);
        Ok(found.clone())
    }
}
