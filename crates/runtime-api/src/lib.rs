//! The Lambda Runtime API, server side: what a runtime inside an execution environment talks to.
//!
//! ```text
//!  runtime ──HTTP/1──► server ──► routes ──► Call ──mpsc──► lifecycle (crate `environment`)
//!          ◄────────── answer ◄── refusal / delivery ◄──oneshot── Reply
//! ```
//!
//! One [`serve`] per execution environment: an environment is known by the listener a call arrives on,
//! never by what the guest says. This crate parses requests into [`Call`]s, carries them to the
//! lifecycle, and renders what the lifecycle answers, to the byte. It decides nothing: whether a call
//! is allowed, which request id is the current one, when an event is delivered are all the lifecycle's.
//! It also never looks into a payload.
#![forbid(unsafe_code)]

mod call;
mod refusal;
mod server;

pub use call::{
    AnswerBody, AnswerHead, AnswerKind, Call, Delivery, ErrorReport, Reply, ResponseMode, StreamError,
};
pub use refusal::Refusal;
pub use server::{Metadata, serve};

/// Most bytes of an event, of a buffered response and of a collected streamed response:
/// 6 MiB and the 100 bytes AWS grants on top.
pub const PAYLOAD_LIMIT_BYTES: usize = 6 * 1024 * 1024 + 100;
