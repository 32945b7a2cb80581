//! Log lines on stderr, without ever making a function wait for the terminal.
//!
//! Drivers append to a buffer; one thread writes it out, a moment later, so that the lines of many invocations
//! become one write and an invocation does not pay for waking a thread. A reader of stderr that stops reading
//! costs lines, not invocations: beyond a bound they are dropped and counted.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use firesteel_environment::{Line, Output};

/// Most bytes that wait to be written.
const BUFFER_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// How long lines are gathered before they are written. Nobody who reads notices; a warm invocation, which
/// takes a tenth of a millisecond, would.
const GATHERING: Duration = Duration::from_millis(5);

/// The thread that prints. Dropped, it prints what is left and ends.
#[derive(Debug)]
pub(crate) struct LogPrinter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped_lines: u64,
    closed: bool,
}

impl LogPrinter {
    /// Starts the thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("log-printer".into()).spawn(move || for_thread.print())?;
        Ok(LogPrinter { shared, thread: Some(thread) })
    }

    /// Where environments write. `with_name` puts the function's name before each line, for servers of more
    /// than one function.
    pub(crate) fn output(&self, with_name: bool) -> Output {
        let shared = Arc::clone(&self.shared);
        Output::new(move |line| shared.append(line, with_name))
    }
}

impl Drop for LogPrinter {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A printer that panicked has nothing left to print.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: Line<'_>, with_name: bool) {
        let mut waiting = self.lock();
        if waiting.bytes.len() + line.bytes.len() > BUFFER_LIMIT_BYTES {
            waiting.dropped_lines += 1;
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        // A carriage return separates the lines of one record; on a terminal it would overwrite them.
        for part in line.bytes.split(|byte| *byte == b'\r') {
            if with_name {
                waiting.bytes.extend_from_slice(line.function.as_bytes());
                waiting.bytes.extend_from_slice(b" | ");
            }
            waiting.bytes.extend_from_slice(part);
            waiting.bytes.push(b'\n');
        }
        drop(waiting);
        if was_empty {
            self.changed.notify_one();
        }
    }

    fn print(&self) {
        let mut bytes = Vec::new();
        loop {
            let dropped_lines = {
                let mut waiting = self.lock();
                while waiting.bytes.is_empty() && !waiting.closed {
                    waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                }
                if !waiting.closed {
                    let gathered =
                        self.changed.wait_timeout_while(waiting, GATHERING, |waiting| !waiting.closed);
                    waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
                }
                if waiting.bytes.is_empty() {
                    return;
                }
                std::mem::swap(&mut bytes, &mut waiting.bytes);
                std::mem::take(&mut waiting.dropped_lines)
            };
            let mut stderr = std::io::stderr().lock();
            // Nobody reads any more: functions run on all the same.
            let _ = stderr.write_all(&bytes);
            if dropped_lines > 0 {
                let _ = writeln!(
                    stderr,
                    "firesteel: {dropped_lines} log lines were dropped, stderr is read too slowly"
                );
            }
            bytes.clear();
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
        let shared = Shared::default();
        shared.append(line(b"plain"), false);
        shared.append(line(b"one\rtwo"), true);
        assert_eq!(String::from_utf8_lossy(&shared.lock().bytes), "plain\nhello | one\nhello | two\n");
    }

    #[test]
    fn a_reader_that_stopped_costs_lines_and_they_are_counted() {
        let shared = Shared::default();
        let long = vec![b'x'; BUFFER_LIMIT_BYTES - 10];
        shared.append(line(&long), false);
        shared.append(line(b"one line more"), false);
        assert_eq!(shared.lock().dropped_lines, 1);
        assert_eq!(shared.lock().bytes.len(), long.len() + 1);
    }
}
