//! Why layers cannot be made into an image.

use std::io;

use super::layer::Layer;
use super::limits::FlattenLimit;

/// Why layers cannot be made into an image, or the image not be read. But for [`Read`](FlattenError::Read), whoever made the
/// image has caused it.
#[derive(Debug, thiserror::Error)]
pub enum FlattenError {
    /// From one place on, a layer is no tar.
    #[error("layer {layer} is no readable tar at byte {offset}")]
    Tar {
        /// Digest of the layer.
        layer: String,
        /// Where in the tar.
        offset: u64,
        /// What is wrong there.
        source: BadTar,
    },
    /// One entry asks for what cannot be in an image.
    #[error("layer {layer}: entry `{entry}`")]
    Entry {
        /// Digest of the layer.
        layer: String,
        /// Path of the entry, as readable as can be.
        entry: String,
        /// What is wrong with it.
        source: BadEntry,
    },
    /// Up to this entry the image is within its limits, and with it no longer.
    #[error("layer {layer}: with entry `{entry}` the image exceeds its limit of {limit}")]
    Limit {
        /// Digest of the layer.
        layer: String,
        /// Path of the entry, as readable as can be.
        entry: String,
        /// The limit.
        limit: FlattenLimit,
    },
    /// More layers than can be told apart.
    #[error("the image has {layers} layers; at most {} are possible", u16::MAX)]
    Layers {
        /// How many there are.
        layers: usize,
    },
    /// The host could not read a layer.
    #[error("layer {layer} cannot be read at byte {offset}")]
    Read {
        /// Digest of the layer.
        layer: String,
        /// Where in the tar.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// A slot that the image does not have.
    #[error("the image has {slots} slots, and none of number {slot}")]
    Slot {
        /// The one that was asked for.
        slot: u32,
        /// How many there are.
        slots: u32,
    },
}

/// Why bytes are no tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTar {
    /// The end comes within a header or a file.
    #[error("it ends too early")]
    Truncated,
    /// A header's checksum is another than it says: it is no header.
    #[error("the checksum of a header is wrong")]
    Checksum,
    /// One block of zeros, followed by something else; an archive ends with two.
    #[error("a single block of zeros")]
    LoneZeroBlock,
    /// A number of a header is none.
    #[error("{field} is no number that is possible there")]
    Number {
        /// Which one.
        field: &'static str,
    },
    /// A header that only says more of the next one is very large.
    #[error("a header of {bytes} bytes for names and attributes; at most {limit} are read")]
    LongExtension {
        /// How large it says it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// Records of a PAX header are not what the format says.
    #[error("a malformed PAX record")]
    Pax,
    /// The map of a sparse file is not what its format says: out of order, overlapping, past the end.
    #[error("a malformed map of a sparse file")]
    SparseMap,
    /// The first of GNU tar's four formats of sparse files, which nothing has written since 2006.
    #[error("a sparse file in a format that is not read (GNU PAX 0.0)")]
    SparseFormat,
}

/// Why an entry cannot be in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Its path contains `..`, even where it would stay inside: no archiver writes that in good faith.
    #[error("its path contains `..`")]
    Parent,
    /// No file can be called so.
    #[error("its path contains a NUL byte")]
    Nul,
    /// One part between slashes is longer than 255 bytes.
    #[error("a part of its path is longer than 255 bytes")]
    NameTooLong,
    /// The image's root is a directory and nothing else.
    #[error("the root of an image can only be a directory")]
    Root,
    /// `.wh.` without a name, or with `.` or `..`, or of something that lies beneath it.
    #[error("its path is reserved for files that mark deletions, and marks none")]
    Whiteout,
    /// A type that does not belong into an image: volume labels, incremental dumps, pieces of other archives.
    #[error("its type, 0x{code:02x}, does not belong into an image")]
    Type {
        /// The byte in its header.
        code: u8,
    },
    /// A symbolic link to nothing, or of more than 4095 bytes, or with a NUL byte.
    #[error("the target of the symbolic link is no path")]
    SymlinkTarget,
    /// Neither this layer nor one below it has what a hard link names.
    #[error("what the hard link names does not exist")]
    LinkTarget,
    /// Directories cannot have a second name.
    #[error("the hard link names a directory")]
    LinkToDirectory,
    /// Its parent directories include symbolic links that lead in circles, or through too many others.
    #[error("its path leads through too many symbolic links")]
    Loop,
    /// A symbolic link among its parent directories leads to something that is no directory.
    #[error("a symbolic link in its path leads to something that is no directory")]
    NotADirectory,
    /// Extended attributes with a name or value that Linux does not take.
    #[error("an extended attribute has a name or a value that is not possible")]
    Xattr,
    /// More than an inode can carry: 256 KiB with names.
    #[error("its extended attributes are too large")]
    XattrsTooLarge,
}

/// Why something cannot be taken into an image, before it is said of which entry of which layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Bad(BadEntry),
    Limit(FlattenLimit),
}

impl Refusal {
    pub(super) fn of(self, layer: &Layer, path: &[u8]) -> FlattenError {
        let (layer, entry) = (layer.digest.clone(), path.escape_ascii().to_string());
        match self {
            Refusal::Bad(source) => FlattenError::Entry { layer, entry, source },
            Refusal::Limit(limit) => FlattenError::Limit { layer, entry, limit },
        }
    }
}

impl From<BadEntry> for Refusal {
    fn from(bad: BadEntry) -> Self {
        Refusal::Bad(bad)
    }
}

impl From<FlattenLimit> for Refusal {
    fn from(limit: FlattenLimit) -> Self {
        Refusal::Limit(limit)
    }
}
