//! The records of a group, in the order of time, and those that are still being written.
//!
//! ```text
//!  stream: older part ─► file ─► (rotated: the file that took its place) ─► …
//!  group:  all streams, merged by time; again and again to follow
//! ```
//!
//! Records of one stream keep their order even where the clock was set back. A record whose newline is not there yet
//! is still being written, and waits.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::group;
use super::record::Record;

/// Reads a group, and what is added to it.
#[derive(Debug)]
pub(crate) struct GroupReader {
    folder: PathBuf,
    /// Part of the names of the streams that are read.
    name_part: String,
    streams: BTreeMap<PathBuf, StreamReader>,
}

impl GroupReader {
    /// Of the function's streams those with `name_part` in their names; all have an empty one.
    pub(crate) fn new(logs: &Path, function: &str, name_part: &str) -> Self {
        let folder = group::folder(logs, function);
        GroupReader { folder, name_part: name_part.to_owned(), streams: BTreeMap::new() }
    }

    /// Looks which streams there are: those that are new will be read, those that were removed were read. True when
    /// there is one.
    pub(crate) fn find_streams(&mut self) -> io::Result<bool> {
        let mut known = std::mem::take(&mut self.streams);
        for path in group::streams(&self.folder)? {
            let name = path.strip_prefix(&self.folder).unwrap_or(&path);
            if name.to_string_lossy().contains(&self.name_part) {
                let stream = known.remove(&path).unwrap_or_else(|| StreamReader::new(path.clone()));
                self.streams.insert(path, stream);
            }
        }
        Ok(!self.streams.is_empty())
    }

    /// Gives each record that is there and was not given before to `take`, oldest first, until it has an error.
    pub(crate) fn read<E: From<io::Error>>(
        &mut self,
        mut take: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut streams: Vec<&mut StreamReader> = self.streams.values_mut().collect();
        let mut next = BinaryHeap::new();
        for (number, stream) in streams.iter_mut().enumerate() {
            next.extend(stream.next()?.map(|record| Reverse((record.time, number, record.bytes))));
        }
        while let Some(Reverse((time, number, bytes))) = next.pop() {
            take(Record { time, bytes })?;
            next.extend(streams[number].next()?.map(|record| Reverse((record.time, number, record.bytes))));
        }
        Ok(())
    }
}

/// Reads one stream through its rotations.
#[derive(Debug)]
struct StreamReader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// A record that has begun.
    partial: Vec<u8>,
    last_time: Timestamp,
}

impl StreamReader {
    fn new(path: PathBuf) -> Self {
        StreamReader { path, file: None, partial: Vec::new(), last_time: Timestamp::UNIX_EPOCH }
    }

    /// The next record, if it is there.
    fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            if let Some(record) = self.read_line()? {
                return Ok(Some(record));
            }
            let Some(file) = self.following_file()? else { return Ok(None) };
            // Between the two looks its last records may have come.
            if let Some(record) = self.read_line()? {
                return Ok(Some(record));
            }
            self.partial.clear();
            self.file = Some(BufReader::new(file));
        }
    }

    fn read_line(&mut self) -> io::Result<Option<Record>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        file.read_until(b'\n', &mut self.partial)?;
        let Some(line) = self.partial.strip_suffix(b"\n") else { return Ok(None) };
        let record = Record::parse(line, self.last_time);
        self.last_time = record.time;
        self.partial.clear();
        Ok(Some(record))
    }

    /// The file to read after the present one: the one that took its name, or the older part if that has come in
    /// between.
    fn following_file(&self) -> io::Result<Option<File>> {
        let present = self.file.as_ref().map(|file| file.get_ref().metadata()).transpose()?;
        let present = present.as_ref().map(identity);
        if let (Some(present), Ok(newest)) = (present, fs::metadata(&self.path))
            && identity(&newest) == present
        {
            return Ok(None);
        }
        // In this order: a rotation in between makes the older part what was the newest.
        let newest = Self::open(&self.path, present)?;
        let older = Self::open(&group::older_part(&self.path), present)?;
        Ok(match (older, newest) {
            (_, Opened::Present) => None,
            (Opened::Other(file), _) | (_, Opened::Other(file)) => Some(file),
            _ => None,
        })
    }

    fn open(path: &Path, present: Option<Identity>) -> io::Result<Opened> {
        match File::open(path) {
            Ok(file) if Some(identity(&file.metadata()?)) == present => Ok(Opened::Present),
            Ok(file) => Ok(Opened::Other(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Opened::Missing),
            Err(error) => Err(error),
        }
    }
}

/// What is there by the name of a part.
#[derive(Debug)]
enum Opened {
    /// The file that is being read.
    Present,
    Other(File),
    Missing,
}

/// Which file it is, whatever its name. None that is open is given away again.
type Identity = (u64, u64);

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::stream_file::StreamFile;

    /// A stream of function `f` with small parts.
    fn stream(logs: &Path, name: &str) -> StreamFile {
        StreamFile::new(group::folder(logs, "f").join(name), 300)
    }

    fn write(stream: &mut StreamFile, second: u32, text: &str) {
        stream.push(&format!("2026-11-21T20:08:{second:02}.000Z"), text.as_bytes()).unwrap();
        stream.flush().unwrap();
    }

    fn read(reader: &mut GroupReader) -> Vec<String> {
        let mut texts = Vec::new();
        reader.find_streams().unwrap();
        let take = |record: Record| {
            texts.push(String::from_utf8(record.bytes).unwrap());
            io::Result::Ok(())
        };
        reader.read(take).unwrap();
        texts
    }

    #[test]
    fn streams_are_merged_by_time_and_each_keeps_its_order() {
        let logs = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (stream(logs.path(), "a"), stream(logs.path(), "b"));
        write(&mut a, 1, "a1");
        write(&mut b, 2, "b2");
        write(&mut a, 4, "a4");
        write(&mut a, 3, "the clock was set back");
        write(&mut b, 5, "b5");
        let mut reader = GroupReader::new(logs.path(), "f", "");
        assert_eq!(read(&mut reader), ["a1", "b2", "a4", "the clock was set back", "b5"]);
        assert_eq!(read(&mut GroupReader::new(logs.path(), "f", "b")), ["b2", "b5"]);
        assert!(!GroupReader::new(logs.path(), "f", "c").find_streams().unwrap());
        assert!(!GroupReader::new(logs.path(), "g", "").find_streams().unwrap());
    }

    #[test]
    fn what_comes_is_read_through_rotations_and_from_new_streams() {
        let logs = tempfile::tempdir().unwrap();
        let mut reader = GroupReader::new(logs.path(), "f", "");
        assert_eq!(read(&mut reader), [""; 0]);
        let mut a = stream(logs.path(), "a");
        let mut expected = Vec::new();
        let mut seen = Vec::new();
        // Some ten lines fill a part; the reader sometimes looks after one line, sometimes after more than a part.
        for number in 0..300 {
            write(&mut a, 1, &number.to_string());
            expected.push(number.to_string());
            if number % 11 == 0 || number % 3 == 0 && number < 100 {
                seen.extend(read(&mut reader));
            }
        }
        seen.extend(read(&mut reader));
        assert_eq!(seen, expected);
        write(&mut stream(logs.path(), "b"), 0, "from b");
        write(&mut a, 2, "from a");
        assert_eq!(read(&mut reader), ["from b", "from a"]);
        assert_eq!(read(&mut reader), [""; 0]);
    }

    #[test]
    fn streams_that_were_removed_are_forgotten_and_read_again_when_they_begin_anew() {
        let logs = tempfile::tempdir().unwrap();
        let mut a = stream(logs.path(), "a");
        write(&mut a, 1, "one");
        let mut reader = GroupReader::new(logs.path(), "f", "");
        assert_eq!(read(&mut reader), ["one"]);
        fs::remove_file(group::folder(logs.path(), "f").join("a")).unwrap();
        write(&mut a, 2, "two");
        assert_eq!(read(&mut reader), ["two"]);
        fs::remove_file(group::folder(logs.path(), "f").join("a")).unwrap();
        assert_eq!(read(&mut reader), [""; 0]);
    }

    #[test]
    fn a_record_without_its_end_waits_for_it() {
        use std::io::Write;
        let logs = tempfile::tempdir().unwrap();
        write(&mut stream(logs.path(), "a"), 1, "one");
        let mut reader = GroupReader::new(logs.path(), "f", "");
        let mut file = File::options().append(true).open(group::folder(logs.path(), "f").join("a")).unwrap();
        file.write_all(b"2026-11-21T20:08:02.000Z\ttw").unwrap();
        assert_eq!(read(&mut reader), ["one"]);
        file.write_all(b"o\n").unwrap();
        assert_eq!(read(&mut reader), ["two"]);
    }
}
