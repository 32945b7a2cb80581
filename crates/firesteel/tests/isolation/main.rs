//! What sandboxes keep in, and what they keep out: attempts, limits and sudden ends, against the program as its users have it.
//!
//! ```text
//! escape.rs        every attempt of conformance/isolation/hostile, one by one    expectations.rs  what each comes to
//! forgery.rs       what a guest says to its own Runtime API about others
//! limits.rs        just under and just over each limit                          shares.rs  of the processors
//! freezing.rs      nothing runs between invocations
//! faults.rs        kill -9 of everything, at moments drawn from a seed
//!
//! backend.rs       which isolation is tested, and whether this host has it       run.rs    what a run has on the host
//! neighbour.rs     a function that is to notice nothing                          guests.rs functions of these tests
//! ```
//!
//! `FIRESTEEL_ISOLATION` names the backend, `namespace` unless it is set. Hostile functions are never started without
//! one: the first thing that is asked of each is what rights it has.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and shows what the program said"
)]

#[expect(dead_code, reason = "made for more tests than these")]
#[path = "../cli/harness/mod.rs"]
mod harness;

mod backend;
mod escape;
mod expectations;
mod faults;
mod forgery;
mod freezing;
mod guests;
mod limits;
mod neighbour;
mod run;
mod shares;
