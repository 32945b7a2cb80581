//! Taking away what nobody needs: images are moved out of retired roots, and roots that are empty expire and are deleted.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;

use super::error::OpenError;
use super::lease::WriteLease;
use super::put::PutError;
use super::register::{StateError, UpdateError};
use super::roots::{Event, ImageRow, Phase, Refusal};
use super::{ImageStore, Shared, local, origin, place};
use crate::chunk::{ChunkRef, FetchError};
use crate::manifest::{ImageId, RootId};

/// Between two batches it is looked whether somebody has read what is being deleted.
const BATCH: usize = 1000;

/// What one round has done.
#[derive(Debug, Default)]
pub struct Collected {
    /// Images that are in the active root now.
    pub moved: usize,
    /// Those that could not be moved, which keeps their root: each can be removed, or stored again elsewhere.
    pub stuck: Vec<(ImageId, CollectError)>,
    /// Roots that nothing refers to any more.
    pub expired: Vec<RootId>,
    /// Roots whose objects are gone.
    pub deleted: Vec<RootId>,
    /// Roots that somebody has read after they had expired. They are kept until a person has looked: see
    /// [`ImageStore::thaw`].
    pub alarmed: Vec<RootId>,
}

/// Why nothing, or not all, was taken away.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The state cannot be had or written.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] OpenError),
    /// A chunk cannot be read.
    #[error(transparent)]
    Chunk(#[from] FetchError),
    /// A copy cannot be written.
    #[error(transparent)]
    Copy(#[from] PutError),
    /// What a local store has left behind cannot be removed.
    #[error("tidying the folder of the store")]
    Disk(#[source] io::Error),
    /// Objects cannot be listed or removed.
    #[error("{action} root {root}")]
    Root {
        /// What was tried.
        action: &'static str,
        /// With which.
        root: RootId,
        /// What the store said.
        #[source]
        source: object_store::Error,
    },
}

impl ImageStore {
    /// One round. To be called again and again, by any server, also by several at once; stopped at any point, the next
    /// round goes on.
    pub async fn collect(&self) -> Result<Collected, CollectError> {
        let shared = &self.shared;
        let state = shared.register.read().await?;
        let mut done = Collected::default();
        for (root, found) in &state.roots {
            match found.phase {
                Phase::Active => {}
                Phase::Retired => {
                    let rows = state.images.iter().filter(|(_, row)| row.root == *root);
                    let rows = rows.map(|(image, row)| (*image, row.clone())).collect::<Vec<_>>();
                    shared.move_all(rows, &mut done).await?;
                    let now_ms = shared.now_ms();
                    match shared.register.apply(Event::Expire { root: *root, now_ms }).await {
                        Ok(_) => done.expired.push(*root),
                        Err(UpdateError::Refused(why)) => tracing::debug!(%why, "a root does not expire yet"),
                        Err(error) => return Err(error.into()),
                    }
                }
                Phase::Expired { .. } | Phase::Deleting { .. } => shared.delete(*root, &mut done).await?,
            }
        }
        shared.delete_strays().await?;
        if let Some(folder) = &shared.folder {
            local::remove_unfinished(folder).await.map_err(CollectError::Disk)?;
        }
        Ok(done)
    }
}

impl Shared {
    async fn move_all(
        self: &Arc<Self>,
        rows: Vec<(ImageId, ImageRow)>,
        done: &mut Collected,
    ) -> Result<(), CollectError> {
        if rows.is_empty() {
            return Ok(());
        }
        let lease = WriteLease::take(self).await?;
        let mut there = self.chunks_of(lease.root).await?;
        for (image, row) in rows {
            match self.move_image(&lease, image, &row, &mut there).await {
                Ok(()) => done.moved += 1,
                // Somebody else was faster, or it is needed no more.
                Err(CollectError::Update(UpdateError::Refused(
                    Refusal::Moved { .. } | Refusal::NoImage { .. },
                ))) => {}
                Err(error @ CollectError::Update(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(%image, error = &error as &dyn std::error::Error, "an image cannot be moved");
                    done.stuck.push((image, error));
                }
            }
        }
        Ok(lease.release().await?)
    }

    /// Chunks, manifest, and only then the row. Chunks are verified on the way: damage is not carried on. Those that are
    /// there then are added to `there`: what images share is copied with the first of them.
    async fn move_image(
        &self,
        lease: &WriteLease,
        image: ImageId,
        row: &ImageRow,
        there: &mut HashSet<ChunkRef>,
    ) -> Result<(), CollectError> {
        let manifest = self.manifest(row.root, row.manifest).await?;
        let absent: Vec<_> = manifest.chunks().into_iter().filter(|chunk| !there.contains(chunk)).collect();
        let copies = stream::iter(absent.iter().copied()).map(|chunk| async move {
            lease.keep().await?;
            let verified = origin::fetch(&*self.store, row.root, chunk).await?;
            self.store_chunk(lease.root, &verified).await?;
            Ok::<_, CollectError>(())
        });
        copies.buffer_unordered(self.settings.requests).try_collect::<()>().await?;
        there.extend(absent);
        self.create(&place::manifest(lease.root, row.manifest), manifest.bytes().clone().into()).await?;
        if let Some(list) = self.prefetch_list(row.root, image).await? {
            self.create(&place::prefetch(lease.root, image), list.into()).await?;
        }
        let event = Event::Move { lease: lease.id, image, from: row.root, manifest: row.manifest };
        self.register.apply(event).await?;
        Ok(())
    }

    /// What need not be copied, by name and length: one that was cut off is copied, else the last whole one would go with its
    /// root. A root is only added to while it is active.
    async fn chunks_of(&self, root: RootId) -> Result<HashSet<ChunkRef>, CollectError> {
        let named = self.store.list(Some(&place::chunks(root)));
        let named = named.try_filter_map(|object| async move {
            let id = object.location.filename().and_then(|name| name.parse().ok());
            Ok(id
                .zip(u32::try_from(object.size).ok())
                .map(|(id, stored_bytes)| ChunkRef { id, stored_bytes }))
        });
        named.try_collect().await.map_err(|source| CollectError::Root { action: "listing", root, source })
    }

    async fn delete(&self, root: RootId, done: &mut Collected) -> Result<(), CollectError> {
        let (now_ms, quarantine_ms) = (self.now_ms(), self.settings.quarantine_ms);
        let event = Event::Delete { root, now_ms, quarantine_ms };
        loop {
            // Before each batch: a read may have raised the alarm.
            match self.register.apply(event.clone()).await {
                Ok(_) => {}
                Err(UpdateError::Refused(Refusal::Alarmed { .. })) => {
                    tracing::error!(%root, "a root is kept that was read after it had expired");
                    done.alarmed.push(root);
                    return Ok(());
                }
                Err(UpdateError::Refused(why)) => {
                    tracing::debug!(%why, "a root is not deleted yet");
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            if !self.delete_batch(root).await? {
                break;
            }
        }
        match self.register.apply(Event::Deleted { root }).await {
            Ok(_) => done.deleted.push(root),
            Err(UpdateError::Refused(why)) => tracing::debug!(%why, "a root is not deleted"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether there was anything.
    async fn delete_batch(&self, root: RootId) -> Result<bool, CollectError> {
        let failed = |action| move |source| CollectError::Root { action, root, source };
        let listed = self.store.list(Some(&place::root(root))).take(BATCH);
        let listed: Vec<_> =
            listed.map_ok(|object| object.location).try_collect().await.map_err(failed("listing"))?;
        if listed.is_empty() {
            if let Some(folder) = &self.folder {
                local::remove_root(folder, root).await.map_err(CollectError::Disk)?;
            }
            return Ok(false);
        }
        let removed = self.store.delete_stream(stream::iter(listed).map(Ok).boxed());
        let removed = removed.filter(|removed| {
            // Another server deletes it, too.
            std::future::ready(!matches!(removed, Err(object_store::Error::NotFound { .. })))
        });
        removed.try_for_each(|_| async { Ok(()) }).await.map_err(failed("deleting"))?;
        Ok(true)
    }

    /// What a server has written under a root that it did not know to be gone.
    async fn delete_strays(&self) -> Result<(), CollectError> {
        let listed = self.store.list_with_delimiter(Some(&"roots".into())).await;
        let root = RootId(0);
        let listed = listed.map_err(|source| CollectError::Root { action: "listing", root, source })?;
        // Read after they were listed: roots are never made again.
        let state = self.register.read().await?;
        let roots =
            listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()?.parse::<RootId>().ok());
        for root in roots.filter(|root| *root < state.next_root && !state.roots.contains_key(root)) {
            tracing::debug!(%root, "objects are left under a root that is gone");
            while self.delete_batch(root).await? {}
        }
        Ok(())
    }
}

impl From<StateError> for CollectError {
    fn from(error: StateError) -> Self {
        CollectError::Update(error.into())
    }
}
