//! A contestant's server: a child process with a front door on loopback.
//!
//! All contestants are started, awaited, measured and ended by this one file, so that they are treated alike. What
//! a server prints goes to a file, which is quoted when the server fails. Called by the contestants' modules and by
//! the phases in `bench`. It refuses to hand out a server that does not listen yet.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::load::pause;
use super::process_tree::kib;

/// How long a server may take until it listens, and until it has ended after a SIGTERM: one that is killed with a
/// thousand environments leaves much behind.
const START_LIMIT: Duration = Duration::from_secs(10);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How often the front door is tried while a server starts: often, as the start may be part of what is timed.
const KNOCK_EVERY: Duration = Duration::from_micros(100);

/// Why there is no server to measure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot prepare the start of `{program}`")]
    Prepare {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot start `{program}`")]
    Spawn {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` ended before it listened ({status}){said}")]
    Ended { command: String, status: ExitStatus, said: String },
    #[error("`{command}` did not listen within {} s{said}", START_LIMIT.as_secs())]
    Deaf { command: String, said: String },
}

/// Memory of one process as the kernel counts it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// Resident pages, those shared with others included.
    pub(crate) rss_kib: u64,
    /// The same with shared pages divided among their users.
    pub(crate) pss_kib: u64,
}

impl Memory {
    pub(crate) fn rss_mib(self) -> f64 {
        self.rss_kib as f64 / 1024.0
    }

    pub(crate) fn pss_mib(self) -> f64 {
        self.pss_kib as f64 / 1024.0
    }
}

/// A server that listens. Dropped, its process is killed; [`Server::stop`] is the polite way.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The function's name in the path of an invoke.
    pub(crate) function: String,
}

impl Server {
    /// Starts `command`, which has been told to listen on `address`, and waits until it does.
    pub(crate) async fn start(
        mut command: Command,
        address: SocketAddr,
        function: &str,
        log: PathBuf,
    ) -> Result<Self, StartError> {
        let program = command.as_std().get_program().display().to_string();
        let prepare = |source| StartError::Prepare { program: program.clone(), source };
        let out = File::create(&log).map_err(prepare)?;
        let err = out.try_clone().map_err(prepare)?;
        command.stdin(Stdio::null()).stdout(out).stderr(err).kill_on_drop(true);
        let mut child =
            command.spawn().map_err(|source| StartError::Spawn { program: program.clone(), source })?;

        let listening = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                // The async runtime's own clock ticks in milliseconds.
                pause(KNOCK_EVERY);
                tokio::task::yield_now().await;
            }
        };
        let command = first_words(&command);
        tokio::select! {
            // An ended child is looked at first: its port may have been taken by somebody else.
            biased;
            Ok(status) = child.wait() => Err(StartError::Ended { command, status, said: last_words(&log) }),
            found = timeout(START_LIMIT, listening) => match found {
                Ok(()) => Ok(Self { child, address, function: function.to_owned() }),
                Err(_) => Err(StartError::Deaf { command, said: last_words(&log) }),
            },
        }
    }

    /// Ends the process and waits until it has ended: a contestant must not disturb the next measurement.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid {
            // It may have ended by itself meanwhile; the wait below finds that out.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            // Killed already when this fails.
            let _ = self.child.kill().await;
        }
    }

    /// How the process ended, if it does so by itself within `limit`.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        timeout(limit, self.child.wait()).await.ok()?.ok()
    }

    /// `None` once it has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Memory of the server's own process, without its functions'. `None` where there is no `/proc`.
    pub(crate) fn memory(&self) -> Option<Memory> {
        let process = PathBuf::from("/proc").join(self.child.id()?.to_string());
        Some(Memory {
            rss_kib: kib(&process.join("status"), "VmRSS:")?,
            pss_kib: kib(&process.join("smaps_rollup"), "Pss:")?,
        })
    }
}

/// A port that was free a moment ago. Whoever takes it in between makes the server's start fail, loudly.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Enough of a command line to recognise it: with two hundred functions it is long.
fn first_words(command: &Command) -> String {
    let command = command.as_std();
    let mut words = vec![command.get_program().display().to_string()];
    words.extend(command.get_args().map(|word| word.display().to_string()));
    let long = words.len() > 12;
    words.truncate(12);
    words.join(" ") + if long { " …" } else { "" }
}

/// The last lines a server printed, indented, to stand under an error.
fn last_words(log: &PathBuf) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(5)..];
    last.iter().map(|line| format!("\n    {line}")).collect()
}
