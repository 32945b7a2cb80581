//! Sandboxes made ahead, for no function in particular.

use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::Namespaces;
use crate::sandbox::Unready;

/// How long whoever has taken one is left alone with the processors before the next is made: a cold start of a native
/// function takes less, and took a quarter longer with a blank being made beside it.
const START: Duration = Duration::from_millis(10);

/// A bounded pool of them.
#[derive(Debug)]
pub(super) struct Blanks {
    wanted: usize,
    pool: Mutex<Pool>,
    /// Whether a task is filling it up.
    refilling: watch::Sender<bool>,
}

/// The right to fill the pool up, which one task has at a time.
#[derive(Debug)]
pub(super) struct Refill(watch::Sender<bool>);

impl Drop for Refill {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

#[derive(Debug, Default)]
struct Pool {
    ready: Vec<Unready>,
    closed: bool,
    /// Ever taken or made, for names.
    count: u64,
}

impl Blanks {
    pub(super) fn new(wanted: usize) -> Self {
        Blanks { wanted, pool: Mutex::default(), refilling: watch::Sender::new(false) }
    }

    /// The one that was made first: the longer ago, the surer it is ready.
    pub(super) fn take(&self) -> Option<Unready> {
        let mut pool = self.lock();
        if pool.ready.is_empty() { None } else { Some(pool.ready.remove(0)) }
    }

    /// If it is for the caller to fill the pool up.
    pub(super) fn begin_refill(&self) -> Option<Refill> {
        let pool = self.lock();
        let wanted = !pool.closed && pool.ready.len() < self.wanted;
        let begins = wanted && !self.refilling.send_replace(true);
        begins.then(|| Refill(self.refilling.clone()))
    }

    /// Those that are there, to be ended. No more will be, once this returns.
    pub(super) async fn close(&self) -> Vec<Unready> {
        self.lock().closed = true;
        // Cannot fail: the sender is here.
        let _ = self.refilling.subscribe().wait_for(|refilling| !refilling).await;
        std::mem::take(&mut self.lock().ready)
    }

    /// The name of the next one to be made; `None` when there are enough.
    fn next(&self) -> Option<String> {
        let mut pool = self.lock();
        if pool.closed || pool.ready.len() >= self.wanted {
            return None;
        }
        pool.count += 1;
        Some(format!("blank-{}", pool.count))
    }

    /// Puts one into the pool; back to the caller when the pool was closed meanwhile.
    pub(super) fn put(&self, blank: Unready) -> Option<Unready> {
        let mut pool = self.lock();
        if pool.closed {
            return Some(blank);
        }
        pool.ready.push(blank);
        None
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one after the other until there are enough, once whoever took one has had the time to [`START`].
pub(super) async fn refill(namespaces: Weak<Namespaces>, right: Refill) {
    // Given back last: who waits for that finds nothing held here any more.
    let _right = right;
    tokio::time::sleep(START).await;
    loop {
        let Some(namespaces) = namespaces.upgrade() else { return };
        let Some(name) = namespaces.blanks.next() else { return };
        match namespaces.make_blank(name).await {
            Ok(blank) => {
                if let Some(blank) = namespaces.blanks.put(blank) {
                    blank.close().await;
                }
            }
            Err(_) if namespaces.blanks.is_closed() => return,
            Err(error) => {
                // Whoever needs one will see the same and say so; the next to take one tries again.
                tracing::warn!(error = &error as &dyn std::error::Error, "no sandbox could be made ahead");
                return;
            }
        }
    }
}
