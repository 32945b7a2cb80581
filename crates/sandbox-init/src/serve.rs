//! The loop of the first process: requests in, reports out, until the control socket ends.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::descendants::Descendants;
use crate::furnishing::Furnishing;
use crate::mounts;
use crate::protocol::{Mounted, Mounts, Report, Request};
#[cfg(target_os = "linux")]
use crate::room::Room;
use crate::wire::{self, Frames};
use crate::world::World;

/// Serves until the server closes the socket, dies, or says something senseless; then ends everything.
pub(crate) fn serve(world: World) {
    attend(world, Stage::Shared, Descendants::default());
}

/// Likewise, as the first process of namespaces of its own. What it starts begins in the control group.
#[cfg(target_os = "linux")]
pub(crate) fn serve_cloned(world: World, cgroup: Option<OwnedFd>) {
    attend(world, Stage::Bare { cgroup }, Descendants::in_namespace());
}

/// Likewise, as the first process of a container, in the root that it is to have.
#[cfg(target_os = "linux")]
pub(crate) fn serve_contained(world: World) {
    attend(world, Stage::Bare { cgroup: None }, Descendants::in_namespace());
}

/// How far the sandbox is made.
enum Stage {
    /// On the host's root; there is nothing to make.
    Shared,
    /// In namespaces of its own; nothing has run in them.
    #[cfg(target_os = "linux")]
    Bare { cgroup: Option<OwnedFd> },
    /// Its root is built.
    #[cfg(target_os = "linux")]
    Furnished { room: Box<Room> },
    /// All is as it is to be. The socket's maker stays.
    #[cfg(target_os = "linux")]
    Own { own_network: bool },
}

fn attend(world: World, mut stage: Stage, mut descendants: Descendants) {
    let World { control, mut child_ended } = world;
    let mut frames = Frames::default();
    // A report that cannot be sent has no reader: the socket's end is noticed where it is read.
    let mut report = |message: Report| {
        let _ = wire::send_whole(&control, &message, &[]);
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
            Request::Furnish(furnishing) => {
                let sent = std::iter::from_fn(|| frames.take_descriptor()).collect();
                stage.furnish(*furnishing, sent, &mut report)
            }
            Request::Prepare(mounts) => {
                let tree = mounts.tree.as_ref().and_then(|_| frames.take_descriptor());
                stage.prepare(&mounts, tree, &control, &mut descendants)
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
            Request::Socket => {
                stage.tell(&control, &Report::Socket);
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
                stage.tell(&control, &Report::Emptied);
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

impl Stage {
    /// `false` when the sandbox cannot be.
    fn furnish(
        &mut self,
        furnishing: Furnishing,
        sent: Vec<OwnedFd>,
        report: &mut impl FnMut(Report),
    ) -> bool {
        match std::mem::replace(self, Stage::Shared) {
            #[cfg(target_os = "linux")]
            Stage::Bare { cgroup } => {
                let mut sent = sent.into_iter();
                let furnished = Room::furnish(furnishing, sent.next().or(cgroup), sent);
                let failed = furnished.as_ref().err().map(ToString::to_string);
                let went_well = failed.is_none();
                if let Ok(room) = furnished {
                    *self = Stage::Furnished { room: Box::new(room) };
                }
                report(Report::Furnished { failed });
                went_well
            }
            // Said by nobody: the server knows what it has made.
            _ => {
                let _ = (furnishing, sent);
                false
            }
        }
    }

    /// `false` when the sandbox cannot be.
    fn prepare(
        &mut self,
        mounts: &Mounts,
        tree: Option<OwnedFd>,
        control: &UnixStream,
        descendants: &mut Descendants,
    ) -> bool {
        let mounted = match std::mem::replace(self, Stage::Shared) {
            Stage::Shared => {
                drop(tree);
                mounts::make(mounts)
            }
            #[cfg(target_os = "linux")]
            Stage::Furnished { room } => {
                let own_network = room.own_network();
                match room.enter(mounts, tree) {
                    Ok(launcher) => {
                        descendants.start_by(launcher);
                        *self = Stage::Own { own_network };
                        Mounted::AsAsked
                    }
                    Err(error) => {
                        self.tell(
                            control,
                            &Report::Ready { mounted: Mounted::Not { reason: error.to_string() } },
                        );
                        return false;
                    }
                }
            }
            #[cfg(target_os = "linux")]
            Stage::Bare { .. } | Stage::Own { .. } => return false,
        };
        self.tell(control, &Report::Ready { mounted });
        true
    }

    /// Sends a report; with a socket, where there is a network of its own.
    fn tell(&self, control: &UnixStream, report: &Report) {
        #[cfg(target_os = "linux")]
        if let Stage::Own { own_network: true } = self {
            // Without descriptors left it goes without, which the server notices when it wants to listen.
            let socket = crate::network::unbound_socket().ok();
            let descriptors: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
            let _ = wire::send_whole(control, report, &descriptors);
            return;
        }
        let _ = wire::send_whole(control, report, &[]);
    }
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
