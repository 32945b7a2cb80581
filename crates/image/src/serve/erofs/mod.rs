//! Reads EROFS images as [`crate`] writes them: the fallback for kernels that cannot mount one from a file.
//!
//! ```text
//!  Superblock ─► where inodes begin ─► Inode ─┬─ directory blocks ─► names
//!                                             ├─ attributes beside it, or shared
//!                                             └─ extent: blocks at an address, the rest behind the inode
//! ```
//!
//! What is here takes bytes and gives numbers, and reads nothing; [`Tree`](tree::Tree) fetches the bytes. Blocks of 4 KiB, both
//! sizes of inodes, content in one extent with or without an inline tail. Everything else of the format (compression, chunk
//! indexes, further devices) is refused by name, and whatever points out of the image is an error, never a panic.

mod attributes;
mod directory;
mod inode;
mod superblock;
mod tree;

pub(super) use inode::Inode;
pub(super) use tree::Tree;
pub use tree::TreeError;

/// Bytes of a block.
const BLOCK_BYTES: u64 = 4096;

/// What is wrong with an image: it was not written by this program, or damaged before it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadImage {
    /// There is no superblock.
    #[error("it is no EROFS image")]
    NoSuperblock,
    /// It needs a reader that knows more.
    #[error("it has blocks of 2^{0} bytes")]
    BlockSize(u8),
    /// Likewise.
    #[error("it needs features {0:#x}")]
    Features(u32),
    /// Likewise.
    #[error("inode {nid} has data in layout {layout}")]
    Layout {
        /// Its number.
        nid: u64,
        /// As the format counts them.
        layout: u16,
    },
    /// Something of it lies outside of the image, or of where it should be.
    #[error("inode {nid} is not as it should be: {what}")]
    Inode {
        /// Its number.
        nid: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Little-endian numbers at fixed places. The caller has looked that there are as many bytes.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
