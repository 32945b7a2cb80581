//! Takes what is due and has it done: as much at a time as there are slots, asleep until there is more.
//!
//! ```text
//!  start ──► take ──► one task each ──► wait: something changed, the next is due, or the end
//!              ▲                                  │                          │
//!              └──────────────────────────────────┘         shutdown: nothing new; what runs ends
//! ```
//!
//! Whose turn it is and what runs already, the writer knows; nothing is remembered here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::executor::Executor;
use super::rules::TimeScale;
use super::work::{Counts, Work};
use super::writer::Taken;
use super::{Queue, QueueError};

/// Between two tries to read what is due.
const STORAGE_PATIENCE: Duration = Duration::from_secs(1);

/// Runs the events of a queue. Dropped, it takes no more; what runs goes on.
pub struct Dispatcher {
    stop: CancellationToken,
    counts: Box<dyn Fn() -> Counts + Send + Sync>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dispatcher").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Dispatcher {
    /// Begins with what the queue holds. To be called in a runtime of tokio's.
    #[must_use]
    pub fn start<E: Executor>(queue: Queue, executor: Arc<E>, scale: TimeScale) -> Self {
        let stop = CancellationToken::new();
        let work = Arc::new(Work::new(queue.clone(), executor, scale, stop.clone()));
        let counted = Arc::clone(&work);
        let task = tokio::spawn(dispatch(queue, work, stop.clone()));
        Dispatcher { stop, counts: Box::new(move || counted.counts()), task }
    }

    /// What was done and lost since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        (self.counts)()
    }

    /// Takes nothing more and waits for what runs. A caller who waits no longer loses nothing: in a file, what has no
    /// outcome yet runs again after the next start.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the dispatcher of asynchronous events panicked");
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn dispatch<E: Executor>(queue: Queue, work: Arc<Work<E>>, stop: CancellationToken) {
    let running = TaskTracker::new();
    while !stop.is_cancelled() {
        let wake_ms = match queue.take().await {
            // What was taken meanwhile is as if it had not been: it has no outcome.
            Ok(_) if stop.is_cancelled() => break,
            Ok(Taken { tasks, wake_ms }) => {
                for (id, task) in tasks {
                    let work = Arc::clone(&work);
                    running.spawn(async move { work.perform(id, task).await });
                }
                wake_ms
            }
            Err(QueueError::Closed) => break,
            Err(QueueError::Storage(error)) => {
                tracing::error!(%error, "the queue's file cannot be read");
                tokio::time::sleep(STORAGE_PATIENCE).await;
                continue;
            }
        };
        let due = async {
            match wake_ms {
                Some(at_ms) => tokio::time::sleep_until(queue.clock.instant(at_ms)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = queue.changed.notified() => {}
            () = due => {}
        }
    }
    running.close();
    running.wait().await;
}
