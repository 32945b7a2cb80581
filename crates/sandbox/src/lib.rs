//! Runs, measures and ends a tree of processes.
//!
//! ```text
//!   caller ── Sandbox ──requests──▶ control task ──socket──▶ first process ──▶ process "a", "b", …
//!      ▲                                │  ▲                  (sandbox-init)       and their children
//!      └───────────── Events ◀──────────┘  └── its death, noticed and cleaned up after
//! ```
//!
//! What a caller does, in order:
//! 1. Once per program: [`enter_if_asked`](firesteel_sandbox_init::enter_if_asked) first in `main`, then
//!    [`adopt_orphans`].
//! 2. [`Sandbox::create`] with a [`Spec`]; it returns when the sandbox is set up.
//! 3. [`Sandbox::spawn`], [`Sandbox::signal`], [`Sandbox::end_all`]: requests, which never wait. What
//!    comes of them arrives as [`Event`]s.
//! 4. [`Sandbox::freeze`] while there is nothing to do, [`Sandbox::thaw`] when there is.
//! 5. [`Sandbox::memory`] at any time.
//! 6. [`Sandbox::close`]: when it returns, no process of the sandbox exists, dead or alive.
//!
//! The processes are those of the host: this backend isolates nothing from anything, and says so here. What
//! it does promise is that a tree ends completely, whatever the processes in it try, and also when
//! the server is killed.
//!
//! Measured on Linux; on other Unix systems daemonised processes escape and only ended processes count as memory.
//!
//! Not here: what runs and why, timeouts, output, restarts.

mod backend;
mod cgroup;
mod control;
mod event;
#[cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "the async runtime asks for a promise about descriptors")
)]
mod first_process;
#[cfg(target_os = "linux")]
mod guests;
#[cfg(target_os = "linux")]
mod images;
mod limits;
mod listening;
mod memory;
#[cfg(target_os = "linux")]
pub mod namespace;
#[cfg(target_os = "linux")]
pub mod network;
#[cfg(target_os = "linux")]
pub mod oci;
mod orphans;
mod sandbox;
#[cfg(target_os = "linux")]
mod system;

pub use backend::Backend;
#[cfg(target_os = "linux")]
pub use backend::{NamespaceBackend, OciBackend};
pub use cgroup::{CpuShare, Enforcement, Group, GroupError, Groups, HostGroups, Means};
pub use event::{Event, Events};
pub use firesteel_sandbox_init::protocol::{Bind, Exit, Mounted, Mounts, Program, Signal};
pub use first_process::InitProgram;
pub use limits::Limits;
pub use listening::Dialer;
pub use memory::MemoryReading;
pub use orphans::adopt_orphans;
pub use sandbox::{CreateError, Process, RequestError, Sandbox, Spec};
