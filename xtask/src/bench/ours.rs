//! Firesteel as a contestant: where its binary is, and its command line. The only file here that knows its flags.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::server::{Server, StartError, free_address};

/// How long an invoke may wait for an environment to fall idle, where environments are bounded.
const WAIT_MS: &str = "5000";

/// Starts `firesteel serve` with `function` under each of `names`, of which the first is the one invoked.
/// `environments` is the greatest number the function may have at once, without it Firesteel's own default.
pub(super) async fn start(
    firesteel: &Path,
    function: &Path,
    names: &[String],
    environments: Option<usize>,
    data: &Path,
    log: PathBuf,
) -> Result<Server, StartError> {
    let prepare = |source| StartError::Prepare { program: firesteel.display().to_string(), source };
    let address = free_address().map_err(prepare)?;
    let mut command = Command::new(firesteel);
    command.arg("serve");
    command.args(names.iter().map(|name| format!("{name}={}", function.display())));
    command.args(["--listen", &address.to_string()]).arg("--data").arg(data);
    if let Some(count) = environments {
        command.args(["--max-environments", &count.to_string(), "--wait-ms", WAIT_MS]);
    }
    Server::start(command, address, names.first().map_or("function", String::as_str), log).await
}
