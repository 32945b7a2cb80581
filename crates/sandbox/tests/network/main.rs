//! What sandboxes reach and what they do not, through real routers and uplinks, in an internet made for the test.
//!
//! ```text
//!   this executable: tests ── lab: the "host" ─────────────── outside: "the internet"
//!                              │  192.0.2.2, 10.9.9.9           192.0.2.1, 198.51.100.7, 169.254.169.254
//!                              ├── router
//!                              └── sandboxes
//! ```
//!
//! Each of them is a process of this executable in a network namespace of its own. Nothing of the real host's network is touched,
//! and nothing is sent into it.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]
#![cfg_attr(not(target_os = "linux"), allow(unfulfilled_lint_expectations, reason = "nothing is left then"))]

#[cfg(target_os = "linux")]
mod actor;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod reaching;
#[cfg(target_os = "linux")]
mod scenario;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod uplinks;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    scenario::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
