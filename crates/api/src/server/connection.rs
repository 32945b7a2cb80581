//! A connection that does not wait for ever: neither for the rest of a head, nor for its answer to be taken.
//!
//! ```text
//!             first byte                   head is whole
//!  Resting ──────────────► head under way ──────────────► Busy ──┐
//!     ▲   (new connections begin here, with their clock running) │ answer is written, or given up
//!     └──────────────────────────────────────────────────────────┘
//! ```
//!
//! hyper's own clock for heads starts when the last answer has left, so that it cannot tell a connection that rests from
//! one that dribbles.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Whether a request is being served, which the service knows and the connection has to.
#[derive(Debug, Default)]
pub(super) struct Phase {
    busy: AtomicBool,
}

/// Held from the end of a request's head to the end of its answer.
#[derive(Debug)]
pub(super) struct Busy {
    phase: Arc<Phase>,
}

impl Busy {
    pub(super) fn new(phase: &Arc<Phase>) -> Self {
        phase.busy.store(true, Ordering::Release);
        Busy { phase: Arc::clone(phase) }
    }

    /// The same answer, which holds this as long as it lasts.
    pub(super) fn until_end_of(self, body: Body) -> Answer {
        Answer { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.phase.busy.store(false, Ordering::Release);
    }
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _busy: Busy,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Bytes of one connection, under its clocks.
#[derive(Debug)]
pub(super) struct Connection<S> {
    stream: S,
    phase: Arc<Phase>,
    head: Duration,
    answer_pause: Duration,
    /// When the head that is under way has to be whole.
    head_due: Option<Instant>,
    reading: Clock,
    writing: Clock,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, head: Duration, answer_pause: Duration) -> Self {
        let head_due = Some(Instant::now() + head);
        let (reading, writing) = (Clock::default(), Clock::default());
        Connection { stream, phase, head, answer_pause, head_due, reading, writing }
    }

    fn is_busy(&self) -> bool {
        self.phase.busy.load(Ordering::Acquire)
    }

    /// What became of a write: what is not taken for too long is given up.
    fn written<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing.stop();
            return written;
        }
        let due = self.writing.running_until().unwrap_or_else(|| Instant::now() + self.answer_pause);
        ready!(self.writing.poll(context, due));
        Poll::Ready(Err(late("the answer was not taken")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_busy() {
            this.head_due = None;
        }
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            if !this.is_busy() && buffer.filled().len() > before {
                this.head_due.get_or_insert_with(|| Instant::now() + this.head);
            }
            // A head that comes in time but in one-byte pieces is late all the same.
            return match this.head_due {
                Some(due) if Instant::now() >= due => {
                    Poll::Ready(Err(late("a request's head was not whole")))
                }
                _ => Poll::Ready(read),
            };
        }
        let Some(due) = this.head_due else {
            this.reading.stop();
            return Poll::Pending;
        };
        ready!(this.reading.poll(context, due));
        Poll::Ready(Err(late("a request's head was not whole")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, shut)
    }
}

/// One timer, made when it is first needed: most requests come and go without.
#[derive(Debug, Default)]
pub(super) struct Clock {
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Clock {
    /// Ready when `due` has come.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, due: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        self.running = true;
        sleep.as_mut().poll(context)
    }

    fn running_until(&self) -> Option<Instant> {
        self.sleep.as_ref().filter(|_| self.running).map(|sleep| sleep.deadline())
    }

    fn stop(&mut self) {
        self.running = false;
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
