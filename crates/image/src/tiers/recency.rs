//! Which of the things that are kept goes first, when there is no room for another.
//!
//! LRU-2: what has been used twice goes by the time of its last use but one, so that a function that runs every five
//! minutes does not drive out one that runs every second, however recently it ran. Of plain LRU-2 it differs in two ways:
//!
//! - Uses within [`BURST`] of each other are one: a block device reads a chunk in a dozen pieces, and prefetch has read it just
//!   before. Counted one by one, everything would have been used twice, and a scan would drive out all.
//! - What has been used once has an eighth of the room: as much as it may take from the rest, and as much as it is left by it.
//!   With less, the chunks of a new image would drive out each other before they are used again; with more, a scan of one
//!   large image would cost the others their place.
//!
//! What went is remembered for a while by name, so that its next use is known for the second.
//!
//! Caches that can be had as a library withstand scans as well, but count every use, and have no place for what happens to a
//! file when it goes.
//!
//! Pure: time is told, bytes are counted, nothing is held. Used for chunks in memory and on disk, and for shards in cache nodes.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Uses this close to each other are one.
pub(super) const BURST: Duration = Duration::from_secs(10);

/// What was used once has the room divided by this.
const ONCE_DIVISOR: u64 = 8;

/// Names are remembered of at least so many things that went.
const REMEMBERED_MIN: usize = 1024;

/// When things were used, and how large they are.
#[derive(Debug)]
pub(super) struct Recency<K> {
    room_bytes: u64,
    entries: HashMap<K, Entry>,
    /// By last use.
    once: BTreeSet<(Duration, K)>,
    /// By last use but one.
    twice: BTreeSet<(Duration, Duration, K)>,
    bytes: u64,
    once_bytes: u64,
    /// Last uses of what went, and in which order it went. A name may be in the queue that is not in the map.
    gone: HashMap<K, Duration>,
    gone_order: VecDeque<K>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    bytes: u64,
    last: Duration,
    before: Option<Duration>,
}

impl<K: Copy + Ord + Hash> Recency<K> {
    pub(super) fn new(room_bytes: u64) -> Self {
        Recency {
            room_bytes,
            entries: HashMap::new(),
            once: BTreeSet::new(),
            twice: BTreeSet::new(),
            bytes: 0,
            once_bytes: 0,
            gone: HashMap::new(),
            gone_order: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// It is used; whether it is there at all.
    pub(super) fn touch(&mut self, key: &K, now: Duration) -> bool {
        let Some(entry) = self.entries.get(key).copied() else { return false };
        if now.saturating_sub(entry.last) > BURST {
            self.unlink(*key, entry);
            self.link(*key, Entry { before: Some(entry.last), last: now, ..entry });
        }
        true
    }

    /// It is there from now on. Gives what goes for it, which is itself if there is no room for it at all.
    pub(super) fn insert(&mut self, key: K, bytes: u64, now: Duration) -> Vec<K> {
        if bytes > self.room_bytes {
            self.remove(&key);
            return vec![key];
        }
        if self.touch(&key, now) {
            let entry = self.entries[&key];
            self.unlink(key, entry);
            self.link(key, Entry { bytes, ..entry });
        } else {
            let last = self.gone.remove(&key);
            let before = last.filter(|last| now.saturating_sub(*last) > BURST);
            self.link(key, Entry { bytes, last: now, before });
        }
        let mut going = Vec::new();
        while self.bytes > self.room_bytes {
            let Some(victim) = self.victim(key) else { break };
            self.forget(victim);
            going.push(victim);
        }
        going
    }

    /// It is not there any more, and nothing is remembered of it: it was of no use. Whether it was there.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        let Some(entry) = self.entries.get(key).copied() else { return false };
        self.unlink(*key, entry);
        true
    }

    /// Who goes first, other than the one that just came.
    fn victim(&self, new: K) -> Option<K> {
        let once = self.once.iter().map(|(_, key)| *key).find(|key| *key != new);
        let twice = self.twice.iter().map(|(_, _, key)| *key).find(|key| *key != new);
        if self.once_bytes > self.room_bytes / ONCE_DIVISOR { once.or(twice) } else { twice.or(once) }
    }

    fn forget(&mut self, key: K) {
        let entry = self.entries[&key];
        self.unlink(key, entry);
        self.gone.insert(key, entry.last);
        self.gone_order.push_back(key);
        while self.gone_order.len() > REMEMBERED_MIN.max(2 * self.entries.len()) {
            let oldest = self.gone_order.pop_front().expect("it is longer than something");
            self.gone.remove(&oldest);
        }
    }

    fn link(&mut self, key: K, entry: Entry) {
        match entry.before {
            None => {
                self.once.insert((entry.last, key));
                self.once_bytes += entry.bytes;
            }
            Some(before) => {
                self.twice.insert((before, entry.last, key));
            }
        }
        self.bytes += entry.bytes;
        self.entries.insert(key, entry);
    }

    fn unlink(&mut self, key: K, entry: Entry) {
        match entry.before {
            None => {
                self.once.remove(&(entry.last, key));
                self.once_bytes -= entry.bytes;
            }
            Some(before) => {
                self.twice.remove(&(before, entry.last, key));
            }
        }
        self.bytes -= entry.bytes;
        self.entries.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    impl<K: Copy + Ord + Hash> Recency<K> {
        fn contains(&self, key: &K) -> bool {
            self.entries.contains_key(key)
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// 800 things that are used again and again, a minute apart.
    fn busy() -> Recency<u32> {
        let mut recency = Recency::new(1000 * MIB);
        for round in 1..4 {
            for key in 0..800 {
                if !recency.touch(&key, at(round * 60)) {
                    assert!(recency.insert(key, MIB, at(round * 60)).is_empty());
                }
            }
        }
        recency
    }

    #[test]
    fn a_scan_takes_no_more_than_its_share() {
        let mut recency = busy();
        for key in 10_000..40_000 {
            // In pieces, as a block device reads it, and right after it was prefetched.
            recency.insert(key, MIB, at(300));
            assert!(recency.touch(&key, at(301)));
            assert!(recency.touch(&key, at(302)));
        }
        let left = (0..800).filter(|key| recency.contains(key)).count();
        assert_eq!(left, 800);
        assert_eq!(recency.bytes(), 1000 * MIB);
    }

    #[test]
    fn with_all_room_taken_a_new_image_still_has_a_share() {
        let mut recency = busy();
        (800..1000).for_each(|key| assert!(recency.insert(key, MIB, at(200)).is_empty()));
        (0..1000).for_each(|key| assert!(recency.touch(&key, at(400))));
        (5000..5100).for_each(|key| assert_eq!(recency.insert(key, MIB, at(500)).len(), 1));
        assert!((5000..5100).all(|key| recency.contains(&key)));
    }

    #[test]
    fn what_is_used_rarely_does_not_drive_out_what_is_used_often() {
        let mut recency = Recency::new(100 * MIB);
        for second in 0..3600 {
            for key in 0..50 {
                if !recency.touch(&key, at(second)) {
                    recency.insert(key, MIB, at(second));
                }
            }
            // Twenty functions on timers of five minutes, with chunks of their own.
            if second % 15 == 0 {
                let first = 1000 + (second / 15 % 20) as u32 * 20;
                for key in first..first + 20 {
                    if !recency.touch(&key, at(second)) {
                        recency.insert(key, MIB, at(second));
                    }
                }
                assert!((0..50).all(|key| recency.contains(&key)), "after {second} s");
            }
        }
    }

    #[test]
    fn what_comes_back_is_known() {
        let mut recency = Recency::new(8);
        recency.insert(1, 8, at(0));
        assert_eq!(recency.insert(2, 8, at(20)), [1]);
        assert_eq!(recency.insert(1, 8, at(40)), [2]);
        assert!(recency.twice.contains(&(at(0), at(40), 1)));
    }

    #[test]
    fn what_is_larger_than_the_room_does_not_come_in() {
        let mut recency = Recency::new(8);
        recency.insert(1, 8, at(0));
        assert_eq!(recency.insert(2, 9, at(1)), [2]);
        assert!(recency.contains(&1) && !recency.contains(&2));
        assert_eq!(Recency::new(0).insert(1, 1, at(0)), [1]);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Touch(u8),
        Insert(u8, u8),
        Remove(u8),
        Wait(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..20_u8).prop_map(Step::Touch),
            (0..20_u8, 1..40_u8).prop_map(|(key, bytes)| Step::Insert(key, bytes)),
            (0..20_u8).prop_map(Step::Remove),
            (1..15_u8).prop_map(Step::Wait),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// The same rules on a plain list.
    #[derive(Default)]
    struct Model {
        here: Vec<(u8, Entry)>,
        gone: HashMap<u8, Duration>,
    }

    impl Model {
        fn touch(&mut self, key: u8, now: Duration) -> bool {
            let Some((_, entry)) = self.here.iter_mut().find(|(other, _)| *other == key) else {
                return false;
            };
            if now - entry.last > BURST {
                (entry.before, entry.last) = (Some(entry.last), now);
            }
            true
        }

        fn insert(&mut self, key: u8, bytes: u64, now: Duration) -> Vec<u8> {
            if self.touch(key, now) {
                self.here.iter_mut().find(|(other, _)| *other == key).unwrap().1.bytes = bytes;
            } else {
                let before = self.gone.remove(&key).filter(|last| now - *last > BURST);
                self.here.push((key, Entry { bytes, last: now, before }));
            }
            let mut going = Vec::new();
            let sum = |here: &[(u8, Entry)], once: bool| -> u64 {
                here.iter().filter(|(_, e)| !once || e.before.is_none()).map(|(_, e)| e.bytes).sum()
            };
            while sum(&self.here, false) > 100 {
                let crowded = sum(&self.here, true) > 100 / ONCE_DIVISOR;
                let place = |(key, entry): &(u8, Entry)| {
                    (entry.before.is_none() != crowded, entry.before, entry.last, *key)
                };
                let others = self.here.iter().filter(|(other, _)| *other != key);
                let (victim, entry) = *others.min_by_key(|entry| place(entry)).unwrap();
                self.gone.insert(victim, entry.last);
                self.here.retain(|(other, _)| *other != victim);
                going.push(victim);
            }
            going
        }
    }

    proptest! {
        #[test]
        fn it_does_as_the_model(steps in steps()) {
            let (mut recency, mut model, mut now) = (Recency::new(100), Model::default(), at(100));
            for step in steps {
                match step {
                    Step::Touch(key) => prop_assert_eq!(recency.touch(&key, now), model.touch(key, now)),
                    Step::Insert(key, bytes) => {
                        let going = recency.insert(key, bytes.into(), now);
                        prop_assert_eq!(going, model.insert(key, bytes.into(), now));
                    }
                    Step::Remove(key) => {
                        let before = model.here.len();
                        model.here.retain(|(other, _)| *other != key);
                        prop_assert_eq!(recency.remove(&key), model.here.len() < before);
                    }
                    Step::Wait(seconds) => now += at(seconds.into()),
                }
                prop_assert_eq!(recency.len(), model.here.len());
                prop_assert_eq!(recency.bytes(), model.here.iter().map(|(_, entry)| entry.bytes).sum::<u64>());
                prop_assert!(recency.bytes() <= 100);
            }
        }
    }
}
