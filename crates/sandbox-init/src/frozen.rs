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

/// What a look at the tree has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    AllStopped,
    /// Signals that were sent have not all taken effect.
    SomeRun,
    /// Processes that were not stopped by an earlier look.
    SomeNew,
}

impl Frozen {
    /// Stops everything below, and each of the groups: that the kernel does in one step, in which nobody can fork.
    pub(crate) fn freeze<Groups: Iterator<Item = Pid>>(groups: impl Fn() -> Groups) -> Self {
        let mut frozen = Self::default();
        frozen.stop_those_who_run();
        send_to_groups(groups(), Signal::STOP);
        let mut pause = Timespec { tv_sec: 0, tv_nsec: FIRST_PAUSE_NS };
        for _ in 0..MAX_LOOKS {
            match frozen.look_again() {
                Found::AllStopped => {
                    frozen.complete = true;
                    break;
                }
                Found::SomeRun if pause.tv_nsec > LAST_PAUSE_NS => break,
                Found::SomeRun => {
                    // Cut short when a child has ended, which is as well.
                    let _ = rustix::event::poll(&mut [], Some(&pause));
                    pause.tv_nsec *= 2;
                }
                Found::SomeNew => send_to_groups(groups(), Signal::STOP),
            }
        }
        frozen
    }

    fn stop_those_who_run(&mut self) {
        let me = rustix::process::getpid();
        for found in tree::below(me) {
            match tree::activity(found.pid) {
                Activity::Running => self.stop(me, found),
                Activity::Stopped => self.stopped_before.push(found.pid),
                Activity::Ended => {}
            }
        }
    }

    fn look_again(&mut self) -> Found {
        let me = rustix::process::getpid();
        let mut result = Found::AllStopped;
        for found in tree::below(me) {
            let activity = tree::activity(found.pid);
            let stopped = self.stopped.iter().find(|(pid, _)| *pid == found.pid);
            let before = self.stopped_before.contains(&found.pid);
            match (activity, stopped) {
                (Activity::Ended, _) | (Activity::Stopped, Some(_)) => {}
                (Activity::Stopped, None) if before => {}
                (Activity::Running, Some((_, pinned))) => {
                    // Once more, as somebody who was not stopped yet may have undone it.
                    pinned.send(Signal::STOP);
                    result = result.max(Found::SomeRun);
                }
                // Forked since, maybe into a group that was being stopped; or continued by somebody.
                (Activity::Running | Activity::Stopped, None) => {
                    self.stopped_before.retain(|pid| *pid != found.pid);
                    self.stop(me, found);
                    result = Found::SomeNew;
                }
            }
        }
        result
    }

    fn stop(&mut self, me: Pid, found: Descendant) {
        if let Some(pinned) = tree::pin(me, found) {
            pinned.send(Signal::STOP);
            self.stopped.push((found.pid, pinned));
        }
    }

    /// Lets those go on that were stopped here, children first: a parent that waits for news of stopped children finds
    /// them running.
    pub(crate) fn thaw(self, groups: impl Iterator<Item = Pid>) {
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
            send_to_groups(groups, Signal::CONT);
        }
    }
}

pub(crate) fn send_to_groups(leaders: impl Iterator<Item = Pid>, signal: Signal) {
    for leader in leaders {
        // Fails for one that leads no group, or whose group has ended.
        let _ = rustix::process::kill_process_group(leader, signal);
    }
}
