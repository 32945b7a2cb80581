//! Log lines into files, one per stream.
//!
//! Drivers append bytes and a time to one buffer; the thread sorts them by stream, writes each stream's in one go, and
//! looks after the bounds of the groups. A disk that is too slow, full or not to be written to costs lines, which are
//! counted in their stream, and is told of once; functions run on.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use firesteel_environment::Line;

use super::gathering::{Batch, Gatherer};
use super::group::{self, BOUNDS, Bounds};
use super::record::{self, Times};
use super::stream_file::{PART_LIMIT_BYTES, StreamFile};
use crate::notice::tell;

/// Most bytes that wait to be written, names of streams included.
const BUFFER_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// How long lines are gathered. Whoever follows the files waits for this; who kills the server loses it.
const GATHERING: Duration = Duration::from_millis(20);

/// Files that are open at a time. Of more streams the least recently written ones are opened again.
const OPEN_STREAMS: usize = 64;

/// What a buffer keeps for the next lines, once a burst is over.
const KEPT_CAPACITY_BYTES: usize = 1024 * 1024;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// For each line the function's name, the stream's and the line itself.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    dropped: HashMap<StreamName, u64>,
}

#[derive(Debug)]
struct Entry {
    time: SystemTime,
    function_bytes: usize,
    stream_bytes: usize,
    line_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct StreamName {
    function: String,
    stream: String,
}

impl Batch for Lines {
    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Lines {
    pub(super) fn push(&mut self, line: Line<'_>) {
        let parts = [line.function.as_bytes(), line.stream.as_bytes(), line.bytes];
        if self.bytes.len() + parts.iter().map(|part| part.len()).sum::<usize>() > BUFFER_LIMIT_BYTES {
            let name = StreamName { function: line.function.to_owned(), stream: line.stream.to_owned() };
            *self.dropped.entry(name).or_default() += 1;
            return;
        }
        self.entries.push(Entry {
            time: SystemTime::now(),
            function_bytes: line.function.len(),
            stream_bytes: line.stream.len(),
            line_bytes: line.bytes.len(),
        });
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }
}

/// Starts the thread that writes below `folder`.
pub(super) fn start(folder: &Path) -> io::Result<Gatherer<Lines>> {
    let mut writer = Writer::new(folder.to_path_buf(), PART_LIMIT_BYTES, BOUNDS);
    Gatherer::start("log-writer", GATHERING, move |lines| writer.write(lines))
}

/// What the thread owns.
#[derive(Debug)]
struct Writer {
    folder: PathBuf,
    part_limit_bytes: u64,
    bounds: Bounds,
    streams: HashMap<StreamName, Writing>,
    /// By function.
    groups: HashMap<String, Unchecked>,
    turn: u64,
    /// It is told once; a full disk would fill the terminal too.
    said: bool,
}

#[derive(Debug)]
struct Writing {
    file: StreamFile,
    last_turn: u64,
}

/// What came into a group since its bounds were enforced.
#[derive(Debug, Default)]
struct Unchecked {
    size_bytes: u64,
    has_new_stream: bool,
}

impl Writer {
    fn new(folder: PathBuf, part_limit_bytes: u64, bounds: Bounds) -> Self {
        Writer {
            folder,
            part_limit_bytes,
            bounds,
            streams: HashMap::new(),
            groups: HashMap::new(),
            turn: 0,
            said: false,
        }
    }

    /// Writes all of it and leaves it empty.
    fn write(&mut self, lines: &mut Lines) {
        self.turn += 1;
        let mut times = Times::default();
        let mut name = StreamName { function: String::new(), stream: String::new() };
        let mut rest = lines.bytes.as_slice();
        for entry in lines.entries.drain(..) {
            let (function, after) = rest.split_at(entry.function_bytes);
            let (stream, after) = after.split_at(entry.stream_bytes);
            let (line, after) = after.split_at(entry.line_bytes);
            rest = after;
            if name.function.as_bytes() != function || name.stream.as_bytes() != stream {
                name.function = String::from_utf8_lossy(function).into_owned();
                name.stream = String::from_utf8_lossy(stream).into_owned();
            }
            let time = times.text(entry.time);
            // A line has no newline in it, but that a record ends with one must not depend on it.
            line.split(|byte| *byte == b'\n').for_each(|line| self.push(&name, time, line));
        }
        lines.bytes.clear();
        lines.bytes.shrink_to(KEPT_CAPACITY_BYTES);
        for (name, dropped) in lines.dropped.drain() {
            let lost = self.stream(&name).lose(dropped);
            self.say(lost);
        }
        self.flush();
        self.close_unused();
        self.enforce_bounds(|unchecked| unchecked.has_new_stream);
    }

    fn push(&mut self, name: &StreamName, time: &str, line: &[u8]) {
        let size_bytes = record::size(line) as u64;
        let unchecked_limit_bytes = self.bounds.unchecked_bytes;
        let is_due = |unchecked: &Unchecked| unchecked.size_bytes + size_bytes > unchecked_limit_bytes;
        if self.groups.get(&name.function).is_some_and(is_due) {
            self.flush();
            self.enforce_bounds(is_due);
        }
        let pushed = self.stream(name).push(time, line);
        self.say(pushed);
        if let Some(unchecked) = self.groups.get_mut(&name.function) {
            unchecked.size_bytes += size_bytes;
        }
    }

    fn stream(&mut self, name: &StreamName) -> &mut StreamFile {
        if !self.streams.contains_key(name) {
            let path = group::folder(&self.folder, &name.function).join(&name.stream);
            let file = StreamFile::new(path, self.part_limit_bytes);
            self.streams.insert(name.clone(), Writing { file, last_turn: self.turn });
            self.groups.entry(name.function.clone()).or_default().has_new_stream = true;
        }
        let writing = self.streams.get_mut(name).expect("it was there or was put there");
        writing.last_turn = self.turn;
        &mut writing.file
    }

    fn flush(&mut self) {
        let turn = self.turn;
        let mut result = Ok(());
        // All of them, whatever becomes of the first.
        for writing in self.streams.values_mut().filter(|writing| writing.last_turn == turn) {
            result = result.and(writing.file.flush());
        }
        self.say(result);
    }

    fn close_unused(&mut self) {
        if self.streams.len() <= OPEN_STREAMS {
            return;
        }
        let mut turns: Vec<u64> = self.streams.values().map(|writing| writing.last_turn).collect();
        turns.sort_unstable();
        let oldest = turns[turns.len() - OPEN_STREAMS];
        // What it has lost is told of by the next line, which needs somebody who knows.
        self.streams.retain(|_, writing| writing.last_turn >= oldest || writing.file.has_lost_lines());
    }

    fn enforce_bounds(&mut self, is_due: impl Fn(&Unchecked) -> bool) {
        let mut result = Ok(());
        for (function, unchecked) in self.groups.iter_mut().filter(|(_, unchecked)| is_due(unchecked)) {
            *unchecked = Unchecked::default();
            result = result.and(group::enforce(&group::folder(&self.folder, function), self.bounds));
        }
        self.say(result);
    }

    fn say(&mut self, result: io::Result<()>) {
        let Err(error) = result else { return };
        if !std::mem::replace(&mut self.said, true) {
            tell(format_args!(
                "firesteel: logs cannot be kept in {}: {error}; functions run on without them",
                self.folder.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_environment::Source;

    const SMALL: Bounds = Bounds { streams: 5, size_bytes: 4000, unchecked_bytes: 1000 };

    fn line<'a>(stream: &'a str, bytes: &'a [u8]) -> Line<'a> {
        Line { function: "f", stream, source: Source::Function, bytes }
    }

    fn lines(stream: &str, bytes: &[u8], count: usize) -> Lines {
        let mut lines = Lines::default();
        (0..count).for_each(|_| lines.push(line(stream, bytes)));
        lines
    }

    fn size_bytes(group: &Path) -> u64 {
        let streams = group::streams(group).unwrap();
        let parts = streams.iter().flat_map(|stream| [stream.clone(), group::older_part(stream)]);
        parts.filter_map(|part| Some(std::fs::metadata(part).ok()?.len())).sum()
    }

    #[test]
    fn a_group_keeps_its_bounds_whatever_comes_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let group = group::folder(folder.path(), "f");
        let mut writer = Writer::new(folder.path().to_path_buf(), 500, SMALL);
        for number in 0..30 {
            let stream = format!("2026/11/21/[$LATEST]{number:02}");
            writer.write(&mut lines(&stream, b"a line of the function", 1 + number));
            let streams = group::streams(&group).unwrap();
            assert!(streams.len() <= 5, "{streams:?}");
            assert!(size_bytes(&group) <= 4000, "{}", size_bytes(&group));
            assert!(streams.iter().any(|path| path.ends_with(&stream)), "the newest is kept: {streams:?}");
        }
        let mut all = Lines::default();
        (0..100).for_each(|number| all.push(line(&format!("2026/11/21/{number}"), &[b'x'; 100])));
        writer.write(&mut all);
        assert!(group::streams(&group).unwrap().len() <= 5 && size_bytes(&group) <= 4000);
    }

    #[test]
    fn two_writers_on_one_folder_keep_to_the_same_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let group = group::folder(folder.path(), "f");
        let mut writers: Vec<Writer> =
            (0..2).map(|_| Writer::new(folder.path().to_path_buf(), 500, SMALL)).collect();
        for number in 0..100 {
            for (which, writer) in writers.iter_mut().enumerate() {
                let stream = format!("2026/11/21/{which}.{}", number / 10);
                writer.write(&mut lines(&stream, b"a line of the function", 10));
                // The other has written for one look at most.
                assert!(size_bytes(&group) <= 4000 + 1000, "{}", size_bytes(&group));
            }
        }
    }

    #[test]
    fn streams_beyond_the_open_ones_are_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().to_path_buf(), PART_LIMIT_BYTES, BOUNDS);
        for _ in 0..2 {
            for number in 0..OPEN_STREAMS + 20 {
                writer.write(&mut lines(&format!("2026/11/21/{number}"), b"line", 1));
                assert!(writer.streams.len() <= OPEN_STREAMS);
            }
        }
        let streams = group::streams(&group::folder(folder.path(), "f")).unwrap();
        assert_eq!(streams.len(), OPEN_STREAMS + 20);
        for stream in streams {
            assert_eq!(std::fs::read_to_string(stream).unwrap().lines().count(), 2);
        }
    }

    #[test]
    fn a_disk_that_is_too_slow_costs_lines_and_their_stream_says_how_many() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![b'x'; 256 * 1024];
        let mut waiting = lines("2026/11/21/a", &long, 100);
        let kept = waiting.entries.len();
        assert!(waiting.bytes.len() <= BUFFER_LIMIT_BYTES && kept < 100);
        let mut writer = Writer::new(folder.path().to_path_buf(), PART_LIMIT_BYTES, BOUNDS);
        writer.write(&mut waiting);
        assert!(waiting.is_empty() && waiting.bytes.is_empty() && waiting.dropped.is_empty());
        let stream = std::fs::read(group::folder(folder.path(), "f").join("2026/11/21/a")).unwrap();
        let said = format!("\tfiresteel: {} log lines were dropped, the disk is slow or full\n", 100 - kept);
        assert!(stream.ends_with(said.as_bytes()));
    }

    #[test]
    fn newlines_inside_a_line_do_not_make_records_without_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(folder.path().to_path_buf(), PART_LIMIT_BYTES, BOUNDS);
        writer.write(&mut lines("2026/11/21/a", b"one\ntwo", 1));
        let stream = std::fs::read_to_string(group::folder(folder.path(), "f").join("2026/11/21/a")).unwrap();
        let texts: Vec<&str> = stream.lines().filter_map(|line| Some(line.split_once('\t')?.1)).collect();
        assert_eq!(texts, ["one", "two"]);
    }
}
