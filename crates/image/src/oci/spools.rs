//! The folder where layers lie as plain tar files while images are made of them.
//!
//! ```text
//! lock                              shared by all who use the folder; who is alone in it cleans up first
//! spools/sha256/DIGEST.tar          a layer, whole, by the digest of the tar file
//! blobs/sha256/DIGEST.partial       what has come of a compressed blob; goes on where it ended
//! incoming/RANDOM                   tar files being written; of no use after a crash
//! ```
//!
//! A layer's file is there whole or not at all, and read through once before it is used again by another run. It stays
//! for the next image that shares it, until [`Spools::sweep`]; whoever has it open can read it to the end even then.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tempfile::NamedTempFile;

use super::digest::Digest;
use crate::code_store::{DiskError, Hasher};
use crate::flatten::ReadAt;

/// A layer's tar file.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    bytes: u64,
}

impl Spool {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl ReadAt for Spool {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        ReadAt::read_at(&self.file, buf, offset)
    }
}

/// What has been removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Debug)]
pub(super) struct Spools {
    folder: PathBuf,
    /// Those in use here.
    live: Mutex<HashMap<Digest, Weak<Spool>>>,
    _lock: File,
}

impl Spools {
    pub(super) fn open(folder: &Path) -> Result<Self, DiskError> {
        for name in ["spools/sha256", "blobs/sha256", "incoming"] {
            let folder = folder.join(name);
            fs::create_dir_all(&folder).map_err(DiskError::at("making", &folder))?;
        }
        let path = folder.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(DiskError::at("opening", &path))?;
        if lock.try_lock().is_ok() {
            let incoming = folder.join("incoming");
            for entry in entries(&incoming)? {
                remove(&entry)?;
            }
        }
        lock.lock_shared().map_err(DiskError::at("locking", &path))?;
        Ok(Spools { folder: folder.to_owned(), live: Mutex::default(), _lock: lock })
    }

    fn path(&self, diff_id: Digest) -> PathBuf {
        self.folder.join("spools/sha256").join(format!("{}.tar", diff_id.hex()))
    }

    /// Where the bytes of a blob are put as they come.
    pub(super) fn partial(&self, blob: Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(format!("{}.partial", blob.hex()))
    }

    /// A layer that is there. If it is of an earlier run, its bytes are hashed.
    pub(super) fn get(&self, diff_id: Digest) -> Result<Option<Arc<Spool>>, DiskError> {
        if let Some(spool) = self.live().get(&diff_id).and_then(Weak::upgrade) {
            return Ok(Some(spool));
        }
        let path = self.path(diff_id);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(DiskError::at("opening", &path)(error)),
        };
        let (found, bytes) = digest_of(&file).map_err(DiskError::at("reading", &path))?;
        if found != diff_id {
            tracing::warn!(%diff_id, %found, "a layer on disk has changed; it is made again");
            remove(&path)?;
            return Ok(None);
        }
        Ok(Some(self.keep_live(diff_id, Spool { file, bytes })))
    }

    /// A file that will be the tar file of a layer, or vanish.
    pub(super) fn begin(&self) -> Result<NamedTempFile, DiskError> {
        let incoming = self.folder.join("incoming");
        NamedTempFile::new_in(&incoming).map_err(DiskError::at("writing in", &incoming))
    }

    /// A file without a name.
    pub(super) fn unnamed(&self) -> Result<File, DiskError> {
        let incoming = self.folder.join("incoming");
        tempfile::tempfile_in(&incoming).map_err(DiskError::at("writing in", &incoming))
    }

    /// Gives a file its name, once it is known to be right. Not synced: what is here after the machine went down is hashed
    /// before it is used.
    pub(super) fn keep(
        &self,
        diff_id: Digest,
        file: NamedTempFile,
        bytes: u64,
    ) -> Result<Arc<Spool>, DiskError> {
        let path = self.path(diff_id);
        let file = file.persist(&path).map_err(|error| DiskError::at("writing", &path)(error.error))?;
        Ok(self.keep_live(diff_id, Spool { file, bytes }))
    }

    /// Removes what no image here holds, and downloads that nobody goes on with.
    pub(super) fn sweep(&self) -> Result<Removed, DiskError> {
        let mut removed = Removed::default();
        let mut live = self.live();
        live.retain(|_, spool| spool.strong_count() > 0);
        for path in entries(&self.folder.join("spools/sha256"))? {
            let digest = path.file_stem().and_then(|stem| Digest::from_hex(stem.to_str()?));
            if digest.is_none_or(|digest| !live.contains_key(&digest)) {
                removed.count(&path)?;
            }
        }
        for path in entries(&self.folder.join("blobs/sha256"))? {
            // Who writes it has it locked.
            if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
                removed.count(&path)?;
            }
        }
        Ok(removed)
    }

    fn keep_live(&self, diff_id: Digest, spool: Spool) -> Arc<Spool> {
        let spool = Arc::new(spool);
        let mut live = self.live();
        live.retain(|_, spool| spool.strong_count() > 0);
        live.insert(diff_id, Arc::downgrade(&spool));
        spool
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Digest, Weak<Spool>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Removed {
    fn count(&mut self, path: &Path) -> Result<(), DiskError> {
        let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
        remove(path)?;
        self.files += 1;
        self.bytes += bytes;
        Ok(())
    }
}

fn digest_of(mut file: &File) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut bytes = 0;
    let mut piece = vec![0; 256 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok((hasher.into(), bytes)),
            count => {
                hasher.update(&piece[..count]);
                bytes += count as u64;
            }
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let entries = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    entries().map_err(DiskError::at("reading", folder))
}

fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(DiskError::at("removing", path)),
    }
}
