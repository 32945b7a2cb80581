//! Starts what a sandbox runs, confined.
//!
//! ```text
//!   first process (all rights in its namespaces)
//!        └── clone3 into the sandbox's control group ─► descriptors ─► working folder ─► confinement ─► execve
//!                                   a step that fails ──► its errno, by a pipe that an exec closes
//! ```
//!
//! Used by [`Descendants`](crate::descendants::Descendants) where the sandbox has a root of its own. Everything that needs
//! memory is made before the fork, or it would be made anew for each start and counted to the function.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use crate::clone3::{Clone, Forked};
use crate::confinement::Groundwork;
use crate::furnishing::Confinement;
use crate::protocol::Program;

/// How everything in a sandbox is started.
#[derive(Debug)]
pub(crate) struct Launcher {
    confinement: Confinement,
    groundwork: Groundwork,
    /// The sandbox's, on cgroup2, if the host has it.
    cgroup: Option<OwnedFd>,
    null: File,
    /// The kernel does not end this process for want of memory; what it starts is not to inherit that.
    spared: bool,
}

impl Launcher {
    /// To be called once, with all rights: this process does to itself what is inherited.
    /// `null` is the sandbox's own, or what is started could tell by its path what the host's root is.
    pub(crate) fn new(confinement: Confinement, cgroup: Option<OwnedFd>, null: File) -> io::Result<Self> {
        let groundwork = Groundwork::lay().map_err(io::Error::other)?;
        Ok(Launcher { groundwork, spared: spare_this_process(), confinement, cgroup, null })
    }

    /// Returns once the program is executed, with its number as this process counts.
    pub(crate) fn start(&self, program: &Program, stdout: &OwnedFd, stderr: &OwnedFd) -> io::Result<Pid> {
        let image = Image::of(program)?;
        let (mut failed, failure) = io::pipe()?;
        let cgroup = self.cgroup.as_ref().map(AsFd::as_fd);
        match (Clone { cgroup, ..Clone::default() }).fork()? {
            Forked::Child => {
                let error = self.become_program(&image, stdout, stderr);
                let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                let _ = (&failure).write_all(&errno.to_ne_bytes());
                // SAFETY: ends the process at once, running nothing of the parent's.
                unsafe { libc::_exit(127) }
            }
            Forked::Parent(pid) => {
                drop(failure);
                let mut errno = [0; 4];
                match failed.read_exact(&mut errno) {
                    // Closed by the exec.
                    Err(_) => Ok(pid),
                    Ok(()) => {
                        // SAFETY: the pointer may be null; the child has ended or is about to.
                        unsafe { libc::waitpid(pid.as_raw_pid(), std::ptr::null_mut(), 0) };
                        Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
                    }
                }
            }
        }
    }

    /// Returns only when it fails.
    fn become_program(&self, image: &Image, stdout: &OwnedFd, stderr: &OwnedFd) -> io::Error {
        let prepared = (|| {
            // Of its own, so that a signal reaches it and what it started, and nobody else.
            rustix::process::setpgid(None, None)?;
            rustix::stdio::dup2_stdin(&self.null)?;
            rustix::stdio::dup2_stdout(stdout)?;
            rustix::stdio::dup2_stderr(stderr)?;
            rustix::process::chdir(image.working_dir.as_c_str())?;
            if self.spared {
                fs::write(OUT_OF_MEMORY_SCORE, "0")?;
            }
            // What it sees of control groups begins where it is. Not earlier: from a namespace of its own the first process
            // could not put anybody into the sandbox's group, where cgroup2 is mounted with `nsdelegate`.
            // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for); and there is
            // one thread.
            unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }?;
            self.confinement
                .apply(&self.groundwork)
                .map_err(|refused| io::Error::from_raw_os_error(refused.errno))
        })();
        if let Err(error) = prepared {
            return error;
        }
        // SAFETY: all pointers are to live, terminated strings, and the arrays end with a null.
        unsafe { libc::execve(image.program.as_ptr(), image.arguments.as_ptr(), image.variables.as_ptr()) };
        io::Error::last_os_error()
    }
}

const OUT_OF_MEMORY_SCORE: &str = "/proc/self/oom_score_adj";

/// Where it shares the memory that is limited, it would otherwise be the one to go when what it started is many and small.
/// Only root may do that.
fn spare_this_process() -> bool {
    fs::write(OUT_OF_MEMORY_SCORE, "-1000").is_ok()
}

/// A program as `execve` wants it.
struct Image {
    program: CString,
    working_dir: CString,
    arguments: Pointers,
    variables: Pointers,
}

impl Image {
    fn of(program: &Program) -> io::Result<Self> {
        let path = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let arguments = std::iter::once(path(&program.program))
            .chain(program.arguments.iter().map(|argument| CString::new(argument.as_str())));
        let variables = program.variables.iter().map(|(name, value)| CString::new(format!("{name}={value}")));
        Ok(Image {
            program: path(&program.program)?,
            working_dir: path(&program.working_dir)?,
            arguments: Pointers::to(arguments.collect::<Result<_, _>>()?),
            variables: Pointers::to(variables.collect::<Result<_, _>>()?),
        })
    }
}

/// Strings, and pointers to them with a null behind.
struct Pointers {
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Pointers {
    fn to(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Pointers { _strings: strings, pointers }
    }

    fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}
