//! What a function is like, where it is run here: of `invoke`, `serve` and `check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::mount::Mount;

#[derive(Debug, Args)]
#[command(next_help_heading = "Function")]
pub(crate) struct FunctionArguments {
    /// Handler, such as app.handler [default: found out]
    #[arg(long, value_name = "HANDLER")]
    pub(crate) handler: Option<String>,

    /// Runtime, such as python3.13, nodejs22.x, provided.al2023 [default: found out]
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) runtime: Option<String>,

    /// Memory in MB
    #[arg(long, value_name = "MB", default_value_t = 128)]
    pub(crate) memory: u32,

    /// Size of /tmp in MB, 512 to 10240; of no effect where functions run without isolation, and /tmp is as large as the
    /// disk
    #[arg(long, value_name = "MB", default_value_t = 512)]
    pub(crate) ephemeral_storage: u32,

    /// Timeout in seconds
    #[arg(long, value_name = "S", default_value_t = 3)]
    pub(crate) timeout: u32,

    /// Environment variable of the function; may be repeated
    #[arg(long, value_name = "K=V")]
    pub(crate) env: Vec<String>,

    /// File of environment variables, one K=V a line; --env goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// Layer, a folder or a .zip; may be repeated, later ones over earlier ones
    #[arg(long, value_name = "PATH")]
    pub(crate) layer: Vec<PathBuf>,

    /// Show functions a folder or file of this machine, at its own path or at AT, to read, or with :rw to write to as
    /// far as its permissions let others; may be repeated. Without isolation they see, and may write to, all that you
    /// do: of no effect there, and AT cannot be had
    #[arg(long, value_name = "PATH[:AT][:rw]")]
    pub(crate) mount: Vec<Mount>,

    /// Format of the platform's and the managed runtimes' log lines [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// Least level of the function's own lines; only with --log-format json [default: INFO]
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,

    /// Least level of the platform's lines, DEBUG, INFO or WARN; only with --log-format json [default: INFO]
    #[arg(long, value_enum, ignore_case = true, value_name = "LEVEL", hide_possible_values = true)]
    pub(crate) system_log_level: Option<LogLevel>,

    /// Initialise as with SnapStart: restore hooks run, credentials come from an endpoint
    #[arg(long)]
    pub(crate) snap_start: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// By the names of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}
