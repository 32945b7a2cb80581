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
pub(crate) mod platform_event;
pub(crate) mod platform_line;
mod tail;

use std::fmt;
use std::sync::Arc;

use crate::spec::{InitializationType, Spec};
use platform_event::PlatformEvent;
pub(crate) use tail::Tail;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The platform.
    Platform,
    /// The function's own process.
    Function,
    /// An extension's.
    Extension,
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
    spec: Arc<Spec>,
    stream: String,
    tail: Option<Tail>,
}

impl Log {
    pub(crate) fn new(output: Output, spec: Arc<Spec>, stream: String, _: InitializationType) -> Self {
        Log { output, spec, stream, tail: None }
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

    pub(crate) fn platform(&mut self, event: &PlatformEvent) {
        let spec = Arc::clone(&self.spec);
        let stream = self.stream.clone();
        match event {
            PlatformEvent::InitStart { phase } => {
                self.line(Source::Platform, platform_line::init_start(&spec, &stream, *phase).as_bytes())
            }
            PlatformEvent::InitReport { phase, status, duration } => {
                if let Some(line) = platform_line::init_report(&spec, *phase, *duration, status) {
                    self.line(Source::Platform, line.as_bytes())
                }
            }
            PlatformEvent::Start { request_id, trace, .. } => {
                self.line(Source::Platform, platform_line::start(&spec, *request_id, trace).as_bytes())
            }
            PlatformEvent::Failure { request_id, error } => {
                for line in platform_line::failure(&spec, *request_id, error) {
                    self.line(Source::Platform, line.as_bytes())
                }
            }
            PlatformEvent::Report(report) => {
                let report = platform_line::Report {
                    request_id: report.request_id,
                    duration: report.duration,
                    billed_ms: report.billed_ms,
                    memory_mib: report.memory_mib,
                    max_memory_used_mib: report.max_memory_used_mib,
                    init_duration: report.init_duration,
                    status: report.status.clone(),
                };
                if let Some(line) = platform_line::end(&spec, &report) {
                    self.line(Source::Platform, line.as_bytes())
                }
                self.line(Source::Platform, platform_line::report(&spec, &report).as_bytes());
            }
            _ => {}
        }
    }

    pub(crate) fn line(&mut self, source: Source, bytes: &[u8]) {
        (self.output.0)(Line { function: &self.spec.function_name, stream: &self.stream, source, bytes });
        if let Some(tail) = &mut self.tail {
            tail.push(bytes);
            tail.push(b"\n");
        }
    }
    pub(crate) fn subscribe(&mut self, _: &str, _: firesteel_runtime_api::telemetry::Subscription) {}
    pub(crate) fn open_subscriptions(&mut self) {}
    pub(crate) fn close_subscriptions(&mut self) {}
    pub(crate) fn end_subscribers(&mut self) {}
    pub(crate) fn pause_subscribers(&mut self) {}
    pub(crate) fn resume_subscribers(&mut self) {}
    pub(crate) fn flush_subscribers(&self) -> Option<std::future::Ready<()>> {
        None
    }
    pub(crate) fn tells_runtime_done(&self, _: &platform_line::Status) -> bool {
        false
    }
}
