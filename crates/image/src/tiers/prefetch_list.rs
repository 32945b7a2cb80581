//! What an image's start needs, as starts before it have shown.
//!
//! ```text
//! offset  bytes
//! 0       4      "FSPL"
//! 4       1      version, 1
//! 5       4      number of slots, little-endian
//! 9       4 × n  slots, little-endian, none twice, in the order in which they are wanted
//! ```
//!
//! It is a hint: of a wrong one the start gets slower, and nothing else. A slot that the image does not have is for its reader to
//! pass over.

use std::collections::{BTreeMap, HashSet};

const MAGIC: &[u8; 4] = b"FSPL";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 9;

/// Slots of more than any image has are not read: 1 Mi of 512 KiB.
const MAX_SLOTS: usize = 1 << 20;

/// Slots in the order in which they are wanted, none twice. What one start has touched is one, too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrefetchList {
    slots: Vec<u32>,
}

/// Bytes that are no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPrefetchList {
    /// Something else.
    #[error("a prefetch list begins otherwise")]
    Magic,
    /// Of a later program, or of none.
    #[error("version {0} of prefetch lists is not known")]
    Version(u8),
    /// Cut off, or followed by something.
    #[error("a prefetch list of {slots} slots has not {bytes} bytes")]
    Length {
        /// How many it says that it has.
        slots: u32,
        /// How long it is.
        bytes: usize,
    },
    /// More than an image can have.
    #[error("{0} slots are more than an image has")]
    TooLong(u32),
    /// A slot is wanted once.
    #[error("slot {0} is in a prefetch list twice")]
    Twice(u32),
}

impl PrefetchList {
    pub(super) fn of_distinct(slots: Vec<u32>) -> Self {
        PrefetchList { slots }
    }

    /// What several starts of one image have in common: what at least two of them have touched, in the order of its mean place.
    ///
    /// Where there is only one start, what it has touched. A slot that a single start of several has touched is left out: it hung
    /// on the event, and fetching it would hold up those that are needed.
    pub fn merge(starts: &[PrefetchList]) -> Self {
        if let [only] = starts {
            return only.clone();
        }
        // By slot: in how many starts, and the sum of its places there. A place is a part of the list's length, so that a long list and
        // a short one mean the same by "in the middle".
        let mut places: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        for start in starts {
            let length = start.slots.len().max(1) as u64;
            for (rank, slot) in (0..).zip(&start.slots) {
                let (seen, sum) = places.entry(*slot).or_default();
                *seen += 1;
                *sum += rank * (1 << 32) / length;
            }
        }
        let common = places.into_iter().filter(|(_, (seen, _))| *seen >= 2);
        let mut common: Vec<(u64, u32)> = common.map(|(slot, (seen, sum))| (sum / seen, slot)).collect();
        common.sort_unstable();
        PrefetchList { slots: common.into_iter().map(|(_, slot)| slot).collect() }
    }

    /// The first first.
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// As it is kept.
    pub fn encode(&self) -> Vec<u8> {
        let count =
            u32::try_from(self.slots.len()).expect("slots are counted by 32 bits, and none is there twice");
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 4 * self.slots.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&count.to_le_bytes());
        self.slots.iter().for_each(|slot| bytes.extend_from_slice(&slot.to_le_bytes()));
        bytes
    }

    /// Reads what [`PrefetchList::encode`] gives, and nothing else.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadPrefetchList> {
        let after_magic = bytes.strip_prefix(MAGIC).ok_or(BadPrefetchList::Magic)?;
        let (version, rest) = after_magic.split_first().ok_or(BadPrefetchList::Magic)?;
        if *version != VERSION {
            return Err(BadPrefetchList::Version(*version));
        }
        let bad_length = |slots| BadPrefetchList::Length { slots, bytes: bytes.len() };
        let (count, rest) = rest.split_first_chunk().ok_or(bad_length(0))?;
        let count = u32::from_le_bytes(*count);
        if count as usize > MAX_SLOTS {
            return Err(BadPrefetchList::TooLong(count));
        }
        let (words, []) = rest.as_chunks::<4>() else { return Err(bad_length(count)) };
        if words.len() != count as usize {
            return Err(bad_length(count));
        }
        let slots: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let mut seen = HashSet::with_capacity(slots.len());
        match slots.iter().find(|slot| !seen.insert(**slot)) {
            Some(twice) => Err(BadPrefetchList::Twice(*twice)),
            None => Ok(PrefetchList { slots }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(slots: &[u32]) -> PrefetchList {
        PrefetchList { slots: slots.to_vec() }
    }

    #[track_caller]
    fn check_merge(starts: &[&[u32]], expected: &[u32]) {
        let starts: Vec<_> = starts.iter().map(|slots| list(slots)).collect();
        assert_eq!(PrefetchList::merge(&starts).slots(), expected);
    }

    #[test]
    fn what_two_starts_have_touched_is_wanted() {
        check_merge(&[], &[]);
        check_merge(&[&[5, 1]], &[5, 1]);
        check_merge(&[&[5, 1, 9], &[5, 2, 9]], &[5, 9]);
        check_merge(&[&[5, 1, 9], &[9, 5, 7], &[5, 7]], &[5, 9, 7]);
        check_merge(&[&[1], &[2]], &[]);
    }

    #[test]
    fn the_same_starts_give_the_same_list() {
        check_merge(&[&[3, 1, 2], &[3, 1, 2], &[3, 1, 2]], &[3, 1, 2]);
        check_merge(&[&[4, 2], &[2, 4]], &[2, 4]);
    }

    #[test]
    fn other_bytes_are_refused() {
        let refused = |bytes: &[u8]| PrefetchList::parse(bytes).unwrap_err();
        assert_eq!(refused(b""), BadPrefetchList::Magic);
        assert_eq!(refused(b"FSPL"), BadPrefetchList::Magic);
        assert_eq!(refused(b"FSPL\x02"), BadPrefetchList::Version(2));
        assert_eq!(refused(b"FSPL\x01\0\0"), BadPrefetchList::Length { slots: 0, bytes: 7 });
        assert_eq!(refused(b"FSPL\x01\x01\0\0\0\0\0\0"), BadPrefetchList::Length { slots: 1, bytes: 12 });
        assert_eq!(refused(b"FSPL\x01\xff\xff\xff\xff"), BadPrefetchList::TooLong(u32::MAX));
        let twice = [&b"FSPL\x01\x02\0\0\0"[..], &[7, 0, 0, 0, 7, 0, 0, 0]].concat();
        assert_eq!(refused(&twice), BadPrefetchList::Twice(7));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_parsed(slots in proptest::collection::hash_set(any::<u32>(), 0..300)) {
            let list = PrefetchList { slots: slots.into_iter().collect() };
            prop_assert_eq!(PrefetchList::parse(&list.encode()), Ok(list));
        }

        #[test]
        fn what_is_parsed_is_what_was_encoded(head in any::<bool>(), tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            let bytes = if head { [&b"FSPL\x01"[..], &tail].concat() } else { tail };
            if let Ok(list) = PrefetchList::parse(&bytes) {
                prop_assert_eq!(list.encode(), bytes);
            }
        }

        #[test]
        fn a_merged_list_has_each_slot_once(starts in proptest::collection::vec(proptest::collection::hash_set(0..50_u32, 0..40), 0..6)) {
            let starts: Vec<_> = starts.into_iter().map(|slots| PrefetchList { slots: slots.into_iter().collect() }).collect();
            let merged = PrefetchList::merge(&starts);
            prop_assert!(PrefetchList::parse(&merged.encode()).is_ok());
            let wanted = if starts.len() == 1 { 1 } else { 2 };
            for slot in 0..50 {
                let seen = starts.iter().filter(|start| start.slots.contains(&slot)).count();
                prop_assert_eq!(merged.slots.contains(&slot), seen >= wanted, "slot {} in {} starts", slot, seen);
            }
        }
    }
}
