//! What is done between the start of an OCI runtime and its first instruction.
//!
//! ```text
//!   server ──starts──► this ─► into control groups ─► a view of cgroup2 alone ─► exec: the runtime ─► container
//! ```
//!
//! * The runtime, and so the container that it makes, begins in control groups of the server's: should the server be killed
//!   at any moment, the next one finds all of it there.
//! * In a mount namespace of its own it sees cgroup2 and no other hierarchy at `/sys/fs/cgroup`, and that read-only unless
//!   it insists on groups of its own. Sandboxes have the server's groups; a runtime's own would be left behind
//!   when it is killed. And some runtimes refuse hosts where v1 and cgroup2 both have controllers.
//!
//! Used by servers, which start their own executable so. Refuses to start anything without both.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;
use serde::{Deserialize, Serialize};

use crate::mounts::unshare;

/// The first argument that turns a start of the executable into this. The second is a [`Call`] in JSON.
pub const MODE: &str = "sandbox-oci-runtime";

/// Where every runtime looks for control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// As shells exit when a program cannot be executed.
const CANNOT_EXECUTE: i32 = 126;

/// What to execute, and where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// The file `cgroup.procs` of each control group that it begins in.
    pub groups: Vec<PathBuf>,
    /// Where cgroup2 is mounted.
    pub cgroup2: PathBuf,
    /// Whether it may make control groups.
    pub makes_groups: bool,
    /// The runtime.
    pub program: PathBuf,
    /// Without the zeroth.
    pub arguments: Vec<String>,
}

/// Never returns. What went wrong is written to stderr.
pub(crate) fn become_it() -> ! {
    let error = match call() {
        Ok(call) => call.execute(),
        Err(error) => error,
    };
    let _ = writeln!(io::stderr(), "{error}");
    #[expect(
        clippy::disallowed_methods,
        reason = "called first in main, when nothing of the caller exists that would want dropping"
    )]
    std::process::exit(CANNOT_EXECUTE)
}

fn call() -> io::Result<Call> {
    let argument = std::env::args().nth(2);
    argument
        .and_then(|argument| serde_json::from_str(&argument).ok())
        .ok_or_else(|| io::Error::other(format!("{MODE} is started by a server")))
}

impl Call {
    /// Returns only when it fails.
    fn execute(&self) -> io::Error {
        match self.prepare() {
            Ok(()) => saying(&format!("executing {}", self.program.display()))(
                Command::new(&self.program).args(&self.arguments).exec(),
            ),
            Err(error) => error,
        }
    }

    fn prepare(&self) -> io::Result<()> {
        for group in &self.groups {
            std::fs::write(group, "0").map_err(saying(&format!("writing {}", group.display())))?;
        }
        unshare(UnshareFlags::NEWNS).map_err(saying("no mount namespace"))?;
        rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .map_err(|error| saying("mounts cannot be made private")(error.into()))?;
        self.show_cgroup2().map_err(saying("control groups cannot be shown"))
    }

    fn show_cgroup2(&self) -> io::Result<()> {
        let at = Path::new(CGROUPS);
        if self.cgroup2 != at {
            rustix::mount::mount_bind(&self.cgroup2, at)?;
        }
        if !self.makes_groups {
            let flags = MountFlags::BIND
                | MountFlags::RDONLY
                | MountFlags::NOSUID
                | MountFlags::NODEV
                | MountFlags::NOEXEC;
            rustix::mount::mount_remount(at, flags, "")?;
        }
        Ok(())
    }
}

fn saying(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}
