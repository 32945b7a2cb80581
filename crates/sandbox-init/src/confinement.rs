//! Takes from a process what a guest must not have, just before the guest's program is executed in it.
//!
//! ```text
//!   first process            its child
//!   ─────────────            ─────────
//!   Groundwork::lay() ─fork─► Confinement::apply() ─► exec
//!   once, inherited           what a first process needs for itself is taken here
//! ```
//!
//! In this order, as later steps take away what earlier ones need:
//!
//! | step | why there |
//! |---|---|
//! | *groundwork* | |
//! | out-of-memory score not below 0 | its file belongs to root once a process is not dumpable |
//! | a session keyring of its own | counts against root's quota, while this is root; the call is filtered later |
//! | bounding set emptied | takes CAP_SETPCAP. What rights one has are not touched, but programs that are executed get none |
//! | *each process* | |
//! | not dumpable | from here to the exec other guests of the same user could otherwise trace a copy of the first process, and take its control socket |
//! | file mode mask, limits | |
//! | groups, group, user | take CAP_SETGID and CAP_SETUID; the user last, who loses them |
//! | ambient, inheritable, permitted and effective set | a change of user clears them, but in a user namespace of one number there is no change |
//! | no new privileges | or the filter would take CAP_SYS_ADMIN |
//! | filter | refuses some of the above |
//!
//! Exec makes the process dumpable again, if its program is one that it may read: debuggers and `/proc/self` work in
//! the guest.
//!
//! It does not close descriptors, enter namespaces, or bound what cgroups bound. It refuses to go on after a failure:
//! the program must not be executed then.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Resource, Rlimit, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use crate::furnishing::Confinement;
use crate::seccomp::Filter;

/// Most memory that a guest may lock. As on AWS.
const LOCKED_BYTES: u64 = 64 * 1024;

const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// What a first process has done to itself, so that all it starts inherits it.
#[derive(Debug)]
pub(crate) struct Groundwork {
    filter: Filter,
}

/// What could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step} refused: {}", io::Error::from_raw_os_error(*.errno))]
pub(crate) struct Refused {
    pub(crate) step: Step,
    pub(crate) errno: i32,
}

/// One row of the table above, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    OomScore,
    Keyring,
    BoundingSet,
    Dumpable,
    Limits,
    Groups,
    Group,
    User,
    Capabilities,
    NoNewPrivileges,
    Filter,
}

impl Groundwork {
    /// To be called once, in the first process, while it has the rights of its user namespace; it keeps them.
    pub(crate) fn lay() -> Result<Self, Refused> {
        raise_oom_score(Path::new(OOM_SCORE)).map_err(Step::OomScore.refused())?;
        join_new_keyring().map_err(Step::Keyring.refused())?;
        empty_bounding_set().map_err(Step::BoundingSet.refused())?;
        Ok(Self { filter: Filter::build() })
    }
}

impl Confinement {
    /// Confines this process, which must have one thread: the kernel keeps most of this per thread.
    pub(crate) fn apply(&self, groundwork: &Groundwork) -> Result<(), Refused> {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(Step::Dumpable.refused())?;
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        for (resource, most) in
            [(Resource::Core, 0), (Resource::Nofile, self.descriptors), (Resource::Memlock, LOCKED_BYTES)]
        {
            limit(resource, most).map_err(Step::Limits.refused())?;
        }
        leave_groups().map_err(Step::Groups.refused())?;
        let gid = Gid::from_raw(self.gid);
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(Step::Group.refused())?;
        let uid = Uid::from_raw(self.uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(Step::User.refused())?;
        drop_capabilities().map_err(Step::Capabilities.refused())?;
        rustix::thread::set_no_new_privs(true).map_err(Step::NoNewPrivileges.refused())?;
        groundwork.filter.install().map_err(Step::Filter.refused())
    }
}

impl Step {
    fn refused<E: Into<io::Error>>(self) -> impl Fn(E) -> Refused {
        move |error| Refused { step: self, errno: error.into().raw_os_error().unwrap_or(libc::EIO) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OomScore => "out-of-memory score of 0",
            Self::Keyring => "session keyring of its own",
            Self::BoundingSet => "empty bounding set",
            Self::Dumpable => "process that cannot be traced",
            Self::Limits => "resource limits",
            Self::Groups => "leaving supplementary groups",
            Self::Group => "group",
            Self::User => "user",
            Self::Capabilities => "dropping capabilities",
            Self::NoNewPrivileges => "no new privileges",
            Self::Filter => "system call filter",
        })
    }
}

/// A server may be protected against running out of memory; a guest that inherits that would outlive its neighbours.
fn raise_oom_score(file: &Path) -> io::Result<()> {
    if fs::read_to_string(file)?.starts_with('-') { fs::write(file, "0") } else { Ok(()) }
}

/// Never raises: without root that is refused, and who started the server may have meant it.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let allowed = rustix::process::getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
    Ok(rustix::process::setrlimit(resource, Rlimit { current: Some(allowed), maximum: Some(allowed) })?)
}

/// Otherwise the keys of whoever started the server could be used, if not by calls (which are filtered), then by the kernel
/// on the guest's behalf, for network file systems.
fn join_new_keyring() -> io::Result<()> {
    // SAFETY: no name is given, so there is no pointer to follow.
    let joined = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>())
    };
    if joined >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match Errno::from_io_error(&error) {
        // A kernel without keys, or a container around the server that has taken them from all of us.
        Some(Errno::NOSYS | Errno::PERM) => Ok(()),
        // Without root a user has 200 keys, fewer than it may have sandboxes. What remains is that user's own keyring.
        Some(Errno::DQUOT) => Ok(()),
        _ => Err(error),
    }
}

fn empty_bounding_set() -> io::Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            Ok(true) => rustix::thread::remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel knows no more.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// In a user namespace of one number, made without root, nobody may leave groups: a group can also be what keeps
/// one out of a file. The server's own stay, their numbers hidden.
fn leave_groups() -> io::Result<()> {
    match rustix::thread::set_thread_groups(&[]) {
        Err(Errno::PERM) if fs::read_to_string("/proc/self/setgroups")?.starts_with("deny") => Ok(()),
        result => Ok(result?),
    }
}

fn drop_capabilities() -> io::Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    Ok(rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?)
}

#[cfg(test)]
mod tests;
