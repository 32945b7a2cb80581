//! A buffer and a thread that empties it, so that a driver never waits for a terminal or a disk.
//!
//! Drivers append; the thread takes all of it at once, a moment later, so that the lines of many invocations become
//! one write and an invocation does not pay for waking a thread. What happens when the buffer is full is the
//! batch's own business: it drops lines and counts them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// What gathers between two turns of the thread.
pub(super) trait Batch: Default + Send + 'static {
    /// Whether there is nothing to do.
    fn is_empty(&self) -> bool;
}

/// The thread. Dropped, it does what is left and ends.
#[derive(Debug)]
pub(super) struct Gatherer<B> {
    shared: Arc<Shared<B>>,
    thread: Option<JoinHandle<()>>,
}

/// Where drivers append.
#[derive(Debug)]
pub(super) struct Feeder<B>(Arc<Shared<B>>);

#[derive(Debug, Default)]
struct Shared<B> {
    waiting: Mutex<Waiting<B>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting<B> {
    batch: B,
    closed: bool,
}

impl<B: Batch> Gatherer<B> {
    /// Starts the thread. `consume` is given what came within `gathering` and leaves the batch empty.
    pub(super) fn start(
        name: &str,
        gathering: Duration,
        consume: impl FnMut(&mut B) + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || for_thread.empty_again_and_again(gathering, consume))?;
        Ok(Gatherer { shared, thread: Some(thread) })
    }
}

impl<B> Gatherer<B> {
    pub(super) fn feeder(&self) -> Feeder<B> {
        Feeder(Arc::clone(&self.shared))
    }
}

impl<B> Drop for Gatherer<B> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to do.
            let _ = thread.join();
        }
    }
}

impl<B: Batch> Feeder<B> {
    /// Holds the lock for as long as `append` takes.
    pub(super) fn feed(&self, append: impl FnOnce(&mut B)) {
        let mut waiting = self.0.lock();
        let was_empty = waiting.batch.is_empty();
        append(&mut waiting.batch);
        drop(waiting);
        if was_empty {
            self.0.changed.notify_one();
        }
    }
}

impl<B> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, Waiting<B>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Batch> Shared<B> {
    fn empty_again_and_again(&self, gathering: Duration, mut consume: impl FnMut(&mut B)) {
        let mut batch = B::default();
        loop {
            let mut waiting = self.lock();
            while waiting.batch.is_empty() && !waiting.closed {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if !waiting.closed {
                let gathered = self.changed.wait_timeout_while(waiting, gathering, |waiting| !waiting.closed);
                waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
            }
            if waiting.batch.is_empty() {
                return;
            }
            std::mem::swap(&mut batch, &mut waiting.batch);
            drop(waiting);
            consume(&mut batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Batch for Vec<u32> {
        fn is_empty(&self) -> bool {
            self.is_empty()
        }
    }

    #[test]
    fn everything_is_consumed_in_order_and_the_rest_at_the_end() {
        let consumed = Arc::new(Mutex::new(Vec::new()));
        let for_thread = Arc::clone(&consumed);
        let consume = move |batch: &mut Vec<u32>| for_thread.lock().unwrap().append(batch);
        // Nobody waits for this long: the end cuts it short.
        let gatherer = Gatherer::start("test", Duration::from_secs(3600), consume).unwrap();
        let feeder = gatherer.feeder();
        (0..100).for_each(|number| feeder.feed(|batch| batch.push(number)));
        drop(gatherer);
        assert_eq!(*consumed.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }
}
