//! Why no folder could be made of a package.

use std::io;
use std::path::PathBuf;

use crate::entry_path::BadPath;
use crate::limits::Limits;
use crate::link::BadLink;

/// Why no folder could be made of a package. All but [`UnpackError::Write`] and
/// [`UnpackError::Occupied`] are the package's fault. Whoever gave the path of the package knows it, so
/// it is not repeated in the texts; the entry is.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The package cannot be read at all.
    #[error("opening {}", path.display())]
    Open {
        /// The package.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No zip archive, or one whose directory is cut off or damaged.
    #[error("not a readable zip archive")]
    Archive {
        /// What is wrong with it.
        #[source]
        source: zip::result::ZipError,
    },
    /// One entry is damaged, or does not have the size or checksum it claims, or cannot be read.
    #[error("reading entry `{entry}`")]
    Read {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// Encrypted entries need a password, which AWS does not ask for either.
    #[error("entry `{entry}` is encrypted")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// Only `stored` and `deflate` are read, which is what packaging tools write.
    #[error("entry `{entry}` is compressed by {method}; only stored and deflate can be read")]
    Compression {
        /// The entry.
        entry: String,
        /// The name of the method.
        method: String,
    },
    /// The name would lead outside the folder, or cannot be a path.
    #[error("the path of entry `{entry}` cannot be used: {reason}")]
    Path {
        /// The name as written, escaped.
        entry: String,
        /// What is wrong with it.
        reason: BadPath,
    },
    /// The same path is a folder and something else.
    #[error("entry `{entry}` needs `{path}` to be a folder, and another entry makes it none, or the reverse")]
    Conflict {
        /// The later of the two entries.
        entry: String,
        /// Where they meet.
        path: String,
    },
    /// A device, socket or pipe.
    #[error("entry `{entry}` is a {kind}; only folders, files and symbolic links can be in a package")]
    Special {
        /// The entry.
        entry: String,
        /// For instance `block device`.
        kind: &'static str,
    },
    /// A link that does not stay inside.
    #[error("symbolic link `{entry}` to `{target}` cannot be used: {reason}")]
    Link {
        /// The link.
        entry: String,
        /// Where it points.
        target: String,
        /// What is wrong with it.
        reason: BadLink,
    },
    /// Over [`Limits::unpacked_bytes`].
    #[error("function and layers unpack to more than {} bytes, reached at entry `{entry}`", limits.unpacked_bytes)]
    TooLarge {
        /// The entry that did not fit.
        entry: String,
        /// What had to be kept.
        limits: Limits,
    },
    /// Over [`Limits::entries`].
    #[error("more than {limit} files, folders and links")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
    /// The folder to be made exists and is not empty.
    #[error("{} exists already and is not empty", into.display())]
    Occupied {
        /// The folder.
        into: PathBuf,
    },
    /// This host would not take it: no space, no permission.
    #[error("writing {}", path.display())]
    Write {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
