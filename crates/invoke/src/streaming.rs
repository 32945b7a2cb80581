//! A streamed invocation: the caller reads the result while it is made.
//!
//! ```text
//!  answer in one piece ─► whole ─────┐
//!                                    ├─► ResponseStream::next … next ─► ResponseStream::end
//!  chunks, and then how it ended ────┘
//! ```
//!
//! The reader pulls: while it does not, nothing is taken from the channel, and whoever fills that has to wait. A
//! stream that is dropped ends nothing but itself.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use firesteel_environment as environment;
use firesteel_environment::{Account, Answer, ChunkStream, ResponseDelivery};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::bandwidth::{Bandwidth, Grant, TokenBucket};
use crate::synchronous::{Answered, log_tail, no_result};
use crate::{InvokeError, Invoker, Request};

/// The error code of a function that failed before its first byte.
const UNHANDLED: &str = "Unhandled";

/// A streamed invocation that has begun to answer.
#[derive(Debug)]
pub struct StreamReply {
    /// The version that runs.
    pub executed_version: String,
    /// The trace header that the function saw.
    pub trace: String,
    /// Content type that the runtime gave its answer.
    pub content_type: String,
    /// What comes out.
    pub body: ResponseStream,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEnd {
    /// The function failed, before or after the chunks that were read.
    pub error: Option<StreamError>,
    /// The last 4 096 bytes of the log, if they were wanted.
    pub log_tail: Option<Bytes>,
}

/// A failure of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// `Unhandled`, or the type that the runtime gave.
    pub code: String,
    /// Error JSON.
    pub details: Bytes,
}

/// The result of an invocation, piece by piece, and then how it ended.
pub struct ResponseStream {
    chunks: Chunks,
    end: Pin<Box<dyn Future<Output = Result<StreamEnd, InvokeError>> + Send>>,
    ended: Option<Result<StreamEnd, InvokeError>>,
    /// Read from the source, but not yet within the bandwidth.
    held: Bytes,
    bucket: Option<TokenBucket>,
}

enum Chunks {
    Whole(Bytes),
    Forwarded(mpsc::Receiver<Bytes>),
}

impl Invoker {
    /// Runs the function and returns its result as a stream.
    ///
    /// Errors are those from before there was an answer; later ones are the stream's end.
    pub async fn streaming(&self, request: Request) -> Result<StreamReply, InvokeError> {
        let Answered { executed_version, trace, answer, account } =
            self.answered(request, ResponseDelivery::Streamed).await?;
        let (content_type, body) = match answer {
            Answer::Response { content_type, payload } => {
                (content_type, ResponseStream::whole(payload, None, account))
            }
            Answer::FunctionError { content_type, payload, .. } => {
                let error = StreamError { code: UNHANDLED.into(), details: payload };
                (content_type, ResponseStream::whole(Bytes::new(), Some(error), account))
            }
            Answer::Stream { content_type, body: ChunkStream { chunks, end } } => {
                (content_type, ResponseStream::forwarded(chunks, ended(end, account)))
            }
            other => return Err(no_result(other)),
        };
        let body = body.within(self.inner.stream_bandwidth);
        Ok(StreamReply { executed_version, trace, content_type, body })
    }
}

impl ResponseStream {
    /// An answer in one piece.
    fn whole(
        payload: Bytes,
        error: Option<StreamError>,
        account: Option<oneshot::Receiver<Account>>,
    ) -> Self {
        let end = async move { Ok(StreamEnd { error, log_tail: log_tail(account).await }) };
        Self::new(Chunks::Whole(payload), end)
    }

    /// Chunks as they come, until `end` has come and those sent before it are read. A sender of chunks that stays
    /// alive beyond the end holds nothing up: a runtime whose time is over may still have its hand on one.
    ///
    /// An `end` that fails is a failure of the platform, such as one that will never come.
    pub fn forwarded<E: Into<Box<dyn Error + Send + Sync>>>(
        chunks: mpsc::Receiver<Bytes>,
        end: impl Future<Output = Result<StreamEnd, E>> + Send + 'static,
    ) -> Self {
        Self::new(Chunks::Forwarded(chunks), async {
            end.await.map_err(|cause| InvokeError::Platform(cause.into()))
        })
    }

    fn new(
        chunks: Chunks,
        end: impl Future<Output = Result<StreamEnd, InvokeError>> + Send + 'static,
    ) -> Self {
        ResponseStream { chunks, end: Box::pin(end), ended: None, held: Bytes::new(), bucket: None }
    }

    /// The same, no faster than `bandwidth`.
    fn within(mut self, bandwidth: Option<Bandwidth>) -> Self {
        self.bucket = bandwidth.map(|bandwidth| TokenBucket::full(bandwidth, Instant::now()));
        self
    }

    /// The next bytes, never none; `None` when there will be no more. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        while self.held.is_empty() {
            self.held = self.chunk().await?;
        }
        let Some(bucket) = &mut self.bucket else { return Some(std::mem::take(&mut self.held)) };
        loop {
            match bucket.take(self.held.len(), Instant::now()) {
                Grant::Bytes(granted) => return Some(self.held.split_to(granted)),
                Grant::NotBefore(moment) => tokio::time::sleep_until(moment).await,
            }
        }
    }

    async fn chunk(&mut self) -> Option<Bytes> {
        match &mut self.chunks {
            Chunks::Whole(payload) if payload.is_empty() => None,
            Chunks::Whole(payload) => Some(std::mem::take(payload)),
            Chunks::Forwarded(chunks) => {
                if self.ended.is_none() {
                    tokio::select! {
                        biased;
                        chunk = chunks.recv() => return chunk,
                        end = &mut self.end => self.ended = Some(end),
                    }
                }
                chunks.try_recv().ok()
            }
        }
    }

    /// How it ended. Chunks that were not read are lost.
    pub async fn end(self) -> Result<StreamEnd, InvokeError> {
        match self.ended {
            Some(end) => end,
            None => self.end.await,
        }
    }
}

/// The end of a stream that an environment forwards.
async fn ended(
    end: oneshot::Receiver<environment::StreamEnd>,
    account: Option<oneshot::Receiver<Account>>,
) -> Result<StreamEnd, String> {
    let error = match end.await {
        Ok(environment::StreamEnd::Complete) => None,
        Ok(environment::StreamEnd::Failed { error_type, payload }) => {
            Some(StreamError { code: error_type, details: payload })
        }
        Ok(environment::StreamEnd::PlatformFailed { reason }) => return Err(reason),
        Err(_) => return Err("the execution environment ended in the middle of a stream".into()),
    };
    Ok(StreamEnd { error, log_tail: log_tail(account).await })
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("ended", &self.ended)
            .field("held", &self.held.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const GOOD: StreamEnd = StreamEnd { error: None, log_tail: None };

    fn whole(payload: &'static [u8]) -> ResponseStream {
        ResponseStream::whole(Bytes::from_static(payload), None, None)
    }

    fn forwarded() -> (mpsc::Sender<Bytes>, oneshot::Sender<environment::StreamEnd>, ResponseStream) {
        let (sender, chunks) = mpsc::channel(2);
        let (end_sender, end) = oneshot::channel();
        (sender, end_sender, ResponseStream::forwarded(chunks, ended(end, None)))
    }

    fn failing() -> environment::StreamEnd {
        environment::StreamEnd::Failed { error_type: "Mine".into(), payload: "{}".into() }
    }

    fn failed() -> StreamEnd {
        let error = StreamError { code: "Mine".into(), details: "{}".into() };
        StreamEnd { error: Some(error), log_tail: None }
    }

    #[tokio::test]
    async fn a_whole_answer_is_one_chunk() {
        let mut stream = whole(b"abc");
        assert_eq!(stream.next().await.unwrap(), "abc");
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.end().await.unwrap(), GOOD);
    }

    #[tokio::test]
    async fn an_empty_answer_is_none() {
        let mut stream = whole(b"");
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.end().await.unwrap(), GOOD);
    }

    #[tokio::test]
    async fn chunks_come_as_they_are_sent_and_then_the_end() {
        let (sender, end, mut stream) = forwarded();
        sender.send("a".into()).await.unwrap();
        assert_eq!(stream.next().await.unwrap(), "a");
        sender.send("".into()).await.unwrap();
        sender.send("b".into()).await.unwrap();
        assert_eq!(stream.next().await.unwrap(), "b", "an empty chunk is none");
        drop(sender);
        assert_eq!(stream.next().await, None);
        end.send(failing()).unwrap();
        assert_eq!(stream.end().await.unwrap(), failed());
    }

    #[tokio::test]
    async fn the_end_ends_it_though_a_sender_lives_and_after_what_was_sent() {
        let (sender, end, mut stream) = forwarded();
        sender.send("a".into()).await.unwrap();
        sender.send("b".into()).await.unwrap();
        end.send(failing()).unwrap();
        assert_eq!(stream.next().await.unwrap(), "a");
        assert_eq!(stream.next().await.unwrap(), "b");
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.next().await, None);
        assert_eq!(stream.end().await.unwrap(), failed());
        drop(sender);
    }

    #[tokio::test]
    async fn the_end_wakes_a_reader_that_waits_for_a_chunk() {
        let (sender, end, mut stream) = forwarded();
        let ending = async { end.send(environment::StreamEnd::Complete).unwrap() };
        let (chunk, ()) = tokio::join!(stream.next(), ending);
        assert_eq!(chunk, None);
        drop(sender);
    }

    #[tokio::test]
    async fn an_end_that_never_comes_is_the_platforms_failure() {
        let (sender, end, mut stream) = forwarded();
        drop(end);
        assert_eq!(stream.next().await, None, "also while a sender lives");
        assert!(matches!(stream.end().await, Err(InvokeError::Platform(_))));
        drop(sender);
    }

    #[tokio::test]
    async fn a_reader_that_waits_makes_the_writer_wait() {
        let (sender, _end, mut stream) = forwarded();
        for chunk in ["a", "b"] {
            sender.try_send(chunk.into()).unwrap();
        }
        sender.try_send("c".into()).unwrap_err();
        assert_eq!(stream.next().await.unwrap(), "a");
        sender.try_send("c".into()).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn bandwidth_cuts_chunks_and_delays_them() {
        let begun = Instant::now();
        let bandwidth = Bandwidth { burst_bytes: 4, bytes_per_s: 16 };
        let mut stream = whole(b"abcdefghi").within(Some(bandwidth));
        let mut arrivals = Vec::new();
        while let Some(chunk) = stream.next().await {
            arrivals.push((begun.elapsed().as_millis(), chunk));
        }
        let text = |at, text: &'static str| (at, Bytes::from(text));
        assert_eq!(arrivals, [text(0, "abcd"), text(125, "ef"), text(250, "gh"), text(375, "i")]);
        assert_eq!(stream.end().await.unwrap(), GOOD);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_loses_nothing() {
        let bandwidth = Bandwidth { burst_bytes: 2, bytes_per_s: 16 };
        let mut stream = whole(b"abcd").within(Some(bandwidth));
        assert_eq!(stream.next().await.unwrap(), "ab");
        tokio::time::timeout(Duration::from_millis(1), stream.next()).await.unwrap_err();
        assert_eq!(stream.next().await.unwrap(), "cd");
    }
}
