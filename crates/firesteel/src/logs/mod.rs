//! Where the lines of environments go: to stderr for whoever watches, and into files for later.
//!
//! ```text
//!                ┌─► printer ─► stderr
//!  drivers ─► Logs
//!                └─► writer ──► DATA/logs/aws/lambda/<function>/<stream> ──► reader ─► `firesteel logs`
//! ```
//!
//! Each side has a buffer and a thread of its own (`gathering.rs`): a terminal that stops reading costs no line in
//! the files, a full disk none on the terminal, and neither a driver's time. `serve` and `invoke` make [`Logs`];
//! the command `logs` reads what they wrote, also while they run.
//!
//! | file | what |
//! |---|---|
//! | `gathering.rs` | buffer and thread |
//! | `printer.rs` | lines on stderr |
//! | `writer.rs` | lines into the files of their streams |
//! | `stream_file.rs` | one stream: appended to, rotated |
//! | `group.rs` | all streams of a function: where they lie, which are removed |
//! | `record.rs` | one line of a file |
//! | `reader.rs` | a group's records in the order of time, and those still to come |

mod gathering;
mod group;
mod printer;
mod reader;
mod record;
mod stream_file;
mod writer;

use std::io;
use std::path::Path;

use firesteel_catalog::FunctionName;
use firesteel_environment::Output;

pub(crate) use group::groups;
pub(crate) use reader::GroupReader;
pub(crate) use record::Record;

use gathering::Gatherer;
use printer::Printout;
use writer::Lines;

/// The threads that print and write. Dropped, they finish what is left and end.
#[derive(Debug)]
pub(crate) struct Logs {
    printer: Gatherer<Printout>,
    writer: Option<Gatherer<Lines>>,
}

impl Logs {
    /// Starts the threads. Without a folder nothing is kept.
    pub(crate) fn start(folder: Option<&Path>) -> io::Result<Self> {
        let writer = folder.map(writer::start).transpose()?;
        Ok(Logs { printer: printer::start()?, writer })
    }

    /// Where environments write. On stderr a function's name is before each of its lines, unless it is the one that
    /// whoever started the program has named, and the only one.
    pub(crate) fn output(&self, nameless: Option<&FunctionName>) -> Output {
        let nameless = nameless.cloned();
        let printer = self.printer.feeder();
        let writer = self.writer.as_ref().map(Gatherer::feeder);
        Output::new(move |line| {
            let with_name = nameless.as_ref().is_none_or(|nameless| nameless.as_str() != line.function);
            printer.feed(|printout| printout.push(line, with_name));
            if let Some(writer) = &writer {
                writer.feed(|lines| lines.push(line));
            }
        })
    }
}
