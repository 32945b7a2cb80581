//! The superblock.

use super::BLOCK_BYTES;

/// Where the superblock begins.
const OFFSET: usize = 1024;
/// Its bytes.
const BYTES: usize = 128;

/// Where the first inode can be. It is that of the root, whose number the superblock has only 16 bits for.
pub(crate) const FIRST_INODE: u64 = (OFFSET + BYTES) as u64;

const MAGIC: u32 = 0xe0f5_e1e2;
/// The first block has a CRC-32C of its own.
const COMPAT_CHECKSUM: u32 = 0x1;
/// Times in inodes are of modification, not of change.
const COMPAT_MTIME: u32 = 0x2;

/// What the superblock says. Its time and its UUID are always the same, so that they tell no images apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Superblock {
    /// Number of the root's inode.
    pub(crate) root_nid: u16,
    /// Inodes in the image.
    pub(crate) inodes: u64,
    /// Blocks of the image.
    pub(crate) blocks: u32,
    /// What `blkid` shows.
    pub(crate) uuid: [u8; 16],
}

impl Superblock {
    /// Writes it into the first block, which has all its other content already: the checksum is over the whole block.
    pub(crate) fn write(&self, block: &mut [u8]) {
        let bytes = &mut block[OFFSET..BLOCK_BYTES as usize];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..8].fill(0);
        bytes[8..12].copy_from_slice(&(COMPAT_CHECKSUM | COMPAT_MTIME).to_le_bytes());
        bytes[12] = 12; // log2 of BLOCK_BYTES
        bytes[14..16].copy_from_slice(&self.root_nid.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.inodes.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.uuid);
        let checksum = checksum(bytes);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// CRC-32C without the usual inversion at its end: what the kernel's function gives when it begins with all ones.
fn checksum(bytes: &[u8]) -> u32 {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes);
    !u32::try_from(crc).expect("a CRC-32 has 32 bits")
}
