//! The end of all processes, step by step as the rules ask for it.

use std::time::{Duration, SystemTime};

use firesteel_runtime_api::ExtensionEvent;
use firesteel_sandbox as sandbox;
use tokio::time::Instant;

use super::generation::{RUNTIME, process_of};
use super::{Alarm, Processes, epoch_ms};
use crate::lifecycle::ending::{Action, Budget};
use crate::lifecycle::extensions::{Extensions, Index};

/// How long the kernel may take to end killed processes before the sandbox counts as broken.
const ENDING_LIMIT: Duration = Duration::from_secs(10);

/// How long an extension may wait for its SHUTDOWN while telemetry is on its way to it.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct EndingClock {
    budget: Budget,
    deadline: Instant,
    deadline_ms: u64,
}

impl Processes {
    /// One action of an end. When its time is up that is told by an alarm.
    pub(crate) fn end(&mut self, action: Action, extensions: &Extensions) {
        let now = Instant::now();
        match action {
            Action::Begin(budget) => {
                let deadline_ms = epoch_ms(SystemTime::now() + budget.total);
                self.ending = Some(EndingClock { budget, deadline: now + budget.total, deadline_ms });
                self.alarm = Some((now + budget.runtime, Alarm::EndingTimeUp));
            }
            Action::TerminateRuntime => self.signal(RUNTIME, sandbox::Signal::Terminate),
            Action::KillRuntime => self.signal(RUNTIME, sandbox::Signal::Kill),
            Action::KillExtension(index) => {
                if let Some(extension) = extensions.members().get(index) {
                    self.signal(&process_of(&extension.name), sandbox::Signal::Kill);
                }
            }
            Action::AwaitExtensions => {
                if let Some(ending) = &self.ending {
                    self.alarm = Some((ending.deadline, Alarm::EndingTimeUp));
                }
            }
            Action::TellExtension(index) => self.tell_of_shutdown(index),
            Action::KillAll => {
                self.alarm = Some((now + ENDING_LIMIT, Alarm::SandboxLost));
                if let Err(error) = self.sandbox.end_all() {
                    // The alarm, or the event that the sandbox is lost, goes on from here.
                    tracing::warn!(%error, "the processes of an environment could not be ended in order");
                }
            }
        }
    }

    /// SHUTDOWN, once the telemetry of what came before it has arrived: an extension may exit at once.
    fn tell_of_shutdown(&mut self, index: Index) {
        let Some(EndingClock { budget: Budget { reason, .. }, deadline_ms, .. }) = &self.ending else {
            return;
        };
        let event = ExtensionEvent::Shutdown { reason: *reason, deadline_ms: *deadline_ms };
        let Some(reply) = self.parked_extension(index) else { return };
        let flushed = self.log.flush_subscribers();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(FLUSH_LIMIT, flushed).await;
            let _ = reply.send(Ok(event));
        });
    }

    fn signal(&self, process: &str, signal: sandbox::Signal) {
        if let Err(error) = self.sandbox.signal(process, signal) {
            // Its time runs out all the same, and then everything is killed.
            tracing::warn!(%error, process, "a process could not be signalled");
        }
    }
}
