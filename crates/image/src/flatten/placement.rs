//! Where files of one layer lie in its region of the image.
//!
//! ```text
//! | bin: a b c d        | F F F F F | F F . . . | bin: e f g h i   | …         chunks of 512 KiB
//!   small files, each     a large file begins     next bin: the one before is full,
//!   at 4 KiB              a chunk                 or `d`'s path closed it
//! ```
//!
//! Images share chunks where the same bytes lie in the same chunks, so a file's place may depend on nothing but its
//! neighbours. A large file has chunks to itself. Small ones fill bins in the order of their paths, and about every 24th
//! path, by a hash that everybody computes alike, is the last one of its bin: if a file is added, or outgrows its place,
//! only the files up to the next such path move. Large ones do not interrupt a bin.
//!
//! What is left of a chunk is zeros, which are not stored.

use crate::chunk::CHUNK_BYTES;
use crate::erofs::BLOCK_BYTES;

/// From so many bytes on, a file has chunks to itself.
const LARGE_BYTES: u64 = 256 * 1024;
/// Every how-many-th path closes a bin. Part of the layout: with another one, no image shares small files with those made
/// before.
const CUT_MODULUS: u64 = 24;

const CHUNK_BLOCKS: u64 = (CHUNK_BYTES / BLOCK_BYTES) as u64;

/// Whether a path closes its bin: by the first eight bytes of its BLAKE3 hash. Part of the layout, too.
fn closes_bin(path: &[u8]) -> bool {
    let hash = blake3::hash(path);
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first).is_multiple_of(CUT_MODULUS)
}

/// One layer's region, while it grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Region {
    chunks: u64,
    /// The open bin: its chunk, and blocks that are used in it.
    bin: Option<(u64, u64)>,
}

impl Region {
    /// Places the next file, in byte order of paths; the result counts blocks from the start of the region.
    pub(super) fn place(&mut self, path: &[u8], bytes: u64) -> u64 {
        let blocks = bytes.div_ceil(u64::from(BLOCK_BYTES));
        if bytes >= LARGE_BYTES {
            let block = self.chunks * CHUNK_BLOCKS;
            self.chunks += blocks.div_ceil(CHUNK_BLOCKS);
            return block;
        }
        let (chunk, used) = match self.bin {
            Some((chunk, used)) if used + blocks <= CHUNK_BLOCKS => (chunk, used),
            _ => {
                self.chunks += 1;
                (self.chunks - 1, 0)
            }
        };
        self.bin = if closes_bin(path) { None } else { Some((chunk, used + blocks)) };
        chunk * CHUNK_BLOCKS + used
    }

    /// Blocks of all of it, whole chunks.
    pub(super) fn blocks(&self) -> u64 {
        self.chunks * CHUNK_BLOCKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout is a promise to every image that is stored: these do not change.
    #[test]
    fn bins_are_closed_by_the_same_paths_for_ever() {
        let closing: Vec<u32> =
            (0..200).filter(|n| closes_bin(format!("usr/lib/file-{n}").as_bytes())).collect();
        assert_eq!(closing, CLOSING);
    }

    const CLOSING: [u32; 10] = [22, 27, 39, 79, 104, 131, 133, 136, 156, 183];

    #[test]
    fn small_files_never_cross_a_chunk_and_large_ones_begin_one() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut region = Region::default();
        let mut taken = std::collections::BTreeSet::new();
        for n in 0..2000 {
            let bytes = random.u64(1..600 * 1024);
            let blocks = bytes.div_ceil(4096);
            let at = region.place(format!("{n:05}").as_bytes(), bytes);
            if bytes >= LARGE_BYTES {
                assert_eq!(at % CHUNK_BLOCKS, 0);
            } else {
                assert_eq!(at / CHUNK_BLOCKS, (at + blocks - 1) / CHUNK_BLOCKS);
            }
            assert!(at + blocks <= region.blocks());
            for block in at..at + blocks {
                assert!(taken.insert(block), "file {n} lies on another");
            }
        }
    }

    #[test]
    fn a_file_more_moves_only_files_up_to_the_next_cut() {
        let place_all = |paths: &[String]| -> Vec<(String, u64)> {
            let mut region = Region::default();
            paths
                .iter()
                .map(|path| (path.clone(), region.place(path.as_bytes(), 8000) % CHUNK_BLOCKS))
                .collect()
        };
        let mut paths: Vec<String> = (0..1000).map(|n| format!("{n:05}")).collect();
        let before = place_all(&paths);
        paths.insert(500, "00499-new".to_owned());
        let after = place_all(&paths);
        let moved = before.iter().filter(|place| !after.contains(place)).count();
        assert!((1..120).contains(&moved), "{moved} of 1000 files lie elsewhere in their chunks");
    }
}
