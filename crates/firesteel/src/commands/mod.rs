//! One file per command.

pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod delete;
pub(crate) mod deploy;
pub(crate) mod doctor;
pub(crate) mod functions;
pub(crate) mod image;
pub(crate) mod invoke;
mod invoke_endpoint;
pub(crate) mod logs;
pub(crate) mod serve;

use crate::cli::ServerArguments;
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::logs::Logs;

/// Where the environments of a run write.
fn start_logs(data: &DataFolder, arguments: &ServerArguments) -> Result<Logs, Failure> {
    let folder = (!arguments.no_log_files).then(|| data.logs());
    Logs::start(folder.as_deref()).map_err(|error| Failure::platform("no thread for logs").because(&error))
}
