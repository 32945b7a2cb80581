//! Starts a sandbox's first process, and keeps the list of those that live.
//!
//! The list is what [`crate::orphans`] tells them from orphans by. It is global because what it mirrors is:
//! the kernel keeps one list of children per process.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, RwLock};

use rustix::process::{Pid, Signal};

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

/// A running first process. Dropped unreaped, it is reaped by the async runtime later.
#[derive(Debug)]
pub(crate) struct FirstProcess {
    child: tokio::process::Child,
    pid: Pid,
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
        let mut command = Command::new(path(program)?);
        command
            // For the reader of `ps`.
            .arg0(format!("firesteel: sandbox {id}"))
            .arg(firesteel_sandbox_init::HIDDEN_MODE)
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
        Ok(Self { child, pid })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends it a signal. Takes `self` mutably so that it cannot be reaped at the same time; a number
    /// that was reaped might mean somebody else.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.child.id().is_some() {
            // Fails when it has just ended, which its waiter will see.
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Waits for its end and reaps it. Cancel-safe.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
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
