//! `firesteel check`.

use clap::{Args, ValueEnum};

use super::{FunctionArguments, ServerArguments};

const CHECK_EXIT_CODES: &str = "\
Exit codes:
  0    every rule passed, or is not applicable
  1    a rule failed; with --strict, also a recommendation
  2    wrong usage or bad input; nothing was run
  3    the platform failed
  130  interrupted by Ctrl-C (143: by SIGTERM)";

#[derive(Debug, Args)]
#[command(after_help = CHECK_EXIT_CODES)]
// Three seconds are a function's limit unless it says otherwise; a check is not to fail on a machine that is busy.
#[command(mut_arg("timeout", |timeout| {
    timeout.default_value("10").help("How long an answer of the runtime may take, in seconds")
}))]
pub(crate) struct CheckArguments {
    /// A runtime with a handler in it: a bootstrap executable, a folder or a .zip
    #[arg(required_unless_present = "print_handler")]
    pub(crate) target: Option<String>,

    /// Form of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: ReportFormat,

    /// Run this rule only, such as error.shape; may be repeated
    #[arg(long, value_name = "ID")]
    pub(crate) rule: Vec<String>,

    /// Let recommendations fail, too
    #[arg(long)]
    pub(crate) strict: bool,

    /// How long the runtime has to wait for an event in connection.patience, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 6000)]
    pub(crate) hold_ms: u32,

    /// Events of invocation.thousand
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) invocations: u32,

    /// Print a handler that plays along with all rules, and end
    #[arg(long, value_enum, value_name = "LANGUAGE", conflicts_with = "target")]
    pub(crate) print_handler: Option<HandlerLanguage>,

    #[command(flatten)]
    pub(crate) function: FunctionArguments,

    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Table,
    Json,
    /// JUnit's XML
    Junit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandlerLanguage {
    Bash,
    Node,
    Python,
    Rust,
}
