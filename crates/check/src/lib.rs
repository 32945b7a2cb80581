//! The conformance suite for runtimes: is this a runtime that AWS Lambda could run?
//!
//! ```text
//!            suite ── runs each of `rules`, on a process of its own, bounded in time
//!                        │
//!                      bench ── what a rule works with
//!                        │
//!                     session ── one start of the runtime
//!                     ┌──┴───┐
//!                platform  process
//!                     ▲      │
//!                     └──────┘  the runtime's own requests, recorded as they were on the wire
//! ```
//!
//! The platform here shares no code with the one that runs functions (`firesteel-runtime-api`): two implementations
//! of one protocol check each other. It speaks HTTP on a raw socket, since it must be able to misbehave: close kept
//! connections, answer late, in pieces, or with 413.
//!
//! A rule is what AWS's documents demand ([`Level::Must`]) or what its own clients have in common
//! ([`Level::Should`]). Rules that need a handler to play along send it the actions of the check handler
//! (`conformance/runtimes/README.md`); with a handler that knows none of them they are not applicable.
//!
//! Called by the `firesteel` command. Not here: how a runtime is found and started, which comes as a [`Target`];
//! and the terminal.
#![forbid(unsafe_code)]

mod bench;
mod document;
mod event;
mod platform;
mod process;
mod report;
mod rules;
mod session;
mod suite;
mod target;
mod verdict;

pub use document::Document;
pub use report::Report;
pub use rules::{Level, RULES, Rule};
pub use suite::{Options, run};
pub use target::Target;
pub use verdict::{Finding, HostError, Judged, Verdict};
