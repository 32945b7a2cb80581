//! The last of the tiers: the store itself.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::{ObjectStore, ObjectStoreExt};

use super::Shared;
use super::lease::{ReadLease, ReadLeases};
use super::place;
use super::register::UpdateError;
use super::roots::{Event, Refusal};
use crate::chunk::{BadChunk, ChunkRef, ChunkSource, FetchError, VerifiedChunk};
use crate::manifest::RootId;

/// What it is called in errors.
const TIER: &str = "the store of images";

/// The chunks of one root. While it is held, the root does not expire.
#[derive(Debug)]
pub struct Origin {
    shared: Arc<Shared>,
    root: RootId,
    lease: tokio::sync::RwLock<Arc<ReadLease>>,
}

impl Origin {
    pub(super) fn new(shared: Arc<Shared>, root: RootId, lease: Arc<ReadLease>) -> Self {
        Origin { shared, root, lease: tokio::sync::RwLock::new(lease) }
    }

    /// Which.
    pub fn root(&self) -> RootId {
        self.root
    }

    /// A chunk, by one of the store's clients.
    pub(super) async fn fetch_by(
        &self,
        objects: &dyn ObjectStore,
        chunk: ChunkRef,
    ) -> Result<VerifiedChunk, FetchError> {
        self.check_lease().await.map_err(|error| unreachable(error.into()))?;
        fetch(objects, self.root, chunk).await
    }

    /// Before each read: whoever has slept over the end of the lease asks for another one. If the root has expired meanwhile,
    /// the alarm is raised before anything is read, so that nothing more of it is removed; what is there is read all the same.
    async fn check_lease(&self) -> Result<(), UpdateError> {
        if self.lease.read().await.is_valid(&self.shared) {
            return Ok(());
        }
        let mut lease = self.lease.write().await;
        if lease.is_valid(&self.shared) {
            return Ok(());
        }
        match ReadLeases::on(&self.shared, self.root).await {
            Ok(renewed) => *lease = renewed,
            Err(UpdateError::Refused(Refusal::Phase { .. })) => {
                tracing::error!(root = %self.root, "a root is read that has expired; it will be kept");
                let now_ms = self.shared.now_ms();
                self.shared.register.apply(Event::Touch { root: self.root, now_ms }).await?;
            }
            // It is gone. There is nothing left to protect, and the read will find nothing.
            Err(UpdateError::Refused(refusal)) => {
                tracing::error!(root = %self.root, %refusal, "a root is read that is gone");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[async_trait]
impl ChunkSource for Origin {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        self.fetch_by(&*self.shared.chunks, chunk).await
    }
}

/// A chunk of a root, by who knows that it may be read.
pub(super) async fn fetch(
    objects: &dyn ObjectStore,
    root: RootId,
    chunk: ChunkRef,
) -> Result<VerifiedChunk, FetchError> {
    let read = async {
        let object = objects.get(&place::chunk(root, chunk.id)).await?;
        // Not read at all if it is something else, however long that is.
        if object.meta.size == u64::from(chunk.stored_bytes) {
            return Ok(Ok(object.bytes().await?));
        }
        let found_bytes = usize::try_from(object.meta.size).unwrap_or(usize::MAX);
        Ok(Err(BadChunk::Length { expected: chunk, found_bytes }))
    };
    let bytes = match read.await {
        Ok(bytes) => bytes,
        Err(object_store::Error::NotFound { .. }) => return Err(FetchError::Missing { id: chunk.id }),
        Err(error) => return Err(unreachable(error.into())),
    };
    let verified = bytes.and_then(|bytes| VerifiedChunk::verify(chunk, bytes));
    verified.map_err(|source| FetchError::Corrupt { id: chunk.id, source })
}

fn unreachable(source: Box<dyn std::error::Error + Send + Sync>) -> FetchError {
    FetchError::Unreachable { tier: TIER, source: Arc::from(source) }
}
