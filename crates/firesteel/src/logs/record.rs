//! One line of a log file: `2026-11-21T20:08:04.123Z`, a tab, and the bytes as the function wrote them.
//!
//! The time is when the line reached Firesteel, in UTC. The bytes hold anything but a newline: carriage returns and
//! what is not UTF-8 are kept.

use std::fmt::Write;
use std::time::SystemTime;

use jiff::Timestamp;

/// Length of the time, which is the same for all: years have four digits.
const TIME_BYTES: usize = "2026-11-21T20:08:04.123Z".len();

/// A line that was kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// When it came, to the millisecond.
    pub(crate) time: Timestamp,
    /// Without its newline.
    pub(crate) bytes: Vec<u8>,
}

impl Record {
    /// From a line of a file, without its newline. What has no time, since somebody wrote into the file by hand, is
    /// given `otherwise`.
    pub(super) fn parse(line: &[u8], otherwise: Timestamp) -> Self {
        let time = line.split_at_checked(TIME_BYTES).and_then(|(time, rest)| {
            let time = std::str::from_utf8(time).ok()?.parse().ok()?;
            Some((time, rest.strip_prefix(b"\t")?))
        });
        let (time, bytes) = time.unwrap_or((otherwise, line));
        Record { time, bytes: bytes.to_vec() }
    }
}

/// How many bytes a line takes in a file.
pub(super) fn size(line: &[u8]) -> usize {
    TIME_BYTES + 1 + line.len() + 1
}

/// Appends a line to what will be written. `line` is without a newline.
pub(super) fn append(to: &mut Vec<u8>, time: &str, line: &[u8]) {
    to.extend_from_slice(time.as_bytes());
    to.push(b'\t');
    to.extend_from_slice(line);
    to.push(b'\n');
}

/// The text of a time.
pub(super) fn time_text(time: SystemTime) -> String {
    Times::default().text(time).to_owned()
}

/// Texts of times, which are the same for many lines one after the other.
#[derive(Debug, Default)]
pub(super) struct Times {
    millisecond: Option<i64>,
    text: String,
}

impl Times {
    pub(super) fn text(&mut self, time: SystemTime) -> &str {
        // A clock set outside of the calendar is nobody's intention; a line matters more than its time.
        let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
        let millisecond = Some(time.as_millisecond());
        if self.millisecond != millisecond {
            self.millisecond = millisecond;
            self.text.clear();
            write!(self.text, "{time:.3}").expect("a String takes everything");
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_record_survives_byte_for_byte() {
        for line in [&b""[..], b"plain", b"\ttabs\t", b"one\rtwo\r", b"\xff\x00\xfe", "\u{a0}ü".as_bytes()] {
            let mut written = Vec::new();
            let time = UNIX_EPOCH + Duration::new(1_795_291_684, 123_999_999);
            append(&mut written, &time_text(time), line);
            assert_eq!(written.len(), size(line));
            let record = Record::parse(written.strip_suffix(b"\n").unwrap(), Timestamp::UNIX_EPOCH);
            assert_eq!(
                (format!("{:.3}", record.time).as_str(), record.bytes.as_slice()),
                ("2026-11-21T20:08:04.123Z", line)
            );
        }
    }

    #[test]
    fn what_has_no_time_is_given_one() {
        let time = Timestamp::from_second(7).unwrap();
        for line in
            [&b""[..], b"no time", b"2026-11-21T20:08:04.123Z", b"2026-99-21T20:08:04.123Z\tx", b"\xff\xff"]
        {
            assert_eq!(Record::parse(line, time), Record { time, bytes: line.to_vec() });
        }
    }
}
