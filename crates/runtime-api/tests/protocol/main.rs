//! The port of one environment over real sockets: raw bytes on the guest's side, a scripted lifecycle on the other.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod deliveries;
mod dialects;
mod extensions;
mod harness;
mod refusals;
mod robustness;
mod snapshots;
mod streams;
mod subscriptions;
mod trailers;
