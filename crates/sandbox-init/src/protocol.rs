//! What the server and the first process say to each other.
//!
//! Requests go down, reports come up, each a JSON value in a frame of [`crate::wire`]. Once there has been
//! [`Request::Prepare`], which is the first request (but for [`Request::Furnish`] where there are namespaces), and
//! [`Report::Ready`], there are no answers to wait for: a report names what it is about, and the order of reports is the
//! order of events.
//!
//! Between the server and the [spawner](crate::spawner) it is simpler: one [`Order`], one [`Made`].
//!
//! Both ends come from one build, so there are no versions and no unknown fields to tolerate.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::furnishing::{Furnishing, Scratch};
#[cfg(target_os = "linux")]
use crate::network::{Link, Prefix, RouterPlan};

/// From the server to the first process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Builds the root of a sandbox that has one of its own, as far as that can be done for any function. Answered by
    /// [`Report::Furnished`]. What a first process that does not see the host's files is
    /// to know of control groups travels with it: the directory of cgroup2 for what will be started, and files like those in
    /// [`Furnishing::groups`].
    Furnish(Box<Furnishing>),
    /// Sets up the sandbox. Sent once. Answered by [`Report::Ready`]. The tree of [`Mounts::tree`] travels with it, opened,
    /// where the server may do that: what it has mounted since this process began is not to be seen from here.
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
    /// Makes a socket of the sandbox's own network. Answered by [`Report::Socket`].
    Socket,
    /// Stops every process below the first one, whatever session, group or parent it has chosen. Not answered;
    /// reports of what had happened before may follow.
    Freeze,
    /// Lets those go on that [`Request::Freeze`] stopped. Not answered.
    Thaw,
    /// Kills every process below the first one, frozen or not, whatever session, group or parent it has chosen.
    /// Answered by [`Report::Emptied`].
    EndAll,
}

/// From the server to the spawner.
#[cfg(target_os = "linux")]
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Once, first. Answered by [`Made::Ready`].
    Begin {
        /// The router that sandboxes are to be connected to, if they are.
        router: Option<Box<RouterPlan>>,
    },
    /// Makes a first process, whose control socket travels with it, and then, if there is one, the directory of cgroup2
    /// for what it will start. Answered by [`Made::FirstProcess`].
    Clone {
        /// Whether it gets a network of its own, which is connected to the router, if there is one.
        own_network: bool,
    },
    /// Makes a network namespace that is connected to the router, for a sandbox that somebody else makes. Answered by
    /// [`Made::Network`].
    Network,
    /// What of the host may not be reached, from now on. Answered by [`Made::Ready`].
    SetHost(Vec<Prefix>),
}

/// From the spawner to the server.
#[cfg(target_os = "linux")]
#[derive(Debug, Serialize, Deserialize)]
pub enum Made {
    /// It is done.
    Ready,
    /// A first process, which is the server's child.
    FirstProcess {
        /// As the server's own process namespace counts.
        pid: i32,
        /// Its way to the router, if there is one; or why there is none, for people.
        link: Result<Option<Link>, String>,
    },
    /// A network namespace: what it is entered by travels with this.
    Network,
    /// Nothing.
    Failed {
        /// What the kernel said, for people.
        reason: String,
    },
}

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// By what reports call it; unique among the processes alive in the sandbox.
    pub name: String,
    /// Absolute. In a root of its own also relative to the working folder, or a bare name, which is looked for in the
    /// folders of the variable `PATH`.
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
    /// The root is built, or why not, for people.
    Furnished {
        /// `None` when all went well. Otherwise the first process ends.
        failed: Option<String>,
    },
    /// The sandbox is set up; requests are served. With a network of its own: a socket of that network, for the server
    /// to listen on, travels with it.
    Ready {
        /// What became of the mounts in [`Request::Prepare`].
        mounted: Mounted,
    },
    /// With a socket that travels with it, unless the sandbox has no network of its own or no descriptor left.
    Socket,
    /// A process runs: its program was executed, not merely forked.
    Started {
        /// As given in [`Program::name`].
        name: String,
        /// As the first process's own process namespace counts: the server's, unless it has one of its own.
        pid: u32,
    },
    /// A process could not be started.
    SpawnFailed {
        /// As given in [`Program::name`].
        name: String,
        /// Where it failed.
        step: StartStep,
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
    /// After [`Request::EndAll`], or at the end: nothing is left below the first process. As with [`Report::Ready`], a
    /// fresh socket travels with it.
    Emptied,
    /// Something reaped (whether started by request, or orphaned and adopted) had used more memory at its
    /// peak than anything reaped before. Precedes the [`Report::Exited`] it belongs to.
    MemoryPeak {
        /// Largest resident set of the ended process, or of any of its children that it had itself waited for.
        bytes: u64,
    },
}

/// A step of starting a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartStep {
    /// Into the working folder.
    WorkingDir,
    /// To find the program: there is none of this name.
    Search,
    /// To execute it, and all else.
    Execution,
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
    /// Folders that nothing in the sandbox may write to. Without meaning for a root of its own, which has none of the
    /// host's but those that are bound.
    pub read_only: Vec<PathBuf>,
    /// Then, in this order: what is found in other places than on the host.
    pub binds: Vec<Bind>,
    /// Of a root of its own: a folder whose tree it is, in place of the system's folders. See [`crate::overlay`].
    pub tree: Option<PathBuf>,
    /// The `/tmp` of a root of its own, where it is to be another than the one that it was furnished with.
    pub tmp: Option<Scratch>,
}

/// A folder or file that is found in another place too, in one sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The folder or file.
    pub from: PathBuf,
    /// The place. On the host's root it exists as the same of the two, and what the host has there is hidden; in a root
    /// of the sandbox's own it is made.
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
