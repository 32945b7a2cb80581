//! The reader of images, without the mount that is the only way to it from outside: compiled here once more, over the
//! [`BlockFile`] that anybody can make.

mod block_file {
    pub(super) use firesteel_image::serve::{BlockFile, BlockReadError};
}
#[allow(dead_code, reason = "mounts need more of it than a walk")]
#[path = "../../crates/image/src/serve/erofs/mod.rs"]
mod erofs;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firesteel_image::chunk::{
    CHUNK_BYTES, ChunkKey, ChunkRef, ChunkSource, Domain, FetchError, Salt, Sealed, VerifiedChunk, seal,
};
use firesteel_image::serve::SlotTable;

use self::block_file::BlockFile;
pub use self::erofs::TreeError;
use self::erofs::{Inode, Tree};

/// More of an image than this is not looked at: entries of one that leads back into itself have no end.
const MAX_FILES: usize = 10_000;
/// Of a file's start, and of its end.
const READ_BYTES: u64 = 20_000;

/// Bytes as an image that is served.
#[derive(Debug)]
struct Image {
    bytes: u64,
    slots: Vec<Option<Sealed>>,
}

impl Image {
    fn of(bytes: &[u8]) -> Arc<Self> {
        let salt = Salt::from_bytes([0; 32]);
        let slots = bytes.chunks(CHUNK_BYTES as usize).map(|slot| seal(slot, &salt, &Domain::Deployment));
        Arc::new(Image { bytes: bytes.len() as u64, slots: slots.collect() })
    }
}

impl SlotTable for Image {
    fn image_bytes(&self) -> u64 {
        self.bytes
    }

    fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)> {
        let sealed = self.slots[index as usize].as_ref()?;
        Some((sealed.chunk.reference(), &sealed.key))
    }
}

#[async_trait]
impl ChunkSource for Image {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        let mut held = self.slots.iter().flatten().map(|sealed| &sealed.chunk);
        held.find(|held| held.reference() == chunk).cloned().ok_or(FetchError::Missing { id: chunk.id })
    }
}

/// Reads everything in an image as a mount would be asked for it, up to the first that is not as it should be, and from
/// places in folders where a program might have jumped to.
pub async fn walk(image: &[u8], jumps: &[u64]) -> Result<usize, TreeError> {
    let image = Image::of(image);
    let file = BlockFile::new(image.clone(), image, Duration::from_secs(60), Arc::new(|_| ()));
    let tree = Tree::open(Arc::new(file)).await?;
    let (mut seen, mut open) = (HashSet::new(), vec![tree.root_nid()]);
    while let Some(nid) = open.pop() {
        if seen.len() == MAX_FILES || !seen.insert(nid) {
            continue;
        }
        let inode = tree.inode(nid).await?;
        tree.attributes(&inode).await?;
        if inode.is_link() {
            tree.target(&inode).await?;
        } else if inode.is_folder() {
            for jump in jumps {
                let _ = tree.names(&inode, *jump).await;
            }
            names(&tree, &inode, &mut open).await?;
        } else {
            content(&tree, &inode).await?;
        }
    }
    Ok(seen.len())
}

async fn names(tree: &Tree, folder: &Inode, into: &mut Vec<u64>) -> Result<(), TreeError> {
    let mut from = 0;
    loop {
        let names = tree.names(folder, from).await?;
        let Some(last) = names.last() else { return Ok(()) };
        assert!(last.next > from, "a folder begins again");
        from = last.next;
        for name in &names {
            tree.lookup(folder, &name.name).await?;
        }
        if into.len() < MAX_FILES {
            into.extend(names.iter().map(|name| name.nid));
        }
    }
}

async fn content(tree: &Tree, file: &Inode) -> Result<(), TreeError> {
    for start in [0, file.size_bytes.saturating_sub(READ_BYTES)] {
        let range = start..start.saturating_add(READ_BYTES);
        let wanted = file.size_bytes.min(range.end) - start;
        assert_eq!(tree.read(file, range).await?.len() as u64, wanted);
    }
    Ok(())
}
