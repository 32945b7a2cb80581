//! A compressed layer becomes a plain tar file, once.
//!
//! ```text
//! bytes ─► hashed, counted ─► gzip, zstd or nothing, by the first bytes ─► counted, hashed ─► file
//!            └► the blob's digest, its length                                └► limits, ratio, the "diff id"
//! ```
//!
//! All that is checked is checked on the way, and the limits before anything is written: neither what the manifest
//! says nor what the compressed bytes say of themselves is believed. What has been written is worth nothing before the
//! end is reached without an error.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::digest::Digest;
use super::limits::OciLimits;
use super::manifest::Descriptor;
use super::section::{Section, SectionReader};
use crate::code_store::Hasher;

/// Of one read and one write.
const PIECE_BYTES: usize = 256 * 1024;
/// 128 MiB of window is what every reader of zstd must take, and all that ours does.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Why a blob is not the one that is meant.
#[derive(Debug, thiserror::Error)]
pub enum WrongBytes {
    /// Other bytes.
    #[error("its digest is {found}")]
    Digest {
        /// Of what is there.
        found: Digest,
    },
    /// Not as many.
    #[error("it has {found} bytes, and should have {expected}")]
    Length {
        /// As whoever refers to it says.
        expected: u64,
        /// There.
        found: u64,
    },
}

impl WrongBytes {
    pub(super) fn check(bytes: &[u8], expected: &Descriptor) -> Result<(), WrongBytes> {
        WrongBytes::check_length(bytes.len() as u64, expected)?;
        let found = Digest::of(bytes);
        if found == expected.digest { Ok(()) } else { Err(WrongBytes::Digest { found }) }
    }

    pub(super) fn check_length(found: u64, expected: &Descriptor) -> Result<(), WrongBytes> {
        let expected = expected.bytes;
        if found == expected { Ok(()) } else { Err(WrongBytes::Length { expected, found }) }
    }
}

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// Not the bytes that the manifest names.
    #[error(transparent)]
    Wrong(#[from] WrongBytes),
    /// Unpacked, not the bytes that the configuration names.
    #[error("unpacked, its digest is {found}, and should be {expected}")]
    DiffId {
        /// In the configuration.
        expected: Digest,
        /// Of what is there.
        found: Digest,
    },
    /// Nothing that layers are compressed with.
    #[error("it is compressed with {method}; gzip and zstd are known")]
    Compression {
        /// By its first bytes.
        method: &'static str,
    },
    /// The right bytes, which do not unpack.
    #[error("unpacking it")]
    Damaged(#[source] io::Error),
    /// It cannot be read.
    #[error("reading it")]
    Read(#[source] io::Error),
    /// There is no room for it, for instance.
    #[error("writing its tar file")]
    Write(#[source] io::Error),
    /// All layers together, unpacked.
    #[error("the image has more than {limit_bytes} bytes unpacked")]
    TooLarge {
        /// [`OciLimits::unpacked_bytes`].
        limit_bytes: u64,
    },
    /// A bomb.
    #[error("it expands to more than {ratio} times its length")]
    Expansion {
        /// [`OciLimits::expansion_ratio`].
        ratio: u64,
    },
    /// Whoever wanted it does no longer.
    #[error("nobody wants it any more")]
    Cancelled,
}

impl LayerError {
    /// Whether another host, or the same one at another time, would do better.
    pub(super) fn is_of_host(&self) -> bool {
        matches!(self, LayerError::Read(_) | LayerError::Write(_) | LayerError::Cancelled)
    }
}

/// What all layers of an image have in common while they are unpacked.
#[derive(Debug)]
pub(super) struct Allowance {
    limits: OciLimits,
    left_bytes: AtomicU64,
    cancelled: AtomicBool,
}

impl Allowance {
    pub(super) fn new(limits: OciLimits) -> Self {
        let left_bytes = AtomicU64::new(limits.unpacked_bytes);
        Allowance { limits, left_bytes, cancelled: AtomicBool::new(false) }
    }

    /// From now on, what is being unpacked ends with an error soon.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Counts bytes of an image before they are used.
    pub(super) fn take(&self, bytes: u64) -> Result<(), LayerError> {
        let take = |left: u64| left.checked_sub(bytes);
        let taken = self.left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map(drop).map_err(|_| LayerError::TooLarge { limit_bytes: self.limits.unpacked_bytes })
    }

    fn give_back(&self, bytes: u64) {
        self.left_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), LayerError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(LayerError::Cancelled) } else { Ok(()) }
    }

    fn check_ratio(&self, compressed: u64, unpacked: u64) -> Result<(), LayerError> {
        let OciLimits { expansion_ratio: ratio, expansion_free_bytes, .. } = self.limits;
        // What is being read ahead makes this too kind by a piece.
        let is_bomb = unpacked > expansion_free_bytes && unpacked / ratio.max(1) > compressed;
        if is_bomb { Err(LayerError::Expansion { ratio }) } else { Ok(()) }
    }
}

/// What one layer has taken. It is given back unless the layer is whole in the end: it may be tried again.
struct Taken<'a> {
    allowance: &'a Allowance,
    bytes: u64,
}

impl Taken<'_> {
    fn take(&mut self, bytes: u64) -> Result<(), LayerError> {
        self.allowance.take(bytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.allowance.give_back(self.bytes);
    }
}

/// A layer as it came.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) section: Section,
    /// Of the compressed bytes; old archives do not say.
    pub(super) digest: Option<Digest>,
}

/// Writes the tar file of `layer` into `file`, and gives its length. `tell` is told how many compressed bytes are done.
///
/// A wrong digest goes before damage: bytes that are not those of the layer say nothing about it.
pub(super) fn unpack(
    layer: &Packed,
    diff_id: Digest,
    allowance: &Allowance,
    file: &mut File,
    tell: &dyn Fn(u64),
) -> Result<u64, LayerError> {
    let mut packed = Measured::new(layer.section.reader());
    let mut taken = Taken { allowance, bytes: 0 };
    let unpacked = write_tar(&mut packed, &mut taken, file, tell);
    match unpacked {
        Ok(_) | Err(LayerError::Damaged(_) | LayerError::Compression { .. }) => {}
        Err(error) => return Err(error),
    }
    // What comes after the end of the compressed data belongs to the blob all the same.
    packed.read_rest(allowance).map_err(|error| packed.reading_failed(error))?;
    if let Some(expected) = layer.digest {
        let found = Digest::from(packed.hasher);
        if found != expected {
            return Err(WrongBytes::Digest { found }.into());
        }
    }
    let found = unpacked?;
    if found != diff_id {
        return Err(LayerError::DiffId { expected: diff_id, found });
    }
    Ok(std::mem::take(&mut taken.bytes))
}

/// Unpacks what need not be of any digest: an archive that is compressed as a whole.
pub(super) fn unpack_any(
    section: &Section,
    allowance: &Allowance,
    file: &mut File,
) -> Result<(), LayerError> {
    let mut packed = Measured::new(section.reader());
    write_tar(&mut packed, &mut Taken { allowance, bytes: 0 }, file, &|_| ()).map(drop)
}

fn write_tar(
    packed: &mut Measured,
    taken: &mut Taken<'_>,
    file: &mut File,
    tell: &dyn Fn(u64),
) -> Result<Digest, LayerError> {
    let done = packed.bytes.clone();
    let failed = packed.failed.clone();
    let mut head = Vec::new();
    packed.take(HEAD_BYTES).read_to_end(&mut head).map_err(LayerError::Read)?;
    let whole = BufReader::with_capacity(PIECE_BYTES, head.as_slice().chain(packed));
    let mut content: Box<dyn Read + '_> = match Compression::of(&head) {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(whole).map_err(LayerError::Damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(LayerError::Damaged)?;
            Box::new(decoder)
        }
        Compression::Unknown(method) => return Err(LayerError::Compression { method }),
    };
    let mut hasher = Hasher::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        taken.allowance.check()?;
        let count = match content.read(&mut piece) {
            Ok(0) => return Ok(hasher.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if failed.get() => return Err(LayerError::Read(error)),
            Err(error) => return Err(LayerError::Damaged(error)),
        };
        taken.take(count as u64)?;
        taken.allowance.check_ratio(done.get(), taken.bytes)?;
        hasher.update(&piece[..count]);
        file.write_all(&piece[..count]).map_err(LayerError::Write)?;
        tell(done.get());
    }
}

/// Enough to know every compression by.
const HEAD_BYTES: u64 = 6;

#[derive(Debug, PartialEq)]
enum Compression {
    None,
    Gzip,
    Zstd,
    Unknown(&'static str),
}

impl Compression {
    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Compression::Unknown("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41] => Compression::Unknown("bzip2"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Unknown("lz4"),
            _ => Compression::None,
        }
    }
}

/// Bytes on their way to be unpacked.
struct Measured {
    inner: SectionReader,
    hasher: Hasher,
    bytes: Rc<Cell<u64>>,
    /// Tells an error of the disk from one of the bytes, which come out of a decoder alike.
    failed: Rc<Cell<bool>>,
}

impl Measured {
    fn new(inner: SectionReader) -> Self {
        Measured { inner, hasher: Hasher::new(), bytes: Default::default(), failed: Default::default() }
    }

    fn read_rest(&mut self, allowance: &Allowance) -> io::Result<()> {
        let mut piece = vec![0; PIECE_BYTES];
        while self.read(&mut piece)? > 0 {
            if allowance.check().is_err() {
                return Err(io::Error::other("cancelled"));
            }
        }
        Ok(())
    }

    fn reading_failed(&self, error: io::Error) -> LayerError {
        if self.failed.get() { LayerError::Read(error) } else { LayerError::Cancelled }
    }
}

impl Read for Measured {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).inspect_err(|_| self.failed.set(true))?;
        self.hasher.update(&buffer[..count]);
        self.bytes.set(self.bytes.get() + count as u64);
        Ok(count)
    }
}
