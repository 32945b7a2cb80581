//! By what the functions of these tests are held apart: one backend of the program's, the same for a whole run of the tests.
//!
//! `FIRESTEEL_ISOLATION=namespace|oci:<runtime>|process` says which; unsaid, it is namespaces where this host is sure to
//! allow them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::function::python;

/// A value of `--isolation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Isolation(&'static str);

const PROCESS: Isolation = Isolation("process");

impl Isolation {
    /// Of all functions in this run of the tests.
    pub(crate) fn of_this_run() -> Self {
        static CHOSEN: OnceLock<String> = OnceLock::new();
        Isolation(CHOSEN.get_or_init(|| match std::env::var("FIRESTEEL_ISOLATION") {
            // What becomes of this differs from host to host, and so would what is tested.
            Ok(name) if name == "auto" => panic!("FIRESTEEL_ISOLATION is auto: say which"),
            Ok(name) => name,
            Err(_) if cfg!(target_os = "linux") && rustix::process::geteuid().is_root() => "namespace".into(),
            Err(_) => PROCESS.0.into(),
        }))
    }

    /// As the program takes it.
    pub(crate) fn name(self) -> &'static str {
        self.0
    }

    /// Whether folders that only their owner may read can be shown to functions. `runc` cannot, and says what to type.
    pub(crate) fn shows_private_folders(self) -> bool {
        self.0 != "oci:runc"
    }

    /// Arguments by which the scripts of these functions find what they need: their interpreter, and where they leave
    /// notes. Any paths, of targets and layers; those of no function of these tests need nothing.
    pub(crate) fn mounts<'a>(self, paths: impl Iterator<Item = &'a Path>) -> Vec<String> {
        if self == PROCESS {
            return Vec::new();
        }
        let mut mounts: Vec<String> =
            paths.filter_map(notes_of).map(|notes| format!("{}:rw", notes.display())).collect();
        mounts.sort_unstable();
        mounts.dedup();
        let program = python();
        let prefix = program.parent().and_then(Path::parent).unwrap();
        if !prefix.starts_with("/usr") && prefix != Path::new("/") {
            mounts.push(prefix.display().to_string());
        }
        mounts.into_iter().flat_map(|mount| ["--mount".to_owned(), mount]).collect()
    }
}

/// Whether functions have a root, numbers of processes, and limits of their own.
pub(crate) fn isolated() -> bool {
    Isolation::of_this_run() != PROCESS
}

/// The notes of the function that something belongs to: a folder beside its code, or above that.
fn notes_of(path: &Path) -> Option<PathBuf> {
    path.ancestors().map(|above| above.join("notes")).find(|notes| notes.is_dir())
}

/// Says that what a test is about is not there with this backend, past the test harness, which shows nothing of tests
/// that pass. No failure, even where nothing may be skipped: a run with the other backend plays it.
pub(crate) fn not_for_this_backend(test: &str, reason: &str) {
    let name = Isolation::of_this_run().name();
    let _ = writeln!(std::io::stderr(), "NOT FOR THIS BACKEND ({name}) {test}: {reason}");
}
