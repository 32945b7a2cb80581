//! What the server and the first process say to each other.
//!
//! Requests go down, reports come up, each a JSON value in a frame of [`crate::wire`]. The first request is
//! always [`Request::Prepare`], the first report [`Report::Ready`]. There are no answers to wait for:
//! a report names what it is about, and the order of reports is the order of events.
//!
//! Both ends come from one build, so there are no versions and no unknown fields to tolerate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// From the server to the first process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Sets up the sandbox. Sent once, first.
    Prepare(Mounts),
    /// Starts a process; thaws first. Its stdout and stderr travel with the frame, in this order.
    Spawn(Program),
    /// Sends a signal to a process and everything in its process group. An unknown name, or one whose
    /// process has ended, is ignored: the sender cannot know yet. [`Signal::Terminate`] thaws first, since
    /// a stopped process cannot follow it.
    Signal {
        /// As given in [`Program::name`].
        name: String,
        /// Which one.
        signal: Signal,
    },
    /// Stops every process below the first one, whatever session, group or parent it has chosen. Not answered;
    /// reports of what had happened before may follow.
    Freeze,
    /// Lets those go on that [`Request::Freeze`] stopped. Not answered.
    Thaw,
    /// Kills every process below the first one, frozen or not, whatever session, group or parent it has chosen.
    /// Answered by [`Report::Emptied`].
    EndAll,
}

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// By what reports call it; unique among the processes alive in the sandbox.
    pub name: String,
    /// Absolute: no search path is consulted.
    pub program: PathBuf,
    /// Without the zeroth, which is `program`.
    pub arguments: Vec<String>,
    /// The complete environment; nothing is inherited.
    pub variables: BTreeMap<String, String>,
    /// Where it starts. Absolute.
    pub working_dir: PathBuf,
}

/// The signals the server has a use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// SIGTERM: please end.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// From the first process to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The sandbox is set up; requests are served.
    Ready {
        /// What became of the mounts in [`Request::Prepare`].
        mounted: Mounted,
    },
    /// A process runs: its program was executed, not merely forked.
    Started {
        /// As given in [`Program::name`].
        name: String,
        /// As the server's own process namespace counts.
        pid: u32,
    },
    /// A process could not be started.
    SpawnFailed {
        /// As given in [`Program::name`].
        name: String,
        /// What the kernel said, such as ENOENT, EACCES, ENOEXEC.
        errno: i32,
        /// The same for people.
        message: String,
    },
    /// A started process ended. Others of its making may still run.
    Exited {
        /// As given in [`Program::name`].
        name: String,
        /// How.
        status: Exit,
    },
    /// After [`Request::EndAll`], or at the end: nothing is left below the first process.
    Emptied,
    /// Something reaped (whether started by request, or orphaned and adopted) had used more memory at its
    /// peak than anything reaped before. Precedes the [`Report::Exited`] it belongs to.
    MemoryPeak {
        /// Largest resident set of the ended process, or of any of its children that it had itself waited for.
        bytes: u64,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It returned.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

/// How the file system differs inside the sandbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Mounts {
    /// Folders that nothing in the sandbox may write to.
    pub read_only: Vec<PathBuf>,
    /// Then, in this order: what is found in other places than on the host.
    pub binds: Vec<Bind>,
}

/// A folder or file that is found in another place too, in one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The folder or file.
    pub from: PathBuf,
    /// The place, which exists on the host as the same of the two; what the host has there is hidden.
    pub at: PathBuf,
    /// Whether nothing in the sandbox may write to it by way of this place.
    pub read_only: bool,
}

/// Whether the file system is as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mounted {
    /// All of it (or nothing was asked for).
    AsAsked,
    /// The host does not allow all of it. What was refused is as it is outside: writable, or the host's. The rest was done.
    Not {
        /// Everything that was refused and why, for people.
        reason: String,
    },
}
