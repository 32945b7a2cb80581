//! Asynchronous events, kept on disk from before their 202 until they have an outcome.
//!
//! ```text
//!  push ──► writer ──► queue.sqlite             settle: removed, or due again; what follows comes in with it
//!             │            ▲                        ▲
//!             │ take       └──── one transaction ───┤
//!             ▼                                     │
//!         dispatcher ──► Executor::run ──► rules ───┤
//!             └────────► Executor::deliver ─────────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `event.rs` | what is kept |
//! | `rules.rs` | what becomes of an event (pure) |
//! | `ending.rs` | who is told of its end, and what (pure) |
//! | `lanes.rs` | whose turn it is (pure) |
//! | `store.rs` | the file |
//! | `writer.rs` | the thread that owns the file: group commit |
//! | `dispatcher.rs` | takes what is due |
//! | `work.rs` | one task, from its turn to its settlement |
//! | `executor.rs` | what the invoker does for the queue |
//! | `clock.rs` | the queue's time |
//!
//! An event is run at least once, and as a rule once: what ran when the server was killed runs again. A server without a
//! folder keeps its queue in memory, by the same code.

mod clock;
mod dispatcher;
mod ending;
mod event;
mod executor;
mod lanes;
pub mod rules;
mod store;
mod work;
mod writer;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use dispatcher::Dispatcher;
pub use event::{Delivery, EVENT_PAYLOAD_LIMIT_BYTES, Event, History, LastError, Message};
pub use executor::{DeliveryError, Executor, Response, RunResult};
pub use store::OpenError;
pub use work::Counts;

use crate::trace;
use clock::Clock;
use event::Task;
use store::Change;
use writer::{COMMANDS_WAITING, Command, Settlement, Taken, Writer};

/// How many tasks may run at a time, which bounds memory as well: each has at most its payload of 1 MiB, or a record of
/// some 7 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Events. One function has at most half of them.
    pub runs: usize,
    /// Deliveries. One destination has at most half of them.
    pub deliveries: usize,
}

impl Default for Slots {
    fn default() -> Self {
        Slots { runs: 128, deliveries: 16 }
    }
}

/// Why the queue did not do what it was asked. The host's state causes these: a full disk, above all.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The file cannot be read or written.
    #[error("the queue's file cannot be read or written")]
    Storage(#[source] Arc<rusqlite::Error>),
    /// Its thread has ended.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    fn storage(error: rusqlite::Error) -> Self {
        QueueError::Storage(Arc::new(error))
    }
}

/// The queue of asynchronous events. Clones share it; with the last of them its thread ends, and the file is free.
#[derive(Debug, Clone)]
pub struct Queue {
    commands: mpsc::Sender<Command>,
    clock: Clock,
    changed: Arc<Notify>,
    kept: watch::Receiver<usize>,
    /// Dropped last: waits for the thread.
    _thread: Arc<WriterThread>,
}

impl Queue {
    /// Opens or creates the file, without one in memory. What is in it runs as soon as a [`Dispatcher`] is started.
    /// Blocks while the file is read, for a second more if another server has it.
    pub fn open(path: Option<&Path>, slots: Slots) -> Result<Self, OpenError> {
        Queue::over(Writer::open(path, slots)?)
    }

    fn over(writer: Writer) -> Result<Self, OpenError> {
        let (commands, receiver) = mpsc::channel(COMMANDS_WAITING);
        let (changed, kept) = (Arc::clone(&writer.changed), writer.kept.subscribe());
        let thread = std::thread::Builder::new().name("queue".into()).spawn(move || writer.run(receiver));
        let thread = WriterThread { handle: Some(thread.map_err(OpenError::Thread)?) };
        Ok(Queue { commands, clock: Clock::start(), changed, kept, _thread: Arc::new(thread) })
    }

    /// Accepts an event. When this returns, it is on disk and will be run. A caller that goes away before does not know
    /// whether it was accepted.
    pub async fn push(&self, event: Event) -> Result<(), QueueError> {
        let accepted_ms = self.clock.now_ms();
        let history = History { accepted_ms, attempts: 0, backoffs: 0 };
        // All runs of an event, and all that follows from them, are of one trace.
        let event = Event { trace: Some(trace::continued(event.trace.as_deref())), ..event };
        let task = Task::Run { event, history, last_error: None };
        let change = Change::Add { due_ms: accepted_ms, task };
        self.ask(|done| Command::Add { change, done }).await?
    }

    /// How many events and deliveries are kept, those that run included.
    #[must_use]
    pub fn kept(&self) -> watch::Receiver<usize> {
        self.kept.clone()
    }

    async fn settle(&self, settlement: Settlement) -> Result<(), QueueError> {
        self.ask(|done| Command::Settle { settlement, done }).await?
    }

    async fn take(&self) -> Result<Taken, QueueError> {
        let now_ms = self.clock.now_ms();
        self.ask(|taken| Command::Take { now_ms, taken }).await?
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, QueueError> {
        let (sender, receiver) = oneshot::channel();
        self.commands.send(command(sender)).await.map_err(|_| QueueError::Closed)?;
        receiver.await.map_err(|_| QueueError::Closed)
    }
}

/// The thread of the writer, which ends with the last sender of commands.
#[derive(Debug)]
struct WriterThread {
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Drop for WriterThread {
    /// Waits until the file is closed, a commit at most: the next to open it would otherwise find it locked.
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the thread of the queue panicked");
        }
    }
}

#[cfg(test)]
mod tests;
