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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What the service knows of a connection's requests, and the connection has to.
#[derive(Debug, Default)]
pub(super) struct Phase {
    /// Requests whose head was whole.
    begun: AtomicUsize,
    /// Those of them whose answers have left, or were given up.
    ended: AtomicUsize,
}

/// Held from the end of a request's head to the end of its answer.
#[derive(Debug)]
pub(super) struct Busy {
    phase: Arc<Phase>,
}

impl Busy {
    pub(super) fn new(phase: &Arc<Phase>) -> Self {
        phase.begun.fetch_add(1, Ordering::Relaxed);
        Busy { phase: Arc::clone(phase) }
    }

    /// The same answer, which holds this as long as it lasts.
    pub(super) fn until_end_of(self, body: Body) -> Answer {
        Answer { body, _busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.phase.ended.fetch_add(1, Ordering::Relaxed);
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
    /// How many heads were whole when that clock was started. While a request is served hyper may not read at all, so
    /// that nobody stops the clock of its head.
    heads: usize,
    reading: Clock,
    writing: Clock,
    /// Of its own: that a socket has nothing to flush does not mean that it takes what is written.
    flushing: Clock,
}

impl<S> Connection<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, head: Duration, answer_pause: Duration) -> Self {
        let head_due = Some(Instant::now() + head);
        let [reading, writing, flushing] = std::array::from_fn(|_| Clock::default());
        Connection { stream, phase, head, answer_pause, head_due, heads: 0, reading, writing, flushing }
    }

    /// Stops the clock of a head that is whole by now, and tells whether another one may begin.
    fn is_between_requests(&mut self) -> bool {
        let begun = self.phase.begun.load(Ordering::Relaxed);
        if begun != self.heads {
            (self.heads, self.head_due) = (begun, None);
        }
        begun == self.phase.ended.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let is_between_requests = this.is_between_requests();
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            if is_between_requests && buffer.filled().len() > before {
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
        let Some(due) = this.head_due else { return Poll::Pending };
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
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.writing.limit(context, this.answer_pause, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.writing.limit(context, this.answer_pause, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        this.flushing.limit(context, this.answer_pause, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let shut = Pin::new(&mut this.stream).poll_shutdown(context);
        this.flushing.limit(context, this.answer_pause, shut)
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

    /// The outcome, unless it has been waited for too long, since the first of the calls that had none.
    fn limit<T>(
        &mut self,
        context: &mut Context<'_>,
        pause: Duration,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.running = false;
            return outcome;
        }
        let running = self.sleep.as_ref().filter(|_| self.running);
        let due = running.map_or_else(|| Instant::now() + pause, |sleep| sleep.deadline());
        ready!(self.poll(context, due));
        Poll::Ready(Err(late("the answer was not taken")))
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
