//! The thread that writes a shelf's files.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use tempfile::NamedTempFile;

use super::{Inner, Key, QUEUED};

/// What is to be written.
#[derive(Debug)]
pub(super) struct Job<K> {
    pub(super) key: K,
    pub(super) bytes: Bytes,
    /// When it came.
    pub(super) now: Duration,
}

/// Ends when dropped, after the file it is at.
pub(super) struct Writer<K> {
    /// `None` while it is being dropped.
    jobs: Option<SyncSender<Job<K>>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A write has failed of which nobody has heard yet.
    failed: AtomicBool,
    /// What is still queued is not to be written any more.
    ending: AtomicBool,
}

impl<K: Key> Writer<K> {
    pub(super) fn begin(inner: Arc<Inner<K>>) -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUED);
        let state = Arc::new(State::default());
        let of_thread = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("chunk-writer".to_owned())
            .spawn(move || work(&inner, &queue, &of_thread))?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread), state })
    }

    /// Whether it has been queued.
    pub(super) fn offer(&self, job: Job<K>) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Whether a write has failed since this was asked last.
    pub(super) fn take_failure(&self) -> bool {
        self.state.failed.swap(false, Relaxed)
    }
}

impl<K> Drop for Writer<K> {
    fn drop(&mut self) {
        self.state.ending.store(true, Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of a cache has panicked");
        }
    }
}

impl<K> fmt::Debug for Writer<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn work<K: Key>(inner: &Inner<K>, queue: &Receiver<Job<K>>, state: &State) {
    for Job { key, bytes, now } in queue {
        if state.ending.load(Relaxed) {
            return;
        }
        match write(inner, key, &bytes) {
            Ok(()) => {
                inner.written.fetch_add(1, Relaxed);
                let going = inner.recency().insert(key, bytes.len() as u64, now);
                going.into_iter().for_each(|key| inner.unlink(key));
            }
            Err(error) => {
                inner.failed_writes.fetch_add(1, Relaxed);
                state.failed.store(true, Relaxed);
                tracing::warn!(folder = %inner.folder.display(), %error, "nothing can be written into a cache");
            }
        }
    }
}

/// Under another name first: the file has its own once it is complete.
fn write<K: Key>(inner: &Inner<K>, key: K, bytes: &[u8]) -> io::Result<()> {
    let path = inner.path(key);
    let mut file = NamedTempFile::new_in(inner.incoming())?;
    file.write_all(bytes)?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
