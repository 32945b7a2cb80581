//! `firesteel`: runs AWS Lambda functions on your own machine.
//!
//! Only this crate knows the terminal, exit codes and configuration. [`commands`] has one file per command;
//! `serve` is the composition root: it builds every part and passes it down.
#![forbid(unsafe_code)]

mod advice;
mod archive;
mod capacity;
mod cli;
mod client;
mod commands;
mod data_folder;
mod descriptors;
mod doctor;
mod door;
mod event;
mod exit;
mod function;
mod function_urls;
mod images;
mod isolation;
mod kept;
mod listen;
mod logs;
mod mount;
mod notice;
mod table;
mod target;
mod variables_file;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    // First of all: in a sandbox this same program is the first process, and must be that and nothing else.
    firesteel_sandbox_init::enter_if_asked();

    let cli = Cli::parse();
    init_tracing();
    if matches!(cli.command, Command::Serve(_)) {
        descriptors::make_room();
    }
    let runtime = match async_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            notice::tell(Failure::platform("the async runtime could not be started").because(&error));
            return Exit::Platform.into();
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Invoke(arguments) => commands::invoke::run(arguments).await,
            Command::Doctor(arguments) => commands::doctor::run(arguments).await,
            Command::Check(arguments) => commands::check::run(arguments).await,
            Command::Serve(arguments) => commands::serve::run(arguments).await,
            Command::Logs(arguments) => commands::logs::run(arguments).await,
            Command::Deploy(arguments) => commands::deploy::run(arguments).await,
            Command::Publish(arguments) => commands::deploy::publish(arguments).await,
            Command::Functions(arguments) => commands::functions::functions(arguments).await,
            Command::Versions(arguments) => commands::functions::versions(arguments).await,
            Command::Aliases(arguments) => commands::functions::aliases(arguments).await,
            Command::Delete(arguments) => commands::delete::run(arguments).await,
            Command::Cache(arguments) => commands::cache::run(arguments).await,
            Command::Image(arguments) => commands::image::run(arguments).await,
        }
    });
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            notice::tell(&failure);
            failure.exit.into()
        }
    }
}

/// Half of the machine for the server, the rest for the functions. More workers would make a warm invocation
/// slower, not faster: it is a chain of small steps, and each hop to another thread costs more than the step.
fn async_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread().worker_threads((cores / 2).max(1)).enable_all().build()
}

/// The platform's own log goes to stderr; `FIRESTEEL_LOG` chooses how much of it.
fn init_tracing() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("FIRESTEEL_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log in a file is for reading, too.
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would be told by a macro that panics when stderr is closed.
        .log_internal_errors(false)
        .init();
}
