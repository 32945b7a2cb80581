//! EROFS as it lies on a disk: the structures that the kernel reads, as bytes. Nothing here knows what they are used for.
//!
//! ```text
//! byte 0      1024          1152
//! | zeros     | superblock  | inodes, each with its extended attributes and, where it has one, its inline tail | …
//!               128 bytes     at a multiple of 32; `nid` = byte / 32
//!
//! inode, 64 bytes | xattr header, 12 | entries, each a multiple of 4 | tail: end of a directory, target of a symlink
//!                                                                      never across a block of 4 KiB
//!
//! block of a directory
//! | entry 0 | entry 1 | … | name 0 | name 1 | …     an entry: nid u64, offset of the name u16, type u8, 0
//! sorted by the bytes of the names, over all blocks; `.` and `..` are among them
//! ```
//!
//! Of the format's many options these are used: blocks of 4 KiB, 64-byte inodes (for times and owners of 32 bits), file
//! data in one contiguous run of blocks, inline tails, inline extended attributes, a checksum of the superblock. All of
//! them are as old as EROFS itself.

mod directory;
mod inode;
mod superblock;
mod xattr;

pub(crate) use directory::{Directory, DirectoryEntry, directory_bytes};
pub(crate) use inode::{FileType, INODE_BYTES, Inode, Layout};
pub(crate) use superblock::{FIRST_INODE, Superblock};
pub(crate) use xattr::{XATTR_MAX_BYTES, XattrPrefix, push_xattr, xattr_area_bytes, xattr_header};

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: u32 = 4096;

/// Inodes lie at multiples of this, by which their numbers count.
pub(crate) const NID_BYTES: u32 = 32;
