//! The program as its users have it: started as a process, with real functions in real sandboxes.
//!
//! ```text
//! harness/   program.rs  runs `invoke`        function.rs  functions, made by a test
//!            server.rs   runs `serve`         guest.py     a Runtime API client that misbehaves on demand
//!            client.rs   speaks HTTP          process.rs   processes, and waiting
//!            event_stream.rs  reads streams of messages     leftovers.rs  what else a run can leave
//!            isolation.rs  which backend functions run in   signing.rs   who calls, where that is asked
//! ```
//!
//! Every test makes its own functions, server, port and folders. Whatever it does, at its end the harness checks
//! that the program ended in order, that it did not panic, and that no process and no file of it is left.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and shows what the program said"
)]

mod harness;

mod authentication;
mod check;
mod concurrency;
mod deploying;
mod doctor;
mod endpoint;
mod examples;
mod extensions;
mod failures;
mod freezing;
mod function_url;
mod hostility;
mod images;
mod invoke_api;
mod invoking;
mod kept;
mod leftovers;
mod lifecycle;
mod logs;
mod managed;
mod mistakes;
mod mounts;
mod provisioned;
mod reports;
mod runtime_calls;
mod snap_start;
mod stored_images;
mod streaming;
mod surroundings;
mod throttling;
