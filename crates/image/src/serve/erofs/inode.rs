//! Inodes, and where their content is.

use std::ops::Range;

use super::superblock::Superblock;
use super::{BLOCK_BYTES, BadImage, u16_at, u32_at, u64_at};

/// Bytes of the larger kind. Of a smaller one, what follows belongs to something else.
pub(super) const INODE_BYTES: usize = 64;

/// One file, folder, link or anything else that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Inode {
    pub(in super::super) nid: u64,
    /// Type and permissions.
    pub(in super::super) mode: u32,
    pub(in super::super) uid: u32,
    pub(in super::super) gid: u32,
    pub(in super::super) n_links: u32,
    pub(in super::super) size_bytes: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(in super::super) modified: (u64, u32),
    /// Of devices only.
    pub(in super::super) device: u32,
    /// Where the attributes begin, and how long they are with all that belongs to them.
    pub(super) attributes: Range<u64>,
    layout: Layout,
}

/// Where content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// All of it at one address.
    Plain { address: u64 },
    /// What does not fill a block is at another.
    Inline { address: u64, tail_address: u64, tail_from: u64 },
}

const TYPE: u32 = 0o170_000;

impl Inode {
    /// From the bytes at the inode's offset: [`INODE_BYTES`], or fewer where the image ends.
    pub(super) fn parse(superblock: &Superblock, nid: u64, bytes: &[u8]) -> Result<Self, BadImage> {
        let bad = |what| BadImage::Inode { nid, what };
        let offset = superblock.inode_offset(nid)?;
        let format = *bytes.first().ok_or(bad("it is outside of the image"))?;
        let is_large = format & 1 == 1;
        let header_bytes = if is_large { INODE_BYTES } else { INODE_BYTES / 2 };
        if bytes.len() < header_bytes {
            return Err(bad("it is outside of the image"));
        }
        let (size_bytes, modified, uid, gid, n_links) = if is_large {
            let modified = (u64_at(bytes, 32), u32_at(bytes, 40));
            (u64_at(bytes, 8), modified, u32_at(bytes, 24), u32_at(bytes, 28), u32_at(bytes, 44))
        } else {
            let (uid, gid) = (u16_at(bytes, 24).into(), u16_at(bytes, 26).into());
            (u32_at(bytes, 8).into(), superblock.build_time, uid, gid, u16_at(bytes, 6).into())
        };
        let attributes_bytes = match u64::from(u16_at(bytes, 2)) {
            0 => 0,
            count => 12 + 4 * (count - 1),
        };
        let attributes = offset + header_bytes as u64..offset + header_bytes as u64 + attributes_bytes;
        let mode = u32::from(u16_at(bytes, 4));
        let what_for = u32_at(bytes, 16);
        let has_content = matches!(mode & TYPE, 0o100_000 | 0o040_000 | 0o120_000);
        let address = u64::from(what_for) * BLOCK_BYTES;
        let layout = match u16::from(format >> 1 & 7) {
            _ if !has_content => Layout::Plain { address: 0 },
            0 => Layout::Plain { address },
            2 => {
                let tail_from = size_bytes - size_bytes % BLOCK_BYTES;
                let tail_bytes = size_bytes % BLOCK_BYTES;
                if tail_bytes > 0 && attributes.end % BLOCK_BYTES + tail_bytes > BLOCK_BYTES {
                    return Err(bad("its tail crosses a block"));
                }
                Layout::Inline { address, tail_address: attributes.end, tail_from }
            }
            layout => return Err(BadImage::Layout { nid, layout }),
        };
        let device = if has_content { 0 } else { what_for };
        Ok(Inode { nid, mode, uid, gid, n_links, size_bytes, modified, device, attributes, layout })
    }

    pub(in super::super) fn is_folder(&self) -> bool {
        self.mode & TYPE == 0o040_000
    }

    pub(in super::super) fn is_link(&self) -> bool {
        self.mode & TYPE == 0o120_000
    }

    /// Where in the image a part of the content is: the addresses of what is in whole blocks and of what is behind the inode.
    /// Either may be empty. Cut off where the content ends.
    pub(super) fn places(&self, range: Range<u64>) -> [Range<u64>; 2] {
        let end = range.end.min(self.size_bytes);
        let start = range.start.min(end);
        // An address is below 2^44, and sums with sizes that lead out of the image find nothing there.
        match self.layout {
            Layout::Plain { address } => [address.saturating_add(start)..address.saturating_add(end), 0..0],
            Layout::Inline { address, tail_address, tail_from } => {
                let blocks = start.min(tail_from)..end.min(tail_from);
                let tail = start.max(tail_from) - tail_from..end.max(tail_from) - tail_from;
                [
                    address.saturating_add(blocks.start)..address.saturating_add(blocks.end),
                    tail_address + tail.start..tail_address + tail.end,
                ]
            }
        }
    }
}
