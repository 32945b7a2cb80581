//! What a server keeps: functions, their code, and asynchronous events.
//!
//! ```text
//!  DATA/catalog.sqlite, catalog.key    functions, versions, aliases, … (`catalog`)
//!      /queue.sqlite                   events that were accepted and have no outcome yet (`invoke::queue`)
//!      /code/                          packages, each once (`image::CodeStore`)
//! ```
//!
//! With `--data` in that folder, of which one server at a time is the owner. Without, in memory and in the run's own folder:
//! then all of it ends with the server, which says so.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use firesteel_catalog::{Account, AccountLimits, OpenError, Store};
use firesteel_image::{CodeStore, Sha256, StoreLimits};
use firesteel_invoke::queue::{Queue, Slots};

use crate::cli::ServerArguments;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Failure};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) store: Arc<Store>,
    pub(crate) code: Arc<CodeStore>,
    pub(crate) queue: Queue,
}

impl Kept {
    /// Opens what is there, or begins. `account_concurrency`: of all functions.
    pub(crate) fn open(
        arguments: &ServerArguments,
        data: &DataFolder,
        account_concurrency: u32,
    ) -> Result<Self, Failure> {
        let folder = arguments.data.as_ref().map(|_| data.root());
        let mut account = account(arguments);
        let defaults = AccountLimits::default();
        account.limits = AccountLimits {
            concurrent_executions: account_concurrency,
            // Of a small account a part is still for functions without a reservation.
            unreserved_minimum: defaults.unreserved_minimum.min(account_concurrency / 10),
            ..defaults
        };
        let store = match folder {
            Some(folder) => Store::open(folder, account).map_err(|error| store_unusable(&error))?,
            None => in_memory(account)?,
        };
        let code_folder = match folder {
            Some(folder) => folder.join("code"),
            None => data.subfolder("code")?,
        };
        let code = CodeStore::open(&code_folder, StoreLimits::default()).map_err(|error| {
            Failure::from_error(Exit::Usage, &error)
                .try_next("--data DIR with a folder that you may write to, and that no other server has")
        })?;
        sweep(&store, &code)?;
        let queue =
            Queue::open(folder.map(|folder| folder.join("queue.sqlite")).as_deref(), Slots::default())
                .map_err(|error| {
                    Failure::from_error(Exit::Usage, &error).try_next(
                        "--data DIR with a folder that you may write to, and that no other server has",
                    )
                })?;
        Ok(Kept { store: Arc::new(store), code: Arc::new(code), queue })
    }
}

/// A catalog that ends with the program.
pub(crate) fn in_memory(account: Account) -> Result<Store, Failure> {
    Store::in_memory(account).map_err(|error| Failure::from_error(Exit::Platform, &error))
}

/// Whose functions they are.
pub(crate) fn account(arguments: &ServerArguments) -> Account {
    Account::new(arguments.region.as_str(), arguments.account_id.as_str())
}

/// Packages that were uploaded for what was never made, and those whose last reference went just before a crash.
fn sweep(store: &Store, code: &CodeStore) -> Result<(), Failure> {
    let referenced = store.referenced_code().map_err(|error| Failure::from_error(Exit::Platform, &error))?;
    let referenced: HashSet<Sha256> = referenced.into_iter().map(|digest| Sha256::from(digest.0)).collect();
    let swept = code.sweep(&referenced).map_err(|error| Failure::from_error(Exit::Platform, &error))?;
    if swept.packages > 0 {
        tracing::info!(
            packages = swept.packages,
            bytes = swept.size_bytes,
            "removed code that nothing needs"
        );
    }
    Ok(())
}

fn store_unusable(error: &OpenError) -> Failure {
    let failure = Failure::from_error(Exit::Usage, error);
    match error {
        OpenError::InUse { .. } => failure.try_next("another folder by --data, or end that server first"),
        OpenError::KeyExposed { path, .. } => failure.try_next(chmod(path)),
        OpenError::KeyMissing { .. } | OpenError::KeyDiffers { .. } | OpenError::KeyLength { .. } => {
            failure.try_next("the key file from a copy of the folder, or another folder by --data")
        }
        OpenError::Newer { .. } => failure.try_next("a newer firesteel, or another folder by --data"),
        OpenError::Folder { .. } | OpenError::Key { .. } | OpenError::Sqlite(_) => {
            failure.try_next("--data DIR with a folder that you may write to")
        }
    }
}

fn chmod(path: &Path) -> String {
    format!("chmod 600 {}", path.display())
}
