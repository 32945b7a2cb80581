//! The thread that owns the file: everything that waits goes into one transaction, and only then are the waiting told.
//!
//! ```text
//!  push ─┐                            ┌─ commit ─► all are told
//!  push ─┼─► commands ─► one batch ───┤
//!  settle┘                            └─ fails ──► all are told so; nothing of the batch is there
//! ```
//!
//! While a commit waits for the disk the next batch gathers, so that a sync is shared by as many as there are callers.
//! Lanes change after the commit, never before: what they know is on disk.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::event::{Stage, Task};
use super::lanes::{Lanes, Passage};
use super::store::{Change, OpenError, Store};
use super::{QueueError, Slots};

/// Commands that may wait; whoever comes then waits to be heard.
pub(super) const COMMANDS_WAITING: usize = 1024;
/// The longest batch, so that nobody waits for the changes of all others.
const BATCH_COMMANDS: usize = 1024;
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Tasks handed out at a time; between two such answers others have their turn.
const TAKEN_AT_ONCE: usize = 32;

#[derive(Debug)]
pub(super) enum Command {
    /// Takes a new task in.
    Add { change: Change, done: oneshot::Sender<Result<(), QueueError>> },
    /// A task that ran leaves the queue or is due again, and what follows from it comes in: together or not at all.
    Settle { settlement: Settlement, done: oneshot::Sender<Result<(), QueueError>> },
    /// Hands out what may run.
    Take { now_ms: u64, taken: oneshot::Sender<Result<Taken, QueueError>> },
}

/// What becomes of a task that was taken.
#[derive(Debug, Clone)]
pub(super) struct Settlement {
    pub(super) stage: Stage,
    pub(super) lane: String,
    pub(super) id: i64,
    /// It is removed, or due again.
    pub(super) change: Change,
    /// What follows from it.
    pub(super) follow_ups: Vec<Change>,
    pub(super) passage: Passage,
}

/// Tasks that count as running until they are settled.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) tasks: Vec<(i64, Task)>,
    /// When to ask again, unless something changes before; a moment in the past means now.
    pub(super) wake_ms: Option<u64>,
}

pub(super) struct Writer {
    store: Store,
    runs: Lanes,
    deliveries: Lanes,
    /// Told when there may be something to take.
    pub(super) changed: Arc<Notify>,
    /// How many tasks are kept.
    pub(super) kept: watch::Sender<usize>,
}

impl Writer {
    pub(super) fn open(path: Option<&Path>, slots: Slots) -> Result<Self, OpenError> {
        let store = Store::open(path)?;
        let shown = path.unwrap_or(Path::new(":memory:"));
        let lanes = store.lanes().map_err(|source| OpenError::Storage { path: shown.to_owned(), source })?;
        let mut writer = Writer {
            store,
            runs: Lanes::new(slots.runs),
            deliveries: Lanes::new(slots.deliveries),
            changed: Arc::default(),
            kept: watch::Sender::new(0),
        };
        for lane in lanes {
            writer.lanes(lane.stage).restore(&lane.lane, lane.tasks, lane.due_ms);
        }
        writer.tell();
        Ok(writer)
    }

    /// Serves until the last sender is gone.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut bytes = first.bytes();
            let mut batch = vec![first];
            while batch.len() < BATCH_COMMANDS && bytes < BATCH_BYTES {
                let Ok(command) = commands.try_recv() else { break };
                bytes += command.bytes();
                batch.push(command);
            }
            self.serve(batch);
            if commands.is_empty()
                && let Err(error) = self.store.give_back()
            {
                tracing::warn!(%error, "the queue's file cannot shrink");
            }
        }
    }

    /// For faults.
    #[cfg(test)]
    pub(super) fn connection(&self) -> &rusqlite::Connection {
        self.store.connection()
    }

    fn serve(&mut self, batch: Vec<Command>) {
        let writes = batch.iter().any(|command| command.changes().next().is_some());
        let committed =
            if writes { self.store.apply(batch.iter().flat_map(Command::changes)) } else { Ok(()) };
        let committed = committed.map_err(|error| {
            tracing::error!(%error, commands = batch.len(), "the queue's file cannot be written");
            QueueError::storage(error)
        });
        if writes && committed.is_ok() {
            for command in &batch {
                self.note(command);
            }
            // Before the callers are told, so that whoever looks then sees what was done.
            self.tell();
        }
        // Those who take come last: they see what this batch changed.
        let mut takers = Vec::new();
        for command in batch {
            match command {
                // Whoever is told may have gone away meanwhile; what was committed stays so.
                Command::Add { done, .. } | Command::Settle { done, .. } => {
                    let _ = done.send(committed.clone());
                }
                Command::Take { now_ms, taken } => takers.push((now_ms, taken)),
            }
        }
        for (now_ms, taken) in takers {
            let _ = taken.send(self.take(now_ms).map_err(QueueError::storage));
        }
    }

    fn note(&mut self, command: &Command) {
        match command {
            Command::Add { change, .. } => self.note_added(change),
            Command::Settle { settlement, .. } => self.note_settled(settlement),
            Command::Take { .. } => {}
        }
    }

    fn note_added(&mut self, change: &Change) {
        if let Change::Add { due_ms, task } = change {
            self.lanes(task.stage()).added(task.lane(), *due_ms);
        }
    }

    fn note_settled(&mut self, settlement: &Settlement) {
        let Settlement { stage, lane, id, change, follow_ups, passage } = settlement;
        let due_again_ms = match change {
            Change::Postpone { due_ms, .. } => Some(*due_ms),
            Change::Add { .. } | Change::Remove { .. } => None,
        };
        self.lanes(*stage).finished(lane, *id, due_again_ms, *passage);
        for follow_up in follow_ups {
            self.note_added(follow_up);
        }
    }

    fn take(&mut self, now_ms: u64) -> rusqlite::Result<Taken> {
        let mut tasks = Vec::new();
        for stage in Stage::ALL {
            for _ in 0..TAKEN_AT_ONCE {
                let (store, lanes) = match stage {
                    Stage::Run => (&self.store, &mut self.runs),
                    Stage::Deliver => (&self.store, &mut self.deliveries),
                };
                let Some(id) = lanes.next(now_ms, |lane, limit| store.first(stage, lane, limit))? else {
                    break;
                };
                match store.read(id)? {
                    Some(task) => tasks.push((id, task)),
                    // It stays where it is and counts as running, so that it is in nobody's way until the next start.
                    None => tracing::error!(id, "a task of the queue cannot be understood"),
                }
            }
        }
        let wake_ms = [self.runs.wake_ms(), self.deliveries.wake_ms()].into_iter().flatten().min();
        Ok(Taken { tasks, wake_ms })
    }

    fn tell(&self) {
        let kept = self.runs.tasks() + self.deliveries.tasks();
        self.kept.send_replace(kept);
        self.changed.notify_one();
    }

    fn lanes(&mut self, stage: Stage) -> &mut Lanes {
        match stage {
            Stage::Run => &mut self.runs,
            Stage::Deliver => &mut self.deliveries,
        }
    }
}

impl Command {
    fn changes(&self) -> impl Iterator<Item = &Change> {
        let (own, others): (Option<&Change>, &[Change]) = match self {
            Command::Add { change, .. } => (Some(change), &[]),
            Command::Settle { settlement, .. } => (Some(&settlement.change), &settlement.follow_ups),
            Command::Take { .. } => (None, &[]),
        };
        own.into_iter().chain(others)
    }

    fn bytes(&self) -> usize {
        let added = self.changes().map(|change| match change {
            Change::Add { task, .. } => task.payload().len(),
            Change::Remove { .. } | Change::Postpone { .. } => 0,
        });
        added.sum()
    }
}
