//! The conversation with the process that makes first processes, and networks for those that others make.
//!
//! Used by [`crate::namespace`] and [`crate::oci`], by way of a [`KeptSpawner`].

mod kept;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use firesteel_sandbox_init::SPAWNER_MODE;
use firesteel_sandbox_init::network::{Link, Prefix};
use firesteel_sandbox_init::protocol::{Made, Order};
use firesteel_sandbox_init::wire::{self, Frames};
use rustix::process::Pid;

pub(crate) use self::kept::KeptSpawner;

use crate::first_process::{FirstProcess, InitProgram};
use crate::network::{Egress, Uplink};

/// A running spawner. Ends when dropped; what it has made lives on.
#[derive(Debug)]
pub(crate) struct Spawner {
    conversation: Mutex<Conversation>,
    /// Before the process, which holds the router that it leads from.
    uplink: Option<Uplink>,
    process: FirstProcess,
}

#[derive(Debug)]
struct Conversation {
    socket: UnixStream,
    frames: Frames,
}

impl Spawner {
    /// Blocks until it is ready: some milliseconds, some ten more with a way out. Must be called within an async runtime.
    fn start(init: &InitProgram, folder: &Path, egress: Option<&Egress>) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let process = FirstProcess::start_as(SPAWNER_MODE, "spawner", init, folder, theirs.into())?;
        let mut conversation = Conversation { socket: ours, frames: Frames::default() };
        let router = egress.map(|egress| Box::new(egress.plan().clone()));
        ready(conversation.ask(&Order::Begin { router }, &[])?)?;
        let pid = process.pid().as_raw_pid().unsigned_abs();
        let uplink = egress.map(|egress| egress.start(pid, init)).transpose().map_err(io::Error::other)?;
        Ok(Spawner { conversation: Mutex::new(conversation), uplink, process })
    }

    /// Makes a first process, and a way from its network to the router. Blocks for about a millisecond. Must be called
    /// within an async runtime.
    pub(crate) fn make(
        &self,
        own_network: bool,
        control: &OwnedFd,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> io::Result<(FirstProcess, Option<Link>)> {
        let descriptors: Vec<_> = std::iter::once(control.as_fd()).chain(cgroup).collect();
        let mut conversation = self.lock();
        let mut connected = Ok(None);
        let first_process = FirstProcess::cloned(|| {
            match conversation.ask(&Order::Clone { own_network }, &descriptors)? {
                Made::FirstProcess { pid, link } => {
                    connected = link;
                    Pid::from_raw(pid).ok_or_else(senseless)
                }
                Made::Failed { reason } => Err(io::Error::other(reason)),
                Made::Ready | Made::Network => Err(senseless()),
            }
        })?;
        let no_way = |reason| io::Error::other(format!("no way out of the sandbox: {reason}"));
        Ok((first_process, connected.map_err(no_way)?))
    }

    /// Makes a network namespace with a way to the router. Blocks for about a millisecond.
    pub(crate) fn make_network(&self) -> io::Result<OwnedFd> {
        let mut conversation = self.lock();
        match conversation.ask(&Order::Network, &[])? {
            Made::Network => conversation.frames.take_descriptor().ok_or_else(senseless),
            Made::Failed { reason } => Err(io::Error::other(reason)),
            Made::Ready | Made::FirstProcess { .. } => Err(senseless()),
        }
    }

    /// What of the host may not be reached, from now on. Blocks for some milliseconds.
    fn set_host(&self, host: Vec<Prefix>) -> io::Result<()> {
        ready(self.lock().ask(&Order::SetHost(host), &[])?)
    }

    /// Ends it, and waits for that: it is no process of the server's any more then. What it has made lives on.
    async fn end(self) {
        let Spawner { conversation, uplink, mut process } = self;
        // First, as it leads to what the process holds.
        let _ = tokio::task::spawn_blocking(move || drop(uplink)).await;
        drop(conversation);
        let _ = process.wait().await;
    }

    fn lock(&self) -> MutexGuard<'_, Conversation> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to an order that makes nothing.
fn ready(made: Made) -> io::Result<()> {
    match made {
        Made::Ready => Ok(()),
        Made::Failed { reason } => Err(io::Error::other(reason)),
        Made::FirstProcess { .. } | Made::Network => Err(senseless()),
    }
}

/// Whether it is the spawner that failed, and not what it was asked to do.
pub(crate) fn has_ended(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl Conversation {
    fn ask(&mut self, order: &Order, descriptors: &[BorrowedFd<'_>]) -> io::Result<Made> {
        wire::send_whole(&self.socket, order, descriptors)?;
        self.hear()
    }

    fn hear(&mut self) -> io::Result<Made> {
        loop {
            if let Some(made) = self.frames.take_message()? {
                return Ok(made);
            }
            if !self.frames.receive(&self.socket)? {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the spawner has ended"));
            }
        }
    }
}

fn senseless() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the spawner says something senseless")
}
