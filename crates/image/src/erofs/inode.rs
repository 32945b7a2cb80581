//! Inodes.

/// Bytes of an inode of the extended kind, the only one used here.
pub(crate) const INODE_BYTES: u32 = 64;

/// Bit 0 of the format: an extended inode.
const EXTENDED: u16 = 1;

/// What an inode, and an entry of a directory, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    Regular,
    Directory,
    Symlink,
    Fifo,
}

impl FileType {
    /// Its bits of a mode.
    fn mode_bits(self) -> u16 {
        match self {
            FileType::Regular => 0o100_000,
            FileType::Directory => 0o040_000,
            FileType::Symlink => 0o120_000,
            FileType::Fifo => 0o010_000,
        }
    }

    /// Its number in an entry of a directory.
    pub(super) fn number(self) -> u8 {
        match self {
            FileType::Regular => 1,
            FileType::Directory => 2,
            FileType::Fifo => 5,
            FileType::Symlink => 7,
        }
    }
}

/// Where an inode's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All of it in blocks, from this one on.
    Plain { block: u32 },
    /// Whole blocks from this one on; what is left follows the inode and its extended attributes.
    Inline { block: u32 },
}

/// One inode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inode {
    pub(crate) file_type: FileType,
    /// The lower twelve bits of the mode.
    pub(crate) permissions: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime_seconds: i64,
    pub(crate) mtime_nanos: u32,
    pub(crate) links: u32,
    /// Number that programs of 32 bits are shown.
    pub(crate) number: u32,
    pub(crate) bytes: u64,
    pub(crate) layout: Layout,
    /// Bytes of the area of extended attributes, as of [`xattr_area_bytes`](super::xattr_area_bytes).
    pub(crate) xattr_bytes: u32,
}

impl Inode {
    pub(crate) fn write(&self, into: &mut [u8]) {
        let (layout, block) = match self.layout {
            Layout::Plain { block } => (0, block),
            Layout::Inline { block } => (2, block),
        };
        into[0..2].copy_from_slice(&(EXTENDED | layout << 1).to_le_bytes());
        into[2..4].copy_from_slice(&self.xattr_count().to_le_bytes());
        into[4..6].copy_from_slice(&(self.file_type.mode_bits() | self.permissions).to_le_bytes());
        into[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        into[16..20].copy_from_slice(&block.to_le_bytes());
        into[20..24].copy_from_slice(&self.number.to_le_bytes());
        into[24..28].copy_from_slice(&self.uid.to_le_bytes());
        into[28..32].copy_from_slice(&self.gid.to_le_bytes());
        into[32..40].copy_from_slice(&self.mtime_seconds.to_le_bytes());
        into[40..44].copy_from_slice(&self.mtime_nanos.to_le_bytes());
        into[44..48].copy_from_slice(&self.links.to_le_bytes());
    }

    /// The area of extended attributes, counted as the format does: 1 for the header, and 1 for each 4 bytes more.
    fn xattr_count(&self) -> u16 {
        let count = if self.xattr_bytes == 0 { 0 } else { (self.xattr_bytes - 12) / 4 + 1 };
        u16::try_from(count).expect("areas of extended attributes are limited where they are made")
    }
}
