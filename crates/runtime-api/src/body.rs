//! The body of one request: read to its end, within bounds.
//!
//! Most clients of the Runtime API write their whole request before they read a byte of the answer. An
//! answer sent earlier would never be read, and the connection would be reset under them; so a body is
//! always read to its end, kept or passed on or neither, before an answer leaves. Called by `routes`,
//! `runtime` and `extension`; knows nothing of what a body means.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use tokio::sync::mpsc;

use crate::{PAYLOAD_LIMIT_BYTES, Refusal, STREAM_LIMIT_BYTES};

/// Where reading on for politeness ends: the largest body a runtime may send at all. Without it a guest could
/// keep the host reading for as long as its environment lives.
const DISCARD_LIMIT_BYTES: u64 = STREAM_LIMIT_BYTES;

/// Most bytes of a body that go into one message, see [`crate::Intake::Forward`].
///
/// A read of the socket grows with what is there, up to the 2 MiB that a head may have. Passed on as they are,
/// such frames would make a channel's bound in messages a bound of many megabytes for a reader who is slow,
/// which is the one case in which they come.
const PIECE_BYTES: usize = 64 * 1024;

/// A request body, and how much of it was read.
#[derive(Debug)]
pub(crate) struct RequestBody {
    incoming: Incoming,
    read_bytes: u64,
    /// The peer sends nothing before it has seen `100 Continue`, which goes out with the first read.
    awaits_continue: bool,
}

/// How a body came to its end.
#[derive(Debug)]
pub(crate) enum Collected {
    /// At its declared end.
    Whole { bytes: Bytes, trailers: Option<HeaderMap> },
    /// Beyond [`PAYLOAD_LIMIT_BYTES`]; nothing was kept.
    TooLarge { size_bytes: u64 },
    /// Before its declared end; `bytes` is what had come.
    Truncated { bytes: Bytes },
}

/// How a body that was passed on came to its end.
#[derive(Debug)]
pub(crate) enum Forwarded {
    /// At its declared end.
    Whole { trailers: Option<HeaderMap> },
    /// Beyond [`STREAM_LIMIT_BYTES`]; what came before was passed on.
    TooLarge,
    /// Before its declared end.
    Truncated,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming, headers: &HeaderMap) -> Self {
        let awaits_continue = headers
            .get(hyper::header::EXPECT)
            .is_some_and(|expectation| expectation.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self { incoming, read_bytes: 0, awaits_continue }
    }

    /// Reads the body to its end and keeps it, up to the limit.
    ///
    /// Dropped at an await, it leaves the body partly read; [`RequestBody::discard`] reads on.
    pub(crate) async fn collect(&mut self) -> Collected {
        self.awaits_continue = false;
        let declared_bytes = self.incoming.size_hint().lower();
        let mut gathered = Gathered::Nothing;
        let mut trailers = None;
        while let Some(frame) = self.incoming.frame().await {
            let Ok(frame) = frame else {
                return if self.is_too_large() {
                    Collected::TooLarge { size_bytes: self.read_bytes }
                } else {
                    Collected::Truncated { bytes: gathered.into_bytes() }
                };
            };
            match frame.into_data() {
                Ok(data) => {
                    self.read_bytes += data.len() as u64;
                    if self.is_too_large() || declared_bytes > PAYLOAD_LIMIT_BYTES as u64 {
                        gathered = Gathered::Nothing;
                    } else {
                        gathered.push(data, declared_bytes);
                    }
                    if self.read_bytes > DISCARD_LIMIT_BYTES {
                        break;
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        if self.is_too_large() {
            Collected::TooLarge { size_bytes: self.read_bytes }
        } else {
            Collected::Whole { bytes: gathered.into_bytes(), trailers }
        }
    }

    /// Reads the body to its end, up to the limit, and passes it on as it comes. While the channel is full nothing
    /// is read; when it is closed all is read and nothing passed on. No byte is copied.
    pub(crate) async fn forward(&mut self, chunks: mpsc::Sender<Bytes>) -> Forwarded {
        self.awaits_continue = false;
        let mut trailers = None;
        while let Some(frame) = self.incoming.frame().await {
            let Ok(frame) = frame else { return Forwarded::Truncated };
            match frame.into_data() {
                Ok(mut data) => {
                    let room_bytes = STREAM_LIMIT_BYTES - self.read_bytes;
                    self.read_bytes += data.len() as u64;
                    if let Ok(room_bytes) = usize::try_from(room_bytes) {
                        data.truncate(room_bytes);
                    }
                    pass_on(data, &chunks).await;
                    if self.read_bytes > STREAM_LIMIT_BYTES {
                        return Forwarded::TooLarge;
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Forwarded::Whole { trailers }
    }

    /// The body, where one that is cut short or too large is of no use.
    pub(crate) async fn whole(&mut self) -> Result<Bytes, Refusal> {
        match self.collect().await {
            Collected::Whole { bytes, .. } => Ok(bytes),
            Collected::TooLarge { .. } => Err(Refusal::TooLarge),
            Collected::Truncated { .. } => Err(Refusal::Truncated),
        }
    }

    /// How much came so far.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Reads what is left and keeps nothing. False when the peer still has something to send, so that the
    /// connection cannot serve another request.
    pub(crate) async fn discard(&mut self) -> bool {
        while !self.incoming.is_end_stream() {
            // Reading would ask the peer to begin with a body nobody wants.
            if self.awaits_continue || self.read_bytes > DISCARD_LIMIT_BYTES {
                return false;
            }
            match self.incoming.frame().await {
                Some(Ok(frame)) => self.read_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
                Some(Err(_)) | None => break,
            }
        }
        true
    }

    fn is_too_large(&self) -> bool {
        self.read_bytes > PAYLOAD_LIMIT_BYTES as u64
    }
}

/// Waits for room in the channel; does nothing when nobody receives.
async fn pass_on(mut data: Bytes, chunks: &mpsc::Sender<Bytes>) {
    while !data.is_empty() {
        let piece = data.split_to(data.len().min(PIECE_BYTES));
        if chunks.send(piece).await.is_err() {
            return;
        }
    }
}

/// Frames on their way into one buffer. A body that arrives in a single frame, as small ones do, is passed
/// on as it is; only the second frame makes a copy necessary.
enum Gathered {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Gathered {
    fn push(&mut self, data: Bytes, declared_bytes: u64) {
        *self = match std::mem::replace(self, Gathered::Nothing) {
            Gathered::Nothing => Gathered::One(data),
            Gathered::One(first) => {
                let expected_bytes = usize::try_from(declared_bytes).unwrap_or(0);
                let mut buffer = BytesMut::with_capacity(expected_bytes.max(first.len() + data.len()));
                buffer.extend_from_slice(&first);
                buffer.extend_from_slice(&data);
                Gathered::Many(buffer)
            }
            Gathered::Many(mut buffer) => {
                buffer.extend_from_slice(&data);
                Gathered::Many(buffer)
            }
        };
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Gathered::Nothing => Bytes::new(),
            Gathered::One(bytes) => bytes,
            Gathered::Many(buffer) => buffer.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_frame_is_passed_on_without_a_copy() {
        let frame = Bytes::from(vec![7; 100]);
        let mut gathered = Gathered::Nothing;
        gathered.push(frame.clone(), 100);
        assert_eq!(gathered.into_bytes().as_ptr(), frame.as_ptr());
    }

    #[test]
    fn several_frames_are_gathered_in_order_with_one_allocation() {
        let mut gathered = Gathered::Nothing;
        gathered.push(Bytes::from_static(b"ab"), 7);
        gathered.push(Bytes::from_static(b"cd"), 7);
        let Gathered::Many(buffer) = &gathered else { panic!("two frames make a buffer") };
        let allocated = buffer.as_ptr();
        gathered.push(Bytes::from_static(b"efg"), 7);
        let bytes = gathered.into_bytes();
        assert_eq!(bytes, "abcdefg");
        assert_eq!(bytes.as_ptr(), allocated);
    }
}
