//! The task beside each sandbox: writes requests, reads reports, and sees the first process to its end.
//!
//! It ends in one of two ways:
//! * *Closed*: the owner lets go of the sandbox. The sending side of the socket is shut, upon which the first
//!   process ends everything and exits. If it does not within [`GRACE`] (somebody stopped it, say), it is
//!   killed, and what was below it is swept up.
//! * *Lost*: the first process dies. What was below it is swept up, then the owner is told.
//!
//! Either way the first process has been reaped when the task ends.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use firesteel_sandbox_init::protocol::{Mounted, Report};
use firesteel_sandbox_init::tree;
use firesteel_sandbox_init::wire::{self, Frames};
use rustix::process::Signal;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::event::Event;
use crate::first_process::FirstProcess;
use crate::listening::Sockets;
use crate::memory::Meter;
#[cfg(target_os = "linux")]
use crate::oci::Container;
use crate::orphans;

/// How long a first process may take to end everything and exit. It takes milliseconds; the bound is for one
/// that does not run, because a process of the sandbox has stopped it or a tree is too busy forking.
const GRACE: Duration = Duration::from_secs(3);

/// A request on its way to the first process.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) frame: Vec<u8>,
    /// None, or stdout and stderr.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// A step of a sandbox that is being made.
#[derive(Debug)]
pub(crate) enum Making {
    /// Its root is built, or why not.
    Furnished { failed: Option<String> },
    /// It is set up.
    Ready { mounted: Mounted },
}

/// All that the task owns.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) id: String,
    pub(crate) stream: UnixStream,
    /// Ends when the owner lets go of the sandbox.
    pub(crate) requests: mpsc::Receiver<Outgoing>,
    /// Hears how the sandbox is being made.
    pub(crate) making: mpsc::UnboundedSender<Making>,
    /// Where sockets go that the first process hands out.
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) first_process: FirstProcess,
    /// Whose first process that is.
    #[cfg(target_os = "linux")]
    pub(crate) container: Option<Container>,
}

impl Control {
    pub(crate) async fn run(self) {
        #[cfg(target_os = "linux")]
        let container = self.container;
        let Self { id, stream, mut requests, making, sockets, events, meter, mut first_process, .. } = self;
        let mut closing = false;
        let overdue = {
            let reports = read_reports(&stream, |report, socket| {
                match (&report, socket) {
                    (Report::Socket, socket) => sockets.answer(socket),
                    (_, Some(socket)) => sockets.put(socket),
                    (_, None) => {}
                }
                if let Some(event) = receive(report, &making, &meter) {
                    // Nobody listening is the owner's choice.
                    let _ = events.send(event);
                }
            });
            let closed = async {
                write_requests(&stream, &mut requests).await;
                closing = true;
                let _ = rustix::net::shutdown(&stream, rustix::net::Shutdown::Write);
                // In case a process of the sandbox has stopped it.
                first_process.signal(Signal::CONT);
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                ended = reports => {
                    if let Err(error) = &ended {
                        tracing::warn!(sandbox = id, %error, "first process sent something senseless");
                    }
                    ended.is_err()
                }
                () = closed => true,
            }
        };
        // Its socket is closed before it can be reaped; that is a matter of microseconds.
        let exit =
            match tokio::time::timeout(if overdue { Duration::ZERO } else { GRACE }, first_process.wait())
                .await
            {
                Ok(exit) => exit,
                Err(_elapsed) => {
                    tracing::warn!(sandbox = id, "first process did not end in time and is killed");
                    tree::kill_below(first_process.pid());
                    first_process.signal(Signal::KILL);
                    first_process.wait().await
                }
            };
        let orderly = exit.as_ref().is_ok_and(std::process::ExitStatus::success);
        if !orderly {
            // A panic in it would be printed by the runtime; there is nothing else to do about one.
            let _ = tokio::task::spawn_blocking(orphans::end_orphans).await;
        }
        #[cfg(target_os = "linux")]
        if let Some(container) = container {
            let _ = tokio::task::spawn_blocking(move || drop(container)).await;
        }
        // Before the owner can hear of the end: from then on requests are refused.
        requests.close();
        sockets.close();
        if !closing {
            tracing::warn!(sandbox = id, ?exit, "first process died; what it ran has been ended");
            let _ = events.send(Event::Lost);
        }
    }
}

fn receive(report: Report, making: &mpsc::UnboundedSender<Making>, meter: &Meter) -> Option<Event> {
    match report {
        // In vain when the creation was cancelled; the requests have then ended too.
        Report::Furnished { failed } => {
            let _ = making.send(Making::Furnished { failed });
            None
        }
        Report::Ready { mounted } => {
            let _ = making.send(Making::Ready { mounted });
            None
        }
        Report::Socket => None,
        Report::MemoryPeak { bytes } => {
            meter.peaked(bytes);
            None
        }
        Report::Started { name, pid } => Some(Event::Started { name, pid }),
        Report::SpawnFailed { name, step, errno, message } => {
            Some(Event::SpawnFailed { name, step, errno, message })
        }
        Report::Exited { name, status } => Some(Event::Exited { name, status }),
        Report::Emptied => Some(Event::Emptied),
    }
}

/// Until the other end closes.
async fn read_reports(
    stream: &UnixStream,
    mut receive: impl FnMut(Report, Option<OwnedFd>),
) -> io::Result<()> {
    let mut frames = Frames::default();
    loop {
        stream.readable().await?;
        match stream.try_io(Interest::READABLE, || frames.receive(stream.as_fd())) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            // It died with requests unread.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
        while let Some(report) = frames.take_message()? {
            // Only sockets come up, and each stands for itself.
            receive(report, frames.take_descriptor());
        }
    }
}

/// Until there are no more requests, or nobody to take them: that end is noticed where reports are read.
async fn write_requests(stream: &UnixStream, requests: &mut mpsc::Receiver<Outgoing>) {
    while let Some(request) = requests.recv().await {
        if write_request(stream, &request).await.is_err() {
            // Wait for the reading side to notice; it decides.
            std::future::pending::<()>().await;
        }
    }
}

async fn write_request(stream: &UnixStream, request: &Outgoing) -> io::Result<()> {
    let descriptors: Vec<_> = request.descriptors.iter().map(AsFd::as_fd).collect();
    let mut sent = 0;
    while sent < request.frame.len() {
        stream.writable().await?;
        let with_first_byte = if sent == 0 { descriptors.as_slice() } else { &[] };
        match stream.try_io(Interest::WRITABLE, || {
            wire::send(stream.as_fd(), &request.frame[sent..], with_first_byte)
        }) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
