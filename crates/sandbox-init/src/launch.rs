//! Starts what a sandbox runs, confined.
//!
//! ```text
//!   first process (all rights in its namespaces)
//!        └── clone3 into the sandbox's control group ─► descriptors ─► working folder ─► confinement ─► execve
//!                                   a step that fails ──► it and its errno, by a pipe that an exec closes
//! ```
//!
//! A bare name is looked for as shells do, by the sandbox's user in the sandbox's root.
//!
//! Used by [`Descendants`](crate::descendants::Descendants) where the sandbox has a root of its own. Everything that needs
//! memory is made before the fork, or it would be made anew for each start and counted to the function.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use crate::clone3::{Clone, Forked};
use crate::confinement::Groundwork;
use crate::descendants::NotStarted;
use crate::furnishing::Confinement;
use crate::protocol::{Program, StartStep};

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

    /// As whom it starts everything.
    pub(crate) fn guest(&self) -> &Confinement {
        &self.confinement
    }

    /// Another one than it was made with.
    pub(crate) fn give_null(&mut self, null: File) {
        self.null = null;
    }

    /// Returns once the program is executed, with its number as this process counts.
    pub(crate) fn start(
        &self,
        program: &Program,
        stdout: &OwnedFd,
        stderr: &OwnedFd,
    ) -> Result<Pid, NotStarted> {
        let image = Image::of(program)?;
        let (mut failed, failure) = io::pipe()?;
        let cgroup = self.cgroup.as_ref().map(AsFd::as_fd);
        match (Clone { cgroup, ..Clone::default() }).fork()? {
            Forked::Child => {
                let NotStarted { step, error } = self.become_program(&image, stdout, stderr);
                let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                let _ = (&failure).write_all(&[step as i32, errno].map(i32::to_ne_bytes).concat());
                // SAFETY: ends the process at once, running nothing of the parent's.
                unsafe { libc::_exit(127) }
            }
            Forked::Parent(pid) => {
                drop(failure);
                let mut told = [0; 8];
                match failed.read_exact(&mut told) {
                    // Closed by the exec.
                    Err(_) => Ok(pid),
                    Ok(()) => {
                        // SAFETY: the pointer may be null; the child has ended or is about to.
                        unsafe { libc::waitpid(pid.as_raw_pid(), std::ptr::null_mut(), 0) };
                        let (step, errno) = told.split_at(4);
                        let number =
                            |bytes: &[u8]| bytes.try_into().map(i32::from_ne_bytes).unwrap_or_default();
                        let step = [StartStep::WorkingDir, StartStep::Search]
                            .into_iter()
                            .find(|known| *known as i32 == number(step))
                            .unwrap_or(StartStep::Execution);
                        Err(NotStarted { step, error: io::Error::from_raw_os_error(number(errno)) })
                    }
                }
            }
        }
    }

    /// Returns only when it fails.
    fn become_program(&self, image: &Image, stdout: &OwnedFd, stderr: &OwnedFd) -> NotStarted {
        if let Err(not_started) = self.prepare(image, stdout, stderr) {
            return not_started;
        }
        let mut failed = NotStarted { step: StartStep::Search, error: Errno::NOENT.into() };
        for candidate in &image.candidates {
            // SAFETY: all pointers are to live, terminated strings, and the arrays end with a null.
            unsafe {
                libc::execve(candidate.as_ptr(), image.arguments.as_ptr(), image.variables.as_ptr());
            }
            let error = io::Error::last_os_error();
            let is_there = rustix::fs::access(candidate.as_c_str(), Access::EXISTS).is_ok();
            match error.raw_os_error() {
                // A file whose interpreter is missing is found, and nothing else is to be tried.
                Some(libc::ENOENT | libc::ENOTDIR) if !is_there => {}
                // There may be another one that may be executed; if not, this is why.
                Some(libc::EACCES) => failed = NotStarted { step: StartStep::Execution, error },
                _ => return error.into(),
            }
        }
        failed
    }

    /// All that comes before the program.
    fn prepare(&self, image: &Image, stdout: &OwnedFd, stderr: &OwnedFd) -> Result<(), NotStarted> {
        let step = |error: Errno| NotStarted::from(io::Error::from(error));
        // Of its own, so that a signal reaches it and what it started, and nobody else.
        rustix::process::setpgid(None, None).map_err(step)?;
        rustix::stdio::dup2_stdin(&self.null).map_err(step)?;
        rustix::stdio::dup2_stdout(stdout).map_err(step)?;
        rustix::stdio::dup2_stderr(stderr).map_err(step)?;
        rustix::process::chdir(image.working_dir.as_c_str())
            .map_err(|error| NotStarted { step: StartStep::WorkingDir, error: error.into() })?;
        if self.spared {
            fs::write(OUT_OF_MEMORY_SCORE, "0")?;
        } else {
            // Anybody may raise it. Where it cannot be written, the larger one of both goes, which is the guest as a rule.
            let _ = fs::write(OUT_OF_MEMORY_SCORE, GOES_FIRST);
        }
        // What it sees of control groups begins where it is. Not earlier: from a namespace of its own the first process
        // could not put anybody into the sandbox's group, where cgroup2 is mounted with `nsdelegate`.
        // SAFETY: dangerous only for descriptors shared between threads (`FILES`, which is not asked for); and there is
        // one thread.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWCGROUP) }.map_err(step)?;
        let confined = self.confinement.apply(&self.groundwork);
        confined.map_err(|refused| io::Error::from_raw_os_error(refused.errno).into())
    }
}

const OUT_OF_MEMORY_SCORE: &str = "/proc/self/oom_score_adj";

/// Of what is started by a first process that could not spare itself: half of the memory there is, on top of its own, so that the
/// kernel takes it for the larger one whatever it has.
const GOES_FIRST: &str = "500";

/// Where it shares the memory that is limited, it would otherwise be the one to go when what it started is many and small.
/// Only root may do that, and not everywhere.
fn spare_this_process() -> bool {
    fs::write(OUT_OF_MEMORY_SCORE, "-1000").is_ok()
}

/// A program as `execve` wants it.
struct Image {
    /// Where it may be, in order.
    candidates: Vec<CString>,
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
            candidates: candidates(program)
                .iter()
                .map(|candidate| path(candidate))
                .collect::<Result<_, _>>()?,
            working_dir: path(&program.working_dir)?,
            arguments: Pointers::to(arguments.collect::<Result<_, _>>()?),
            variables: Pointers::to(variables.collect::<Result<_, _>>()?),
        })
    }
}

/// Where a shell would look for it. Nothing is found that has no name.
fn candidates(program: &Program) -> Vec<PathBuf> {
    let path = &program.program;
    match path.as_os_str().as_bytes() {
        [] => Vec::new(),
        name if name.contains(&b'/') => vec![path.clone()],
        _ => {
            let folders = program.variables.get("PATH").map_or(SEARCH_PATH, String::as_str);
            std::env::split_paths(folders).map(|folder| folder.join(path)).collect()
        }
    }
}

/// Where none is said.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
