//! What an environment writes: the function's lines as they come, and the platform's own around them.
//!
//! ```text
//!  stdout ─┐
//!  stderr ─┴► capture ─► lines ─┐
//!                               ├─► Log ─► output (the server's terminal, a test)
//!  INIT_START START END REPORT ─┘    └──► tail: last 4 096 bytes of the invocation
//! ```
//!
//! The driver owns the [`Log`] of its environment and is the only one to write to it, so lines of one
//! invocation cannot end up behind its REPORT.

pub(crate) mod capture;
#[expect(dead_code, reason = "told from here on")]
pub(crate) mod platform_event;
pub(crate) mod platform_line;
mod tail;

use std::fmt;
use std::sync::Arc;

pub(crate) use tail::Tail;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The platform.
    Platform,
    /// A process of the function.
    Function,
}

/// One line, without its newline.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Name of the function.
    pub function: &'a str,
    /// Name of the environment's log stream.
    pub stream: &'a str,
    /// Who wrote it.
    pub source: Source,
    /// The bytes, which need not be UTF-8.
    pub bytes: &'a [u8],
}

/// Where lines go. Called on the driver's task, for every line: it must not block.
#[derive(Clone)]
pub struct Output(Arc<dyn Fn(Line<'_>) + Send + Sync>);

impl Output {
    /// Lines are given to `write`.
    pub fn new(write: impl Fn(Line<'_>) + Send + Sync + 'static) -> Self {
        Output(Arc::new(write))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

/// The log of one environment.
#[derive(Debug)]
pub(crate) struct Log {
    output: Output,
    function: String,
    stream: String,
    tail: Option<Tail>,
}

impl Log {
    pub(crate) fn new(output: Output, function: String, stream: String) -> Self {
        Log { output, function, stream, tail: None }
    }

    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// From here on lines belong to an invocation.
    pub(crate) fn begin_invocation(&mut self) {
        self.tail.get_or_insert_with(Tail::new).clear();
    }

    /// The end of the invocation's lines.
    pub(crate) fn tail(&self) -> bytes::Bytes {
        self.tail.as_ref().map(Tail::to_bytes).unwrap_or_default()
    }

    pub(crate) fn write(&mut self, source: Source, bytes: &[u8]) {
        (self.output.0)(Line { function: &self.function, stream: &self.stream, source, bytes });
        if let Some(tail) = &mut self.tail {
            tail.push(bytes);
            tail.push(b"\n");
        }
    }
}
