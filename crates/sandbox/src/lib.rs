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
//! 2. Once per server: a [`Backend`]. [`Backend::create`] with a [`Spec`] returns when the sandbox is set up.
//! 3. [`Sandbox::spawn`], [`Sandbox::signal`], [`Sandbox::end_all`]: requests, which never wait. What
//!    comes of them arrives as [`Event`]s.
//! 4. [`Sandbox::freeze`] while there is nothing to do, [`Sandbox::thaw`] when there is.
//! 5. [`Sandbox::memory`] at any time.
//! 6. [`Sandbox::listen`] and [`Sandbox::dialer`]: what runs inside calls, and is called, on its own loopback.
//! 7. [`Sandbox::close`]: when it returns, no process of the sandbox exists, dead or alive.
//!
//! | backend | what is the sandbox's own |
//! |---|---|
//! | [`Backend::Process`] | a mount namespace where the host allows one; nothing is isolated or limited |
//! | [`namespace`] | file system, network, processes, user; limits and freezing by [control groups](Groups) |
//! | [`oci`] | likewise, made by an OCI runtime |
//!
//! All promise that a tree ends completely, whatever the processes in it try, and also when the server is killed.
//!
//! On other systems than Linux there is the process backend alone; daemonised processes escape there, and only ended processes
//! count as memory.
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
mod spawner;
#[cfg(target_os = "linux")]
mod system;

pub use backend::Backend;
#[cfg(target_os = "linux")]
pub use backend::{NamespaceBackend, OciBackend};
pub use cgroup::{CpuShare, Enforcement, Group, GroupError, Groups, HostGroups, Means};
pub use event::{Event, Events};
pub use firesteel_sandbox_init::protocol::{Bind, Exit, Mounted, Mounts, Program, Signal, StartStep};
pub use first_process::InitProgram;
pub use limits::Limits;
pub use listening::Dialer;
pub use memory::MemoryReading;
pub use orphans::adopt_orphans;
pub use sandbox::{CreateError, Process, RequestError, Sandbox, Spec};
