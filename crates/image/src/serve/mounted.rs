//! One image, mounted.
//!
//! ```text
//!  erofs                                             fuse
//!  place/root   EROFS mount ──holds──► FUSE file     place/root   FUSE mount
//!                    (it has no path)      │                          │
//!                                    2 threads ──► BlockFile ◄── 2 threads
//! ```
//!
//! A connection of its own for each image: it can be aborted without a word to others, and reads of one image that are
//! stuck take no room from those of another. And then the order of the end is the kernel's matter. The connection is aborted
//! first, so that nothing can wait any more for a chunk or for this process; the EROFS mount goes, and takes with it the last
//! that held the FUSE file. Killed at any moment, the process leaves one mount whose every read ends in an error: see
//! [`remove_abandoned`](super::remove_abandoned).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::{MountOption, SessionACL};
use tokio::runtime::Handle;

use super::block_file::BlockFile;
use super::erofs::{Tree, TreeError};
use super::fuse::{self, Serving};
use super::fuse_file::FuseFile;
use super::fuse_tree::FuseTree;
use super::kernel::{self, Connections};
use super::path::ServingPath;

/// Why an image could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// There is no place for it.
    #[error("making {path}")]
    Folder {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// No FUSE file system could be made.
    #[error("its blocks cannot be served by FUSE")]
    Fuse {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The kernel takes it for no EROFS image, or cannot mount one from a file, or could not read it.
    #[error("it cannot be mounted as EROFS")]
    Erofs {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// This program takes it for no EROFS image, or could not read it.
    #[error("its tree cannot be read")]
    Tree {
        /// What is wrong.
        #[source]
        source: TreeError,
    },
    /// Mounted, it could not be put in its place.
    #[error("mounting it on {path}")]
    Attach {
        /// Its place.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Mounted, it could not be looked at.
    #[error("looking at it")]
    Look {
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The program is ending.
    #[error("the program is ending")]
    Ending,
}

/// A mount, and who answers for it. Dropped, it is unmounted.
#[derive(Debug)]
pub(super) struct Mounted {
    place: PathBuf,
    file: Arc<BlockFile>,
    /// Until it is unmounted.
    serving: Option<Serving>,
    /// Whose requests to abort; `None` where that is done by unmounting.
    connection: Option<(Connections, u32)>,
}

impl Mounted {
    /// Mounts an image below `place`, a folder that is made. Blocks, for as long as its first blocks take to come.
    pub(super) fn new(
        path: ServingPath,
        file: BlockFile,
        place: &Path,
        runtime: &Handle,
    ) -> Result<Self, MountError> {
        let root = root_in(place);
        let made = fs::create_dir_all(&root);
        made.map_err(|source| MountError::Folder { path: root.clone(), source })?;
        let file = Arc::new(file);
        let mut mounted =
            Mounted { place: place.to_owned(), file: Arc::clone(&file), serving: None, connection: None };
        // What has been begun is ended by dropping it.
        match path {
            ServingPath::Erofs => mounted.mount_erofs(runtime)?,
            ServingPath::Fuse => {
                let tree = runtime.block_on(Tree::open(file));
                let tree = tree.map_err(|source| MountError::Tree { source })?;
                mounted.serving = Some(mount_tree(FuseTree::new(tree, runtime.clone()), &root)?);
            }
        }
        Ok(mounted)
    }

    pub(super) fn root(&self) -> PathBuf {
        root_in(&self.place)
    }

    pub(super) fn file(&self) -> &BlockFile {
        &self.file
    }

    fn mount_erofs(&mut self, runtime: &Handle) -> Result<(), MountError> {
        let fuse_error = |source| MountError::Fuse { source };
        let (device, blocks) = kernel::new_fuse_file().map_err(fuse_error)?;
        let files = FuseFile { file: Arc::clone(&self.file), runtime: runtime.clone() };
        self.serving = Some(fuse::serve(files, device).map_err(fuse_error)?);
        let number = kernel::connection_of(&blocks).map_err(fuse_error)?;
        self.connection = Some((Connections::open().map_err(fuse_error)?, number));
        let tree = kernel::new_erofs(&blocks).map_err(|source| MountError::Erofs { source })?;
        let root = self.root();
        kernel::attach(&tree, &root).map_err(|source| MountError::Attach { path: root, source })
    }

    /// Ends its mount. What failed half-way has none.
    fn take_away(&mut self, root: &Path) -> io::Result<()> {
        let Some(serving) = self.serving.take() else { return Ok(()) };
        let unmounted = match self.connection.take() {
            Some((connections, number)) => connections.abort(number).and(kernel::unmount(root)),
            None => kernel::unmount_by_force(root),
        };
        match unmounted {
            // Not root: whoever mounted it has to unmount it, and when it has done so is the kernel's matter.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                drop(serving);
                return Ok(());
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => {}
            unmounted => unmounted?,
        }
        // Told that it is over, they come to their end.
        serving.join()
    }
}

/// Ends every read, and takes the mount away. Blocks, but for nobody else: neither for a chunk nor for who has a file open.
impl Drop for Mounted {
    fn drop(&mut self) {
        self.file.close();
        let root = self.root();
        if let Err(error) = self.take_away(&root) {
            tracing::warn!(%error, path = %root.display(), "an image cannot be unmounted");
        }
        for folder in [&root, &self.place] {
            match fs::remove_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %folder.display(), "the place of an image cannot be removed");
                }
                _ => {}
            }
        }
    }
}

fn root_in(place: &Path) -> PathBuf {
    place.join("root")
}

/// By mount(2), else by `fusermount3`.
fn mount_tree(tree: FuseTree, root: &Path) -> Result<Serving, MountError> {
    let mut config = fuse::config();
    config.mount_options = vec![
        MountOption::FSName("firesteel".into()),
        MountOption::RO,
        MountOption::NoSuid,
        MountOption::NoDev,
        // The kernel judges by modes and owners, as it would on any other file system.
        MountOption::DefaultPermissions,
        MountOption::CUSTOM(format!("max_read={}", fuse::READ_BYTES)),
    ];
    if !rustix::process::geteuid().is_root() {
        // Others may only be let in where the host says so, and whoever is not root has no others to serve.
        config.acl = SessionACL::Owner;
    }
    let session = fuser::Session::new(tree, root, &config).and_then(fuser::Session::spawn);
    session.map_err(|source| MountError::Fuse { source })
}
