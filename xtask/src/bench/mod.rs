//! `cargo xtask bench`: what Firesteel costs above the least a server can cost, measured in one run on one machine.
//!
//! ```text
//! mod.rs      options, what must be built first, the order of things
//! phases.rs   what is measured: warm, throughput, cold; streaming.rs and subscribers.rs for what their names say
//! ours.rs  floor.rs  rie.rs    the contestants, each knowing its own command line
//! server.rs   a contestant's process: start, await, memory, end
//! load.rs     the callers and their percentiles; response_stream.rs a caller that is streamed to
//! guest.rs    the function and the extension of the last two phases
//! process_tree.rs  the processes below a server; neighbours.rs what runs beside all of it
//! report.rs   the figures, as JSON too; check.rs holds them against the targets, table.rs shows them
//! isolation/  a bench of its own, with the same contestants: what isolation costs
//! image/      another, with other contestants: what it takes to start from container images
//! ```
//!
//! It asserts no figure: a slow machine is not an error. It fails only when something could not run, and even then
//! reports what could.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

mod check;
pub(crate) mod floor;
pub(crate) mod guest;
#[cfg(target_os = "linux")]
mod image;
mod isolation;
mod load;
mod neighbours;
mod ours;
mod phases;
mod process_tree;
mod report;
mod response_stream;
mod rie;
mod server;
mod streaming;
mod subscribers;
mod table;

#[cfg(target_os = "linux")]
use crate::image_corpus::CorpusError;
use phases::Setup;
use report::Report;

const RIE_HELP: &str = "\
AWS's Runtime Interface Emulator, to compare with. One comes inside the wheel of aws-sam-cli:
  pip download --no-deps --dest /tmp/sam aws-sam-cli
  unzip -j /tmp/sam/aws_sam_cli-*.whl 'samcli/local/rapid/aws-lambda-rie-*' -d /tmp/sam
  chmod +x /tmp/sam/aws-lambda-rie-x86_64
";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    part: Option<Part>,
    /// AWS's Runtime Interface Emulator, to compare with; see --help for where to get one.
    #[arg(long, value_name = "PATH", long_help = RIE_HELP, global = true)]
    rie: Option<PathBuf>,
    /// Seconds of load per server in the measurement of throughput.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600), global = true)]
    duration_s: u64,
    /// The Firesteel to measure. Without it, the release build of this source, made first.
    #[arg(long, value_name = "PATH", global = true)]
    firesteel: Option<PathBuf>,
    /// Print the figures as JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// What isolation costs, in place of all else
    Isolation(isolation::Options),
    /// Container images that start before they are downloaded, in place of all else
    #[cfg(target_os = "linux")]
    Image(image::Options),
}

/// Why there are no figures at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("cannot run cargo")]
    Cargo(#[source] io::Error),
    #[error("`cargo build` for {manifest:?} failed ({status})")]
    Build { manifest: PathBuf, status: ExitStatus },
    #[error("cannot find {path:?}")]
    Missing {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot make a folder for the servers' data")]
    Scratch(#[source] io::Error),
    #[error("cannot start the async runtime")]
    Runtime(#[source] io::Error),
    #[cfg(target_os = "linux")]
    #[error("cannot build the images")]
    Corpus(#[from] CorpusError),
    #[cfg(target_os = "linux")]
    #[error("cannot draw into {folder:?}")]
    Draw { folder: PathBuf, source: io::Error },
    #[error("cannot print the report")]
    Print(#[source] io::Error),
}

/// Builds what is missing, measures, reports. Failure if a contestant could not run.
pub(crate) fn run(options: &Options) -> Result<ExitCode, BenchError> {
    match &options.part {
        #[cfg(target_os = "linux")]
        Some(Part::Image(parts)) => {
            let report = image::measure(parts)?;
            print(&if options.json { report.json() } else { report.table() }, &report.failures)
        }
        Some(Part::Isolation(parts)) => run_servers(options, Some(parts)),
        None => run_servers(options, None),
    }
}

/// The contestants that are servers: what isolation costs them, or all else.
fn run_servers(options: &Options, isolation: Option<&isolation::Options>) -> Result<ExitCode, BenchError> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace's folder");
    let function = rust_hello(root)?;
    let firesteel = match &options.firesteel {
        Some(path) => found(path)?,
        None => built_firesteel(root)?,
    };
    let rie = options.rie.as_deref().map(found).transpose()?;
    let scratch = TempDir::with_prefix("firesteel-bench-").map_err(BenchError::Scratch)?;
    let setup = Setup {
        function,
        firesteel,
        rie,
        scratch: scratch.path().to_owned(),
        load: Duration::from_secs(options.duration_s),
    };

    // One thread: nothing else shall run in this process while a caller is timed.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::Runtime)?;
    let (text, failures) = match isolation {
        None => {
            let report = runtime.block_on(measure(&setup));
            (if options.json { report.json() } else { table::table(&report) }, report.failures)
        }
        Some(parts) => {
            let report = runtime.block_on(isolation::measure(parts, &setup));
            (if options.json { report.json() } else { isolation::table(&report) }, report.failures)
        }
    };
    print(&text, &failures.0)
}

fn print(text: &str, failures: &[String]) -> Result<ExitCode, BenchError> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(BenchError::Print)?;
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(setup: &Setup) -> Report {
    let mut report = Report::new();
    progress("warm invokes");
    phases::warm(setup, &mut report).await;
    progress("throughput");
    phases::throughput(setup, &mut report).await;
    progress("cold starts");
    phases::cold(setup, &mut report).await;
    progress("streaming");
    streaming::run(setup, &mut report).await;
    progress("telemetry subscribers");
    subscribers::run(setup, &mut report).await;
    report
}

/// The function that is measured, built where it is missing.
fn rust_hello(root: &Path) -> Result<PathBuf, BenchError> {
    let folder = root.join("examples/rust-hello");
    let bootstrap = folder.join("target/release/bootstrap");
    if !bootstrap.exists() {
        progress("building examples/rust-hello");
        build(&folder.join("Cargo.toml"), &["--locked"])?;
    }
    found(&bootstrap)
}

fn built_firesteel(root: &Path) -> Result<PathBuf, BenchError> {
    progress("building firesteel");
    build(&root.join("Cargo.toml"), &["--package", "firesteel"])?;
    found(&root.join("target/release/firesteel"))
}

/// `cargo build --release`. Cargo writes its progress to standard error, so standard output stays the report's.
fn build(manifest: &Path, arguments: &[&str]) -> Result<(), BenchError> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--release", "--manifest-path"])
        .arg(manifest)
        .args(arguments)
        // Each build into its own workspace's folder, wherever this one's output was sent.
        .env_remove("CARGO_TARGET_DIR")
        .stdin(Stdio::null())
        .status()
        .map_err(BenchError::Cargo)?;
    if status.success() { Ok(()) } else { Err(BenchError::Build { manifest: manifest.to_owned(), status }) }
}

/// The path in full: a server may be started from another folder.
fn found(path: &Path) -> Result<PathBuf, BenchError> {
    path.canonicalize().map_err(|source| BenchError::Missing { path: path.to_owned(), source })
}

/// Says on standard error what is going on; a run takes minutes.
fn progress(what: &str) {
    // Nobody reads along when standard error is gone.
    let _ = writeln!(io::stderr(), "bench: {what}");
}
