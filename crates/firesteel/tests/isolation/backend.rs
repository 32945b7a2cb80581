//! Which isolation is tested.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::guests;
use crate::harness::program::Program;
use crate::harness::{folder, skipped};

/// A value of `--isolation`, for one test at a time: these measure what others take from them, or use up what there is.
#[derive(Debug)]
pub(crate) struct Backend {
    kind: &'static str,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Backend {
    /// `None`, loudly, where this host does not have it.
    #[track_caller]
    pub(crate) fn for_test(test: &str) -> Option<Self> {
        static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        match FOUND.get_or_init(Self::find) {
            Ok(kind) => Some(Backend { kind, _alone: alone }),
            Err(reason) => {
                skipped(test, reason);
                None
            }
        }
    }

    fn find() -> Result<String, String> {
        let kind = match std::env::var("FIRESTEEL_ISOLATION") {
            Ok(kind) if kind == "process" => {
                return Err("plain processes are not isolated from anything".to_owned());
            }
            // Would go on without isolation where it cannot be had.
            Ok(kind) if kind != "auto" => kind,
            _ => "namespace".to_owned(),
        };
        if !std::path::Path::new(guests::PYTHON).exists() {
            return Err(format!("these tests need {}", guests::PYTHON));
        }
        let function = guests::scripted("serve(lambda event: '1')");
        let data = folder();
        let run = Program::invoke(&[&function.target(), "--isolation", &kind]).data(data.path()).run();
        if run.code == Some(0) { Ok(kind) } else { Err(run.stderr) }
    }

    /// As arguments of the program.
    pub(crate) fn arguments(&self) -> [&str; 2] {
        ["--isolation", self.kind]
    }

    /// Whether first processes are made by a spawner of the server's.
    pub(crate) fn has_spawner(&self) -> bool {
        self.kind == "namespace"
    }
}
