//! Opening a store: the folder's lock, the file, its schema, its key.
//!
//! ```text
//! DIR/catalog.lock      held while a server uses the folder; holds its process id
//! DIR/catalog.sqlite    functions and everything about them (with -wal and -shm beside it)
//! DIR/catalog.key       opens the environment variables in it
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::Store;
use super::cache::Cache;
use super::migrations::migrate;
use super::secrets::{KEY_FILE, Key};
use crate::account::Account;
use crate::function_urls::UrlCache;

const FILE: &str = "catalog.sqlite";
const LOCK: &str = "catalog.lock";
/// Sealed to tell the right key from a wrong one before the first variable is asked for.
const KEY_CHECK: &str = "catalog";
/// Readers beside the one writer; calls that read wait for one of them.
const READERS: usize = 4;
/// No other process writes to the file while the lock is held, but somebody may look into it with a tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages that each connection keeps, at most; a negative number is in KiB. What a catalog of 10 000 functions
/// is entered by stays at hand.
const PAGE_CACHE: i32 = -16 * 1024;
/// Statements kept prepared by each connection; there are some hundred in all.
const PREPARED_STATEMENTS: usize = 128;

/// Why a store cannot be opened. For whoever starts the server.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or used.
    #[error("data folder {} cannot be used", folder.display())]
    Folder {
        /// As given.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// One server owns a folder.
    #[error("data folder {} is in use by {owner}", folder.display())]
    InUse {
        /// As given.
        folder: PathBuf,
        /// `process 4711`, or `another process` when it has not said.
        owner: String,
    },
    /// Written by a newer program.
    #[error("the catalog has format {found}, this program knows formats up to {known}")]
    Newer {
        /// Of the file.
        found: usize,
        /// The newest this program writes.
        known: usize,
    },
    /// The key file cannot be read or made.
    #[error("key file {} cannot be used", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There are sealed environment variables, and nothing to open them with.
    #[error("key file {} is missing: the environment variables in the catalog cannot be read without it", path.display())]
    KeyMissing {
        /// Where it was.
        path: PathBuf,
    },
    /// Others can read the key.
    #[error("key file {} can be used by others than its owner (mode {mode:o}): its mode must be 600", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No key at all.
    #[error("key file {} has {bytes} bytes, a key has 32", path.display())]
    KeyLength {
        /// The file.
        path: PathBuf,
        /// What it has.
        bytes: usize,
    },
    /// A key, but not that of this catalog.
    #[error("key file {} is not the one with which this catalog was written", path.display())]
    KeyDiffers {
        /// The file.
        path: PathBuf,
    },
    /// SQLite cannot open or read the file.
    #[error("the catalog's file cannot be used")]
    Sqlite(#[from] rusqlite::Error),
}

impl Store {
    /// Opens the catalog of a data folder, both made when they are missing; whoever has it open has it
    /// alone.
    ///
    /// Functions that an earlier server was given on its command line are gone.
    pub fn open(folder: &Path, account: Account) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(unusable)?;
        let lock = lock(folder)?;
        let path = folder.join(FILE);
        make_private(&path).map_err(unusable)?;
        let mut writer = Connection::open(&path)?;
        configure(&writer)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // An answer of success is a promise that survives a power failure, so each commit is synced.
        writer.pragma_update(None, "synchronous", "FULL")?;
        migrate(&mut writer)?;
        let key = key(folder, &writer)?;
        let readers = (0..READERS).map(|_| reader(&path)).collect::<Result<Vec<_>, _>>()?;
        Store::with(account, writer, readers, key, Some(lock))
    }

    /// A catalog that keeps nothing.
    pub fn in_memory(account: Account) -> Result<Self, OpenError> {
        let mut writer = Connection::open_in_memory()?;
        configure(&writer)?;
        migrate(&mut writer)?;
        Store::with(account, writer, Vec::new(), Key::ephemeral(), None)
    }

    fn with(
        account: Account,
        writer: Connection,
        readers: Vec<Connection>,
        key: Key,
        lock: Option<File>,
    ) -> Result<Self, OpenError> {
        // With their numbers: what the next command line calls so is another function.
        writer.execute_batch(
            "BEGIN;
             DELETE FROM version_sequence WHERE name IN (SELECT name FROM function WHERE fleeting);
             DELETE FROM function WHERE fleeting;
             COMMIT;",
        )?;
        let store = Store {
            account,
            writer: Mutex::new(writer),
            readers: readers.into_iter().map(Mutex::new).collect(),
            key,
            cache: Cache::default(),
            urls: UrlCache::default(),
            summary: RwLock::default(),
            _lock: lock,
        };
        store.refresh_summary(&store.writer())?;
        Ok(store)
    }
}

/// SQLite would make the file readable by all. Those beside it have its mode.
fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}

/// What every connection needs.
fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.pragma_update(None, "cache_size", PAGE_CACHE)?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI,
    )?;
    configure(&connection)?;
    Ok(connection)
}

/// The lock of the system, which ends with the process however it ends; the number in the file only
/// serves whoever is refused.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Folder { folder: folder.to_owned(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(folder.join(LOCK))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(unusable(source)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let said = file.read_to_string(&mut text).is_ok_and(|_| text.trim().parse::<u32>().is_ok());
            let owner = if said { format!("process {}", text.trim()) } else { "another process".to_owned() };
            return Err(OpenError::InUse { folder: folder.to_owned(), owner });
        }
    }
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "{}", std::process::id()))
        .map_err(unusable)?;
    Ok(file)
}

/// The folder's key, proved to be the one that sealed what the catalog holds.
fn key(folder: &Path, writer: &Connection) -> Result<Key, OpenError> {
    let sealed = "SELECT EXISTS (SELECT 1 FROM version WHERE variables IS NOT NULL)";
    let needed = writer.query_row(sealed, [], |row| row.get(0))?;
    let key = Key::of_folder(folder, needed)?;
    let check: Option<Vec<u8>> =
        writer.query_row("SELECT sealed FROM key_check", [], |row| row.get(0)).optional()?;
    match check {
        Some(sealed) if key.open(KEY_CHECK, &sealed).is_ok() => {}
        Some(_) if needed => return Err(OpenError::KeyDiffers { path: folder.join(KEY_FILE) }),
        _ => {
            writer.execute("DELETE FROM key_check", [])?;
            writer
                .execute("INSERT INTO key_check VALUES (?1)", [key.seal(KEY_CHECK, KEY_CHECK.as_bytes())])?;
        }
    }
    Ok(key)
}
