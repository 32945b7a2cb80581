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
//! By SIGSTOP, which takes no rights and nothing of the host. A process that the function itself had stopped is still
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
const MAX_LOOKS: u32 = 500;

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

impl Frozen {
    /// Stops everything below, and the groups of the named processes.
    pub(crate) fn freeze(named: &[Pid]) -> Self {
        let me = rustix::process::getpid();
        let mut frozen = Self::default();
        let mut last = tree::survey(me);
        for (found, activity) in &last {
            match activity {
                Activity::Running => frozen.stop(me, *found),
                Activity::Stopped => frozen.stopped_before.push(found.pid),
                Activity::Ended => {}
            }
        }
        send_to_groups(named.iter().copied(), Signal::STOP);

        let mut pause = Timespec { tv_sec: 0, tv_nsec: FIRST_PAUSE_NS };
        for _ in 0..MAX_LOOKS {
            // All the groups there are: the kernel stops a group in one step, in which nobody can fork. Not before
            // everybody was looked at, or it could not be told who was stopped already.
            let children = last.iter().filter(|(found, _)| found.parent == me).map(|(found, _)| found.pid);
            send_to_groups(children, Signal::STOP);
            let look = tree::survey(me);
            let running = frozen.stop_the_rest(me, &look);
            let as_before = living(&look).eq(living(&last));
            last = look;
            match (as_before, running) {
                (true, false) => {
                    frozen.complete = true;
                    break;
                }
                // Processes come and go; every moment counts.
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

    /// Whether there were any that ran.
    fn stop_the_rest(&mut self, me: Pid, look: &[(Descendant, Activity)]) -> bool {
        let mut running = false;
        for (found, activity) in look {
            running |= *activity == Activity::Running;
            let stopped = self.stopped.iter().find(|(pid, _)| *pid == found.pid);
            let before = self.stopped_before.contains(&found.pid);
            match (activity, stopped) {
                (Activity::Ended, _) | (Activity::Stopped, Some(_)) => {}
                (Activity::Stopped, None) if before => {}
                // Once more, as somebody who was not stopped yet may have undone it.
                (Activity::Running, Some((_, pinned))) => pinned.send(Signal::STOP),
                // Forked since, maybe into a group that was being stopped; or continued by somebody.
                (Activity::Running | Activity::Stopped, None) => {
                    self.stopped_before.retain(|pid| *pid != found.pid);
                    self.stop(me, *found);
                }
            }
        }
        running
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
            send_to_groups(named.iter().copied(), Signal::CONT);
        }
    }
}

/// Who of a look lived, and below whom. One who has ended in the course of a look may have left a child to the first
/// process after its children were read.
fn living(look: &[(Descendant, Activity)]) -> impl Iterator<Item = Descendant> {
    look.iter().filter(|(_, activity)| *activity != Activity::Ended).map(|(found, _)| *found)
}

/// To be called with direct children only, whose numbers are theirs until they are reaped.
pub(crate) fn send_to_groups(leaders: impl Iterator<Item = Pid>, signal: Signal) {
    for leader in leaders {
        // Fails for one that leads no group, or whose group has ended.
        let _ = rustix::process::kill_process_group(leader, signal);
    }
}
