//! The conversation with the process that makes first processes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use firesteel_sandbox_init::SPAWNER_MODE;
use firesteel_sandbox_init::protocol::{Made, Order};
use firesteel_sandbox_init::wire::{self, Frames};
use rustix::process::Pid;

use crate::first_process::{FirstProcess, InitProgram};

/// A running spawner. Ends when dropped; what it has made lives on.
#[derive(Debug)]
pub(super) struct Spawner {
    conversation: Mutex<Conversation>,
    process: FirstProcess,
}

#[derive(Debug)]
struct Conversation {
    socket: UnixStream,
    frames: Frames,
}

impl Spawner {
    /// Blocks until it is ready: some milliseconds. Must be called within an async runtime.
    pub(super) fn start(init: &InitProgram, folder: &Path) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let process = FirstProcess::start_as(SPAWNER_MODE, "spawner", init, folder, theirs.into())?;
        let mut conversation = Conversation { socket: ours, frames: Frames::default() };
        match conversation.hear()? {
            Made::Ready => Ok(Spawner { conversation: Mutex::new(conversation), process }),
            Made::Failed { reason } => Err(io::Error::other(reason)),
            Made::FirstProcess { .. } => Err(senseless()),
        }
    }

    /// Blocks for about half a millisecond. Must be called within an async runtime.
    pub(super) fn make(
        &self,
        own_network: bool,
        control: &OwnedFd,
        cgroup: Option<BorrowedFd<'_>>,
    ) -> io::Result<FirstProcess> {
        let descriptors: Vec<_> = std::iter::once(control.as_fd()).chain(cgroup).collect();
        let mut conversation = self.conversation.lock().unwrap_or_else(PoisonError::into_inner);
        FirstProcess::cloned(|| {
            wire::send_whole(&conversation.socket, &Order { own_network }, &descriptors)?;
            match conversation.hear()? {
                Made::FirstProcess { pid } => Pid::from_raw(pid).ok_or_else(senseless),
                Made::Failed { reason } => Err(io::Error::other(reason)),
                Made::Ready => Err(senseless()),
            }
        })
    }

    /// Ends it, and waits for that: it is no process of the server's any more then. What it has made lives on.
    pub(super) async fn end(self) {
        let Spawner { conversation, mut process } = self;
        drop(conversation);
        let _ = process.wait().await;
    }
}

impl Conversation {
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
