//! Blocks of directories: entries sorted by name, then the names.

use super::{u16_at, u64_at};

const ENTRY_BYTES: usize = 12;

/// One block, or the part of one that a directory ends with.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectoryBlock<'a> {
    bytes: &'a [u8],
    n_entries: usize,
}

/// One name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) nid: u64,
    /// As the format counts them: see [`crate`]'s fallback for what they mean.
    pub(super) kind: u8,
}

impl<'a> DirectoryBlock<'a> {
    /// `None` if it cannot be one.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < ENTRY_BYTES {
            return None;
        }
        // The names begin where the entries end.
        let names = usize::from(u16_at(bytes, 8));
        let is_whole = names >= ENTRY_BYTES && names.is_multiple_of(ENTRY_BYTES) && names < bytes.len();
        is_whole.then_some(DirectoryBlock { bytes, n_entries: names / ENTRY_BYTES })
    }

    pub(super) fn n_entries(&self) -> usize {
        self.n_entries
    }

    /// `None` if there are not as many, or its name is not within the block.
    pub(super) fn entry(&self, index: usize) -> Option<Entry<'a>> {
        if index >= self.n_entries {
            return None;
        }
        let entry = &self.bytes[index * ENTRY_BYTES..][..ENTRY_BYTES];
        let from = usize::from(u16_at(entry, 8));
        let is_last = index + 1 == self.n_entries;
        let to = if is_last {
            self.bytes.len()
        } else {
            usize::from(u16_at(&self.bytes[(index + 1) * ENTRY_BYTES..], 8))
        };
        let mut name = self.bytes.get(from..to)?;
        if is_last {
            // A block is filled with zeros behind its last name.
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            name = &name[..end];
        }
        (!name.is_empty()).then_some(Entry { name, nid: u64_at(entry, 0), kind: entry[10] })
    }

    /// The entry of this name, if it is in this block.
    pub(super) fn find(&self, name: &[u8]) -> Option<Entry<'a>> {
        let (mut from, mut to) = (0, self.n_entries);
        while from < to {
            let middle = from + (to - from) / 2;
            let entry = self.entry(middle)?;
            match entry.name.cmp(name) {
                std::cmp::Ordering::Equal => return Some(entry),
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut offset = names.len() * ENTRY_BYTES;
        for (nid, name) in (1_u64..).zip(names) {
            bytes.extend(nid.to_le_bytes());
            bytes.extend(u16::try_from(offset).unwrap().to_le_bytes());
            bytes.extend([1, 0]);
            offset += name.len();
        }
        names.iter().for_each(|name| bytes.extend(name.as_bytes()));
        bytes
    }

    #[test]
    fn every_name_is_found_and_no_other() {
        let names = [".", "..", "a", "ab", "b"];
        for padding in [0, 1, 50] {
            let bytes = [block(&names), vec![0; padding]].concat();
            let parsed = DirectoryBlock::parse(&bytes).unwrap();
            assert_eq!(parsed.n_entries(), 5);
            for (nid, name) in (1_u64..).zip(names) {
                assert_eq!(parsed.find(name.as_bytes()).unwrap().nid, nid);
            }
            for name in ["", "0", "aa", "abc", "c"] {
                assert_eq!(parsed.find(name.as_bytes()), None);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_bad(bytes in proptest::collection::vec(any::<u8>(), 0..200), names in 0_u16..60) {
            let mut bytes = bytes;
            if bytes.len() > 10 {
                bytes[8..10].copy_from_slice(&names.to_le_bytes());
            }
            if let Some(block) = DirectoryBlock::parse(&bytes) {
                for index in 0..=block.n_entries() {
                    block.entry(index);
                }
                block.find(b"name");
            }
        }
    }
}
