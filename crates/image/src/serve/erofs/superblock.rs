//! Where things are in an image.

use super::{BLOCK_BYTES, BadImage, u16_at, u32_at, u64_at};

/// Where it is.
pub(super) const SUPERBLOCK_OFFSET: u64 = 1024;
pub(super) const SUPERBLOCK_BYTES: usize = 128;

const MAGIC: u32 = 0xE0F5_E1E2;
const BLOCK_BITS: u8 = 12;

/// Of the features that a reader must know, those that change nothing for what is read here: that tails may be padded with
/// zeros in front, which is about compressed ones.
const HARMLESS_FEATURES: u32 = 1;

/// What is read of the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) root_nid: u64,
    pub(super) n_inodes: u64,
    pub(super) n_blocks: u64,
    /// When small inodes were changed last, in seconds and nanoseconds.
    pub(super) build_time: (u64, u32),
    metadata_offset: u64,
    shared_attributes_offset: u64,
}

impl Superblock {
    /// From the [`SUPERBLOCK_BYTES`] at [`SUPERBLOCK_OFFSET`].
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadImage> {
        if bytes.len() < SUPERBLOCK_BYTES || u32_at(bytes, 0) != MAGIC {
            return Err(BadImage::NoSuperblock);
        }
        if bytes[12] != BLOCK_BITS {
            return Err(BadImage::BlockSize(bytes[12]));
        }
        let unknown = u32_at(bytes, 80) & !HARMLESS_FEATURES;
        if unknown != 0 {
            return Err(BadImage::Features(unknown));
        }
        Ok(Superblock {
            root_nid: u16_at(bytes, 14).into(),
            n_inodes: u64_at(bytes, 16),
            n_blocks: u32_at(bytes, 36).into(),
            build_time: (u64_at(bytes, 24), u32_at(bytes, 32)),
            metadata_offset: u64::from(u32_at(bytes, 40)) * BLOCK_BYTES,
            shared_attributes_offset: u64::from(u32_at(bytes, 44)) * BLOCK_BYTES,
        })
    }

    /// Where an inode is. Numbers are those of slots of 32 bytes.
    pub(super) fn inode_offset(&self, nid: u64) -> Result<u64, BadImage> {
        let offset = nid.checked_mul(32).and_then(|offset| offset.checked_add(self.metadata_offset));
        offset.ok_or(BadImage::Inode { nid, what: "its number" })
    }

    /// Where a shared attribute is.
    pub(super) fn shared_attribute_offset(&self, id: u32) -> u64 {
        self.shared_attributes_offset + 4 * u64::from(id)
    }
}
