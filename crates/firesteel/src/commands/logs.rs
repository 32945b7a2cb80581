//! `firesteel logs NAME`: what a function has written, from the files that `serve` and `invoke` keep.
//!
//! Reads files and nothing else: no server needs to run, and one that does is not asked. With `--follow` it looks
//! again and again, until Ctrl-C or until nobody reads its stdout.

use std::collections::VecDeque;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::Path;

use firesteel_catalog::FunctionName;
use jiff::{Span, SpanRelativeTo, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::sync::oneshot;

use crate::cli::LogsArguments;
use crate::data_folder;
use crate::exit::{Exit, Failure};
use crate::logs::{GroupReader, Record, groups};
use crate::notice::tell;

/// How often the files are looked at while they are followed.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

pub(crate) async fn run(arguments: LogsArguments) -> Result<Exit, Failure> {
    let function: FunctionName = arguments.name.parse().map_err(|error| {
        Failure::usage(format!("`{}` cannot be the name of a function", arguments.name))
            .because(&error)
            .try_next("firesteel logs NAME, with the name that `serve` prints")
    })?;
    let folder = data_folder::logs(arguments.data.as_deref())?;
    let since = arguments.since.as_deref().map(since).transpose()?;

    let print = move || print(&arguments, &function, &folder, since);
    tokio::select! {
        biased; // Signals are listened for before there is anything to interrupt.
        exit = super::invoke::interrupted() => Ok(exit),
        result = on_own_thread(print) => result,
    }
}

/// The program's end does not wait for this thread: a write to a reader that pauses would keep Ctrl-C from being
/// heard.
async fn on_own_thread(
    print: impl FnOnce() -> Result<Exit, Failure> + Send + 'static,
) -> Result<Exit, Failure> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("logs".into())
        // Whoever waited for the result was interrupted.
        .spawn(move || drop(ended.send(print())))
        .map_err(|error| Failure::platform("no thread to read logs").because(&error))?;
    end.await.unwrap_or_else(|_| Err(Failure::platform("reading the logs ended early")))
}

fn print(
    arguments: &LogsArguments,
    function: &FunctionName,
    folder: &Path,
    since: Option<Timestamp>,
) -> Result<Exit, Failure> {
    let unreadable = |error: io::Error| {
        Failure::platform(format!("the logs in {} cannot be read", folder.display())).because(&error)
    };
    let name_part = arguments.stream.as_deref().unwrap_or_default();
    let mut reader = GroupReader::new(folder, function.as_str(), name_part);
    if !reader.find_streams().map_err(unreadable)? {
        if !arguments.follow {
            return Err(nothing_kept(arguments, function, folder));
        }
        tell(format_args!("firesteel: no logs of {function} in {} yet, waiting for some", folder.display()));
    }

    let mut printer = Printer::new(arguments.timestamps);
    let mut last = VecDeque::new();
    let tail = arguments.tail.unwrap_or(usize::MAX);
    let is_wanted = |record: &Record| since.is_none_or(|since| record.time >= since);
    let mut printed = reader
        .read(|record| match arguments.tail {
            _ if !is_wanted(&record) => Ok(()),
            None => printer.print(&record),
            Some(_) => {
                last.push_back(record);
                last.drain(..last.len().saturating_sub(tail));
                Ok(())
            }
        })
        .and_then(|()| last.iter().try_for_each(|record| printer.print(record)))
        .and_then(|()| printer.flush());
    while printed.is_ok() && arguments.follow && printer.is_read_until_next_look() {
        reader.find_streams().map_err(unreadable)?;
        printed = reader
            .read(|record| if is_wanted(&record) { printer.print(&record) } else { Ok(()) })
            .and_then(|()| printer.flush());
    }
    match printed {
        Ok(()) => Ok(Exit::Success),
        // Whoever reads has seen enough, as `head` does.
        Err(PrintError::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(PrintError::Stdout(error)) => {
            Err(Failure::platform("the logs could not be written to stdout").because(&error))
        }
        Err(PrintError::Files(error)) => Err(unreadable(error)),
    }
}

fn nothing_kept(arguments: &LogsArguments, function: &FunctionName, folder: &Path) -> Failure {
    let others = groups(folder);
    match &arguments.stream {
        Some(stream) if others.iter().any(|name| name == function.as_str()) => {
            Failure::usage(format!("no log stream of function {function} has `{stream}` in its name"))
                .try_next(format!("firesteel logs {function}"))
        }
        _ => {
            let failure =
                Failure::usage(format!("there are no logs of function {function} in {}", folder.display()));
            match others.first() {
                Some(other) => failure
                    .try_next(format!("firesteel logs {other}; there are logs of: {}", others.join(", "))),
                None => failure.try_next(
                    "--data DIR with the folder of the server; firesteel invoke TARGET writes logs",
                ),
            }
        }
    }
}

/// `10m`, `2h 30m`, `1d`, or a time in RFC 3339.
fn since(text: &str) -> Result<Timestamp, Failure> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = |text: &str| {
        let duration = text.parse::<Span>()?.to_duration(SpanRelativeTo::days_are_24_hours())?;
        Timestamp::now().checked_sub(duration.abs())
    };
    ago(text).map_err(|error| {
        Failure::usage(format!("`{text}` is neither a time nor a duration"))
            .because(&error)
            .try_next("--since 10m, --since 2h, --since 2026-11-21T20:00:00Z")
    })
}

/// Why printing came to an end: two places that can fail, and only one of them is the logs'.
#[derive(Debug)]
enum PrintError {
    Files(io::Error),
    Stdout(io::Error),
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        PrintError::Files(error)
    }
}

/// Stdout.
struct Printer {
    stdout: BufWriter<Stdout>,
    timestamps: bool,
    is_terminal: bool,
}

impl Printer {
    fn new(timestamps: bool) -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        Printer { stdout: BufWriter::new(stdout), timestamps, is_terminal }
    }

    fn print(&mut self, record: &Record) -> Result<(), PrintError> {
        self.write(record).map_err(PrintError::Stdout)
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        // A carriage return separates the lines of one record; on a terminal it would overwrite them. Programs get
        // what the function wrote.
        let parts = record.bytes.split(|byte| *byte == b'\r' && self.is_terminal);
        for part in parts {
            if self.timestamps {
                write!(self.stdout, "{:.3}\t", record.time)?;
            }
            self.stdout.write_all(part)?;
            self.stdout.write_all(b"\n")?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), PrintError> {
        self.stdout.flush().map_err(PrintError::Stdout)
    }

    /// Waits a moment. False as soon as nobody reads stdout any more, also if nothing is written.
    fn is_read_until_next_look(&self) -> bool {
        let stdout = io::stdout();
        // Nothing is asked for: an end is told of all the same.
        let mut stdout = [PollFd::new(&stdout, PollFlags::empty())];
        match rustix::event::poll(&mut stdout, Some(&LOOK_AGAIN)) {
            Ok(_) => !stdout[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
            Err(error) => error == rustix::io::Errno::INTR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_in_words_or_in_full() {
        let full = "2026-11-21T20:00:00Z";
        assert_eq!(since(full).unwrap(), full.parse().unwrap());
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h 30m", 9000), ("1d", 86_400)] {
            let ago = Timestamp::now().as_second() - since(text).unwrap().as_second();
            assert!((seconds..seconds + 5).contains(&ago), "{text}: {ago}");
        }
        for text in ["", "soon", "10", "1mo", "2026-11-21", "99999999999d"] {
            let said = since(text).unwrap_err().to_string();
            assert!(said.contains("neither a time nor a duration") && said.contains("--since 10m"), "{said}");
        }
    }
}
