//! `firesteel doctor`.

use std::path::PathBuf;

use clap::Args;

use super::IsolationArguments;

const DOCTOR_HELP: &str = "\
Exit codes:
  0    functions are isolated, and every limit is held
  1    something of that is degraded or missing; the report on stdout says what
  2    wrong usage, or a data folder that cannot be used
  3    it could not be found out
  130  interrupted by Ctrl-C (143: by SIGTERM)

Nothing is guessed: sandboxes are made, a program is run in them, and they are ended.
With --isolation, the exit code is about that kind. What has no influence on it, such
as interpreters that are not installed, is reported all the same.";

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArguments {
    /// The report as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Folder that `serve` and `invoke` are to keep their data in [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) isolation: IsolationArguments,
}
