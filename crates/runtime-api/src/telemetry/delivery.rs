//! One subscriber: events go in at once, and out in batches by a task of their own.
//!
//! ```text
//!  environment ── offer ──► Backlog ◄── next, finish ── task ── http or tcp ──► listener in the environment
//!                (never waits)                       (waits, retries)
//! ```
//!
//! Made by the environment's log for each accepted subscription. A listener that is slow, hangs or does not exist
//! costs its own events and nobody's time: what does not fit into the backlog is dropped, counted and told to the
//! subscriber itself. Dropping the [`Subscriber`] ends its task and its connections, whatever they wait for.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::backlog::{Backlog, Next};
use super::dial::Dial;
use super::http::Http;
use super::tcp::Tcp;
use super::{Destination, Dropped, Subscription};

/// How long a listener may go without taking a byte or giving its answer before the connection counts as lost and
/// another is tried. Generous, since each new try is one more connection that waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Pauses between tries: short at first, for a listener that is about to come up, then longer.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Delivers events to one subscriber.
pub struct Subscriber {
    shared: Arc<Shared>,
    /// How many events are gone; closed with the task.
    finished: watch::Receiver<u64>,
    frozen: watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    backlog: Mutex<Backlog>,
    /// The backlog has something that the task does not know of.
    changed: Notify,
    hurry: Hurry,
}

impl Subscriber {
    /// Starts the task that delivers. Nothing is connected until there is something to send.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start(subscription: Subscription, dial: Dial) -> Self {
        Self::start_with(subscription, dial, PATIENCE)
    }

    fn start_with(subscription: Subscription, dial: Dial, patience: Duration) -> Self {
        let Subscription { destination, buffering, .. } = subscription;
        let shared = Arc::new(Shared {
            backlog: Mutex::new(Backlog::new(buffering, loss_event)),
            changed: Notify::new(),
            hurry: Hurry(Notify::new()),
        });
        let (frozen, frozen_receiver) = watch::channel(false);
        let patience = Patience { limit: patience, frozen: frozen_receiver };
        let listener = match destination {
            Destination::Http { port, path, put } => {
                Listener::Http(Box::new(Http::new(dial, port, &path, put, patience)))
            }
            Destination::Tcp { port } => Listener::Tcp(Tcp::new(dial, port, patience)),
        };
        let (sender, finished) = watch::channel(0);
        let task = tokio::spawn(deliver(Arc::clone(&shared), listener, sender));
        Subscriber { shared, finished, frozen, _task: AbortOnDropHandle::new(task) }
    }

    /// Puts an event in line, one complete JSON object without line breaks. Never waits: an event for which there
    /// is no room is dropped.
    pub fn offer(&self, event: Bytes) {
        if self.shared.backlog().offer(event, Instant::now()) {
            self.shared.changed.notify_one();
        }
    }

    /// Sends what was offered until now without waiting for batches to fill; the future resolves when all of it
    /// is delivered or given up. Bound it: a listener that does not exist is waited for without end.
    pub fn flush(&self) -> impl Future<Output = ()> + Send + 'static {
        let until = self.shared.backlog().flush();
        self.shared.changed.notify_one();
        self.shared.hurry.0.notify_waiters();
        let mut finished = self.finished.clone();
        async move {
            // An error means that the subscriber was dropped, and its events with it.
            let _ = finished.wait_for(|finished| *finished >= until).await;
        }
    }

    /// Whether the listener's environment stands still. Nothing new is sent to it then, and the time in which it does
    /// not answer does not count: what was sent is not sent again when it goes on.
    pub fn set_frozen(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// What was dropped since this was last asked.
    #[must_use]
    pub fn take_dropped(&self) -> Option<Dropped> {
        self.shared.backlog().take_dropped()
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}

impl Shared {
    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        // The arithmetic does not panic half-way.
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next_batch(&self) -> Vec<Bytes> {
        loop {
            let next = self.backlog().next(Instant::now());
            match next {
                Next::Batch(batch) => return batch,
                Next::Idle => self.changed.notified().await,
                Next::At(due) => {
                    let _ = tokio::time::timeout_at(due, self.changed.notified()).await;
                }
            }
        }
    }
}

enum Listener {
    Http(Box<Http>),
    Tcp(Tcp),
}

async fn deliver(shared: Arc<Shared>, mut listener: Listener, finished: watch::Sender<u64>) {
    loop {
        let batch = shared.next_batch().await;
        match &mut listener {
            Listener::Http(http) => http.deliver(&batch, &shared.hurry).await,
            Listener::Tcp(tcp) => tcp.deliver(&batch, &shared.hurry).await,
        }
        finished.send_replace(shared.backlog().finish(Instant::now()));
    }
}

/// How long a listener is waited for, while its environment runs.
#[derive(Clone)]
pub(super) struct Patience {
    limit: Duration,
    frozen: watch::Receiver<bool>,
}

impl Patience {
    /// The output, or `None` when the listener took too long for it.
    pub(super) async fn with<F: Future>(&mut self, exchange: F) -> Option<F::Output> {
        tokio::pin!(exchange);
        loop {
            let runs = !*self.frozen.borrow_and_update();
            tokio::select! {
                output = &mut exchange => return Some(output),
                () = tokio::time::sleep(self.limit), if runs => return None,
                // The sender lives as long as the task that runs this.
                _ = self.frozen.changed() => {}
            }
        }
    }

    /// Resolves when the environment runs.
    pub(super) async fn awake(&mut self) {
        let _ = self.frozen.wait_for(|frozen| !frozen).await;
    }
}

/// Somebody waits for what is being delivered: pauses are cut short.
pub(super) struct Hurry(Notify);

/// The pauses between tries.
pub(super) struct Pauses(Duration);

impl Pauses {
    pub(super) fn new() -> Self {
        Pauses(FIRST_PAUSE)
    }

    pub(super) async fn pause(&mut self, hurry: &Hurry) {
        let _ = tokio::time::timeout(self.0, hurry.0.notified()).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

/// What a subscriber is told in place of the events that it lost.
fn loss_event(dropped: Dropped) -> Bytes {
    let Dropped { records, bytes } = dropped;
    let time = jiff::Timestamp::now();
    format!(
        r#"{{"time":"{time:.3}","type":"platform.logsDropped","record":{{"reason":"{}","droppedRecords":{records},"droppedBytes":{bytes}}}}}"#,
        Dropped::REASON
    )
    .into()
}

#[cfg(test)]
mod tests;
