//! Ends what a killed first process leaves behind.
//!
//! A first process can be killed by what runs below it. The kernel then hands its children to the nearest
//! ancestor that asked for orphans; [`adopt_orphans`] makes that the server, else they would go to
//! the host's pid 1 and live on.
//!
//! Which of the server's children are orphans? Those in another session than the server's that are no
//! first process. A first process begins with a session of its own, sessions are inherited, and no
//! process can move into one that exists; so nothing from a sandbox can look like one of the server's own helper
//! processes, which stay in the server's session. And a first process being started at this very moment
//! cannot be mistaken, as the list of them is closed meanwhile (see [`crate::first_process`]).
//!
//! By the time a first process can be reaped its children have been handed over, so whoever looks
//! after reaping sees them all.

use std::io;

#[cfg(target_os = "linux")]
use firesteel_sandbox_init::tree;

/// Makes orphans of this process's descendants come to this process. To be called once, before the first
/// sandbox is created.
///
/// From then on, child processes started otherwise must stay in this process's session, or they will be taken
/// for orphans when a first process dies unasked.
///
/// # Errors
/// When the kernel refuses. Elsewhere than on Linux nothing is done: there, daemonised processes outlive a
/// first process that was killed.
pub fn adopt_orphans() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(())
}

/// Kills and reaps every orphan there is, and what orphans they leave, until there is none.
/// Blocks until they are gone, usually well under a millisecond each.
#[cfg(target_os = "linux")]
pub(crate) fn end_orphans() {
    use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions};

    loop {
        let mut ended = Vec::new();
        for orphan in find_pinned(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty())) {
            match orphan {
                Ok((pid, pinned)) => {
                    tree::kill_below(pid);
                    let _ = rustix::process::pidfd_send_signal(&pinned, Signal::KILL);
                    ended.push(pinned);
                }
                Err(error) => tracing::warn!(%error, "an orphaned process cannot be ended"),
            }
        }
        if ended.is_empty() {
            return;
        }
        for pinned in ended {
            use std::os::fd::AsFd;
            // Fails when another sandbox's sweep was faster, which comes to the same.
            let _ = rustix::process::waitid(WaitId::PidFd(pinned.as_fd()), WaitIdOptions::EXITED);
        }
    }
}

/// The orphans, each pinned while it certainly is one. Later its number may mean another: a sweep for another
/// sandbox may reap it, and a new first process be given the number.
#[cfg(target_os = "linux")]
fn find_pinned<T>(
    pin: impl Fn(rustix::process::Pid) -> rustix::io::Result<T>,
) -> Vec<rustix::io::Result<(rustix::process::Pid, T)>> {
    let known = crate::first_process::known();
    let known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let me = rustix::process::getpid();
    let own_session = tree::session(me);
    tree::children(me)
        .into_iter()
        .filter(|pid| !known.contains(&pid.as_raw_pid()))
        .filter(|pid| tree::session(*pid).is_some_and(|session| Some(session) != own_session))
        .map(|pid| Ok((pid, pin(pid)?)))
        .collect()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn end_orphans() {}
