//! How much an image may hold, and what of it is used up.

use std::fmt;

/// How much an image may hold. Whoever made the image decides what is in it: without these, a tar of a few kilobytes
/// could ask for petabytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlattenLimits {
    /// Bytes of all regular files of all layers, those included that a later layer hides, with the holes of sparse
    /// files: it is what AWS calls the uncompressed size of an image, and limits to 10 GB.
    pub content_bytes: u64,
    /// Files, directories and everything else that is ever made, those included that do not survive.
    pub inodes: u32,
    /// Bytes of a path from the image's root. The kernel takes 4095.
    pub path_bytes: usize,
    /// Entries of all layers' tars together.
    pub entries: u64,
    /// Bytes of names, in every directory that has them, of targets of links, extended attributes and maps of sparse files:
    /// they are held in memory.
    pub metadata_bytes: u64,
}

impl Default for FlattenLimits {
    fn default() -> Self {
        FlattenLimits {
            content_bytes: 10 << 30,
            inodes: 1 << 20,
            path_bytes: 4095,
            entries: 1 << 22,
            metadata_bytes: 256 << 20,
        }
    }
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlattenLimit {
    /// [`FlattenLimits::content_bytes`].
    ContentBytes(u64),
    /// [`FlattenLimits::inodes`].
    Inodes(u32),
    /// [`FlattenLimits::path_bytes`].
    PathBytes(usize),
    /// [`FlattenLimits::entries`].
    Entries(u64),
    /// [`FlattenLimits::metadata_bytes`].
    MetadataBytes(u64),
    /// Blocks that EROFS can count: 32 bits of them, 16 TiB.
    Blocks(u64),
}

impl fmt::Display for FlattenLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlattenLimit::ContentBytes(limit) => write!(f, "{limit} bytes in files"),
            FlattenLimit::Inodes(limit) => write!(f, "{limit} files and directories"),
            FlattenLimit::PathBytes(limit) => write!(f, "{limit} bytes of a path"),
            FlattenLimit::Entries(limit) => write!(f, "{limit} entries of layers"),
            FlattenLimit::MetadataBytes(limit) => {
                write!(f, "{limit} bytes of names, targets of links and extended attributes")
            }
            FlattenLimit::Blocks(limit) => write!(f, "{limit} blocks of 4 KiB"),
        }
    }
}

/// What is used up of [`FlattenLimits`].
#[derive(Debug)]
pub(super) struct Budget {
    limits: FlattenLimits,
    content_bytes: u64,
    inodes: u32,
    entries: u64,
    metadata_bytes: u64,
}

impl Budget {
    pub(super) fn new(limits: FlattenLimits) -> Self {
        Budget { limits, content_bytes: 0, inodes: 0, entries: 0, metadata_bytes: 0 }
    }

    pub(super) fn path_bytes(&self) -> usize {
        self.limits.path_bytes
    }

    pub(super) fn take_content(&mut self, bytes: u64) -> Result<(), FlattenLimit> {
        self.content_bytes = self.content_bytes.saturating_add(bytes);
        within(self.content_bytes <= self.limits.content_bytes, || {
            FlattenLimit::ContentBytes(self.limits.content_bytes)
        })
    }

    pub(super) fn take_inode(&mut self) -> Result<(), FlattenLimit> {
        self.inodes = self.inodes.saturating_add(1);
        within(self.inodes <= self.limits.inodes, || FlattenLimit::Inodes(self.limits.inodes))
    }

    pub(super) fn take_entry(&mut self) -> Result<(), FlattenLimit> {
        self.entries = self.entries.saturating_add(1);
        within(self.entries <= self.limits.entries, || FlattenLimit::Entries(self.limits.entries))
    }

    pub(super) fn take_metadata(&mut self, bytes: usize) -> Result<(), FlattenLimit> {
        // The arenas of names and targets are addressed by 32 bits, whatever the limit says.
        let limit = self.limits.metadata_bytes.min(u64::from(u32::MAX) / 2);
        self.metadata_bytes = self.metadata_bytes.saturating_add(bytes as u64);
        within(self.metadata_bytes <= limit, || FlattenLimit::MetadataBytes(limit))
    }
}

fn within(holds: bool, limit: impl FnOnce() -> FlattenLimit) -> Result<(), FlattenLimit> {
    if holds { Ok(()) } else { Err(limit()) }
}
