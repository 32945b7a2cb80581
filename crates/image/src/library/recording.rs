//! What starts of an image have read, kept for the next ones.
//!
//! ```text
//! mounted ─► touches … none for a while, or long enough ─► Recordings: the last few starts ─► store
//! ```
//!
//! What a start reads is told by its first reads of each slot. An image that is mounted serves several starts, of which
//! only the first reads anything that the kernel does not have: one recording for each mount.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::manifest::ImageId;
use crate::store::ImageStore;
use crate::tiers::{BadPrefetchList, PrefetchList, Touches};

/// A start is over when nothing new has been read for so long.
const QUIET: Duration = Duration::from_secs(3);
/// Or after so long: a function that reads on and on is not waited for.
const LONGEST: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);
/// Starts that are kept: what at least two of them had in common is fetched ahead.
const KEPT: usize = 4;

/// The last starts of an image, the latest last.
///
/// ```text
/// offset  bytes
/// 0       4      "FSRC"
/// 4       1      version, 1
/// 5       …      each start: length in bytes, 4, little-endian; a prefetch list of that length
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recordings(Vec<PrefetchList>);

const HEAD: &[u8; 5] = b"FSRC\x01";

impl Recordings {
    /// Reads what [`Recordings::encode`] gives.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadPrefetchList> {
        let mut rest = bytes.strip_prefix(HEAD).ok_or(BadPrefetchList::Magic)?;
        let mut starts = Vec::new();
        while !rest.is_empty() {
            let cut_off = BadPrefetchList::Length { slots: 0, bytes: rest.len() };
            let Some((length, after)) = rest.split_first_chunk() else { return Err(cut_off) };
            let Some((list, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize) else {
                return Err(cut_off);
            };
            starts.push(PrefetchList::parse(list)?);
            rest = after;
        }
        Ok(Recordings(starts))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        for list in self.0.iter().map(PrefetchList::encode) {
            let length = u32::try_from(list.len()).expect("an image has few slots");
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&list);
        }
        bytes
    }

    /// With another start, and without the oldest if there are too many.
    pub(super) fn with(mut self, start: PrefetchList) -> Self {
        self.0.push(start);
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
        self
    }

    /// What is to be fetched for the next one.
    pub(super) fn wanted(&self) -> PrefetchList {
        PrefetchList::merge(&self.0)
    }
}

/// One start that is being recorded.
#[derive(Debug)]
pub(super) struct Recording {
    touches: Arc<Touches>,
    store: ImageStore,
    image: ImageId,
    before: Recordings,
    kept: AtomicBool,
}

impl Recording {
    pub(super) fn new(touches: Arc<Touches>, store: ImageStore, image: ImageId, before: Recordings) -> Self {
        Recording { touches, store, image, before, kept: AtomicBool::new(false) }
    }

    /// Waits until the start is over, and keeps what it has read.
    pub(super) async fn to_its_end(self: Arc<Self>) {
        let began = Instant::now();
        let (mut count, mut changed) = (0, began);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = looks.tick().await;
            let touched = self.touches.recorded().slots().len();
            if touched > count {
                (count, changed) = (touched, now);
            }
            // Mounted long before it is used, it waits for the use.
            if count > OF_A_MOUNT && (now - changed >= QUIET || now - began >= LONGEST) {
                break;
            }
        }
        self.keep().await;
    }

    /// The start is over, as far as its caller is concerned. Of a start that has read nothing there is nothing to keep.
    pub(super) async fn keep(&self) {
        self.touches.end();
        let start = self.touches.recorded();
        if start.slots().len() <= OF_A_MOUNT || self.kept.swap(true, Ordering::Relaxed) {
            return;
        }
        let recordings = self.before.clone().with(start).encode();
        if let Err(error) = self.store.put_prefetch_list(self.image, recordings.into()).await {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::warn!(image = %self.image, error, "what a start has read is not kept");
        }
    }
}

/// Slots that mounting reads: the superblock's and the root's.
const OF_A_MOUNT: usize = 2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start(slots: &[u32]) -> PrefetchList {
        let touches = Touches::new(1000);
        slots.iter().for_each(|slot| touches.record(*slot));
        touches.recorded()
    }

    #[test]
    fn the_last_starts_are_kept_and_what_they_have_in_common_is_wanted() {
        let one = Recordings::default().with(start(&[1, 2, 3]));
        assert_eq!(one.wanted().slots(), [1, 2, 3]);
        let two = one.with(start(&[2, 1, 9]));
        assert_eq!(two.wanted().slots().len(), 2, "what a single one of two has read is left out");
        let many = (0..10).fold(two, |recordings, n| recordings.with(start(&[100, 200 + n])));
        assert_eq!((many.0.len(), many.wanted().slots()), (KEPT, &[100][..]));
        assert_eq!(Recordings::parse(&many.encode()), Ok(many));
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let framed = [&HEAD[..], &bytes].concat();
            for bytes in [bytes, framed] {
                if let Ok(read) = Recordings::parse(&bytes) {
                    prop_assert_eq!(read.encode(), bytes);
                }
            }
        }
    }
}
