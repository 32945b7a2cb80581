//! Sparse files as GNU tar writes them: a map of pieces, and the pieces one after the other.
//!
//! | format | the map is |
//! |---|---|
//! | old GNU, type `S` | in the header and in blocks after it |
//! | PAX 0.1 | in one record |
//! | PAX 1.0 | before the content, as lines of decimals |

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::super::error::BadTar;
use super::Segment;
use super::header::size;
use super::pax::{Records, decimal};

/// Most pieces that one file can have. GNU tar makes one for each run of blocks between holes.
const MAX_PIECES: usize = 1 << 16;

/// Offset in the file, and bytes.
type Piece = (u64, u64);

/// Says where the pieces of a file of `bytes` lie in the `stored_bytes` at `at`.
pub(super) fn place(
    pieces: &[Piece],
    bytes: u64,
    at: u64,
    stored_bytes: u64,
) -> Result<Vec<Segment>, BadTar> {
    let mut segments: Vec<Segment> = Vec::new();
    let (mut file_end, mut used) = (0, 0u64);
    for &(file_at, piece_bytes) in pieces {
        let end = file_at.checked_add(piece_bytes).filter(|end| *end <= bytes).ok_or(BadTar::SparseMap)?;
        // Readers do not agree whether a piece that ends within a block is padded: only the last one may.
        if file_at < file_end || (piece_bytes > 0 && used % 512 != 0) {
            return Err(BadTar::SparseMap);
        }
        if piece_bytes > 0 {
            segments.push(Segment { file_at, tar_at: at + used, bytes: piece_bytes });
        }
        file_end = end;
        used += piece_bytes;
    }
    if used == stored_bytes || used.next_multiple_of(512) == stored_bytes {
        Ok(segments)
    } else {
        Err(BadTar::SparseMap)
    }
}

/// The map of the old format, while it is read.
#[derive(Debug)]
pub(super) struct HeaderMap {
    pieces: Vec<Piece>,
    bytes: u64,
    goes_on: bool,
}

impl HeaderMap {
    pub(super) fn begin(block: &[u8; 512]) -> Result<Self, BadTar> {
        let header = Header::from_byte_slice(block).as_gnu().ok_or(BadTar::SparseFormat)?;
        let bytes = size(&header.realsize, "size of a sparse file")?;
        let mut map = HeaderMap { pieces: Vec::new(), bytes, goes_on: header.isextended[0] == 1 };
        map.take(&header.sparse)?;
        Ok(map)
    }

    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    pub(super) fn extend(&mut self, block: &[u8; 512]) -> Result<(), BadTar> {
        let mut more = GnuExtSparseHeader::new();
        more.as_mut_bytes().copy_from_slice(block);
        self.goes_on = more.isextended[0] == 1;
        self.take(&more.sparse)
    }

    fn take(&mut self, pieces: &[GnuSparseHeader]) -> Result<(), BadTar> {
        for piece in pieces.iter().take_while(|piece| piece.numbytes[0] != 0) {
            if self.pieces.len() == MAX_PIECES {
                return Err(BadTar::SparseMap);
            }
            self.pieces.push((
                size(&piece.offset, "offset in a sparse file")?,
                size(&piece.numbytes, "length in a sparse file")?,
            ));
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }
}

/// What PAX records say of a sparse file.
#[derive(Debug)]
pub(super) struct PaxMap {
    pub(super) bytes: u64,
    /// `None`: the content begins with them.
    pub(super) pieces: Option<Vec<Piece>>,
}

impl PaxMap {
    /// Takes out of the records what they say; `None` where they say nothing of sparse files.
    pub(super) fn take(records: &mut Records) -> Result<Option<Self>, BadTar> {
        let sparse = std::mem::take(&mut records.sparse);
        if sparse.is_empty() {
            return Ok(None);
        }
        let value =
            |key: &[u8]| sparse.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_slice());
        if value(b"major") == Some(b"1") && value(b"minor") == Some(b"0") {
            let bytes = decimal(value(b"realsize").ok_or(BadTar::SparseMap)?, "size of a sparse file")?;
            return Ok(Some(PaxMap { bytes, pieces: None }));
        }
        let (Some(bytes), Some(map)) = (value(b"size"), value(b"map")) else {
            return Err(BadTar::SparseFormat);
        };
        let numbers: Vec<u64> = if map.is_empty() {
            Vec::new()
        } else {
            map.split(|byte| *byte == b',')
                .map(|number| decimal(number, "map of a sparse file"))
                .collect::<Result<_, _>>()?
        };
        let (pairs, []) = numbers.as_chunks::<2>() else { return Err(BadTar::SparseMap) };
        if pairs.len() > MAX_PIECES {
            return Err(BadTar::SparseMap);
        }
        let pieces = pairs.iter().map(|[offset, bytes]| (*offset, *bytes)).collect();
        Ok(Some(PaxMap { bytes: decimal(bytes, "size of a sparse file")?, pieces: Some(pieces) }))
    }
}

/// The map of PAX 1.0, while it is read: how many pieces, then offset and length of each, a line for each number.
#[derive(Debug, Default)]
pub(super) struct ContentMap {
    /// How many numbers there will be, once that is known.
    expected: Option<usize>,
    numbers: Vec<u64>,
    /// Digits of a number that goes on in the next block.
    digits: Vec<u8>,
}

impl ContentMap {
    /// Takes one block more; all pieces, once the last number is read. What follows it in its block is padding.
    pub(super) fn extend(&mut self, block: &[u8; 512]) -> Result<Option<Vec<Piece>>, BadTar> {
        for byte in block {
            if *byte != b'\n' {
                if self.digits.len() == 20 {
                    return Err(BadTar::SparseMap);
                }
                self.digits.push(*byte);
                continue;
            }
            let number = decimal(&std::mem::take(&mut self.digits), "map of a sparse file")?;
            let Some(expected) = self.expected else {
                let pieces = usize::try_from(number).ok().filter(|pieces| *pieces <= MAX_PIECES);
                self.expected = Some(pieces.ok_or(BadTar::SparseMap)? * 2);
                if number == 0 {
                    return Ok(Some(Vec::new()));
                }
                continue;
            };
            self.numbers.push(number);
            if self.numbers.len() == expected {
                return Ok(Some(
                    self.numbers.as_chunks::<2>().0.iter().map(|[at, bytes]| (*at, *bytes)).collect(),
                ));
            }
        }
        Ok(None)
    }
}
