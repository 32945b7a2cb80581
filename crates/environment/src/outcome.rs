//! What comes out of an invocation: the caller's answer, and the account of it.
//!
//! The function's failures are answers like any other (HTTP 200 with a function-error header at the front
//! door); the platform's own failure is kept apart as [`Answer::PlatformFailed`], so that nobody can mistake
//! one for the other. Whether a function failed is known from the call its runtime made, never from the
//! payload: `{"errorType": "x"}` is a fine result.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::spec::InitializationType;

/// What the caller of an invocation receives.
#[derive(Debug)]
pub enum Answer {
    /// The runtime posted a response.
    Response {
        /// Content type that the runtime gave.
        content_type: String,
        /// The handler's result, byte for byte.
        payload: Bytes,
    },
    /// The function failed: its runtime posted an error, ended, ran out of time or answered too much.
    FunctionError {
        /// Type by the platform's naming, such as `Runtime.ExitError`; for logs, not for the caller.
        error_type: String,
        /// Content type of the payload.
        content_type: String,
        /// Error JSON.
        payload: Bytes,
    },
    /// The runtime began to post a response that is passed on as it comes. Only for those who asked for it
    /// ([`ResponseDelivery::Streamed`](crate::ResponseDelivery)).
    Stream {
        /// Content type that the runtime gave.
        content_type: String,
        /// What follows.
        body: ChunkStream,
    },
    /// The environment could not be restored, so that the function never saw the event (SnapStart).
    RestoreFailed {
        /// Its hooks ran out of time.
        timed_out: bool,
        /// Why not, for the caller.
        message: String,
    },
    /// The platform broke before there was an answer.
    PlatformFailed {
        /// What broke, for the log.
        reason: String,
    },
}

/// A response on its way.
#[derive(Debug)]
pub struct ChunkStream {
    /// What the runtime has written. Not reading holds the runtime back; dropping it does not end the invocation.
    pub chunks: mpsc::Receiver<Bytes>,
    /// How it ended. Comes when the last chunk was sent, or earlier: a runtime that is cut off by its deadline may
    /// keep `chunks` open for a little longer, but nothing that comes then counts.
    pub end: oneshot::Receiver<StreamEnd>,
}

/// How a stream came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// All is there.
    Complete,
    /// The function failed in the middle of it.
    Failed {
        /// As in [`Answer::FunctionError`], or as the runtime put it in its trailers.
        error_type: String,
        /// Error JSON.
        payload: Bytes,
    },
    /// The platform broke.
    PlatformFailed {
        /// As in [`Answer::PlatformFailed`].
        reason: String,
    },
}

/// How an invocation went, once it is over.
#[derive(Debug, Clone)]
pub struct Account {
    /// From the delivery of the event until the runtime asked for the next one.
    pub duration: Duration,
    /// What is billed, in milliseconds.
    pub billed_ms: u64,
    /// Highest memory use of the environment so far, in MiB, rounded up.
    pub max_memory_used_mib: u64,
    /// Duration of the init that this invocation is the first to follow.
    pub init_duration: Option<Duration>,
    /// How its environment came to be initialised: provisioned, or on demand, to which what is provisioned overflows.
    pub initialization: InitializationType,
    /// The last 4 096 bytes of the invocation's log, START and REPORT included.
    pub log_tail: Bytes,
}
