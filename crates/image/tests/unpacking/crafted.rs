//! Zip archives written byte by byte, so that they can say what no writer would let them say.

/// One entry, stored uncompressed. The defaults are honest.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    name: Vec<u8>,
    content: Vec<u8>,
    mode: u32,
    flags: u16,
    method: u16,
    claimed_size: Option<u32>,
    claimed_checksum: Option<u32>,
}

impl Entry {
    pub(crate) fn file(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Entry {
            name: name.into(),
            content: content.into(),
            mode: 0o100_644,
            flags: 0,
            method: 0,
            claimed_size: None,
            claimed_checksum: None,
        }
    }

    pub(crate) fn folder(name: &str) -> Self {
        Entry::file(name, "").mode(0o040_755)
    }

    pub(crate) fn link(name: &str, target: &str) -> Self {
        Entry::file(name, target).mode(0o120_777)
    }

    /// Type and permission bits; 0 is an archive without Unix attributes.
    pub(crate) fn mode(self, mode: u32) -> Self {
        Entry { mode, ..self }
    }

    pub(crate) fn encrypted(self) -> Self {
        Entry { flags: 1, ..self }
    }

    pub(crate) fn method(self, method: u16) -> Self {
        Entry { method, ..self }
    }

    pub(crate) fn claiming_size(self, size: u32) -> Self {
        Entry { claimed_size: Some(size), ..self }
    }

    pub(crate) fn claiming_checksum(self, checksum: u32) -> Self {
        Entry { claimed_checksum: Some(checksum), ..self }
    }

    /// The part that local header and directory have in common.
    fn shared_header(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(20u16.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend(self.method.to_le_bytes());
        bytes.extend([0; 2]);
        bytes.extend(0x21u16.to_le_bytes());
        bytes.extend(self.claimed_checksum.unwrap_or_else(|| checksum(&self.content)).to_le_bytes());
        let size = u32::try_from(self.content.len()).unwrap();
        bytes.extend(size.to_le_bytes());
        bytes.extend(self.claimed_size.unwrap_or(size).to_le_bytes());
        bytes.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }
}

pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let offset = u32::try_from(archive.len()).unwrap();
        archive.extend(b"PK\x03\x04");
        archive.extend(entry.shared_header());
        archive.extend(&entry.name);
        archive.extend(&entry.content);

        directory.extend(b"PK\x01\x02");
        directory.extend([20, 3]);
        directory.extend(entry.shared_header());
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(&entry.name);
    }
    let start = u32::try_from(archive.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    archive
}

/// CRC-32 as zip has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}
