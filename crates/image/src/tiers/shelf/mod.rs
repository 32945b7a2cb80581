//! What is kept on a disk, up to a number of bytes: files, one per key, found again after a restart.
//!
//! ```text
//! FOLDER/lock            held for as long as the shelf is open
//!        incoming/…      files that are being written; what a killed process left here is removed at the next start
//!        ab/ab12…        a key's file, by the first two letters of its name
//! ```
//!
//! It is a cache, and never trusted: a file is judged every time that it is read, and removed if it is not what it should be. So
//! nothing is synced: what a lost machine leaves half written is found out as a flipped bit would be. A file has its name
//! once it is complete, so that what a killed process leaves is complete or is in `incoming`.
//!
//! Reading never waits for writing. Files are written by one thread, from a queue that has [`QUEUED`] places; what finds none is
//! not kept. When writing fails, be it that the disk is full, none is tried for [`WRITE_PAUSE`]; what is there is read on.
//!
//! Used for chunks on a worker and for shards in a cache node.

mod writer;

use std::fmt::{self, Debug, Display};
use std::fs::{self, File, TryLockError};
use std::hash::Hash;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use self::writer::{Job, Writer};
use super::recency::Recency;

/// Places in the queue of what is to be written.
const QUEUED: usize = 64;

/// After a failed write, until the next is tried.
const WRITE_PAUSE: Duration = Duration::from_secs(30);

/// Files that are read at a time.
const READS: usize = 32;

/// A disk that takes longer to read a file is slower than asking elsewhere.
const READ_BUDGET: Duration = Duration::from_millis(500);

/// No file is longer, whatever somebody put in its place.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where the clock begins: what was there before has been used before this.
const CLOCK_START: Duration = Duration::from_secs(3600);

/// What a file is called after. `Display` writes letters, digits and dots, at least two, which `FromStr` reads.
pub(super) trait Key: Copy + Ord + Hash + Display + Debug + FromStr + Send + Sync + 'static {}

impl<K: Copy + Ord + Hash + Display + Debug + FromStr + Send + Sync + 'static> Key for K {}

/// Why a folder cannot be used for a cache.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// Another process has it.
    #[error("`{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The disk does not do what it should.
    #[error("{doing} `{}` failed", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// What a shelf has seen of its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// Files that are kept.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that have been written.
    pub written: u64,
    /// What was not written, because the queue was full or writing had failed just before.
    pub dropped: u64,
    /// Writes that failed.
    pub failed_writes: u64,
    /// Files that were not what they should have been, and are gone.
    pub damaged: u64,
    /// Reads that were given up because they took too long.
    pub slow_reads: u64,
}

/// Files by key; which of them go is up to [`Recency`]. Closed when dropped: what is queued is not written any more.
pub(super) struct Shelf<K> {
    inner: Arc<Inner<K>>,
    reads: Arc<Semaphore>,
    writer: Writer<K>,
    began: Instant,
    paused_until: Mutex<Option<Instant>>,
    /// Kept locked.
    _lock: File,
}

#[derive(Debug)]
struct Inner<K> {
    folder: PathBuf,
    recency: Mutex<Recency<K>>,
    written: AtomicU64,
    dropped: AtomicU64,
    failed_writes: AtomicU64,
    damaged: AtomicU64,
    slow_reads: AtomicU64,
}

impl<K: Key> Shelf<K> {
    /// Takes a folder, which is made if it is not there, with what an earlier run left in it.
    ///
    /// Waits for the disk.
    pub(super) fn open(folder: &Path, room_bytes: u64) -> Result<Self, ShelfError> {
        let incoming = folder.join("incoming");
        fs::create_dir_all(&incoming).map_err(failed("making", &incoming))?;
        let lock = lock(folder)?;
        let inner = Inner {
            folder: folder.to_owned(),
            recency: Mutex::new(Recency::new(room_bytes)),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed_writes: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            slow_reads: AtomicU64::new(0),
        };
        for left in fs::read_dir(&incoming).map_err(failed("listing", &incoming))? {
            let path = left.map_err(failed("listing", &incoming))?.path();
            fs::remove_file(&path).map_err(failed("removing", &path))?;
        }
        inner.find()?;
        let inner = Arc::new(inner);
        let writer = Writer::begin(Arc::clone(&inner)).map_err(failed("starting a writer for", folder))?;
        Ok(Shelf {
            inner,
            reads: Arc::new(Semaphore::new(READS)),
            writer,
            began: Instant::now(),
            paused_until: Mutex::new(None),
            _lock: lock,
        })
    }

    /// What is kept under this key, if `judge` takes it for that. Nothing is said of why there is nothing: the next tier is asked
    /// in any case.
    pub(super) async fn read<T, E>(
        &self,
        key: K,
        judge: impl FnOnce(Bytes) -> Result<T, E> + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        E: Display + Send + 'static,
    {
        if !self.inner.recency().touch(&key, self.now()) {
            return None;
        }
        let reads = Arc::clone(&self.reads);
        let inner = Arc::clone(&self.inner);
        let reading = async {
            let permit = reads.acquire_owned().await.ok()?;
            let reading = tokio::task::spawn_blocking(move || {
                // Here and not outside: a read that nobody waits for any more is still one that the disk is busy with.
                let _permit = permit;
                inner.read(key, judge)
            });
            reading.await.ok()?
        };
        timeout(READ_BUDGET, reading).await.unwrap_or_else(|_| {
            self.inner.slow_reads.fetch_add(1, Relaxed);
            None
        })
    }

    /// Is to be kept, if there is time for it and room. Never waits.
    pub(super) fn offer(&self, key: K, bytes: Bytes) {
        let mut paused_until = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        if self.writer.take_failure() {
            *paused_until = Some(Instant::now() + WRITE_PAUSE);
        }
        let paused = paused_until.is_some_and(|until| Instant::now() < until);
        if paused || !self.writer.offer(Job { key, bytes, now: self.now() }) {
            self.inner.dropped.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn report(&self) -> DiskReport {
        let (files, bytes) = {
            let recency = self.inner.recency();
            (recency.len(), recency.bytes())
        };
        DiskReport {
            files,
            bytes,
            written: self.inner.written.load(Relaxed),
            dropped: self.inner.dropped.load(Relaxed),
            failed_writes: self.inner.failed_writes.load(Relaxed),
            damaged: self.inner.damaged.load(Relaxed),
            slow_reads: self.inner.slow_reads.load(Relaxed),
        }
    }

    fn now(&self) -> Duration {
        CLOCK_START + self.began.elapsed()
    }
}

impl<K> Debug for Shelf<K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shelf").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl<K: Key> Inner<K> {
    /// Files of an earlier run, the oldest first.
    fn find(&self) -> Result<(), ShelfError> {
        let mut found: Vec<(SystemTime, K, u64)> = Vec::new();
        for folder in fs::read_dir(&self.folder).map_err(failed("listing", &self.folder))? {
            let folder = folder.map_err(failed("listing", &self.folder))?.path();
            if folder.file_name().is_none_or(|name| name.len() != 2) || !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(&folder).map_err(failed("listing", &folder))? {
                let file = file.map_err(failed("listing", &folder))?;
                let metadata = file.metadata().map_err(failed("looking at", &file.path()))?;
                let key = file.file_name().to_str().and_then(|name| K::from_str(name).ok());
                // Not ours is left alone.
                let Some(key) = key.filter(|key| self.path(*key) == file.path() && metadata.is_file()) else {
                    continue;
                };
                found.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), key, metadata.len()));
            }
        }
        found.sort_unstable();
        for (rank, (_, key, bytes)) in (0..).zip(found) {
            let going = self.recency().insert(key, bytes, Duration::from_nanos(rank));
            going.into_iter().for_each(|key| self.unlink(key));
        }
        Ok(())
    }

    fn read<T, E: Display>(&self, key: K, judge: impl FnOnce(Bytes) -> Result<T, E>) -> Option<T> {
        let path = self.path(key);
        let refused = match read_file(&path) {
            Ok(bytes) => match judge(bytes.into()) {
                Ok(judged) => return Some(judged),
                Err(refused) => {
                    self.damaged.fetch_add(1, Relaxed);
                    refused.to_string()
                }
            },
            // Has gone for another one since it was looked up.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.recency().remove(&key);
                return None;
            }
            Err(error) => {
                self.damaged.fetch_add(1, Relaxed);
                error.to_string()
            }
        };
        tracing::warn!(path = %path.display(), reason = refused, "a cached file is not what it should be, and is removed");
        self.recency().remove(&key);
        self.unlink(key);
        None
    }

    fn unlink(&self, key: K) {
        let path = self.path(key);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a cached file cannot be removed");
        }
    }

    fn path(&self, key: K) -> PathBuf {
        let name = key.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    fn incoming(&self) -> PathBuf {
        self.folder.join("incoming")
    }

    fn recency(&self) -> MutexGuard<'_, Recency<K>> {
        self.recency.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(MAX_FILE_BYTES)).unwrap_or(0));
    // One more, so that a file that is too long is seen to be.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn lock(folder: &Path) -> Result<File, ShelfError> {
    let path = folder.join("lock");
    let file = File::options().create(true).append(true).open(&path).map_err(failed("opening", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ShelfError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("locking", &path)(source)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> ShelfError {
    move |source| ShelfError::Disk { doing, path: path.to_owned(), source }
}
