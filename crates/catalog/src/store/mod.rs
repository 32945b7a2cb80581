//! The catalog's SQLite file: one writer, a few readers, a cache for invocations.
//!
//! ```text
//!             ┌─ resolve ──► Cache ──(cold)──┐
//!  Store ─────┼─ read ──────────────────► readers (snapshots, beside the writer)
//!             └─ write(name) ──► writer ──► commit, synced ──► Cache forgets `name`
//! ```
//!
//! What is stored, and under which rules, is in the module of each noun, which adds its operations to
//! [`Store`]; here is only how they get at the file. A write is one transaction: it is wholly there once
//! the operation has returned, or not at all.
//!
//! Synchronous throughout: a write waits for the disk. Async callers put operations on a thread that may
//! block, except [`Store::resolve`] when it is warm.

mod cache;
mod failure;
mod migrations;
mod open;
mod secrets;

use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use self::cache::Cache;
pub use self::failure::{CatalogError, StoreFailure};
pub use self::open::OpenError;
use self::secrets::Key;
use crate::account::Account;
use crate::function_urls::UrlCache;
use crate::name::FunctionName;

pub(crate) type Result<T, E = CatalogError> = std::result::Result<T, E>;

/// The catalog: functions, and everything that AWS lets one attach to them. Shared by reference; dropped,
/// it gives the folder free.
#[derive(Debug)]
pub struct Store {
    pub(crate) account: Account,
    /// Empty in memory, where the writer's connection is the only one there can be. Closed before the writer:
    /// the last one to close brings the log into the file, and a reader cannot.
    readers: Vec<Mutex<Connection>>,
    writer: Mutex<Connection>,
    key: Key,
    pub(crate) cache: Cache,
    pub(crate) urls: UrlCache,
    summary: RwLock<Summary>,
    /// Held by being open.
    _lock: Option<File>,
}

/// What invocations ask of all functions together; read anew after each write.
#[derive(Debug, Default)]
struct Summary {
    reserved_concurrency: u32,
    /// When there is but one.
    only_function: Option<FunctionName>,
}

impl Store {
    /// Whose functions these are.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// One consistent view of the file for all that `work` reads.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let connection = self.reader();
        let snapshot = connection.unchecked_transaction()?;
        work(&snapshot)
    }

    /// One transaction, committed and synced unless `work` fails; then invocations of `function` find what
    /// is true now.
    ///
    /// The name has to be given, so that no writer forgets the cache.
    pub(crate) fn write<T>(
        &self,
        function: &FunctionName,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut writer = self.writer();
        let result = commit(&mut writer, work);
        // After the commit, and while no other writer can begin. A failed commit may still have reached the
        // file, so it is not told apart.
        self.cache.forget(function);
        self.urls.forget();
        self.refresh_summary(&writer)?;
        result
    }

    /// A write to what no invocation asks for.
    pub(crate) fn write_apart<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        commit(&mut self.writer(), work)
    }

    pub(crate) fn seal(&self, owner: &FunctionName, plain: &[u8]) -> Vec<u8> {
        self.key.seal(owner.as_str(), plain)
    }

    pub(crate) fn unseal(&self, owner: &FunctionName, sealed: &[u8]) -> Result<Vec<u8>> {
        let opened = self.key.open(owner.as_str(), sealed);
        opened.map_err(|_| StoreFailure::Sealed { function: owner.clone() }.into())
    }

    /// Sum of the reserved concurrency of all functions. Touches no file.
    pub fn reserved_concurrency_total(&self) -> u32 {
        self.summary.read().unwrap_or_else(PoisonError::into_inner).reserved_concurrency
    }

    /// The function, when there is but one. Touches no file.
    pub(crate) fn only_function(&self) -> Option<FunctionName> {
        self.summary.read().unwrap_or_else(PoisonError::into_inner).only_function.clone()
    }

    fn refresh_summary(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        let reserved = "SELECT coalesce(sum(reserved_concurrency), 0) FROM function
                        WHERE reserved_concurrency IS NOT NULL";
        let reserved_concurrency = connection.prepare_cached(reserved)?.query_row([], |row| row.get(0))?;
        let only = "SELECT name FROM function WHERE (SELECT functions FROM usage) = 1";
        let only: Option<String> =
            connection.prepare_cached(only)?.query_row([], |row| row.get(0)).optional()?;
        let summary = Summary { reserved_concurrency, only_function: only.map(FunctionName::stored) };
        *self.summary.write().unwrap_or_else(PoisonError::into_inner) = summary;
        Ok(())
    }

    /// A panic in the middle of a write rolls its transaction back, so a poisoned connection is as good as
    /// any.
    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first reader that is free, so that while there is little to do one of them has the file's pages at
    /// hand; when all are busy, the wait for one chosen at random.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        if self.readers.is_empty() {
            return self.writer();
        }
        for reader in &self.readers {
            match reader.try_lock() {
                Ok(connection) => return connection,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let any = fastrand::usize(..self.readers.len());
        self.readers[any].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lock on the file at once: a transaction that reads first and writes later could find that
/// somebody was faster.
fn commit<T>(writer: &mut Connection, work: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}
