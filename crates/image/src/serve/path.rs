//! By which path this host serves images, and why not by the better one: tried, not guessed.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::block_file::{BlockFile, SlotTable};
use super::mounted::{MountError, Mounted};
use crate::chunk::{ChunkKey, ChunkRef, ChunkSource, Domain, FetchError, Salt, VerifiedChunk, seal};

/// How an image becomes a tree of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServingPath {
    /// The kernel mounts it as EROFS, on a FUSE file that has its blocks.
    Erofs,
    /// Its tree is a FUSE file system: half as fast when warm. For hosts that lack the other.
    Fuse,
}

/// What [`ServingPath::detect`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingPaths {
    /// The better one of those that work, if there is one.
    pub path: Option<ServingPath>,
    /// Why it is not [`ServingPath::Erofs`], for people.
    pub why_not_erofs: Option<String>,
    /// Why it is not even [`ServingPath::Fuse`].
    pub why_not_fuse: Option<String>,
    /// What may help.
    pub next: Option<&'static str>,
}

impl ServingPath {
    /// In one word, and what that means.
    pub fn words(self) -> &'static str {
        match self {
            ServingPath::Erofs => {
                "erofs: mounted by the kernel, on blocks that are fetched when they are read"
            }
            ServingPath::Fuse => "fuse: served by this program file by file, slower when warm",
        }
    }

    /// Mounts a small image in a folder, which is made if need be, by each path until one works. Takes milliseconds, and
    /// blocks; nothing is left of it.
    pub fn detect(folder: &Path, runtime: &Handle) -> ServingPaths {
        let mut found = ServingPaths { path: None, why_not_erofs: None, why_not_fuse: None, next: None };
        let attempt = |path: ServingPath| {
            let place = folder.join(format!("trial-{}", std::process::id()));
            let mounted = Mounted::new(path, trial_file(), &place, runtime)?;
            let looked_at = std::fs::read_dir(mounted.root()).map(|entries| entries.count());
            drop(mounted);
            looked_at.map(|_| ()).map_err(|source| MountError::Look { source })
        };
        match attempt(ServingPath::Erofs) {
            Ok(()) => {
                found.path = Some(ServingPath::Erofs);
                return found;
            }
            Err(error) => {
                let (why, next) = why_not(&error);
                (found.why_not_erofs, found.next) = (Some(why), Some(next));
            }
        }
        match attempt(ServingPath::Fuse) {
            Ok(()) => found.path = Some(ServingPath::Fuse),
            Err(error) => {
                let (why, next) = why_not(&error);
                (found.why_not_fuse, found.next) = (Some(why), Some(next));
            }
        }
        found
    }
}

/// What stood in the way, and what may help.
fn why_not(error: &MountError) -> (String, &'static str) {
    use rustix::io::Errno;

    let source = std::error::Error::source(error);
    let io_error = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    let errno = io_error.and_then(Errno::from_io_error);
    let chain = || match source {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    match (error, errno) {
        (MountError::Fuse { .. }, Some(Errno::NOENT | Errno::NODEV | Errno::NXIO)) => {
            ("this kernel has no FUSE, or there is no /dev/fuse".into(), "modprobe fuse")
        }
        (MountError::Fuse { .. } | MountError::Erofs { .. }, Some(Errno::PERM | Errno::ACCESS)) => {
            let why = "only root of the machine itself may mount EROFS, and whoever may use /dev/fuse mount by FUSE";
            (why.into(), "as root; else apt install fuse3")
        }
        (MountError::Erofs { .. }, Some(Errno::NODEV)) => {
            ("this kernel has no EROFS".into(), "modprobe erofs, or a kernel with CONFIG_EROFS_FS")
        }
        (MountError::Erofs { .. }, Some(Errno::NOTBLK)) => (
            "this kernel mounts EROFS from block devices only, not from files".into(),
            "Linux 6.12 or later, with CONFIG_EROFS_FS_BACKED_BY_FILE",
        ),
        (MountError::Fuse { .. }, _) => (chain(), "apt install fuse3"),
        _ => (chain(), "what is said to be missing"),
    }
}

/// An image in memory, with nothing but an empty folder in it.
fn trial_file() -> BlockFile {
    let sealed = seal(&trial_image(), &Salt::from_bytes([0; 32]), &Domain::Deployment);
    let sealed = sealed.expect("a superblock is not zeros");
    let trial = Arc::new(Trial { chunk: sealed.chunk, key: sealed.key });
    let slots: Arc<dyn SlotTable> = Arc::<Trial>::clone(&trial);
    BlockFile::new(slots, trial, Duration::from_secs(1), Arc::new(|_| {}))
}

const TRIAL_BYTES: u16 = 4096;

/// The smallest image there is: one block with a superblock and an empty root.
fn trial_image() -> Vec<u8> {
    const ROOT_NID: u16 = 40;
    let mut image = vec![0; TRIAL_BYTES.into()];
    let mut put = |at: u16, bytes: &[u8]| image[usize::from(at)..][..bytes.len()].copy_from_slice(bytes);
    let superblock = 1024;
    put(superblock, &0xE0F5_E1E2_u32.to_le_bytes());
    // Blocks of 4 KiB, of which there is one; inodes are numbered from its start.
    put(superblock + 12, &[12]);
    put(superblock + 14, &ROOT_NID.to_le_bytes());
    put(superblock + 16, &1_u64.to_le_bytes());
    put(superblock + 36, &1_u32.to_le_bytes());
    // Of 64 bytes, with its entries behind it.
    let (root, entries) = (ROOT_NID * 32, ROOT_NID * 32 + 64);
    put(root, &[1 | 2 << 1]);
    put(root + 4, &0o040_755_u16.to_le_bytes());
    put(root + 8, &27_u64.to_le_bytes());
    put(root + 44, &2_u32.to_le_bytes());
    for (at, name_at) in [(entries, 24), (entries + 12, 25_u16)] {
        put(at, &u64::from(ROOT_NID).to_le_bytes());
        put(at + 8, &name_at.to_le_bytes());
        put(at + 10, &[2]);
    }
    put(entries + 24, b"...");
    image
}

#[derive(Debug)]
struct Trial {
    chunk: VerifiedChunk,
    key: ChunkKey,
}

impl SlotTable for Trial {
    fn image_bytes(&self) -> u64 {
        TRIAL_BYTES.into()
    }

    fn slot(&self, _index: u32) -> Option<(ChunkRef, &ChunkKey)> {
        Some((self.chunk.reference(), &self.key))
    }
}

#[async_trait]
impl ChunkSource for Trial {
    async fn fetch(&self, _chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        Ok(self.chunk.clone())
    }
}
