//! What happens in a sandbox, as its owner sees it.

use firesteel_sandbox_init::protocol::{Exit, StartStep};
use tokio::sync::mpsc;

/// Something that happened, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process runs: its program was executed, not merely forked.
    Started {
        /// As given in [`Program::name`](crate::Program::name).
        name: String,
        /// On the host.
        pid: u32,
    },
    /// A process could not be started.
    SpawnFailed {
        /// As given in [`Program::name`](crate::Program::name).
        name: String,
        /// Where it failed.
        step: StartStep,
        /// What the kernel said, such as ENOENT, EACCES, ENOEXEC.
        errno: i32,
        /// The same for people.
        message: String,
    },
    /// A started process ended. Others of its making may still run.
    Exited {
        /// As given in [`Program::name`](crate::Program::name).
        name: String,
        /// How.
        status: Exit,
    },
    /// Nothing runs in the sandbox. Follows [`Sandbox::end_all`](crate::Sandbox::end_all), and
    /// precedes the end of the events when the sandbox was closed.
    Emptied,
    /// The first process died without being asked to, and with it the sandbox. By now everything that ran
    /// in it has been ended too; no [`Event::Exited`] tells of it. The last event.
    Lost,
}

/// The events of one sandbox. Ends after [`Event::Lost`], or when the sandbox has been closed.
///
/// Unbounded, since it cannot grow unless its owner makes it: each request causes at most two events.
#[derive(Debug)]
pub struct Events(pub(crate) mpsc::UnboundedReceiver<Event>);

impl Events {
    /// The next event; `None` when there will be no more. Cancel-safe: an event not returned is not lost.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}
