//! Development tasks, run as `cargo xtask TASK`.
//!
//! One folder per task: `bench` measures, `image_corpus` builds images to measure with, `fuzz_seeds` writes what fuzzing begins
//! with, `shapes` the model of the API. `floor` is a part of `bench` that needs a
//! process of its own, and is of no use by hand. Under the name of one of its guests, the program is that guest.

#![forbid(unsafe_code)]

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
#[cfg(target_os = "linux")]
mod fuzz_seeds;
#[cfg(target_os = "linux")]
mod image_corpus;
mod shapes;

use bench::guest::Role;

#[derive(Debug, Parser)]
#[command(about = "Development tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Compare Firesteel with the floor and with AWS's emulator, in one run.
    Bench(bench::Options),
    /// Build the container images that `bench image` measures with.
    #[cfg(target_os = "linux")]
    ImageCorpus(image_corpus::Options),
    /// Write what the targets of `fuzz` begin with.
    #[cfg(target_os = "linux")]
    FuzzSeeds,
    /// Write the Lambda API's model into its crate, from the public one.
    Shapes(shapes::Options),
    /// The smallest server that hands a runtime its events; started by `bench`.
    #[command(hide = true)]
    Floor(bench::floor::Options),
}

fn main() -> ExitCode {
    let done = match Role::of_this() {
        Some(role) => bench::guest::run(role).map_err(|error| explain(&error)),
        None => match Arguments::parse().task {
            Task::Bench(options) => bench::run(&options).map_err(|error| explain(&error)),
            #[cfg(target_os = "linux")]
            Task::ImageCorpus(options) => image_corpus::run(&options).map_err(|error| explain(&error)),
            #[cfg(target_os = "linux")]
            Task::FuzzSeeds => fuzz_seeds::run().map_err(|error| explain(&error)),
            Task::Shapes(options) => shapes::run(&options).map_err(|error| explain(&error)),
            Task::Floor(options) => bench::floor::run(&options).map_err(|error| explain(&error)),
        },
    };
    match done {
        Ok(code) => code,
        Err(message) => {
            // Nobody is left to tell when standard error itself is gone.
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The error and what lies under it, on one line each.
fn explain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(under) = cause {
        message.push_str(&format!("\n  cause: {under}"));
        cause = under.source();
    }
    message
}
