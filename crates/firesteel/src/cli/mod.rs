//! The command line: what can be typed, and its help. A file for each command, and for what several have in common.

mod check;
mod client;
mod doctor;
mod function;
mod invoke;
mod logs;
mod serve;
mod server;

use clap::{Parser, Subcommand};

pub(crate) use check::{CheckArguments, HandlerLanguage, ReportFormat};
pub(crate) use client::{
    DeleteArguments, DeployArguments, EndpointArguments, FunctionsArguments, OfFunctionArguments,
    PublishArguments,
};
pub(crate) use doctor::DoctorArguments;
pub(crate) use function::{FunctionArguments, LogFormat, LogLevel};
pub(crate) use invoke::InvokeArguments;
pub(crate) use logs::LogsArguments;
pub(crate) use serve::{DoorArguments, Provisioned, ServeArguments, StreamBandwidth, Url};
pub(crate) use server::{IsolationArguments, Network, ServerArguments};

const EXIT_CODES: &str = "\
Exit codes:
  0    the function succeeded
  1    the function failed; its error JSON is on stdout
  2    wrong usage or bad input; nothing was run
  3    the platform failed
  130  interrupted by Ctrl-C (143: by SIGTERM)";

/// Runs AWS Lambda functions on your own machine, through the real Runtime API.
#[derive(Debug, Parser)]
#[command(name = "firesteel", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs one invocation: the response goes to stdout, logs to stderr
    Invoke(InvokeArguments),
    /// Serves functions through the Lambda HTTP API
    Serve(ServeArguments),
    /// Makes a function of a server from a folder, a .zip or an executable, or gives it new code and settings
    Deploy(DeployArguments),
    /// Publishes a function's code and settings as its next version
    Publish(PublishArguments),
    /// Lists the functions of a server
    Functions(FunctionsArguments),
    /// Lists the versions of a function
    Versions(OfFunctionArguments),
    /// Lists the aliases of a function
    Aliases(OfFunctionArguments),
    /// Deletes a function, a version or an alias
    Delete(DeleteArguments),
    /// Prints what a function has written, oldest first
    Logs(LogsArguments),
    /// Checks a runtime against the rules of the Runtime API
    Check(CheckArguments),
    /// Tells what this machine can hold functions by, and what to do about the rest
    Doctor(DoctorArguments),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
