//! Sandboxes made ahead, for no function in particular.

use std::sync::{Mutex, PoisonError, Weak};

use tokio::task::JoinHandle;

use super::Namespaces;
use crate::sandbox::Unready;

/// A bounded pool of them.
#[derive(Debug)]
pub(super) struct Blanks {
    wanted: usize,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    ready: Vec<Unready>,
    /// A task is filling it up.
    refilling: bool,
    /// The last one that did.
    refill: Option<JoinHandle<()>>,
    closed: bool,
    /// Ever taken or made, for names.
    count: u64,
}

impl Blanks {
    pub(super) fn new(wanted: usize) -> Self {
        Blanks { wanted, pool: Mutex::default() }
    }

    /// The one that was made first: the longer ago, the surer it is ready.
    pub(super) fn take(&self) -> Option<Unready> {
        let mut pool = self.lock();
        if pool.ready.is_empty() { None } else { Some(pool.ready.remove(0)) }
    }

    /// Starts a task that fills the pool up, if that is called for and no other does.
    pub(super) fn refill_by(&self, start: impl FnOnce() -> JoinHandle<()>) {
        let mut pool = self.lock();
        if !pool.closed && !pool.refilling && pool.ready.len() < self.wanted {
            pool.refilling = true;
            pool.refill = Some(start());
        }
    }

    /// Those that are there, to be ended. No more will be: one that is just being made is waited for, and ended where it
    /// was made. It would else use folders that whoever closes is about to remove.
    pub(super) async fn close(&self) -> Vec<Unready> {
        let (ready, refill) = {
            let mut pool = self.lock();
            pool.closed = true;
            (std::mem::take(&mut pool.ready), pool.refill.take())
        };
        if let Some(refill) = refill {
            let _ = refill.await;
        }
        ready
    }

    /// The name of the next one to be made; `None` when there are enough, upon which the refill is over.
    fn next(&self) -> Option<String> {
        let mut pool = self.lock();
        if pool.closed || pool.ready.len() >= self.wanted {
            pool.refilling = false;
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

    fn give_up(&self) {
        self.lock().refilling = false;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one after the other until there are enough; those who wait for a sandbox now have the processors then.
pub(super) async fn refill(namespaces: Weak<Namespaces>) {
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
                namespaces.blanks.give_up();
                return;
            }
        }
    }
}
