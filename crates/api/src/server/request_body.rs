//! A request's body that has to come in time: something of it, and all of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::connection::Clock;

/// What operations read.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    pause: Duration,
    whole: Duration,
    /// When all of it has to be there; set at the first wait, which most bodies do without.
    due: Option<Instant>,
    /// When the next piece has to be there, while one is waited for.
    piece_due: Option<Instant>,
    clock: Clock,
}

/// Why there is no more of a body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyBroken {
    #[error("the body did not come in time")]
    Late,
    #[error(transparent)]
    Connection(#[from] hyper::Error),
}

impl RequestBody {
    pub(super) fn new(incoming: Incoming, pause: Duration, whole: Duration) -> Self {
        RequestBody { incoming, pause, whole, due: None, piece_due: None, clock: Clock::default() }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(context) {
            this.piece_due = None;
            let late = this.due.is_some_and(|due| Instant::now() >= due);
            return Poll::Ready(match frame {
                Some(Ok(_)) if late => Some(Err(BodyBroken::Late)),
                frame => frame.map(|frame| frame.map_err(BodyBroken::from)),
            });
        }
        let now = Instant::now();
        let due = *this.due.get_or_insert(now + this.whole);
        let piece_due = *this.piece_due.get_or_insert(now + this.pause);
        ready!(this.clock.poll(context, due.min(piece_due)));
        Poll::Ready(Some(Err(BodyBroken::Late)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
