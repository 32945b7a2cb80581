//! What an image is made of: layers, each a plain tar that can be read at any place.

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// One layer of a container image, downloaded, checked and no longer compressed.
#[derive(Clone)]
pub struct Layer {
    /// Digest of the tar itself (the diff id), by which errors name the layer.
    pub digest: String,
    /// The tar. It may not change for as long as an image made of it is read: of its files, only the places are kept.
    pub tar: Arc<dyn ReadAt>,
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Bytes that can be read at any place, by many at once.
pub trait ReadAt: Send + Sync {
    /// Reads into the start of `buf` what is at `offset`: as many bytes as are returned, 0 at the end and past it.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for std::fs::File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or_default();
        let bytes = rest.len().min(buf.len());
        buf[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }
}

/// Fills as much of `buf` as there is, and says how much that was.
pub(super) fn read_full(tar: &dyn ReadAt, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match tar.read_at(&mut buf[done..], offset.saturating_add(done as u64)) {
            Ok(0) => break,
            Ok(bytes) => done += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
