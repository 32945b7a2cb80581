//! The folder of the store on this disk: what lies where, and how something leaves it.
//!
//! ```text
//! lock                     held by the one server that uses the folder
//! packages/SHA256.zip      the truth: an archive is here whole, and on the disk itself, or not at all
//! trees/SHA256-RANDOM/     what an archive unpacks to; can be made again at any time
//! stacks/RANDOM/           layers over each other, of this run only
//! incoming/                what is being received, unpacked or taken away; of no use after a crash
//! ```
//!
//! A name with a random part is never given twice, so that a tree which is still in use on its way out and its
//! successor do not meet.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use tempfile::{NamedTempFile, TempDir};

use super::error::{CodeStoreOpenError, DiskError};
use super::sha256::Sha256;

/// Everybody may go through: a function's process may be of another user.
const FOLDER_MODE: u32 = 0o755;
const RANDOM_CHARACTERS: usize = 12;

#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    /// Folders in `incoming` that nobody uses any more.
    discarded: mpsc::Sender<PathBuf>,
    _lock: File,
}

impl Place {
    /// Takes the folder, which is made if need be, and clears it of what a crash or the last run has left.
    pub(super) fn open(folder: &Path) -> Result<Self, CodeStoreOpenError> {
        make_folder(folder)?;
        let lock = lock(folder)?;
        for name in ["packages", "trees", "stacks", "incoming"] {
            make_folder(&folder.join(name))?;
        }
        sync_folder(folder)?;
        let discarded = start_remover().map_err(DiskError::at("starting a thread for", folder))?;
        let place = Place { folder: folder.to_owned(), discarded, _lock: lock };
        for left in entries(&place.incoming())? {
            remove_all(&left).map_err(DiskError::at("removing", &left))?;
        }
        // Their number is that of all layers' files, and nobody has to wait for them.
        for stack in entries(&place.stacks())? {
            place.discard(&stack);
        }
        Ok(place)
    }

    pub(super) fn packages(&self) -> PathBuf {
        self.folder.join("packages")
    }

    pub(super) fn package(&self, sha256: Sha256) -> PathBuf {
        self.packages().join(format!("{sha256}.zip"))
    }

    pub(super) fn trees(&self) -> PathBuf {
        self.folder.join("trees")
    }

    pub(super) fn stacks(&self) -> PathBuf {
        self.folder.join("stacks")
    }

    fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    /// A file in `incoming`, which only this user may read.
    pub(super) fn new_file(&self) -> Result<NamedTempFile, DiskError> {
        let incoming = self.incoming();
        NamedTempFile::new_in(&incoming).map_err(DiskError::at("writing in", &incoming))
    }

    /// A folder in `incoming`, whose name ends in what no other does.
    pub(super) fn new_folder(&self, prefix: &str) -> Result<TempDir, DiskError> {
        let incoming = self.incoming();
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).rand_bytes(RANDOM_CHARACTERS);
        builder
            .permissions(Permissions::from_mode(FOLDER_MODE))
            .tempdir_in(&incoming)
            .map_err(DiskError::at("writing in", &incoming))
    }

    /// Takes a folder out of sight at once; its files go in a while, by a thread of their own, since their number
    /// may be large and the caller may be one who must not be held up.
    pub(super) fn discard(&self, folder: &Path) {
        let Some(name) = folder.file_name() else { return };
        let out_of_sight = self.incoming().join(name);
        // What cannot be taken away now is found by the next start.
        match fs::rename(folder, &out_of_sight) {
            Ok(()) => drop(self.discarded.send(out_of_sight)),
            Err(error) => tracing::warn!(%error, folder = %folder.display(), "code not removed"),
        }
    }
}

fn start_remover() -> io::Result<mpsc::Sender<PathBuf>> {
    let (sender, folders) = mpsc::channel::<PathBuf>();
    let remover = move || {
        for folder in folders {
            if let Err(error) = remove_all(&folder) {
                tracing::warn!(%error, folder = %folder.display(), "code not removed");
            }
        }
    };
    thread::Builder::new().name("code-remover".to_owned()).spawn(remover)?;
    Ok(sender)
}

fn lock(folder: &Path) -> Result<File, CodeStoreOpenError> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(DiskError::at("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CodeStoreOpenError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(DiskError::at("locking", &path)(source).into()),
    }
}

fn make_folder(folder: &Path) -> Result<(), DiskError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(DiskError::at("making", folder))
}

/// What is in `folder`, in no order.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let entries = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    entries().map_err(DiskError::at("reading", folder))
}

/// After this, what was renamed into or out of `folder` stays so, whatever happens to the machine.
pub(super) fn sync_folder(folder: &Path) -> Result<(), DiskError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(DiskError::at("syncing", folder))
}

fn remove_all(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}
