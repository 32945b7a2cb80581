//! The file of the queue: SQLite, each commit on disk before it is reported.
//!
//! One row per task: who it belongs to, when it is due, what is to be done as JSON, and the payload as it came. The
//! index is all that looking for due tasks reads.
//!
//! `synchronous=FULL` syncs the log at every commit: without it a power cut takes accepted events back. The exclusive
//! lock keeps a second server out, which would run everything twice; it goes with the process, however that ends.
//!
//! Synchronous; the writer's thread owns it. Refuses files that a newer version wrote.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::event::{Stage, Task};

/// What each version of the file added to the one before. Never edited, only appended to.
const MIGRATIONS: [&str; VERSION as usize] = ["
    CREATE TABLE tasks (
        id INTEGER PRIMARY KEY,
        stage INTEGER NOT NULL,
        lane TEXT NOT NULL,
        due_ms INTEGER NOT NULL,
        task TEXT NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;
    CREATE INDEX tasks_by_turn ON tasks (stage, lane, due_ms);
"];
/// The file's version after all of them.
const VERSION: u32 = 1;
/// How long another server may take to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Beyond this the log is cut after a checkpoint.
const LOG_LIMIT_BYTES: i64 = 64 * 1024 * 1024;
/// Pages given back to the file system at a time, 4 KiB each.
const PAGES_GIVEN_BACK: i64 = 1024;

/// Why the queue could not be opened. Its file's state or the host's causes these, never a caller.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer version of this program wrote it.
    #[error("{} is of version {found}, and this program knows versions up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that is known here.
        known: u32,
    },
    /// Another process has it open.
    #[error("{} is in use by another server", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("opening {}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// It cannot be made.
    #[error("making {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// There is no thread for it.
    #[error("starting the thread of the queue")]
    Thread(#[source] std::io::Error),
}

/// One change of what is kept.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Add {
        due_ms: u64,
        task: Task,
    },
    Remove {
        id: i64,
    },
    /// It is due again; its payload stays as it is.
    Postpone {
        id: i64,
        due_ms: u64,
        task: Task,
    },
}

/// Events are for nobody else to read, and SQLite would make the file readable by all. Those beside it have its mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// How many tasks a lane has, and when the first is due.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LaneSummary {
    pub(crate) stage: Stage,
    pub(crate) lane: String,
    pub(crate) tasks: usize,
    pub(crate) due_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens or creates the file; without one all is in memory.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, OpenError> {
        let shown = path.unwrap_or(Path::new(":memory:"));
        let storage = |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                OpenError::InUse { path: shown.to_owned() }
            }
            _ => OpenError::Storage { path: shown.to_owned(), source },
        };
        let connection = match path {
            Some(path) => {
                make_private(path).map_err(|source| OpenError::File { path: path.to_owned(), source })?;
                Connection::open(path)
            }
            None => Connection::open_in_memory(),
        };
        let mut store = Store { connection: connection.map_err(storage)? };
        store.configure().map_err(storage)?;
        let found = store.migrate().map_err(storage)?;
        if found > VERSION {
            return Err(OpenError::Newer { path: shown.to_owned(), found, known: VERSION });
        }
        Ok(store)
    }

    fn configure(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(LOCK_PATIENCE)?;
        self.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // Only heeded before there are tables; later there is no way back to a file that cannot shrink.
        self.connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        self.connection.pragma_update(None, "journal_mode", "WAL")?;
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        self.connection.pragma_update(None, "journal_size_limit", LOG_LIMIT_BYTES)
    }

    /// Brings the file up to date, and says which version it had.
    fn migrate(&mut self) -> rusqlite::Result<u32> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found < VERSION {
            let known = usize::try_from(found).unwrap_or(usize::MAX);
            for migration in MIGRATIONS.iter().skip(known) {
                transaction.execute_batch(migration)?;
            }
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        transaction.commit()?;
        Ok(found)
    }

    /// All of these or none, on disk when it returns.
    pub(crate) fn apply<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut add = transaction.prepare_cached(
                "INSERT INTO tasks (stage, lane, due_ms, task, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            let mut remove = transaction.prepare_cached("DELETE FROM tasks WHERE id = ?1")?;
            let mut postpone =
                transaction.prepare_cached("UPDATE tasks SET due_ms = ?2, task = ?3 WHERE id = ?1")?;
            for change in changes {
                match change {
                    Change::Add { due_ms, task } => {
                        let payload: &[u8] = task.payload();
                        add.execute(params![
                            column(task.stage()),
                            task.lane(),
                            signed(*due_ms),
                            json(task),
                            payload
                        ])?;
                    }
                    Change::Remove { id } => drop(remove.execute([id])?),
                    Change::Postpone { id, due_ms, task } => {
                        postpone.execute(params![id, signed(*due_ms), json(task)])?;
                    }
                }
            }
        }
        transaction.commit()
    }

    /// The first due moments and ids of a lane.
    pub(crate) fn first(&self, stage: Stage, lane: &str, limit: usize) -> rusqlite::Result<Vec<(u64, i64)>> {
        let mut first = self.connection.prepare_cached(
            "SELECT due_ms, id FROM tasks WHERE stage = ?1 AND lane = ?2 ORDER BY due_ms, id LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = first.query_map(params![column(stage), lane, limit], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
        })?;
        rows.collect()
    }

    /// What is to be done. `None` if it cannot be understood: a file that was changed by hand.
    pub(crate) fn read(&self, id: i64) -> rusqlite::Result<Option<Task>> {
        let mut read = self.connection.prepare_cached("SELECT task, payload FROM tasks WHERE id = ?1")?;
        let row = read
            .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .optional()?;
        Ok(row.and_then(|(task, payload)| {
            Some(serde_json::from_str::<Task>(&task).ok()?.with_payload(Bytes::from(payload)))
        }))
    }

    /// All lanes that have tasks.
    pub(crate) fn lanes(&self) -> rusqlite::Result<Vec<LaneSummary>> {
        let mut lanes = self
            .connection
            .prepare("SELECT stage, lane, count(*), min(due_ms) FROM tasks GROUP BY stage, lane")?;
        let rows = lanes.query_map([], |row| {
            let stage = if row.get::<_, i64>(0)? == column(Stage::Run) { Stage::Run } else { Stage::Deliver };
            let tasks = usize::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
            let due_ms = row.get::<_, i64>(3)?.unsigned_abs();
            Ok(LaneSummary { stage, lane: row.get(1)?, tasks, due_ms })
        })?;
        rows.collect()
    }

    /// Gives some space back to the file system once more than half of the file is free.
    pub(crate) fn give_back(&self) -> rusqlite::Result<()> {
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let free = pragma("freelist_count")?;
        if free > PAGES_GIVEN_BACK && free > pragma("page_count")? / 2 {
            // A step of this statement frees one page: all rows must be taken.
            let mut vacuum =
                self.connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_GIVEN_BACK})"))?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// The numbers of the stages in the file.
fn column(stage: Stage) -> i64 {
    match stage {
        Stage::Run => 0,
        Stage::Deliver => 1,
    }
}

/// SQLite's integers are signed; moments are far from where that matters.
fn signed(due_ms: u64) -> i64 {
    i64::try_from(due_ms).unwrap_or(i64::MAX)
}

fn json(task: &Task) -> String {
    serde_json::to_string(task).expect("a task has only texts and numbers")
}

#[cfg(test)]
mod tests;
