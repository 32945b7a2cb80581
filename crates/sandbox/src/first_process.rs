//! Starts a sandbox's first process, and keeps the list of those that live.
//!
//! The list is what [`crate::orphans`] tells them from orphans by. It is global because what it mirrors is:
//! the kernel keeps one list of children per process.

use std::collections::BTreeSet;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
#[cfg(target_os = "linux")]
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, RwLock};

use rustix::process::{Pid, Signal};
#[cfg(target_os = "linux")]
use rustix::process::{WaitId, WaitIdOptions};
#[cfg(target_os = "linux")]
use tokio::io::{Interest, unix::AsyncFd};

/// Which executable becomes the first process; its `main` must begin with
/// [`enter_if_asked`](firesteel_sandbox_init::enter_if_asked).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum InitProgram {
    /// The one that is running, even if its file has since been replaced or removed.
    #[default]
    CurrentExe,
    /// Another one.
    Path(PathBuf),
}

/// Process numbers of the first processes that were started and not given up yet.
///
/// Held shared while one is being started or given up, as several may be at once; held exclusively while
/// orphans are looked for, so that a child is never seen before it is listed.
static KNOWN: RwLock<Mutex<BTreeSet<i32>>> = RwLock::new(Mutex::new(BTreeSet::new()));

/// A running first process. Dropped unreaped, one that was started is reaped by the async runtime later; one
/// that was cloned is ended at once, and all of its namespace with it.
#[derive(Debug)]
pub(crate) struct FirstProcess {
    process: Process,
    pid: Pid,
}

#[derive(Debug)]
enum Process {
    Started(tokio::process::Child),
    #[cfg(target_os = "linux")]
    Cloned(Cloned),
}

/// A child that somebody else has made.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Cloned {
    pinned: AsyncFd<OwnedFd>,
    reaped: bool,
}

impl FirstProcess {
    /// Blocks until the executable runs, about a millisecond. `control` becomes its descriptor 0.
    ///
    /// Must be called within an async runtime. The environment is empty: the first process needs
    /// none, and what it does not have cannot leak. No code runs between fork and exec (the server has
    /// threads); everything else is done by the first process to itself.
    pub(crate) fn start(
        program: &InitProgram,
        id: &str,
        folder: &Path,
        control: OwnedFd,
    ) -> io::Result<Self> {
        Self::start_as(
            firesteel_sandbox_init::HIDDEN_MODE,
            &format!("sandbox {id}"),
            program,
            folder,
            control,
        )
    }

    /// Likewise, in one of the hidden modes of the program.
    pub(crate) fn start_as(
        mode: &str,
        name: &str,
        program: &InitProgram,
        folder: &Path,
        control: OwnedFd,
    ) -> io::Result<Self> {
        let mut command = Command::new(path(program)?);
        command
            // For the reader of `ps`.
            .arg0(format!("firesteel: {name}"))
            .arg(mode)
            .env_clear()
            .current_dir(folder)
            .stdin(control)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        let child = tokio::process::Command::from(command).spawn()?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .expect("a child that was just started and not waited for has a number");
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(pid.as_raw_pid());
        Ok(Self { process: Process::Started(child), pid })
    }

    /// A child of this process that `make` has somebody else make, and tells the number of.
    ///
    /// Must be called within an async runtime.
    #[cfg(target_os = "linux")]
    pub(crate) fn cloned(make: impl FnOnce() -> io::Result<Pid>) -> io::Result<Self> {
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        let pid = make()?;
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(pid.as_raw_pid());
        // Nobody else reaps it, so the number is still its own.
        let pinned = pin(pid)?;
        Ok(Self { process: Process::Cloned(Cloned { pinned, reaped: false }), pid })
    }

    /// Resolves once it has ended. It is reaped by who waits for it, or drops it.
    ///
    /// Must be called within an async runtime.
    #[cfg(target_os = "linux")]
    pub(crate) fn its_end(&self) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        // It cannot have been reaped, as that takes it away.
        let pinned = pin(self.pid)?;
        Ok(async move {
            // Fails with the runtime, which ends all who wait.
            let _ = pinned.readable().await;
        })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal. Takes `self` mutably so that it cannot be reaped at the same time; a number
    /// that was reaped might mean somebody else.
    pub(crate) fn signal(&mut self, signal: Signal) {
        // Fails when it has just ended, which its waiter will see.
        let _ = match &self.process {
            Process::Started(child) if child.id().is_none() => Ok(()),
            Process::Started(_) => rustix::process::kill_process(self.pid, signal),
            #[cfg(target_os = "linux")]
            Process::Cloned(cloned) => rustix::process::pidfd_send_signal(cloned.pinned.get_ref(), signal),
        };
    }

    /// Waits for its end and reaps it. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.process {
            Process::Started(child) => child.wait().await,
            #[cfg(target_os = "linux")]
            Process::Cloned(cloned) => cloned.wait().await,
        }
    }
}

/// Becomes readable when the process ends. Within an async runtime.
#[cfg(target_os = "linux")]
fn pin(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pinned = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK)?;
    // SAFETY: an `OwnedFd` is open, and the same, until it is dropped; nothing here takes it out.
    let pinned = unsafe { AsyncFd::register_with_interest(pinned, Interest::READABLE) }?;
    Ok(pinned)
}

#[cfg(target_os = "linux")]
impl Cloned {
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            let mut ready = self.pinned.readable().await?;
            match reap(self.pinned.get_ref(), WaitIdOptions::NOHANG)? {
                Some(status) => {
                    self.reaped = true;
                    return Ok(status);
                }
                None => ready.clear_ready(),
            }
        }
    }
}

/// How a child has ended that is reaped by this; `None` while it lives.
#[cfg(target_os = "linux")]
fn reap(pinned: &OwnedFd, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
    let ended = rustix::process::waitid(WaitId::PidFd(pinned.as_fd()), WaitIdOptions::EXITED | options)?;
    Ok(ended.map(|ended| {
        let code = ended.exit_status().map(|code| code << 8);
        ExitStatus::from_raw(code.or_else(|| ended.terminating_signal()).unwrap_or_default())
    }))
}

#[cfg(target_os = "linux")]
impl Drop for Cloned {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = rustix::process::pidfd_send_signal(self.pinned.get_ref(), Signal::KILL);
            // A matter of microseconds: nothing of it may be left behind.
            let _ = reap(self.pinned.get_ref(), WaitIdOptions::empty());
        }
    }
}

impl Drop for FirstProcess {
    fn drop(&mut self) {
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        known.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid.as_raw_pid());
    }
}

/// Stops first processes from being started or given up as long as the value lives.
#[cfg(target_os = "linux")]
pub(crate) fn known() -> std::sync::RwLockWriteGuard<'static, Mutex<BTreeSet<i32>>> {
    KNOWN.write().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn path(program: &InitProgram) -> io::Result<PathBuf> {
    match program {
        InitProgram::Path(path) => Ok(path.clone()),
        // By the kernel's reference to the file rather than by its name: an upgrade may have replaced it.
        InitProgram::CurrentExe if cfg!(target_os = "linux") => Ok(PathBuf::from("/proc/self/exe")),
        InitProgram::CurrentExe => std::env::current_exe(),
    }
}
