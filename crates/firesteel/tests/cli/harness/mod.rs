//! What the tests stand on; see `main.rs`.

pub(crate) mod client;
pub(crate) mod event_stream;
pub(crate) mod function;
pub(crate) mod isolation;
pub(crate) mod leftovers;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod server;
pub(crate) mod signing;

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The program under test.
pub(crate) const FIRESTEEL: &str = env!("CARGO_BIN_EXE_firesteel");

/// Held while an executable file is open for writing and while a process is started: a process that another
/// thread forks holds the file open until its own exec, and what is open for writing cannot be executed.
static FORKING: Mutex<()> = Mutex::new(());

pub(crate) fn forking() -> MutexGuard<'static, ()> {
    FORKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of the test's own, gone with it.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Says that a test could not do its work on this host, past the harness, which shows nothing of tests that pass.
/// Where nothing may be skipped the test fails.
#[track_caller]
pub(crate) fn skipped(test: &str, reason: &str) {
    assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}
