//! Everything below the first process: the processes started by request, which have names, and whatever
//! they start or leave behind, which has none.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::frozen::{self, Frozen};
#[cfg(target_os = "linux")]
use crate::launch::Launcher;
use crate::protocol::{Exit, Program, Report, Signal, StartStep};
use crate::termination::terminate;
use crate::tree;
use crate::world::ChildEnded;

/// How long to wait at most for news of killed processes before looking for ones missed. Killed
/// processes announce themselves; this bounds only the chase after one that forks while it is looked for.
const CHASE: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

#[derive(Debug, Default)]
pub(crate) struct Descendants {
    /// The processes started by request and not reaped yet. As they are not reaped, their numbers cannot
    /// mean anybody else. Each leads a process group of the same number.
    named: BTreeMap<i32, String>,
    /// What a freeze has stopped, until the thaw.
    frozen: Option<Frozen>,
    /// The largest memory peak reported so far.
    peak_bytes: u64,
    /// This process is the first of a namespace: nobody can be anything but below it.
    #[cfg(target_os = "linux")]
    namespace: bool,
    /// How processes are started, where that is not as this process itself was.
    #[cfg(target_os = "linux")]
    launcher: Option<Launcher>,
}

impl Descendants {
    /// Those of the first process of a pid namespace.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_namespace() -> Self {
        Descendants { namespace: true, ..Self::default() }
    }

    /// From here on processes are started so.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_by(&mut self, launcher: Launcher) {
        self.launcher = Some(launcher);
    }

    /// Starts a process and says what came of it. Not in the middle of a frozen tree: it would wait for others
    /// that stand still.
    pub(crate) fn spawn(&mut self, program: Program, stdout: OwnedFd, stderr: OwnedFd) -> Report {
        self.thaw();
        match self.try_spawn(&program, stdout, stderr) {
            Ok(pid) => Report::Started { name: program.name, pid },
            Err(NotStarted { step, error }) => Report::SpawnFailed {
                name: program.name,
                step,
                errno: error.raw_os_error().unwrap_or(libc::EINVAL),
                message: error.to_string(),
            },
        }
    }

    fn try_spawn(&mut self, program: &Program, stdout: OwnedFd, stderr: OwnedFd) -> Result<u32, NotStarted> {
        if self.named.values().any(|name| *name == program.name) {
            return Err(io::Error::from(Errno::EXIST).into());
        }
        absolute(&program.working_dir)?;
        #[cfg(target_os = "linux")]
        if let Some(launcher) = &self.launcher {
            let pid = launcher.start(program, &stdout, &stderr)?;
            self.named.insert(pid.as_raw_pid(), program.name.clone());
            return Ok(pid.as_raw_pid().unsigned_abs());
        }
        absolute(&program.program)?;
        let child = Command::new(&program.program)
            .args(&program.arguments)
            .env_clear()
            .envs(&program.variables)
            .current_dir(&program.working_dir)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            // Of its own, so that a signal reaches it and what it started, and nobody else. Nothing here may
            // need code between fork and exec: without it `Command` uses `posix_spawn`, which shares
            // this process's memory until the exec, and which never hands a file without a magic number to a shell.
            .process_group(0)
            .spawn()?;
        let pid = child.id();
        self.named.insert(Pid::from_child(&child).as_raw_pid(), program.name.clone());
        Ok(pid)
    }

    /// Sends a signal to the process group of a named process.
    pub(crate) fn signal(&mut self, name: &str, signal: Signal) {
        if signal == Signal::Terminate {
            // The others too: ending in order may need them.
            self.thaw();
        }
        let pid =
            self.named.iter().find(|(_, known)| *known == name).and_then(|(pid, _)| Pid::from_raw(*pid));
        // Not yet reaped, so the group exists; it may hold nothing but the dead leader.
        match (pid, signal) {
            (Some(pid), Signal::Terminate) => terminate(pid),
            (Some(pid), Signal::Kill) => {
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
            (None, _) => {}
        }
    }

    /// Collects every child that has ended. `true` when no child is left at all, dead or alive.
    pub(crate) fn reap(&mut self, report: &mut impl FnMut(Report)) -> bool {
        loop {
            match wait() {
                Ok(Some(ended)) => {
                    if ended.peak_bytes > self.peak_bytes {
                        self.peak_bytes = ended.peak_bytes;
                        report(Report::MemoryPeak { bytes: ended.peak_bytes });
                    }
                    if let Some(name) = self.named.remove(&ended.pid) {
                        report(Report::Exited { name, status: ended.status });
                    }
                }
                Ok(None) => return false,
                Err(_no_children) => return true,
            }
        }
    }

    /// Stops everything. Without effect when that was done already.
    pub(crate) fn freeze(&mut self) {
        if self.frozen.is_none() {
            self.frozen = Some(Frozen::freeze(&self.named()));
        }
    }

    /// Lets go on what was stopped.
    pub(crate) fn thaw(&mut self) {
        if let Some(frozen) = self.frozen.take() {
            frozen.thaw(&self.named());
        }
    }

    fn named(&self) -> Vec<Pid> {
        self.named.keys().filter_map(|pid| Pid::from_raw(*pid)).collect()
    }

    /// Kills until the kernel says there is nothing left to wait for.
    pub(crate) fn end_all(&mut self, child_ended: &mut ChildEnded, report: &mut impl FnMut(Report)) {
        // SIGKILL ends stopped processes too.
        self.frozen = None;
        if self.reap(report) {
            return;
        }
        let me = rustix::process::getpid();
        loop {
            child_ended.clear();
            #[cfg(target_os = "linux")]
            if self.namespace && me.is_init() {
                // In one step, and whoever is forked meanwhile has the signal too.
                // SAFETY: touches no memory. From the first process of a pid namespace it reaches all of that
                // namespace but itself.
                unsafe { libc::kill(-1, libc::SIGKILL) };
            }
            // Groups first: the kernel kills a group in one step, which a process that forks in a loop cannot
            // outrun.
            let groups = [tree::children(me), self.named()].concat();
            frozen::send_to_groups(&groups, rustix::process::Signal::KILL);
            tree::kill_below(me);
            if self.reap(report) {
                return;
            }
            let mut news = [PollFd::new(child_ended, PollFlags::IN)];
            // An interruption is news as well.
            let _ = rustix::event::poll(&mut news, Some(&CHASE));
        }
    }
}

/// Why a process was not started.
#[derive(Debug)]
pub(crate) struct NotStarted {
    pub(crate) step: StartStep,
    pub(crate) error: io::Error,
}

impl From<io::Error> for NotStarted {
    fn from(error: io::Error) -> Self {
        NotStarted { step: StartStep::Execution, error }
    }
}

fn absolute(path: &Path) -> io::Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    let message = format!("{} is not an absolute path", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

struct Ended {
    pid: i32,
    status: Exit,
    peak_bytes: u64,
}

/// Waits for any child without blocking, and with its memory peak, which safe wrappers do not hand out.
fn wait() -> io::Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is a valid value: it is all integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = loop {
        // SAFETY: both pointers are to live values of the types asked for.
        let pid = unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut usage) };
        match pid {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            0 => return Ok(None),
            pid => break pid,
        }
    };
    let status = if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    };
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    Ok(Some(Ended { pid, status, peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit }))
}
