//! The Lambda Runtime API and its neighbours, server side: what a runtime and the extensions inside an
//! execution environment talk to.
//!
//! ```text
//!  runtime    ──HTTP/1──► server ──► routes ──► runtime   ──┬─ Call ──► lifecycle (crate `environment`)
//!  extensions                              └──► extension ──┘              │
//!             ◄───────────────── rendering, refusals ◄────────── Reply ────┘
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

mod answering;
mod body;
mod call;
mod credentials;
mod error_report;
mod error_type;
mod extension;
mod extension_refusal;
mod metadata;
mod refusal;
mod rendering;
mod routes;
mod runtime;
mod server;
pub mod telemetry;
mod verdict;
mod xray_cause;

pub use call::{
    AnswerBody, AnswerHead, AnswerKind, Call, Delivery, ErrorReport, ExtensionErrorPhase, ExtensionEvent,
    ForwardEnd, Intake, Registered, Registration, Reply, ResponseMode, ShutdownReason, StreamError,
};
pub use credentials::Credentials;
pub use extension_refusal::ExtensionRefusal;
pub use metadata::Metadata;
pub use refusal::Refusal;
pub use server::{Surface, serve};

/// Most bytes of an event, of a buffered response and of a collected streamed response:
/// 6 MiB and the 100 bytes AWS grants on top.
pub const PAYLOAD_LIMIT_BYTES: usize = 6 * 1024 * 1024 + 100;

/// Most bytes of a streamed response that is passed on as it comes (20 MB until 2025).
pub const STREAM_LIMIT_BYTES: u64 = 200 * 1024 * 1024;
