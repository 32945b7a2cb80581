//! Which slots of an image a start has read, in the order of their first reads.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::prefetch_list::PrefetchList;

/// Written by every read of the image's device, from many threads: a read of a slot that has been read before costs one load.
#[derive(Debug)]
pub struct Touches {
    /// Of each slot its rank from one on; zero: not read yet.
    ranks: Box<[AtomicU32]>,
    next: AtomicU32,
    ended: AtomicBool,
}

impl Touches {
    /// Of an image of so many slots.
    pub fn new(slots: u32) -> Self {
        Touches {
            ranks: (0..slots).map(|_| AtomicU32::new(0)).collect(),
            next: AtomicU32::new(1),
            ended: AtomicBool::new(false),
        }
    }

    /// This slot is read. One that the image does not have is ignored.
    pub fn record(&self, slot: u32) {
        let Some(rank) = self.ranks.get(slot as usize) else { return };
        if rank.load(Relaxed) != 0 || self.ended.load(Relaxed) {
            return;
        }
        // Who loses the race for a slot leaves a gap in the ranks, which nobody sees. No rank is given twice: a slot
        // takes at most one for each thread.
        let _lost = rank.compare_exchange(0, self.next.fetch_add(1, Relaxed), Relaxed, Relaxed);
    }

    /// The start is over: what is read from now on is not needed for one.
    pub fn end(&self) {
        self.ended.store(true, Relaxed);
    }

    /// So far, the first first.
    pub fn recorded(&self) -> PrefetchList {
        let ranks = self.ranks.iter().map(|rank| rank.load(Relaxed));
        let mut touched: Vec<(u32, u32)> = ranks.zip(0..).filter(|(rank, _)| *rank != 0).collect();
        touched.sort_unstable();
        PrefetchList::of_distinct(touched.into_iter().map(|(_, slot)| slot).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    #[test]
    fn first_touches_are_told_in_their_order() {
        let touches = Touches::new(10);
        [7, 3, 7, 9, 3, 0, 10, u32::MAX].into_iter().for_each(|slot| touches.record(slot));
        assert_eq!(touches.recorded().slots(), [7, 3, 9, 0]);
        touches.end();
        touches.record(1);
        assert_eq!(touches.recorded().slots(), [7, 3, 9, 0]);
    }

    #[test]
    fn many_threads_record_every_slot_once() {
        let touches = Touches::new(5000);
        thread::scope(|scope| {
            for seed in 0..8 {
                let touches = &touches;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    (0..20_000).for_each(|_| touches.record(random.u32(..4000)));
                    (0..4000).for_each(|slot| touches.record(slot));
                });
            }
        });
        let recorded = touches.recorded();
        assert_eq!(recorded.slots().len(), 4000);
        assert_eq!(recorded.slots().iter().copied().collect::<BTreeSet<_>>(), (0..4000).collect());
    }
}
