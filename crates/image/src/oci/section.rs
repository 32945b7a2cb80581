//! Some bytes of a file: a blob in a folder is all of one, and a blob in an archive a part.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Where some bytes are. Read from several places at once, since it has no position of its own.
#[derive(Clone, Debug)]
pub(super) struct Section {
    file: Arc<File>,
    start: u64,
    bytes: u64,
}

impl Section {
    pub(super) fn of(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Section { file: Arc::new(file), start: 0, bytes })
    }

    /// `bytes` from `start` on, fewer if there are no more.
    pub(super) fn part(&self, start: u64, bytes: u64) -> Self {
        let start = start.min(self.bytes);
        let bytes = bytes.min(self.bytes - start);
        Section { file: Arc::clone(&self.file), start: self.start + start, bytes }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn reader(&self) -> SectionReader {
        SectionReader { section: self.clone(), position: 0 }
    }

    /// All of it, which the caller knows to be little.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[derive(Debug)]
pub(super) struct SectionReader {
    section: Section,
    position: u64,
}

impl Read for SectionReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.section.bytes - self.position).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let count = self.section.file.read_at(&mut buffer[..wanted], self.section.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}
