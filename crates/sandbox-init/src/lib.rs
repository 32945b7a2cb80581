//! The first process of a sandbox: it spawns what it is told to, reaps everything below it, and
//! ends all of it when told to or when the server is gone.
//!
//! ```text
//!   server ──(control socket, descriptor 0)── first process
//!                                                ├── process "a" ── its children …
//!                                                ├── process "b"
//!                                                └── a daemonised grandchild of "a", adopted
//! ```
//!
//! It is no binary of its own: the server starts *its own* executable once more, and
//! [`enter_if_asked`], called first thing in `main`, takes over when the arguments say so. There is one
//! file to install, and both ends of the [`protocol`] always come from the same build. With namespaces it is started once, as the
//! [`spawner`], of which first processes are copies.
//!
//! The code is synchronous and single-threaded, and must stay so: signal handling, `unshare` and the
//! order in which the inherited world is cleaned all rest on it.
//!
//! Life, in order: the inherited world is cleaned; with namespaces, a root is built ([`protocol::Request::Furnish`]); the server
//! says [`protocol::Request::Prepare`], the function's folders are put in their places,
//! [`protocol::Report::Ready`] is sent, requests are served; when the control socket ends, for
//! whatever reason, everything below is ended and the process exits. Nothing outlives it.
//!
//! It refuses to decide: no timeouts, no restarts, no order between processes.

pub mod furnishing;
pub mod layout;
#[cfg(target_os = "linux")]
pub mod network;
#[cfg(target_os = "linux")]
pub mod oci_runtime;
#[cfg(target_os = "linux")]
pub mod overlay;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a fork, and unshare, which has no safe wrapper")]
pub mod ownership;
pub mod protocol;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the loop devices' own calls")]
pub mod scratch;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "unshare has no safe wrapper")]
pub mod spawner;
pub mod tree;
pub mod wire;

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "clone3 has no safe wrapper")]
mod clone3;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "keyrings have no safe wrapper")]
mod confinement;
#[expect(unsafe_code, reason = "wait4, for the memory peak of what is reaped")]
mod descendants;
mod frozen;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "what runs between a fork and its exec")]
mod launch;
#[cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "unshare, fork and mount_setattr have no safe wrappers")
)]
mod mounts;
#[cfg(target_os = "linux")]
mod room;
#[cfg(target_os = "linux")]
mod root;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "installing a filter has no safe wrapper")]
mod seccomp;
mod serve;
#[cfg_attr(target_os = "linux", expect(unsafe_code, reason = "tgkill has no safe wrapper"))]
mod termination;
#[expect(unsafe_code, reason = "signal handlers, descriptors nobody owns, the scheduling policy")]
mod world;

use std::io::Write;

/// The first argument that turns a start of the executable into a first process. Not for people: without
/// a control socket as descriptor 0 such a start is refused.
pub const HIDDEN_MODE: &str = "sandbox-init";

/// The same for a [spawner].
pub const SPAWNER_MODE: &str = "sandbox-spawner";

/// The same for a first process that somebody else has put into a container, whose first it is.
pub const CONTAINER_MODE: &str = "sandbox-container";

/// What a start by hand exits with (`EX_USAGE` of sysexits).
const STARTED_BY_HAND: i32 = 64;

/// Becomes the first process of a sandbox and never returns, if this process was started as one;
/// otherwise returns at once.
///
/// To be called before anything else in `main`: threads, open files or signal handlers of the server must
/// not exist yet.
pub fn enter_if_asked() {
    #[cfg(target_os = "linux")]
    network::tether::enter_if_asked();
    let mode = std::env::args_os().nth(1);
    let serve: fn(world::World) = match mode.as_ref().and_then(|mode| mode.to_str()) {
        Some(HIDDEN_MODE) => serve::serve,
        #[cfg(target_os = "linux")]
        Some(SPAWNER_MODE) => spawner::serve,
        #[cfg(target_os = "linux")]
        Some(CONTAINER_MODE) => serve::serve_contained,
        #[cfg(target_os = "linux")]
        Some(oci_runtime::MODE) => oci_runtime::become_it(),
        _ => return,
    };
    let code = match world::clean() {
        Ok(world) => {
            serve(world);
            0
        }
        Err(_) => {
            let mode = mode.unwrap_or_default();
            // Cannot be written only where nobody reads.
            let _ = writeln!(
                std::io::stderr(),
                "{} is started by a server, with a socket as its input",
                mode.display()
            );
            STARTED_BY_HAND
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "called first in main, when nothing of the caller exists that would want dropping"
    )]
    std::process::exit(code);
}
