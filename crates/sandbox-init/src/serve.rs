//! The loop of the first process: requests in, reports out, until the control socket ends.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::descendants::Descendants;
use crate::mounts;
use crate::protocol::{Report, Request};
use crate::wire::{self, Frames};
use crate::world::World;

/// Serves until the server closes the socket, dies, or says something senseless; then ends everything.
pub(crate) fn serve(world: World) {
    let World { control, mut child_ended } = world;
    let mut descendants = Descendants::default();
    let mut frames = Frames::default();
    // A report that cannot be sent has no reader: the socket's end is noticed where it is read.
    let mut report = |message: Report| {
        let _ = send(&control, &message);
    };

    while let Ok([for_me, for_children]) = wait([&control.as_fd(), &child_ended.as_fd()]) {
        if for_children {
            child_ended.clear();
            descendants.reap(&mut report);
        }
        if !for_me {
            continue;
        }
        if !matches!(frames.receive(&control), Ok(true)) {
            break;
        }
        let served = serve_frames(&mut frames, |request, frames| match request {
            Request::Prepare(mounts) => {
                report(Report::Ready { mounted: mounts::make(&mounts) });
                true
            }
            Request::Spawn(program) => {
                let (Some(stdout), Some(stderr)) = (frames.take_descriptor(), frames.take_descriptor())
                else {
                    return false;
                };
                report(descendants.spawn(program, stdout, stderr));
                true
            }
            Request::Signal { name, signal } => {
                descendants.signal(&name, signal);
                true
            }
            Request::Freeze => {
                descendants.freeze();
                true
            }
            Request::Thaw => {
                descendants.thaw();
                true
            }
            Request::EndAll => {
                descendants.end_all(&mut child_ended, &mut report);
                report(Report::Emptied);
                true
            }
        });
        if !served {
            break;
        }
    }
    descendants.end_all(&mut child_ended, &mut report);
    report(Report::Emptied);
}

/// Handles every complete frame. `false` when one makes no sense.
fn serve_frames(frames: &mut Frames, mut handle: impl FnMut(Request, &mut Frames) -> bool) -> bool {
    loop {
        match frames.take_message() {
            Ok(Some(request)) => {
                if !handle(request, frames) {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Blocks until one of the two is readable (or broken, which reading will show).
fn wait(sources: [&impl AsFd; 2]) -> io::Result<[bool; 2]> {
    let mut polled = sources.map(|source| PollFd::new(source, PollFlags::IN));
    loop {
        match rustix::event::poll(&mut polled, None) {
            Ok(_) => return Ok(polled.map(|one| !one.revents().is_empty())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn send(control: &UnixStream, message: &Report) -> io::Result<()> {
    let frame = wire::frame(message)?;
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        match wire::send(control, rest, &[]) {
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
