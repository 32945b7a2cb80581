//! An image as a file: bytes at an offset, out of chunks that are fetched when they are asked for.
//!
//! ```text
//!  read(offset, length) ─► slots it lies in ─┬─ absent ──► zeros
//!                                            └─ a chunk ─► ChunkSource::fetch ─► open just this range ─► bytes
//!              deadline passed, or closed ─────────────────► an error, whatever the source does
//! ```
//!
//! A read(2) that meets a chunk which does not come is several reads here, one after another: when its readahead has failed, the
//! kernel asks once more for each page, at every file system on the way. So that it waits once, a slot that has just let a read
//! wait in vain is not waited for by the next.
//!
//! Any number of reads at a time; none waits for another. It keeps no plaintext and no chunk: the page cache in front of
//! it does the one, the first tier behind it the other.
//!
//! Read by the FUSE file systems beside it. It knows nothing of them, and nothing of what is in the image.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chunk::{CHUNK_BYTES, ChunkKey, ChunkRef, ChunkSource, FetchError, VerifiedChunk};

/// Which chunk is in which slot of an image: what an opened manifest says.
pub trait SlotTable: Send + Sync + fmt::Debug {
    /// How long the image is. What its last slot has beyond that is no part of it.
    fn image_bytes(&self) -> u64;

    /// What is in a slot, if not zeros only. Asked for slots that begin within the image.
    fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)>;
}

/// How long a slot is not waited for after a read has waited for it in vain: longer than the kernel takes to ask again, and
/// no time for anybody else.
const GIVEN_UP: Duration = Duration::from_millis(250);

/// Told of each slot that has a chunk, once, when somebody first wants a byte of it.
pub type OnFirstTouch = Arc<dyn Fn(u32) + Send + Sync>;

/// An image that can be read at any offset.
pub struct BlockFile {
    slots: Arc<dyn SlotTable>,
    source: Arc<dyn ChunkSource>,
    /// How long one read may take.
    deadline: Duration,
    on_first_touch: OnFirstTouch,
    /// Slots that let a read wait until its deadline, and when that was. Old ones go when new ones come.
    given_up: Mutex<Vec<(u32, Instant)>>,
    /// One bit for each slot that has been wanted.
    touched: Box<[AtomicU64]>,
    /// Cancelled once nobody is to read any more.
    closed: CancellationToken,
    counts: Counts,
}

/// Why bytes of an image could not be had. Whoever reads the mounted tree sees EIO for each.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BlockReadError {
    /// No tier has the chunk, or none could be asked.
    #[error("reading slot {slot} of an image")]
    Fetch {
        /// Where in the image.
        slot: u32,
        /// What the first tier says.
        #[source]
        source: FetchError,
    },
    /// The source has not answered, neither with a chunk nor with an error.
    #[error("reading slot {slot} of an image: nothing came within {} ms", .deadline.as_millis())]
    TimedOut {
        /// Where in the image.
        slot: u32,
        /// What was granted.
        deadline: Duration,
    },
    /// The image is being unmounted.
    #[error("the image is read no more")]
    Closed,
}

/// What has been read of an image since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadStatistics {
    /// Reads that were answered, with bytes or with an error. What the page cache had is not among them.
    pub reads: u64,
    /// Bytes of those that were answered with bytes.
    pub read_bytes: u64,
    /// Those that were answered with an error.
    pub failed_reads: u64,
    /// Those of them that had waited as long as they may.
    pub timed_out_reads: u64,
    /// Chunks that were asked for by the reads, each time that they were.
    pub fetches: u64,
    /// Slots with a chunk of which something was wanted.
    pub touched_slots: u64,
}

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    read_bytes: AtomicU64,
    failed_reads: AtomicU64,
    timed_out_reads: AtomicU64,
    fetches: AtomicU64,
    touched_slots: AtomicU64,
}

impl BlockFile {
    /// A file over an image. Reads end within `deadline`.
    pub fn new(
        slots: Arc<dyn SlotTable>,
        source: Arc<dyn ChunkSource>,
        deadline: Duration,
        on_first_touch: OnFirstTouch,
    ) -> Self {
        let n_slots = slots.image_bytes().div_ceil(u64::from(CHUNK_BYTES));
        let touched = (0..n_slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (given_up, closed, counts) = (Mutex::default(), CancellationToken::new(), Counts::default());
        BlockFile { slots, source, deadline, on_first_touch, given_up, touched, closed, counts }
    }

    /// How long the image is.
    pub fn image_bytes(&self) -> u64 {
        self.slots.image_bytes()
    }

    /// Up to `length` bytes from `offset` on; fewer only where the image ends, none past its end.
    ///
    /// To be awaited within an async runtime. Dropped at an await, nothing is left of it.
    pub async fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, BlockReadError> {
        let read = self.read_in_time(offset, length).await;
        let counts = &self.counts;
        counts.reads.fetch_add(1, Ordering::Relaxed);
        match &read {
            Ok(bytes) => counts.read_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed),
            Err(error) => {
                if matches!(error, BlockReadError::TimedOut { .. }) {
                    counts.timed_out_reads.fetch_add(1, Ordering::Relaxed);
                }
                counts.failed_reads.fetch_add(1, Ordering::Relaxed)
            }
        };
        read
    }

    /// Ends every read that waits, and all that come later, with [`BlockReadError::Closed`].
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// What has been read so far.
    pub fn statistics(&self) -> ReadStatistics {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { reads, read_bytes, failed_reads, timed_out_reads, fetches, touched_slots } =
            &self.counts;
        ReadStatistics {
            reads: of(reads),
            read_bytes: of(read_bytes),
            failed_reads: of(failed_reads),
            timed_out_reads: of(timed_out_reads),
            fetches: of(fetches),
            touched_slots: of(touched_slots),
        }
    }

    async fn read_in_time(&self, offset: u64, length: usize) -> Result<Vec<u8>, BlockReadError> {
        let end = offset.saturating_add(length as u64).min(self.image_bytes());
        if self.closed.is_cancelled() {
            return Err(BlockReadError::Closed);
        }
        if offset >= end {
            return Ok(Vec::new());
        }
        tokio::select! {
            // What the first tier has in memory is there at once, and then nothing else is looked at.
            biased;
            bytes = self.gather(offset..end) => bytes,
            () = self.closed.cancelled() => Err(BlockReadError::Closed),
        }
    }

    /// A range that is not empty and within the image.
    async fn gather(&self, range: Range<u64>) -> Result<Vec<u8>, BlockReadError> {
        let pieces = pieces(&range);
        let chunks = try_join_all(pieces.clone().map(|piece| self.chunk(piece.slot))).await?;
        let mut bytes = vec![0; pieces.clone().map(|piece| piece.length).sum()];
        let mut rest = bytes.as_mut_slice();
        for (piece, chunk) in pieces.zip(chunks) {
            let (into, behind) = rest.split_at_mut(piece.length);
            rest = behind;
            if let Some((chunk, key)) = chunk {
                chunk.open_into(key, piece.start, into);
            }
        }
        Ok(bytes)
    }

    async fn chunk(&self, slot: u32) -> Result<Option<(VerifiedChunk, &ChunkKey)>, BlockReadError> {
        let Some((reference, key)) = self.slots.slot(slot) else {
            return Ok(None);
        };
        self.touch(slot);
        self.counts.fetches.fetch_add(1, Ordering::Relaxed);
        let patience = if self.was_given_up(slot) { Duration::ZERO } else { self.deadline };
        // What is there at once is taken in any case.
        match tokio::time::timeout(patience, self.source.fetch(reference)).await {
            Ok(fetched) => {
                let chunk = fetched.map_err(|source| BlockReadError::Fetch { slot, source })?;
                Ok(Some((chunk, key)))
            }
            Err(_) => {
                if patience > Duration::ZERO {
                    self.give_up(slot);
                }
                Err(BlockReadError::TimedOut { slot, deadline: self.deadline })
            }
        }
    }

    fn was_given_up(&self, slot: u32) -> bool {
        let given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.iter().any(|(other, when)| *other == slot && when.elapsed() < GIVEN_UP)
    }

    fn give_up(&self, slot: u32) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.retain(|(other, when)| *other != slot && when.elapsed() < GIVEN_UP);
        given_up.push((slot, Instant::now()));
    }

    /// Told before it is fetched, so that the order is the one in which it is needed.
    fn touch(&self, slot: u32) {
        let bit = 1_u64 << (slot % 64);
        let before = self.touched[(slot / 64) as usize].fetch_or(bit, Ordering::Relaxed);
        if before & bit == 0 {
            self.counts.touched_slots.fetch_add(1, Ordering::Relaxed);
            (self.on_first_touch)(slot);
        }
    }
}

impl fmt::Debug for BlockFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BlockFile")
            .field("image_bytes", &self.image_bytes())
            .field("source", &self.source)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// What of one slot is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    slot: u32,
    /// Where in the slot it begins.
    start: u32,
    length: usize,
}

/// A range by slots, in order.
fn pieces(range: &Range<u64>) -> impl Iterator<Item = Piece> + Clone + use<> {
    let slot_bytes = u64::from(CHUNK_BYTES);
    let Range { start, end } = *range;
    (start / slot_bytes..end.div_ceil(slot_bytes)).map(move |slot| {
        let first = slot * slot_bytes;
        let from = start.max(first) - first;
        let to = end.min(first + slot_bytes) - first;
        Piece {
            slot: u32::try_from(slot).expect("an image has fewer than 2^32 slots"),
            start: u32::try_from(from).expect("within a slot"),
            length: usize::try_from(to - from).expect("within a slot"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use async_trait::async_trait;
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::{BadChunk, ChunkId, Domain, Salt, seal};

    const SLOT: usize = CHUNK_BYTES as usize;

    /// An image in memory, and the source of its chunks.
    #[derive(Debug, Default)]
    struct Held {
        image_bytes: u64,
        slots: Vec<Option<(ChunkRef, ChunkKey)>>,
        chunks: HashMap<ChunkId, VerifiedChunk>,
        /// Chunks that are never answered for.
        stuck: Vec<ChunkId>,
    }

    impl Held {
        fn of(image: &[u8]) -> Self {
            let mut held = Held { image_bytes: image.len() as u64, ..Held::default() };
            for slot in image.chunks(SLOT) {
                let sealed = seal(slot, &Salt::from_bytes([1; 32]), &Domain::Deployment);
                held.slots.push(sealed.map(|sealed| {
                    let reference = sealed.chunk.reference();
                    held.chunks.insert(reference.id, sealed.chunk);
                    (reference, sealed.key)
                }));
            }
            held
        }

        fn id(&self, slot: usize) -> ChunkId {
            self.slots[slot].as_ref().unwrap().0.id
        }

        fn file(self) -> (BlockFile, Arc<Mutex<Vec<u32>>>) {
            let held = Arc::new(self);
            let touches = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&touches);
            let touch: OnFirstTouch = Arc::new(move |slot| told.lock().unwrap().push(slot));
            let slots: Arc<dyn SlotTable> = Arc::<Held>::clone(&held);
            (BlockFile::new(slots, held, Duration::from_secs(5), touch), touches)
        }
    }

    impl SlotTable for Held {
        fn image_bytes(&self) -> u64 {
            self.image_bytes
        }

        fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)> {
            self.slots[index as usize].as_ref().map(|(reference, key)| (*reference, key))
        }
    }

    #[async_trait]
    impl ChunkSource for Held {
        async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
            if self.stuck.contains(&chunk.id) {
                std::future::pending::<()>().await;
            }
            self.chunks.get(&chunk.id).cloned().ok_or(FetchError::Missing { id: chunk.id })
        }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(future)
    }

    /// Three slots and a bit: of content, of zeros, of content that ends in zeros, and the rest.
    fn image() -> Vec<u8> {
        let mut image = vec![0; 3 * SLOT + 1000];
        let mut random = fastrand::Rng::with_seed(1);
        random.fill(&mut image[..SLOT]);
        random.fill(&mut image[2 * SLOT..2 * SLOT + 5000]);
        random.fill(&mut image[3 * SLOT..]);
        image
    }

    #[test]
    fn slots_are_told_once_each_in_the_order_in_which_they_are_wanted() {
        let (file, touches) = Held::of(&image()).file();
        wait(async {
            file.read(2 * SLOT as u64, 10).await.unwrap();
            file.read(0, 4 * SLOT).await.unwrap();
            file.read(0, 4 * SLOT).await.unwrap();
        });
        assert_eq!(*touches.lock().unwrap(), [2, 0, 3], "slot 1 has no chunk");
        let statistics = file.statistics();
        assert_eq!((statistics.touched_slots, statistics.reads, statistics.failed_reads), (3, 3, 0));
        assert_eq!(statistics.read_bytes, 10 + 2 * (3 * SLOT as u64 + 1000));
    }

    #[test]
    fn a_source_that_never_answers_holds_up_nobody_else_and_ends_in_time() {
        let mut held = Held::of(&image());
        held.stuck.push(held.id(2));
        let (file, _) = held.file();
        wait(async {
            let began = tokio::time::Instant::now();
            let stuck = file.read(2 * SLOT as u64 - 1, 2);
            let other = async {
                let bytes = file.read(0, 4096).await.unwrap();
                assert_eq!(began.elapsed(), Duration::ZERO);
                bytes
            };
            let (stuck, other) = tokio::join!(stuck, other);
            assert!(matches!(stuck, Err(BlockReadError::TimedOut { .. })), "{stuck:?}");
            assert_eq!(began.elapsed(), Duration::from_secs(5));
            assert_eq!(other, image()[..4096]);
        });
        assert_eq!((file.statistics().timed_out_reads, file.statistics().failed_reads), (1, 1));
    }

    #[test]
    fn who_asks_again_at_once_does_not_wait_again() {
        let mut held = Held::of(&image());
        held.stuck.push(held.id(0));
        let (file, _) = held.file();
        wait(async {
            let took = async || {
                let began = Instant::now();
                file.read(0, 1).await.unwrap_err();
                began.elapsed().as_secs()
            };
            assert_eq!((took().await, took().await, took().await), (5, 0, 0));
            file.read(2 * SLOT as u64, 1).await.unwrap();
            tokio::time::advance(GIVEN_UP).await;
            assert_eq!((took().await, took().await), (5, 0));
        });
    }

    #[test]
    fn closing_ends_what_waits_and_what_comes_later() {
        let mut held = Held::of(&image());
        held.stuck.push(held.id(0));
        let (file, _) = held.file();
        wait(async {
            let closing = async { file.close() };
            let (read, ()) = tokio::join!(file.read(0, 1), closing);
            assert!(matches!(read, Err(BlockReadError::Closed)), "{read:?}");
            assert!(matches!(file.read(SLOT as u64, 1).await, Err(BlockReadError::Closed)));
        });
    }

    #[test]
    fn what_the_source_says_is_told_with_the_slot() {
        let mut held = Held::of(&image());
        let (first, other) = (held.id(0), held.chunks[&held.id(2)].clone());
        held.chunks.insert(first, other);
        let (missing, reference) = (held.id(3), held.slots[0].as_ref().unwrap().0);
        held.chunks.remove(&missing);
        let damaged = VerifiedChunk::verify(reference, held.chunks[&first].ciphertext().clone());
        assert!(matches!(damaged, Err(BadChunk::Length { .. })), "no source can hand out another chunk");
        let (file, _) = held.file();
        let refused = wait(file.read(3 * SLOT as u64, 1)).unwrap_err();
        let BlockReadError::Fetch { slot: 3, source: FetchError::Missing { id } } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(id, missing);
    }

    proptest! {
        #[test]
        fn any_range_is_what_the_image_has(offset in 0_u64..3 * SLOT as u64 + 3000, length in 0_usize..2 * SLOT) {
            let image = image();
            let (file, _) = Held::of(&image).file();
            let read = wait(file.read(offset, length)).unwrap();
            let from = image.len().min(usize::try_from(offset).unwrap());
            prop_assert_eq!(&read[..], &image[from..image.len().min(from + length)]);
        }
    }
}
