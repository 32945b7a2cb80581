//! `firesteel logs`.

use std::path::PathBuf;

use clap::Args;

const LOGS_HELP: &str = "\
Exit codes:
  0    the lines were printed, or nobody reads stdout any more
  2    wrong usage, or there are no logs
  3    the logs cannot be read, or stdout not be written to
  130  interrupted by Ctrl-C (143: by SIGTERM)

Of each execution environment the newest 4 to 8 MiB are kept, of a function the
newest 100 environments and 64 MiB.";

#[derive(Debug, Args)]
#[command(after_help = LOGS_HELP)]
pub(crate) struct LogsArguments {
    /// Name of the function
    pub(crate) name: String,

    /// Go on as lines come, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Only the last lines, of all environments together
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<usize>,

    /// Only lines since then: 10m, 2h, or 2026-11-21T20:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,

    /// Only log streams with this in their names, such as 2026/11/21 or an environment's number
    #[arg(long, value_name = "PART")]
    pub(crate) stream: Option<String>,

    /// The time before each line, and a tab
    #[arg(short, long)]
    pub(crate) timestamps: bool,

    /// Folder that `serve` or `invoke` keeps its data in [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}
