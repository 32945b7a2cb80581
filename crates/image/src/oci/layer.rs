//! One layer of an image, as whoever flattens it reads it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that can be read from any place, by several threads at once.
pub trait ReadAt: Send + Sync {
    /// Reads up to `buf.len()` bytes from `offset` on; 0 at the end.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, offset)
    }
}

/// A layer: a plain tar file and its name.
#[derive(Clone)]
pub struct Layer {
    /// Of the tar file: the "diff id" in the image's configuration.
    pub digest: String,
    /// The tar file.
    pub tar: Arc<dyn ReadAt>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Layer").field("digest", &self.digest).finish_non_exhaustive()
    }
}
