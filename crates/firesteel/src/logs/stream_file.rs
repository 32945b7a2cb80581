//! The file of one log stream, appended to and rotated.
//!
//! ```text
//!  push ─► pending ─► [$LATEST]0123…      up to PART_LIMIT_BYTES, then renamed to
//!                     [$LATEST]0123….1    the older part; one before it is gone
//! ```
//!
//! So a stream takes twice that at most. Others may read it, and may remove it: it then begins anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::group::older_part;
use super::record;

/// Most bytes of each of the two parts of a stream.
pub(super) const PART_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// What is kept of a buffer for the next lines, once a burst is over.
const KEPT_CAPACITY_BYTES: usize = 64 * 1024;

/// A stream that lines are written to.
#[derive(Debug)]
pub(super) struct StreamFile {
    path: PathBuf,
    part_limit_bytes: u64,
    file: Option<File>,
    /// Of the file.
    size_bytes: u64,
    /// Complete records, not yet in the file.
    pending: Vec<u8>,
    pending_lines: u64,
    /// Lines that are in no file, and of which the stream does not tell yet.
    lost_lines: u64,
}

impl StreamFile {
    /// Nothing is made before there is something to write.
    pub(super) fn new(path: PathBuf, part_limit_bytes: u64) -> Self {
        // It may have been written to before, and closed since.
        let size_bytes = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map_or(0, |file| file.len());
        StreamFile {
            path,
            part_limit_bytes,
            file: None,
            size_bytes,
            pending: Vec::new(),
            pending_lines: 0,
            lost_lines: 0,
        }
    }

    /// Takes a line, and writes those before it once they fill a part. An error is about those: this line is taken
    /// all the same.
    pub(super) fn push(&mut self, time: &str, line: &[u8]) -> io::Result<()> {
        let size = self.size_bytes + (self.pending.len() + record::size(line)) as u64;
        let written = if size > self.part_limit_bytes { self.rotate() } else { Ok(()) };
        self.tell_lost(time);
        record::append(&mut self.pending, time, line);
        self.pending_lines += 1;
        written
    }

    /// Lines of this stream were dropped before they came here.
    pub(super) fn lose(&mut self, lines: u64) -> io::Result<()> {
        let flushed = self.flush();
        self.lost_lines += lines;
        self.tell_lost(&record::time_text(SystemTime::now()));
        flushed.and(self.flush())
    }

    /// Whether lines were lost of which the stream does not tell yet.
    pub(super) fn has_lost_lines(&self) -> bool {
        self.lost_lines > 0
    }

    /// Writes what is pending. What cannot be written is lost, and the stream tells of it when it can.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.write_pending();
        match &written {
            Ok(()) => self.lost_lines = 0,
            Err(_) => {
                self.lost_lines += self.pending_lines;
                self.take_back();
            }
        }
        self.pending.clear();
        self.pending.shrink_to(KEPT_CAPACITY_BYTES);
        self.pending_lines = 0;
        written
    }

    /// Before the first line that follows the lost ones.
    fn tell_lost(&mut self, time: &str) {
        if self.lost_lines > 0 && self.pending.is_empty() {
            let lost =
                format!("firesteel: {} log lines were dropped, the disk is slow or full", self.lost_lines);
            record::append(&mut self.pending, time, lost.as_bytes());
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        // Somebody who removes logs must not make an environment lose those to come.
        let is_gone = |file: &File| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        if self.file.as_ref().is_none_or(is_gone) {
            let file = open(&self.path)?;
            self.size_bytes = file.metadata()?.len();
            self.file = Some(file);
        }
        if let Some(mut file) = self.file.as_ref() {
            file.write_all(&self.pending)?;
        }
        self.size_bytes += self.pending.len() as u64;
        Ok(())
    }

    /// Half a record would be read as one.
    fn take_back(&mut self) {
        if let Some(file) = self.file.take() {
            // A disk that refuses this too leaves a record without its end, which readers get over.
            let _ = file.set_len(self.size_bytes);
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file = None;
        match fs::rename(&self.path, older_part(&self.path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.size_bytes = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let append = || OpenOptions::new().append(true).create(true).open(path);
    match append() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            append()
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-11-21T20:08:04.123Z";

    fn lines(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split_once('\t').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn a_stream_has_two_parts_at_most_and_the_newest_lines_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/stream");
        let mut stream = StreamFile::new(path.clone(), 1000);
        for number in 0..1000 {
            stream.push(TIME, number.to_string().as_bytes()).unwrap();
            if number % 7 == 0 {
                stream.flush().unwrap();
            }
        }
        stream.flush().unwrap();
        let mut kept = lines(&older_part(&path));
        kept.extend(lines(&path));
        assert!(kept.len() > 1000 / record::size(b"999"), "more than one part: {}", kept.len());
        let newest: Vec<String> = (1000 - kept.len()..1000).map(|number| number.to_string()).collect();
        assert_eq!(kept, newest);
        for part in [&path, &older_part(&path)] {
            assert!(fs::metadata(part).unwrap().len() <= 1000);
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn a_stream_that_was_opened_again_goes_on_and_keeps_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream");
        for number in 0..100 {
            let mut stream = StreamFile::new(path.clone(), 300);
            stream.push(TIME, number.to_string().as_bytes()).unwrap();
            stream.flush().unwrap();
        }
        assert!(fs::metadata(&path).unwrap().len() <= 300);
        assert_eq!(lines(&path).last().unwrap(), "99");
    }

    #[test]
    fn a_stream_that_was_removed_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("group/stream");
        let mut stream = StreamFile::new(path.clone(), 1000);
        for line in ["one", "two"] {
            stream.push(TIME, line.as_bytes()).unwrap();
            stream.flush().unwrap();
            assert_eq!(lines(&path), [line]);
            fs::remove_dir_all(folder.path().join("group")).unwrap();
        }
    }

    #[test]
    fn what_could_not_be_written_is_counted_in_the_stream_once_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stream");
        fs::create_dir(&path).unwrap();
        let mut stream = StreamFile::new(path.clone(), 1000);
        for line in ["one", "two"] {
            stream.push(TIME, line.as_bytes()).unwrap();
            stream.flush().unwrap_err();
        }
        fs::remove_dir(&path).unwrap();
        stream.push(TIME, b"three").unwrap();
        stream.flush().unwrap();
        stream.lose(5).unwrap();
        stream.push(TIME, b"four").unwrap();
        stream.flush().unwrap();
        let dropped = |count| format!("firesteel: {count} log lines were dropped, the disk is slow or full");
        assert_eq!(lines(&path), [dropped(2), "three".into(), dropped(5), "four".into()]);
    }
}
