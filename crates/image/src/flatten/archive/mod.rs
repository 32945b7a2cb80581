//! Entries of a layer's tar, one after the other, each with all that other headers say of it.
//!
//! ```text
//! | x: PAX records | content | L: long name | content | K: long target | content | header | content | … | zeros | zeros |
//!   └────────────────── any of these, about the ────────────────────────────────► next one
//! ```
//!
//! Content is not read but skipped: an [`Entry`] says where it lies. That, and that extensions of hostile size are refused
//! before they are read, is why this walks over the blocks by itself; fields and their places are the `tar` crate's.
//! Where dialects differ it decides as the archives' usual reader, that of container tools, does: global PAX headers are
//! passed over, links and directories have no content whatever their size says, the last of equal PAX records counts.

mod header;
mod pax;
mod sparse;

use super::error::{BadEntry, BadTar, FlattenError, Refusal};
use super::layer::{Layer, read_full};
use header::Fields;
use pax::Records;

/// Headers and content begin at multiples of this.
const BLOCK: u64 = 512;
/// How much is read at once while looking for headers: between small files these lie close together.
const WINDOW: usize = 64 * 1024;
/// Largest content of a header that only says more of the next one. Paths have 4 KiB, extended attributes 64 KiB.
const EXTENSION_BYTES: u64 = 1 << 20;

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) content: Content,
    /// The lower twelve bits.
    pub(super) permissions: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Time,
    /// Names and values, in order; where a name is there twice, the last counts.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Content {
    File {
        at: u64,
        bytes: u64,
    },
    /// Where none of the segments is, it has zeros.
    Sparse {
        segments: Vec<Segment>,
        bytes: u64,
    },
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    Fifo,
    Device,
}

/// A piece of a sparse file that the tar holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where in the file.
    pub(super) file_at: u64,
    /// Where in the tar.
    pub(super) tar_at: u64,
    pub(super) bytes: u64,
}

/// A point in time; before 1970, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
}

/// Reads one layer from its first entry to its last.
pub(super) struct Archive<'a> {
    layer: &'a Layer,
    /// Where the next header is.
    at: u64,
    /// A byte that must be there, unless something behind it is: the last one that was skipped.
    owed: Option<u64>,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn of(layer: &'a Layer) -> Self {
        Archive { layer, at: 0, owed: None, window: Vec::new(), window_at: 0 }
    }

    /// The next entry; `None` at the end of the archive.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, FlattenError> {
        let mut records = Records::default();
        let (mut long_name, mut long_target) = (None, None);
        let mut extended = false;
        loop {
            let header_at = self.at;
            let Some(block) = self.header_block()? else {
                return if extended { Err(self.bad(header_at, BadTar::Truncated)) } else { Ok(None) };
            };
            let fields = Fields::parse(&block).map_err(|source| self.bad(header_at, source))?;
            match fields.kind {
                b'x' => {
                    let content = self.extension(fields.bytes)?;
                    records = Records::parse(&content).map_err(|source| self.bad(header_at, source))?;
                    extended = true;
                }
                b'L' => {
                    long_name = Some(until_nul(self.extension(fields.bytes)?));
                    extended = true;
                }
                b'K' => {
                    long_target = Some(until_nul(self.extension(fields.bytes)?));
                    extended = true;
                }
                b'g' => self.skip(fields.bytes)?,
                _ => return self.entry(header_at, &block, fields, records, long_name, long_target).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header_at: u64,
        block: &[u8; 512],
        fields: Fields,
        mut records: Records,
        long_name: Option<Vec<u8>>,
        long_target: Option<Vec<u8>>,
    ) -> Result<Entry, FlattenError> {
        let bad = |source| bad(self.layer, header_at, source);
        let sparse_map = sparse::PaxMap::take(&mut records).map_err(bad)?;
        let path = long_name.or(records.sparse_name).or(records.path).unwrap_or(fields.path);
        let target = long_target.or(records.target).unwrap_or(fields.target);
        let stored_bytes = records.bytes.unwrap_or(fields.bytes);
        let content = match fields.kind {
            b'0' | 0 if path.ends_with(b"/") => {
                // Archivers older than the type for directories write these.
                self.skip(stored_bytes)?;
                Content::Directory
            }
            b'0' | b'7' | 0 => match sparse_map {
                Some(map) => self.sparse_by_pax(header_at, map, stored_bytes)?,
                None => {
                    let at = self.at;
                    self.skip(stored_bytes)?;
                    Content::File { at, bytes: stored_bytes }
                }
            },
            b'S' => self.sparse_by_header(header_at, block, stored_bytes)?,
            b'1' => Content::HardLink(target),
            b'2' => Content::Symlink(target),
            b'3' | b'4' => Content::Device,
            b'5' => Content::Directory,
            b'6' => Content::Fifo,
            code => return Err(Refusal::from(BadEntry::Type { code }).of(self.layer, &path)),
        };
        Ok(Entry {
            path,
            content,
            permissions: fields.permissions,
            uid: records.uid.unwrap_or(fields.uid),
            gid: records.gid.unwrap_or(fields.gid),
            mtime: records.mtime.unwrap_or(Time { seconds: fields.mtime, nanos: 0 }),
            xattrs: records.xattrs,
        })
    }

    /// A sparse file of GNU tar's own format: the map begins in the header and goes on in the blocks after it.
    fn sparse_by_header(
        &mut self,
        header_at: u64,
        block: &[u8; 512],
        stored_bytes: u64,
    ) -> Result<Content, FlattenError> {
        let mut map = sparse::HeaderMap::begin(block).map_err(|source| self.bad(header_at, source))?;
        while map.goes_on() {
            let block = self.block()?.ok_or_else(|| self.bad(header_at, BadTar::Truncated))?;
            map.extend(&block).map_err(|source| self.bad(header_at, source))?;
        }
        let at = self.at;
        self.skip(stored_bytes)?;
        let bytes = map.bytes();
        let segments = sparse::place(&map.into_pieces(), bytes, at, stored_bytes)
            .map_err(|source| self.bad(header_at, source))?;
        Ok(Content::Sparse { segments, bytes })
    }

    /// A sparse file of a PAX archive, its map in a record or, by the newer format, before the content.
    fn sparse_by_pax(
        &mut self,
        header_at: u64,
        map: sparse::PaxMap,
        stored_bytes: u64,
    ) -> Result<Content, FlattenError> {
        let bytes = map.bytes;
        let (pieces, at, stored_bytes) = match map.pieces {
            Some(pieces) => {
                let at = self.at;
                self.skip(stored_bytes)?;
                (pieces, at, stored_bytes)
            }
            None => {
                let mut reader = sparse::ContentMap::default();
                let mut read_bytes = 0;
                let pieces = loop {
                    if read_bytes + BLOCK > stored_bytes.min(EXTENSION_BYTES) {
                        return Err(self.bad(header_at, BadTar::SparseMap));
                    }
                    let block = self.block()?.ok_or_else(|| self.bad(header_at, BadTar::Truncated))?;
                    read_bytes += BLOCK;
                    if let Some(pieces) =
                        reader.extend(&block).map_err(|source| self.bad(header_at, source))?
                    {
                        break pieces;
                    }
                };
                let at = self.at;
                self.skip(stored_bytes - read_bytes)?;
                (pieces, at, stored_bytes - read_bytes)
            }
        };
        let segments =
            sparse::place(&pieces, bytes, at, stored_bytes).map_err(|source| self.bad(header_at, source))?;
        Ok(Content::Sparse { segments, bytes })
    }

    /// The next header; `None` where the archive ends, by two blocks of zeros or with the file.
    fn header_block(&mut self) -> Result<Option<[u8; 512]>, FlattenError> {
        let header_at = self.at;
        let Some(block) = self.block()? else { return Ok(None) };
        if block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        match self.block()? {
            Some(second) if second.iter().any(|byte| *byte != 0) => {
                Err(self.bad(header_at, BadTar::LoneZeroBlock))
            }
            _ => Ok(None),
        }
    }

    /// The content of a header that only says more of the next one.
    fn extension(&mut self, bytes: u64) -> Result<Vec<u8>, FlattenError> {
        if bytes > EXTENSION_BYTES {
            return Err(self.bad(self.at, BadTar::LongExtension { bytes, limit: EXTENSION_BYTES }));
        }
        let mut content = Vec::new();
        while (content.len() as u64) < bytes {
            let block = self.block()?.ok_or_else(|| self.bad(self.at, BadTar::Truncated))?;
            content.extend_from_slice(&block);
        }
        content.truncate(usize::try_from(bytes).expect("it is at most EXTENSION_BYTES"));
        Ok(content)
    }

    /// Passes over content and the padding after it.
    fn skip(&mut self, bytes: u64) -> Result<(), FlattenError> {
        let end = bytes.checked_next_multiple_of(BLOCK).and_then(|padded| self.at.checked_add(padded));
        let Some(end) = end else { return Err(self.bad(self.at, BadTar::Truncated)) };
        if bytes > 0 {
            self.owed = Some(self.at + bytes - 1);
        }
        self.at = end;
        Ok(())
    }

    /// The block at `at`, which moves behind it; `None` at the end of the file.
    fn block(&mut self) -> Result<Option<[u8; 512]>, FlattenError> {
        let within =
            self.at.checked_sub(self.window_at).filter(|start| start + BLOCK <= self.window.len() as u64);
        let start = match within {
            Some(start) => usize::try_from(start).expect("it is within the window"),
            None => {
                self.fill_window()?;
                0
            }
        };
        match self.window[start..].first_chunk::<512>() {
            Some(block) => {
                let block = *block;
                self.at += BLOCK;
                self.owed = None;
                Ok(Some(block))
            }
            None if self.window.is_empty() => {
                let mut byte = [0];
                match self.owed.take() {
                    Some(owed) if self.read(&mut byte, owed)? == 0 => Err(self.bad(owed, BadTar::Truncated)),
                    _ => Ok(None),
                }
            }
            None => Err(self.bad(self.at, BadTar::Truncated)),
        }
    }

    fn fill_window(&mut self) -> Result<(), FlattenError> {
        let mut window = std::mem::take(&mut self.window);
        window.resize(WINDOW, 0);
        let bytes = self.read(&mut window, self.at)?;
        window.truncate(bytes);
        self.window = window;
        self.window_at = self.at;
        Ok(())
    }

    fn read(&self, into: &mut [u8], offset: u64) -> Result<usize, FlattenError> {
        read_full(&*self.layer.tar, into, offset).map_err(|source| FlattenError::Read {
            layer: self.layer.digest.clone(),
            offset,
            source,
        })
    }

    fn bad(&self, offset: u64, source: BadTar) -> FlattenError {
        bad(self.layer, offset, source)
    }
}

fn bad(layer: &Layer, offset: u64, source: BadTar) -> FlattenError {
    FlattenError::Tar { layer: layer.digest.clone(), offset, source }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}
