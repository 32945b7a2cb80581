//! Log lines on stderr. A reader of stderr that stops reading costs lines, not invocations: beyond a bound they are
//! dropped and counted.

use std::io::Write;
use std::time::Duration;

use firesteel_environment::Line;

use super::gathering::{Batch, Gatherer};

/// Most bytes that wait to be written.
const BUFFER_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// How long lines are gathered before they are written. Nobody who reads notices; a warm invocation, which
/// takes a tenth of a millisecond, would.
const GATHERING: Duration = Duration::from_millis(5);

/// What waits to be printed.
#[derive(Debug, Default)]
pub(super) struct Printout {
    bytes: Vec<u8>,
    dropped_lines: u64,
}

/// Starts the thread that prints.
pub(super) fn start() -> std::io::Result<Gatherer<Printout>> {
    Gatherer::start("log-printer", GATHERING, print)
}

fn print(printout: &mut Printout) {
    let mut stderr = std::io::stderr().lock();
    // Nobody reads any more: functions run on all the same.
    let _ = stderr.write_all(&printout.bytes);
    let dropped_lines = std::mem::take(&mut printout.dropped_lines);
    if dropped_lines > 0 {
        let _ =
            writeln!(stderr, "firesteel: {dropped_lines} log lines were dropped, stderr is read too slowly");
    }
    printout.bytes.clear();
}

impl Batch for Printout {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Printout {
    pub(super) fn push(&mut self, line: Line<'_>, with_name: bool) {
        if self.bytes.len() + line.bytes.len() > BUFFER_LIMIT_BYTES {
            self.dropped_lines += 1;
            return;
        }
        // A carriage return separates the lines of one record; on a terminal it would overwrite them.
        for part in line.bytes.split(|byte| *byte == b'\r') {
            if with_name {
                self.bytes.extend_from_slice(line.function.as_bytes());
                self.bytes.extend_from_slice(b" | ");
            }
            self.bytes.extend_from_slice(part);
            self.bytes.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_environment::Source;

    fn line(bytes: &[u8]) -> Line<'_> {
        Line { function: "hello", stream: "stream", source: Source::Function, bytes }
    }

    #[test]
    fn records_become_lines_and_names_go_before_them() {
        let mut printout = Printout::default();
        printout.push(line(b"plain"), false);
        printout.push(line(b"one\rtwo"), true);
        assert_eq!(String::from_utf8_lossy(&printout.bytes), "plain\nhello | one\nhello | two\n");
    }

    #[test]
    fn a_reader_that_stopped_costs_lines_and_they_are_counted() {
        let mut printout = Printout::default();
        let long = vec![b'x'; BUFFER_LIMIT_BYTES - 10];
        printout.push(line(&long), false);
        printout.push(line(b"one line more"), false);
        assert_eq!(printout.dropped_lines, 1);
        assert_eq!(printout.bytes.len(), long.len() + 1);
    }
}
