//! Firesteel as a contestant: where its binary is, and its command line. The only file here that knows its flags.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::server::{Server, StartError, free_address};

/// How long an invoke may wait for an environment to fall idle, where environments are bounded.
const WAIT_MS: &str = "5000";

/// The memory of an environment, if nothing else is said.
const MEMORY_MIB: u32 = 128;

/// How long a function may take, in seconds.
const TIMEOUT_S: &str = "60";

/// What is to be served, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving<'a> {
    pub(super) function: &'a Path,
    /// The function is served under each of them; the first is the one invoked.
    pub(super) names: &'a [String],
    /// The greatest number of environments at once, without it Firesteel's own default.
    pub(super) environments: Option<usize>,
    /// Of each environment, without it [`MEMORY_MIB`].
    pub(super) memory_mib: Option<u32>,
    pub(super) isolation: Isolation,
    /// With extensions. What the platform tells is in the log then, as JSON.
    pub(super) layer: Option<&'a Path>,
}

/// By what functions are held apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Isolation {
    /// By nothing, as with the other contestants.
    Process,
    /// With so many sandboxes made ahead, without it Firesteel's own default.
    Namespace { blanks: Option<usize> },
}

impl<'a> Serving<'a> {
    /// A function that is invoked by one caller.
    pub(super) fn one(function: &'a Path, names: &'a [String]) -> Self {
        let isolation = Isolation::Process;
        Self { function, names, environments: None, memory_mib: None, isolation, layer: None }
    }
}

/// Starts `firesteel serve`.
pub(super) async fn start(
    firesteel: &Path,
    serving: Serving<'_>,
    data: &Path,
    log: PathBuf,
) -> Result<Server, StartError> {
    let Serving { function, names, environments, memory_mib, isolation, layer } = serving;
    let prepare = |source| StartError::Prepare { program: firesteel.display().to_string(), source };
    let address = free_address().map_err(prepare)?;
    let mut command = Command::new(firesteel);
    command.arg("serve");
    command.args(names.iter().map(|name| format!("{name}={}", function.display())));
    command.args(["--listen", &address.to_string()]).arg("--data").arg(data);
    let memory_mib = memory_mib.unwrap_or(MEMORY_MIB);
    command.args(["--memory", &memory_mib.to_string()]);
    if let Some(count) = environments {
        command.args(["--max-environments", &count.to_string(), "--wait-ms", WAIT_MS]);
        // So many there shall be, whatever memory this machine has: they use a part of theirs only.
        let all_mib = u64::from(memory_mib) * count as u64;
        command.args(["--max-memory", &all_mib.to_string()]);
    }
    match isolation {
        Isolation::Process => command.args(["--isolation", "process"]),
        Isolation::Namespace { .. } => command.args(["--isolation", "namespace"]),
    };
    if let Isolation::Namespace { blanks: Some(count) } = isolation {
        command.args(["--blanks", &count.to_string()]);
    }
    if let Some(layer) = layer {
        command.arg("--layer").arg(layer).args(["--log-format", "json"]);
    }
    // A slow reader makes its function slow.
    command.args(["--timeout", TIMEOUT_S]);
    Server::start(command, address, names.first().map_or("function", String::as_str), log).await
}
