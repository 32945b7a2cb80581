//! The runtime under test, as plain data.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How the runtime is started, and with what around it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Arguments after the program's name.
    pub arguments: Vec<String>,
    /// Where it starts.
    pub working_dir: PathBuf,
    /// Its variables, as on AWS. Those that name the platform's address are set for each start.
    pub variables: BTreeMap<String, String>,
    /// Folders that it must not write to.
    pub read_only: Vec<PathBuf>,
    /// Exists and is empty; each start has a folder in it, for as long as it runs.
    pub folder: PathBuf,
    /// ARN that events are told to have been sent to.
    pub function_arn: String,
}
