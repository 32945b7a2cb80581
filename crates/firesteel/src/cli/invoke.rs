//! `firesteel invoke`.

use clap::Args;

use super::{EXIT_CODES, FunctionArguments, ServerArguments};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct InvokeArguments {
    /// A folder, a .zip or an executable; with --endpoint, the name of a served function
    pub(crate) target: String,

    /// The event: inline JSON, @file, or - for stdin
    #[arg(default_value = "{}", allow_hyphen_values = true)]
    pub(crate) event: String,

    /// Invoke a function of the server at this URL instead of running one here
    #[arg(long, value_name = "URL", conflicts_with_all = LOCAL_ONLY)]
    pub(crate) endpoint: Option<String>,

    /// Name that the function knows itself by [default: from the target]
    #[arg(long, value_name = "NAME")]
    pub(crate) function_name: Option<String>,

    /// Client context: JSON that the handler finds in its context
    #[arg(long, value_name = "JSON")]
    pub(crate) client_context: Option<String>,

    /// X-Ray trace header to continue, such as Root=1-…;Parent=…;Sampled=1
    #[arg(long, value_name = "HEADER")]
    pub(crate) trace_id: Option<String>,

    #[command(flatten)]
    pub(crate) function: FunctionArguments,

    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// What makes no sense for a function that another server runs.
const LOCAL_ONLY: [&str; 14] = [
    "function_name",
    "handler",
    "runtime",
    "memory",
    "ephemeral_storage",
    "timeout",
    "env",
    "env_file",
    "layer",
    "mount",
    "log_format",
    "log_level",
    "system_log_level",
    "snap_start",
];
