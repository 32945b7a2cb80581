//! The Lambda Runtime API, server side: what a runtime inside an execution environment talks to.
//!
//! ```text
//!  runtime ──HTTP/1──► server ──► routes ──► runtime ── Call ──► lifecycle (crate `environment`)
//!          ◄───────────────── rendering, refusal ◄─── Reply ───
//! ```
//!
//! One [`serve`] per execution environment: an environment is known by the listener a call arrives on,
//! never by what the guest says. This crate parses requests into [`Call`]s, carries them to the
//! lifecycle, and renders what the lifecycle answers, to the byte. It decides nothing: whether a call
//! is allowed, which request id is the current one and when an event is delivered are all the
//! lifecycle's. It never looks into a payload.
//!
//! What an environment has to tell its extensions goes the other way, from [`telemetry`] to listeners of theirs.
#![forbid(unsafe_code)]

mod body;
mod call;
mod error_report;
mod error_type;
mod metadata;
mod refusal;
mod rendering;
mod routes;
mod runtime;
mod server;
pub mod telemetry;
mod xray_cause;

pub use call::{
    AnswerBody, AnswerHead, AnswerKind, Call, Delivery, ErrorReport, ExtensionErrorPhase, ExtensionEvent,
    ForwardEnd, Intake, Registered, Registration, Reply, ResponseMode, ShutdownReason, StreamError,
};
pub use metadata::Metadata;
pub use refusal::{ExtensionRefusal, Refusal};
pub use server::{Surface, serve};

/// Most bytes of an event, of a buffered response and of a collected streamed response:
/// 6 MiB and the 100 bytes AWS grants on top.
pub const PAYLOAD_LIMIT_BYTES: usize = 6 * 1024 * 1024 + 100;

/// Most bytes of a streamed response that is passed on as it comes (20 MB until 2025).
pub const STREAM_LIMIT_BYTES: u64 = 200 * 1024 * 1024;
