//! A package on its way in.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::error::DiskError;
use super::place::Place;
use super::sha256::{Hasher, Sha256};

/// The bytes of a package, written as they come; hashed and counted on the way. Dropped, it leaves nothing.
///
/// Each `write` is one to the file: give it pieces worth that.
pub struct Incoming {
    file: NamedTempFile,
    hasher: Hasher,
    size_bytes: u64,
}

impl Incoming {
    pub(super) fn begin(place: &Place) -> Result<Self, DiskError> {
        Ok(Incoming { file: place.new_file()?, hasher: Hasher::new(), size_bytes: 0 })
    }

    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn finish(self) -> Received {
        Received { sha256: self.hasher.finish(), size_bytes: self.size_bytes, file: self.file }
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Incoming").field("size_bytes", &self.size_bytes).finish_non_exhaustive()
    }
}

impl Write for Incoming {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let count = self.file.write(piece)?;
        self.hasher.update(&piece[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// All of a package, not yet one of the store's.
pub(super) struct Received {
    pub(super) sha256: Sha256,
    pub(super) size_bytes: u64,
    file: NamedTempFile,
}

impl Received {
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives it its name in the store. After this it stays, whatever happens to the machine; before, it is gone.
    pub(super) fn keep(self, place: &Place) -> Result<(), DiskError> {
        let path = place.package(self.sha256);
        self.file.as_file().sync_all().map_err(DiskError::at("syncing", self.file.path()))?;
        self.file.persist(&path).map_err(|error| DiskError::at("writing", &path)(error.error))?;
        super::place::sync_folder(&place.packages())
    }
}
