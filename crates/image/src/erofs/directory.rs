//! Directories.

use super::{BLOCK_BYTES, FileType};

/// Bytes of an entry without its name.
const ENTRY_BYTES: usize = 12;
const BLOCK: usize = BLOCK_BYTES as usize;

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectoryEntry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) nid: u64,
    pub(crate) file_type: FileType,
}

/// How large a directory of these names is. They are sorted and at most 255 bytes long.
pub(crate) fn directory_bytes<'a>(names: impl Iterator<Item = &'a [u8]>) -> u64 {
    let (mut whole, mut used) = (0u64, 0);
    for name in names {
        let bytes = ENTRY_BYTES + name.len();
        if used + bytes > BLOCK {
            whole += 1;
            used = 0;
        }
        used += bytes;
    }
    whole * u64::from(BLOCK_BYTES) + used as u64
}

/// The content of a directory: whole blocks but for the last, which ends after its last name.
#[derive(Debug, Default)]
pub(crate) struct Directory(Vec<u8>);

impl Directory {
    /// `entries` are sorted by name, include `.` and `..`, and have names of at most 255 bytes.
    pub(crate) fn of(entries: &[DirectoryEntry<'_>]) -> Self {
        let mut directory = Directory::default();
        let mut rest = entries;
        while !rest.is_empty() {
            let mut used = 0;
            let fitting = rest.iter().take_while(|entry| {
                used += ENTRY_BYTES + entry.name.len();
                used <= BLOCK
            });
            let (block, more) = rest.split_at(fitting.count());
            directory.0.resize(directory.0.len().next_multiple_of(BLOCK), 0);
            directory.push_block(block);
            rest = more;
        }
        directory
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn push_block(&mut self, entries: &[DirectoryEntry<'_>]) {
        let mut name_at = entries.len() * ENTRY_BYTES;
        for entry in entries {
            self.0.extend_from_slice(&entry.nid.to_le_bytes());
            let offset = u16::try_from(name_at).expect("it is within a block");
            self.0.extend_from_slice(&offset.to_le_bytes());
            self.0.extend_from_slice(&[entry.file_type.number(), 0]);
            name_at += entry.name.len();
        }
        for entry in entries {
            self.0.extend_from_slice(entry.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is computed before anything is placed is what is written later.
    #[test]
    fn a_directory_is_as_large_as_was_computed() {
        for count in [1, 2, 3, 15, 16, 17, 300, 5000] {
            let names: Vec<Vec<u8>> = (0..count)
                .map(|index: usize| {
                    let mut name = format!("{index:05}").into_bytes();
                    name.resize(5 + (index * 37) % 251, b'x');
                    name
                })
                .collect();
            let entries: Vec<_> = names
                .iter()
                .map(|name| DirectoryEntry { name, nid: 36, file_type: FileType::Regular })
                .collect();
            let bytes = directory_bytes(names.iter().map(Vec::as_slice));
            assert_eq!(Directory::of(&entries).as_bytes().len() as u64, bytes);
        }
    }
}
