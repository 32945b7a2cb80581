//! The files of an image, out of its blocks.

use std::ops::Range;
use std::sync::Arc;

use super::super::block_file::{BlockFile, BlockReadError};
use super::attributes::{self, Attribute};
use super::directory::DirectoryBlock;
use super::inode::{INODE_BYTES, Inode};
use super::superblock::{SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock};
use super::{BLOCK_BYTES, BadImage};

/// An image whose superblock has been read.
#[derive(Debug)]
pub(in super::super) struct Tree {
    file: Arc<BlockFile>,
    superblock: Superblock,
}

/// Why something of an image cannot be told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TreeError {
    /// Its bytes cannot be had.
    #[error("the blocks of an image")]
    Blocks(#[from] BlockReadError),
    /// Its bytes are no tree.
    #[error("an image that cannot be read")]
    Bad(#[from] BadImage),
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Name {
    pub(in super::super) name: Vec<u8>,
    pub(in super::super) nid: u64,
    /// 1 file, 2 folder, 3 and 4 devices, 5 pipe, 6 socket, 7 link.
    pub(in super::super) kind: u8,
    /// Where those after it begin.
    pub(in super::super) next: u64,
}

impl Tree {
    pub(in super::super) async fn open(file: Arc<BlockFile>) -> Result<Self, TreeError> {
        let bytes = file.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES).await?;
        Ok(Tree { superblock: Superblock::parse(&bytes)?, file })
    }

    pub(in super::super) fn root_nid(&self) -> u64 {
        self.superblock.root_nid
    }

    /// Blocks and inodes, for `statfs`.
    pub(in super::super) fn size(&self) -> (u64, u64) {
        (self.superblock.n_blocks, self.superblock.n_inodes)
    }

    pub(in super::super) async fn inode(&self, nid: u64) -> Result<Inode, TreeError> {
        let offset = self.superblock.inode_offset(nid)?;
        let bytes = self.file.read(offset, INODE_BYTES).await?;
        Ok(Inode::parse(&self.superblock, nid, &bytes)?)
    }

    /// A part of the content: less than was asked for only where it ends.
    pub(in super::super) async fn read(
        &self,
        inode: &Inode,
        range: Range<u64>,
    ) -> Result<Vec<u8>, TreeError> {
        let bad = BadImage::Inode { nid: inode.nid, what: "its content is outside of the image" };
        let [blocks, tail] = inode.places(range);
        let mut bytes = Vec::new();
        for place in [blocks, tail] {
            let length = usize::try_from(place.end - place.start).map_err(|_| bad)?;
            if length == 0 {
                continue;
            }
            let found = self.file.read(place.start, length).await?;
            if found.len() < length {
                return Err(bad.into());
            }
            if bytes.is_empty() {
                bytes = found;
            } else {
                bytes.extend(found);
            }
        }
        Ok(bytes)
    }

    /// What a folder has under a name.
    pub(in super::super) async fn lookup(
        &self,
        folder: &Inode,
        name: &[u8],
    ) -> Result<Option<u64>, TreeError> {
        let (mut from, mut to) = (0, folder.size_bytes.div_ceil(BLOCK_BYTES));
        while from < to {
            let middle = from + (to - from) / 2;
            let bytes = self.directory_block(folder, middle).await?;
            let bad = BadImage::Inode { nid: folder.nid, what: "its entries" };
            let block = DirectoryBlock::parse(&bytes).ok_or(bad)?;
            let first = block.entry(0).ok_or(bad)?;
            let last = block.entry(block.n_entries() - 1).ok_or(bad)?;
            if name < first.name {
                to = middle;
            } else if name > last.name {
                from = middle + 1;
            } else {
                return Ok(block.find(name).map(|entry| entry.nid));
            }
        }
        Ok(None)
    }

    /// Names of a folder from a place on, which is 0 or what [`Name::next`] said: those of one block. None at the end.
    pub(in super::super) async fn names(&self, folder: &Inode, from: u64) -> Result<Vec<Name>, TreeError> {
        let (block_number, first) = (from / BLOCK_BYTES, from % BLOCK_BYTES);
        if block_number * BLOCK_BYTES >= folder.size_bytes {
            return Ok(Vec::new());
        }
        let bytes = self.directory_block(folder, block_number).await?;
        let bad = BadImage::Inode { nid: folder.nid, what: "its entries" };
        let block = DirectoryBlock::parse(&bytes).ok_or(bad)?;
        let mut names = Vec::new();
        for index in usize::try_from(first).map_err(|_| bad)?..block.n_entries() {
            let entry = block.entry(index).ok_or(bad)?;
            // The place is that of the block, and how many of its entries have been told.
            let is_last = index + 1 == block.n_entries();
            let next = if is_last {
                (block_number + 1) * BLOCK_BYTES
            } else {
                block_number * BLOCK_BYTES + index as u64 + 1
            };
            names.push(Name { name: entry.name.to_vec(), nid: entry.nid, kind: entry.kind, next });
        }
        Ok(names)
    }

    /// Where a link leads.
    pub(in super::super) async fn target(&self, link: &Inode) -> Result<Vec<u8>, TreeError> {
        if link.size_bytes > BLOCK_BYTES {
            return Err(BadImage::Inode { nid: link.nid, what: "its target is too long" }.into());
        }
        self.read(link, 0..link.size_bytes).await
    }

    /// All extended attributes, as names and values.
    pub(in super::super) async fn attributes(
        &self,
        inode: &Inode,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, TreeError> {
        let Range { start, end } = inode.attributes;
        let bytes = match usize::try_from(end - start) {
            Ok(0) | Err(_) => return Ok(Vec::new()),
            Ok(length) => self.file.read(start, length).await?,
        };
        let (shared, mut attributes) = attributes::parse_inline(&bytes);
        for id in shared {
            let offset = self.superblock.shared_attribute_offset(id);
            let header = self.file.read(offset, 4).await?;
            let entry = self.file.read(offset, attributes::entry_bytes(&header)).await?;
            attributes.extend(attributes::parse_one(&entry).and_then(|(attribute, _)| attribute));
        }
        Ok(attributes.into_iter().map(|Attribute { name, value }| (name, value)).collect())
    }

    async fn directory_block(&self, folder: &Inode, number: u64) -> Result<Vec<u8>, TreeError> {
        let from = number * BLOCK_BYTES;
        self.read(folder, from..from.saturating_add(BLOCK_BYTES)).await
    }
}
