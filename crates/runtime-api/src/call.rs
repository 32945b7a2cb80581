//! The messages between the guest's HTTP calls and the lifecycle that judges them.
//!
//! A call carries a [`Reply`]; the HTTP exchange stays open until it is used. Dropping it unused tells the
//! guest that its environment is gone: 500, and the connection is closed.
//!
//! An answer (`/response` or `/error`) takes two calls, because AWS judges the path and the state before
//! it reads a byte of the body:
//!
//! ```text
//!  head read ─► AnswerBegun ─ Ok ──► body read ─► AnswerEnded ─ Ok ──► 202
//!                    └─ Err ─► body discarded ─► 4xx     └─ Err ─► 4xx
//! ```
//!
//! Every `AnswerBegun` that was accepted is followed by exactly one `AnswerEnded`, even when the
//! connection breaks in between, so the lifecycle is never left waiting for a body. Accepted means that
//! sending `Ok` into its reply succeeded: when that fails, the guest has gone and nothing follows.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::Refusal;
use crate::telemetry::Subscription;

/// One call of the guest.
#[derive(Debug)]
pub enum Call {
    /// `GET /runtime/invocation/next`. Waits as long as the lifecycle likes, across a freeze too.
    ///
    /// A peer that closed its side cannot be told from one that half-closed and still reads, so the reply
    /// stays open until the environment ends, and a delivery may be accepted here and reach nobody. The
    /// exit of the process is what tells.
    Next {
        /// The event, once there is one.
        reply: Reply<Delivery>,
    },
    /// The head of `POST /runtime/invocation/{id}/response` or `…/error` was read, its body was not.
    AnswerBegun {
        /// What the head says.
        answer: AnswerHead,
        /// `Ok`: read the body, and where it goes. A refusal is rendered once the body has been read and thrown
        /// away.
        reply: Reply<Intake>,
    },
    /// The body of an accepted answer came to an end, one way or the other.
    AnswerEnded {
        /// The id in the path, as in [`AnswerHead::request_id`].
        request_id: String,
        /// What was read.
        body: AnswerBody,
        /// `Ok`: 202.
        reply: Reply<()>,
    },
    /// `POST /runtime/init/error`, with its body as far as it came: a report cut short is better than
    /// none. One beyond [`crate::PAYLOAD_LIMIT_BYTES`] is refused without a call.
    InitError {
        /// What the runtime says went wrong.
        report: ErrorReport,
        /// `Ok`: 202.
        reply: Reply<()>,
    },
    /// `GET /runtime/restore/next`, where [`crate::Surface::snap_start`] routes it. Waits as `Next` does.
    RestoreNext {
        /// `Ok`: 200, empty. The environment was restored.
        reply: Reply<()>,
    },
    /// `POST /runtime/restore/error`
    RestoreError {
        /// What the runtime says went wrong.
        report: ErrorReport,
        /// `Ok`: 202.
        reply: Reply<()>,
    },
    /// `POST /extension/register`
    Register {
        /// What the extension says of itself.
        registration: Registration,
        /// `Ok`: 200 with the identifier and what the function is.
        reply: Reply<Registered>,
    },
    /// `GET /extension/event/next`. Waits as `Next` does.
    ExtensionNext {
        /// Of the extension, as it says; that it is known is the lifecycle's to find out.
        extension: Uuid,
        /// The event, once there is one.
        reply: Reply<ExtensionEvent>,
    },
    /// `POST /extension/init/error` or `…/exit/error`
    ExtensionError {
        /// As in [`Call::ExtensionNext`].
        extension: Uuid,
        /// Which of the two.
        phase: ExtensionErrorPhase,
        /// `Lambda-Extension-Function-Error-Type`, as sent.
        error_type: String,
        /// `Ok`: 202.
        reply: Reply<()>,
    },
    /// `PUT /2022-07-01/telemetry` or `PUT /2020-08-15/logs` with a valid body.
    Subscribe {
        /// As in [`Call::ExtensionNext`].
        extension: Uuid,
        /// What is wanted, and where.
        subscription: Subscription,
        /// `Ok`: 200 `"OK"`.
        reply: Reply<()>,
    },
}

/// Where the body of an accepted answer goes.
#[derive(Debug)]
pub enum Intake {
    /// It is gathered up to [`crate::PAYLOAD_LIMIT_BYTES`] and comes whole with [`Call::AnswerEnded`].
    Collect,
    /// It is passed on as it comes, up to [`crate::STREAM_LIMIT_BYTES`], in pieces of at most 64 KiB that are never
    /// empty; the channel ends, then [`Call::AnswerEnded`] brings [`AnswerBody::Forwarded`]. A full channel holds
    /// the runtime back. When the receiver is gone the rest is read and thrown away: the function runs on without
    /// its caller. For `/response`; the body of `/error` is collected whatever is said here.
    Forward(mpsc::Sender<Bytes>),
}

/// How an extension registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// `Lambda-Extension-Name`, never empty.
    pub name: String,
    /// It wants `INVOKE` events.
    pub invoke: bool,
    /// It wants the `SHUTDOWN` event.
    pub shutdown: bool,
    /// It wants to be told the account id (`Lambda-Extension-Accept-Feature: accountId`).
    pub account_id: bool,
}

/// What a registered extension is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// By which it calls from now on.
    pub identifier: Uuid,
    /// Name without ARN.
    pub function_name: String,
    /// `$LATEST` or a number.
    pub function_version: String,
    /// As in `_HANDLER`.
    pub handler: String,
    /// If it was asked for.
    pub account_id: Option<String>,
}

/// An event for an extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtensionEvent {
    /// An invocation begins.
    Invoke {
        /// Unix time at which it times out.
        deadline_ms: u64,
        /// Of the invocation.
        request_id: String,
        /// As the caller addressed the function.
        function_arn: String,
        /// The trace header.
        trace: Option<String>,
    },
    /// The environment ends.
    Shutdown {
        /// Why.
        reason: ShutdownReason,
        /// Unix time of the end.
        deadline_ms: u64,
    },
}

/// Why an environment ends, by the names that extensions read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShutdownReason {
    /// It is not needed any more: `spindown`.
    Spindown,
    /// An invocation or an init ran out of time: `timeout`.
    Timeout,
    /// Something in it failed: `failure`.
    Failure,
}

/// Which error an extension reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionErrorPhase {
    /// It cannot begin.
    Init,
    /// It is about to exit.
    Exit,
}

/// Where the lifecycle's verdict on a call goes. Sending fails when the guest is known to have gone; that
/// is nobody's error.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// The head of an answer: all that is known before the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerHead {
    /// Which of the two routes was called.
    pub kind: AnswerKind,
    /// The id in the path, as the guest wrote it.
    pub request_id: String,
    /// Echo of [`Delivery::invocation_id`], from runtimes that know it.
    pub invocation_id: Option<String>,
    /// `Lambda-Runtime-Function-Response-Mode`.
    pub mode: ResponseMode,
}

/// Which answer a runtime gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerKind {
    /// `/response`
    Response {
        /// As sent; `application/octet-stream` when the runtime sent none.
        content_type: String,
    },
    /// `/error`
    Error {
        /// As in [`ErrorReport::error_type`].
        error_type: String,
    },
}

/// How a runtime says it will send its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// The header is absent.
    Buffered,
    /// `streaming`, in exactly this spelling.
    Streaming,
    /// Anything else. On `/response` the lifecycle, after it has judged id and state, answers
    /// [`Refusal::InvalidResponseMode`] and fails the invocation with
    /// `Runtime.InvalidResponseModeHeader`; that ends the answer, no `AnswerEnded` follows. On `/error` AWS
    /// does not look at it.
    Unknown,
}

/// What became of the body of an accepted answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerBody {
    /// `/response`, complete.
    Response {
        /// As in [`AnswerKind::Response`].
        content_type: String,
        /// The handler's result, unmodified.
        body: Bytes,
        /// The trailers of a stream that failed after it had begun.
        stream_error: Option<StreamError>,
    },
    /// `/response` that was passed on as it came.
    Forwarded {
        /// How much came, also after the receiver had gone.
        size_bytes: u64,
        /// How it ended.
        end: ForwardEnd,
    },
    /// `/error`, complete.
    Error(ErrorReport),
    /// More than [`crate::PAYLOAD_LIMIT_BYTES`]. Nothing of it was kept; it was read to its end so that
    /// a client which writes all before it reads finds its 413. Answer [`Refusal::TooLarge`].
    TooLarge {
        /// How much was sent.
        size_bytes: u64,
    },
    /// The body stopped before its declared end. Answer [`Refusal::Truncated`].
    Truncated,
}

/// How a forwarded response came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardEnd {
    /// At its declared end; with the trailers of a stream that failed after it had begun.
    Complete(Option<StreamError>),
    /// Beyond [`crate::STREAM_LIMIT_BYTES`]. Answer [`Refusal::TooLarge`].
    TooLarge,
    /// Before its declared end. Answer [`Refusal::Truncated`].
    Truncated,
}

/// A failure reported in the trailers of a streamed response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// `Lambda-Runtime-Function-Error-Type`, as sent: the caller of a streaming invoke sees it.
    pub error_type: String,
    /// `Lambda-Runtime-Function-Error-Body`, decoded from its base64, or as it is when it is none.
    pub error_body: Bytes,
}

/// A runtime's report of a failed init or invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorReport {
    /// `Lambda-Runtime-Function-Error-Type` after the platform's rule: a recognisable
    /// `Runtime.*` or `Function.*` name, else `Function.Unknown` or `Runtime.Unknown`.
    pub error_type: String,
    /// What [`ErrorReport::body`] is; empty when the runtime did not say.
    pub content_type: String,
    /// What the caller will see.
    pub body: Bytes,
    /// The X-Ray cause, valid and at most 64 KiB.
    pub xray_cause: Option<String>,
}

/// An event on its way to the runtime. Empty strings count as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The invoke's request id, the same over retries of the event.
    pub request_id: String,
    /// Unique per attempt.
    pub invocation_id: Option<String>,
    /// Unix time at which the invocation times out.
    pub deadline_ms: u64,
    /// The ARN as the caller addressed it.
    pub function_arn: String,
    /// `Root=…;Parent=…;Sampled=…`
    pub trace_id: Option<String>,
    /// Decoded JSON text of the caller's client context.
    pub client_context: Option<String>,
    /// `{"cognitoIdentityId":…,"cognitoIdentityPoolId":…}`
    pub cognito_identity: Option<String>,
    /// Tenant of a tenant-isolated function.
    pub tenant_id: Option<String>,
    /// The invoke's content type; `application/json` when empty.
    pub content_type: String,
    /// The event, unmodified.
    pub payload: Bytes,
}
