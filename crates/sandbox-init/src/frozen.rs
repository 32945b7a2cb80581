//! A tree that stands still: which processes were stopped, and how they go on.
//!
//! ```text
//!   Freeze ─► who is stopped already? ─► stop the others ─► look again ──► all are stopped: complete
//!                                              ▲                │
//!                                              └── some are new ┼──► some do not stop: incomplete
//!                                                               │
//!   Thaw ───► continue those who were stopped here (incomplete: all but those who were stopped before)
//! ```
//!
//! By SIGSTOP, for which a user needs no rights and the host no feature. A process that the function itself had stopped is still
//! stopped after the thaw. Somebody waits for a thaw, so it looks for nobody: those who were stopped are remembered.
//!
//! What a function can see of it, and would not see if its whole machine had stood still: SIGCONT, if it handles
//! that; SIGCHLD and stopped children, if a parent asks for such news; EINTR out of some calls that were waiting,
//! `epoll_wait` among them.
//!
//! Used by [`Descendants`](crate::descendants::Descendants). The first process is never stopped: the tree is below it.

use rustix::event::Timespec;
use rustix::process::{Pid, Signal};

use crate::tree::{self, Activity, Descendant, Pinned};

/// How many looks at the tree to take at most. Each stops whom it finds; only a chain of processes of which each starts the
/// next in a session of its own and ends can outrun that, and not for long.
const MAX_LOOKS: u32 = 200;

/// How long to wait at first for signals to take effect, for which every thread needs a turn on a processor. Then
/// twice as long, and so on ...
const FIRST_PAUSE_NS: i64 = 50_000;

/// ... up to this. What takes longer is waiting in the kernel, for a disk or (between fork and exec) for
/// a child that is stopped, and stops before it does anything else.
const LAST_PAUSE_NS: i64 = 12_800_000;

#[derive(Debug, Default)]
pub(crate) struct Frozen {
    /// Stopped here; parents before children.
    stopped: Vec<(Pid, Pinned)>,
    /// Stopped before, by the function itself.
    stopped_before: Vec<Pid>,
    /// The last look found all of the tree stopped. Until then somebody may have been stopped that
    /// was never seen: by way of a process group, right after being forked.
    complete: bool,
}

/// Whom a look at the tree has found, and whether they had ended. Two looks that agree have missed nobody: a child can be
/// missed only if its parent ends meanwhile and leaves it to the first process, which reaps nobody between looks,
/// so the next look finds both of them there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Look(Vec<(Pid, bool)>);

impl Frozen {
    /// Stops everything below, and the groups of the named processes.
    pub(crate) fn freeze(named: &[Pid]) -> Self {
        let mut frozen = Self::default();
        let mut last = frozen.first_look();
        send_to_groups(named, Signal::STOP);
        let mut pause = Timespec { tv_sec: 0, tv_nsec: FIRST_PAUSE_NS };
        for _ in 0..MAX_LOOKS {
            let (look, running) = frozen.look_again();
            let as_before = look == last;
            last = look;
            match (as_before, running) {
                (true, false) => {
                    frozen.complete = true;
                    break;
                }
                // Processes come and go, every moment counts.
                (false, _) => {}
                (true, true) if pause.tv_nsec > LAST_PAUSE_NS => break,
                (true, true) => {
                    // Cut short when a child has ended, which is as well.
                    let _ = rustix::event::poll(&mut [], Some(&pause));
                    pause.tv_nsec *= 2;
                }
            }
        }
        frozen
    }

    /// Stops those who run.
    fn first_look(&mut self) -> Look {
        let me = rustix::process::getpid();
        let (mut look, mut children) = (Look::default(), Vec::new());
        tree::walk(me, |siblings| {
            for found in siblings {
                let activity = tree::activity(found.pid);
                look.0.push((found.pid, activity == Activity::Ended));
                match activity {
                    Activity::Running => self.stop(me, *found),
                    Activity::Stopped => self.stopped_before.push(found.pid),
                    Activity::Ended => {}
                }
            }
            children.extend(siblings.iter().filter(|found| found.parent == me).map(|found| found.pid));
        });
        // The kernel stops a group in one step, in which nobody can fork. Not before everybody was looked at, or it
        // could not be told who was stopped already.
        send_to_groups(&children, Signal::STOP);
        look
    }

    /// Stops those who are new, and says whether anybody runs.
    fn look_again(&mut self) -> (Look, bool) {
        let me = rustix::process::getpid();
        let (mut look, mut running) = (Look::default(), false);
        tree::walk(me, |siblings| {
            // Before anybody else is looked at: those who start another and end do so within a millisecond. May be
            // stopped already, if forked into a group that was being stopped.
            for found in siblings {
                if !self.knows(found.pid) {
                    self.stop(me, *found);
                    if found.parent == me {
                        send_to_groups(&[found.pid], Signal::STOP);
                    }
                }
            }
            for found in siblings {
                let activity = tree::activity(found.pid);
                look.0.push((found.pid, activity == Activity::Ended));
                if activity == Activity::Running {
                    running = true;
                    // Stopped before, and continued; or here, and continued by somebody who was not stopped yet.
                    self.stop_again(me, *found);
                }
            }
        });
        (look, running)
    }

    fn knows(&self, pid: Pid) -> bool {
        self.stopped_before.contains(&pid) || self.stopped.iter().any(|(stopped, _)| *stopped == pid)
    }

    fn stop_again(&mut self, me: Pid, found: Descendant) {
        match self.stopped.iter().find(|(pid, _)| *pid == found.pid) {
            Some((_, pinned)) => pinned.send(Signal::STOP),
            None => {
                self.stopped_before.retain(|pid| *pid != found.pid);
                self.stop(me, found);
            }
        }
    }

    fn stop(&mut self, me: Pid, found: Descendant) {
        if let Some(pinned) = tree::pin(me, found) {
            pinned.send(Signal::STOP);
            self.stopped.push((found.pid, pinned));
        }
    }

    /// Lets those go on that were stopped here, children first: a parent that waits for news of stopped children finds
    /// them running.
    pub(crate) fn thaw(self, named: &[Pid]) {
        for (_, pinned) in self.stopped.iter().rev() {
            pinned.send(Signal::CONT);
        }
        if !self.complete {
            let me = rustix::process::getpid();
            let stopped_here =
                tree::below(me).into_iter().filter(|found| !self.stopped_before.contains(&found.pid));
            for pinned in stopped_here.filter_map(|found| tree::pin(me, found)) {
                pinned.send(Signal::CONT);
            }
        }
        if !tree::IS_KNOWN {
            send_to_groups(named, Signal::CONT);
        }
    }
}

/// To be called with direct children only, whose numbers are theirs until they are reaped.
pub(crate) fn send_to_groups(leaders: &[Pid], signal: Signal) {
    for leader in leaders {
        // Fails for one that leads no group, or whose group has ended.
        let _ = rustix::process::kill_process_group(*leader, signal);
    }
}
