//! What an environment writes: the function's lines as they come, and the platform's own around them.
//!
//! ```text
//!  stdout ─┐
//!  stderr ─┴► capture ─► lines ──────────┐          ┌─► output (the server's terminal, a test)
//!                                        ├─► Log ───┼─► tail: last 4 096 bytes of the invocation
//!  driver ─► PlatformEvent ─► text: platform_line   └─► audience: subscribed extensions (record)
//!                          └► JSON: record, if level says so
//! ```
//!
//! The driver owns the [`Log`] of its environment and is the only one to write to it, so lines of one
//! invocation cannot end up behind its REPORT. Levels concern the log in JSON only: subscribers get everything.

mod about;
mod application_line;
mod audience;
pub(crate) mod capture;
mod level;
pub(crate) mod platform_event;
mod platform_line;
mod record;
mod tail;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_runtime_api::telemetry::{Api, Dial, Dropped, Subscription};
use jiff::Timestamp;

use self::about::About;
use self::audience::{Audience, Happening};
use self::platform_event::PlatformEvent;
pub(crate) use self::tail::Tail;
use crate::spec::{InitializationType, LogLevel, Spec};

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The platform.
    Platform,
    /// A process of the function.
    Function,
    /// A process of an extension.
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
    about: About,
    /// See [`About::application_level`].
    application_level: Option<LogLevel>,
    written: Written,
    audience: Audience,
}

/// Where written lines go.
#[derive(Debug)]
struct Written {
    output: Output,
    tail: Option<Tail>,
}

impl Log {
    pub(crate) fn new(
        output: Output,
        spec: Arc<Spec>,
        stream: String,
        initialization: InitializationType,
    ) -> Self {
        let about = About { spec, stream, initialization };
        Log {
            application_level: about.application_level(),
            about,
            written: Written { output, tail: None },
            audience: Audience::default(),
        }
    }

    pub(crate) fn stream(&self) -> &str {
        &self.about.stream
    }

    /// From here on lines belong to an invocation.
    pub(crate) fn begin_invocation(&mut self) {
        self.written.tail.get_or_insert_with(Tail::new).clear();
    }

    /// The end of the invocation's lines.
    pub(crate) fn tail(&self) -> Bytes {
        self.written.tail.as_ref().map(Tail::to_bytes).unwrap_or_default()
    }

    /// Tells what the platform has to tell. With the start of an init, what happens is kept for late subscribers.
    pub(crate) fn platform(&mut self, event: &PlatformEvent) {
        if matches!(event, PlatformEvent::InitStart { .. }) {
            self.audience.open();
        }
        let time = Timestamp::now();
        if let Some(Dropped { records, bytes }) = self.audience.take_dropped() {
            // Not for subscribers: the one that lost something is told by its own delivery.
            self.write_event(&PlatformEvent::LogsDropped { reason: Dropped::REASON, records, bytes }, time);
        }
        self.write_event(event, time);
        if !self.audience.is_empty() {
            self.audience.tell(Happening::Platform(event), time, &self.about);
        }
    }

    /// Likewise of one invocation among several: into a tail of its own, which no line of a process gets into, as nobody
    /// knows whose such a line is.
    pub(crate) fn platform_of(&mut self, tail: &mut Option<Tail>, event: &PlatformEvent) {
        std::mem::swap(&mut self.written.tail, tail);
        self.written.tail.get_or_insert_with(Tail::new);
        self.platform(event);
        std::mem::swap(&mut self.written.tail, tail);
    }

    /// Writes a line of a process.
    pub(crate) fn line(&mut self, source: Source, bytes: &[u8]) {
        match self.application_level {
            Some(least) if source == Source::Function => {
                if let Some(line) = application_line::at_level(bytes, least, Timestamp::now()) {
                    self.written.write(&self.about, source, &line);
                }
            }
            _ => self.written.write(&self.about, source, bytes),
        }
        if !self.audience.is_empty() {
            self.audience.tell(Happening::Line(source, bytes), Timestamp::now(), &self.about);
        }
    }

    /// Init is over: nothing is kept any more for those who subscribe late.
    pub(crate) fn close_subscriptions(&mut self) {
        self.audience.close();
    }

    fn write_event(&mut self, event: &PlatformEvent, time: Timestamp) {
        let Log { about, written, .. } = self;
        if !about.is_json() {
            platform_line::write(event, time, about, &mut |line| {
                written.write(about, Source::Platform, line.as_bytes());
            });
        } else if about.wants(level::of(event, about))
            && let Some(record) = record::telemetry(event, about)
        {
            written.write(about, Source::Platform, &record.to_json(time));
        }
    }
}

/// What extensions bring about.
impl Log {
    /// Whether anybody reads `platform.runtimeDone`: the text log has nothing of it, and the figures in it cost.
    pub(crate) fn tells_runtime_done(&self) -> bool {
        self.about.is_json() || !self.audience.is_empty()
    }

    /// Starts to deliver to an extension, from the beginning of the present init on.
    pub(crate) fn subscribe(&mut self, name: &str, subscription: Subscription, dial: Dial) {
        let event = PlatformEvent::Subscription {
            api: subscription.api,
            name: name.to_owned(),
            types: subscription.types,
        };
        self.audience.join(name, subscription, dial, &self.about);
        self.platform(&event);
    }

    /// Through which API an extension has subscribed.
    pub(crate) fn subscription_of(&self, name: &str) -> Option<Api> {
        self.audience.api_of(name)
    }

    /// Resolves when subscribers have all that they were told until now, or it is given up. To be bounded in time.
    pub(crate) fn flush_subscribers(&self) -> impl Future<Output = ()> + Send + 'static {
        self.audience.flush()
    }

    /// The environment is frozen: nothing is sent to subscribers that cannot take it.
    pub(crate) fn pause_subscribers(&self) {
        self.audience.set_frozen(true);
    }

    /// It is not any more.
    pub(crate) fn resume_subscribers(&self) {
        self.audience.set_frozen(false);
    }

    /// Delivers to nobody any more.
    pub(crate) fn end_subscribers(&mut self) {
        self.audience.leave();
    }
}

impl Written {
    fn write(&mut self, about: &About, source: Source, bytes: &[u8]) {
        let (function, stream) = (&about.spec.function_name, &about.stream);
        (self.output.0)(Line { function, stream, source, bytes });
        if let Some(tail) = &mut self.tail {
            tail.push(bytes);
            tail.push(b"\n");
        }
    }
}

#[cfg(test)]
mod tests;
