//! The command line: what can be typed, and its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::isolation::Isolation;
use crate::mount::Mount;

const EXIT_CODES: &str = "\
Exit codes:
  0    the function succeeded
  1    the function failed; its error JSON is on stdout
  2    wrong usage or bad input; nothing was run
  3    the platform failed
  130  interrupted by Ctrl-C (143: by SIGTERM)";

const SERVE_HELP: &str = "\
What is kept:
  With --data DIR, functions that were created through the API, their code, and
  asynchronous events that were accepted are in DIR and survive the server.
  Without it they end with the server.

Credentials (--credentials FILE):
  {\"Credentials\": [{\"AccessKeyId\": \"…\", \"SecretAccessKey\": \"…\",
    \"Arn\": \"arn:aws:iam::000000000000:user/alice\",
    \"Policy\": {\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\",
      \"Action\": \"lambda:Invoke*\", \"Resource\": \"*\"}]}}]}
  An account's root (arn:aws:iam::…:root) needs no policy.

Logs:
  Every line goes to stderr and is kept in DIR/logs/aws/lambda/NAME/YYYY/MM/DD,
  where DIR is the data folder: one file per execution environment, each line with
  its time in UTC and a tab before it. Of an environment the newest 4 to 8 MiB are
  kept, of a function the newest 100 environments and 64 MiB.
  `firesteel logs NAME` prints them.";

const LOGS_HELP: &str = "\
Exit codes:
  0    the lines were printed, or nobody reads stdout any more
  2    wrong usage, or there are no logs
  3    the logs cannot be read, or stdout not be written to
  130  interrupted by Ctrl-C (143: by SIGTERM)

Of each execution environment the newest 4 to 8 MiB are kept, of a function the
newest 100 environments and 64 MiB.";

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

#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArguments {
    /// Functions: NAME=TARGET, or TARGET alone for a name made from it; TARGET is a folder, a .zip or an
    /// executable. They are there as long as this server runs; others are created through the API
    #[arg(value_name = "NAME=TARGET")]
    pub(crate) functions: Vec<String>,

    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    pub(crate) listen: SocketAddr,

    /// Give a function a URL, whose HTTP requests it answers (invoke mode BUFFERED), on a port of the system's choice or
    /// on ADDRESS; may be repeated
    #[arg(long, value_name = "NAME[=ADDRESS]", value_parser = url)]
    pub(crate) url: Vec<Url>,

    /// Likewise in invoke mode RESPONSE_STREAM: answers are bytes, or a prelude and bytes; may be repeated
    #[arg(long, value_name = "NAME[=ADDRESS]", value_parser = url)]
    pub(crate) url_stream: Vec<Url>,

    /// How fast streamed responses leave: as fast as they are read, or 6 MiB at once and then 2 MiB a second, as on AWS
    #[arg(long, value_enum, value_name = "BANDWIDTH", default_value = "unlimited")]
    pub(crate) stream_bandwidth: StreamBandwidth,

    /// Most execution environments at a time, over all functions; beyond it callers are throttled
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_environments: u16,

    /// Memory that all environments together may have, idle ones included, by the size their functions were given; beyond it
    /// callers are throttled [default: this machine's, or its control group's if that is less, without a sixteenth and at least
    /// 256 MB, for the server and the rest]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_memory: Option<u64>,

    /// Give out so many times that memory. Most functions use a part of theirs only; but when together they use more than there
    /// is, the system ends some. So 1 unless chosen
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = factor)]
    pub(crate) overcommit_memory: f64,

    /// Give out at most so many times the processor time of this machine, 1769 MB of memory being worth one processor [default:
    /// no bound, as too little of it makes functions slower and ends none]
    #[arg(long, value_name = "FACTOR", value_parser = factor)]
    pub(crate) overcommit_cpu: Option<f64>,

    /// Sandboxes that are kept ready for environments to come, with namespaces; 0: each is made when it is asked for [default:
    /// 2 for each processor, 4 to 16]
    #[arg(long, value_name = "N")]
    pub(crate) blanks: Option<u16>,

    /// Keep N environments of a function initialised ahead of its invocations, counted by --max-environments; may be
    /// repeated
    #[arg(long, value_name = "NAME=N", value_parser = provisioned)]
    pub(crate) provisioned: Vec<Provisioned>,

    /// Let an environment take up to N invocations at a time, 1 to 1600 (Managed Instances; the log is JSON)
    #[arg(long, value_name = "N", conflicts_with = "snap_start")]
    pub(crate) max_concurrency: Option<u16>,

    /// How long an invocation may wait for an environment before it is throttled, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) wait_ms: u64,

    /// End an environment that has been idle for this long, in seconds
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) idle_timeout: u32,

    /// How long running invocations may take to end after SIGTERM or Ctrl-C, in seconds
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub(crate) drain_timeout: u32,

    /// Invocations at a time, over all functions: the account's limit
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) account_concurrency: u32,

    /// New execution environments of one function in 10 seconds; 0: no bound
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) scaling_rate: u32,

    /// Requests in a second for each invocation that may run at a time, of a function and of the account; 0: no bound
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) request_rate: u32,

    /// Multiply the delays and ages of asynchronous events, which are minutes and hours; for tests
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = factor)]
    pub(crate) event_time_scale: f64,

    #[command(flatten)]
    pub(crate) door: DoorArguments,

    #[command(flatten)]
    pub(crate) function: FunctionArguments,

    #[command(flatten)]
    pub(crate) server: ServerArguments,
}

/// Who may call, and how this server is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Callers")]
pub(crate) struct DoorArguments {
    /// Answer only requests that are signed with one of the credentials in this file (mode 600), and let each do what its
    /// policy allows. Without it nobody is asked, and the server listens on loopback only
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,

    /// Speak TLS, with this certificate and those that it is signed by (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// How callers reach this server, for links to code and function URLs [default: as it listens]
    #[arg(long, value_name = "URL")]
    pub(crate) origin: Option<String>,

    /// Where S3, SQS, SNS and EventBridge are reached, for code and for the outcomes of asynchronous events, as whoever
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of this server say [default: AWS's own]
    #[arg(long, value_name = "URL")]
    pub(crate) aws_endpoint: Option<String>,
}

/// A function that is to have a URL, and where that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) function: String,
    pub(crate) address: SocketAddr,
}

/// A function of which environments are kept initialised, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provisioned {
    pub(crate) function: String,
    pub(crate) count: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamBandwidth {
    Unlimited,
    Aws,
}

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

/// Which server. Requests are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, if there are any.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct EndpointArguments {
    /// The server; requests are signed with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where they are set
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9000", env = "FIRESTEEL_ENDPOINT")]
    pub(crate) endpoint: String,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArguments {
    /// A folder, a .zip or an executable
    pub(crate) target: String,

    /// Name of the function [default: from the target]
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// Publish it as its next version, too
    #[arg(long)]
    pub(crate) publish: bool,

    /// Handler, such as app.handler [default: found out]
    #[arg(long, value_name = "HANDLER")]
    pub(crate) handler: Option<String>,

    /// Runtime, such as python3.13, nodejs22.x, provided.al2023 [default: found out]
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) runtime: Option<String>,

    /// Memory in MB [default: 128, or as it is]
    #[arg(long, value_name = "MB")]
    pub(crate) memory: Option<u32>,

    /// Size of /tmp in MB [default: 512, or as it is]
    #[arg(long, value_name = "MB")]
    pub(crate) ephemeral_storage: Option<u32>,

    /// Timeout in seconds [default: 3, or as it is]
    #[arg(long, value_name = "S")]
    pub(crate) timeout: Option<u32>,

    /// Environment variable; may be repeated. Those given replace all there were
    #[arg(long, value_name = "K=V")]
    pub(crate) env: Vec<String>,

    /// File of environment variables, one K=V a line; --env goes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// ARN of a layer version; may be repeated, later ones over earlier ones
    #[arg(long, value_name = "ARN")]
    pub(crate) layer: Vec<String>,

    /// What the function is for
    #[arg(long)]
    pub(crate) description: Option<String>,

    /// ARN of the function's role, which is shown and has no effect here
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<String>,

    /// Account that a role is made up for when none is given
    #[arg(long, value_name = "ID", default_value = "000000000000", value_parser = account_id)]
    pub(crate) account_id: String,

    /// The server's whole answer, as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// Name of the function
    pub(crate) name: String,

    /// What this version is for [default: as the function's]
    #[arg(long)]
    pub(crate) description: Option<String>,

    /// The server's whole answer, as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct FunctionsArguments {
    /// As JSON, with all that the server tells
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OfFunctionArguments {
    /// Name of the function
    pub(crate) name: String,

    /// As JSON, with all that the server tells
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    /// Name of the function
    pub(crate) name: String,

    /// Only this version
    #[arg(long, value_name = "N", conflicts_with = "alias")]
    pub(crate) version: Option<String>,

    /// Only this alias
    #[arg(long, value_name = "NAME")]
    pub(crate) alias: Option<String>,

    #[command(flatten)]
    pub(crate) server: EndpointArguments,
}

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

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArguments {
    /// Folder for what is kept: logs, unpacked packages, the functions' /tmp [default: the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Keep no log files: lines go to stderr only
    #[arg(long)]
    pub(crate) no_log_files: bool,

    /// Region that functions believe they are in
    #[arg(long, default_value = "us-east-1", value_parser = region)]
    pub(crate) region: String,

    /// Account that functions belong to
    #[arg(long, value_name = "ID", default_value = "000000000000", value_parser = account_id)]
    pub(crate) account_id: String,

    #[command(flatten)]
    pub(crate) isolation: IsolationArguments,
}

/// By what functions are held apart, from each other and from the host.
#[derive(Debug, Args)]
pub(crate) struct IsolationArguments {
    /// auto (namespaces where this machine allows them), namespace, oci (containers; oci:crun or oci:/path: by this OCI
    /// runtime), or process (none)
    #[arg(long, value_name = "KIND", default_value = "auto", env = "FIRESTEEL_ISOLATION")]
    pub(crate) isolation: Isolation,

    /// What functions can reach beside their own loopback [default: egress where this machine allows it, else none]
    #[arg(long, value_name = "KIND", env = "FIRESTEEL_NETWORK")]
    pub(crate) network: Option<Network>,

    /// What functions may reach although it is this machine's, such as 127.0.0.1:5432 or 10.0.0.0/8; may be repeated
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "ADDRESS[/BITS][:PORT]")]
    pub(crate) egress_allow: Vec<firesteel_sandbox::network::Allowed>,
}

/// What functions can reach beside their own loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// Nothing
    None,
    /// Everything outside of this machine
    Egress,
    /// All that this machine can, itself included: for development against local services
    Host,
}

fn url(value: &str) -> Result<Url, String> {
    let (function, address) = value.split_once('=').unwrap_or((value, "127.0.0.1:0"));
    let address = address.parse().map_err(|_| format!("`{address}` is no address such as 127.0.0.1:9001"))?;
    Ok(Url { function: function.to_owned(), address })
}

fn factor(value: &str) -> Result<f64, String> {
    match value.parse() {
        Ok(factor) if (0.001..=1_000_000.0).contains(&factor) => Ok(factor),
        _ => Err("a factor looks like 1.5".into()),
    }
}

fn provisioned(value: &str) -> Result<Provisioned, String> {
    let counted = value.split_once('=').and_then(|(function, count)| Some((function, count.parse().ok()?)));
    match counted {
        Some((function, count @ 1..)) => Ok(Provisioned { function: function.to_owned(), count }),
        _ => Err("a function and a number look like hello=2".into()),
    }
}

fn region(value: &str) -> Result<String, String> {
    let parts: Vec<&str> = value.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, names))
            if names.len() >= 2
                && names.iter().all(letters)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(value.to_owned())
        }
        _ => Err("a region looks like us-east-1".into()),
    }
}

fn account_id(value: &str) -> Result<String, String> {
    if value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(value.to_owned())
    } else {
        Err("an account id is twelve digits".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_url_may_have_an_address() {
        let parsed = |function: &str, address: &str| {
            Ok(Url { function: function.into(), address: address.parse().unwrap() })
        };
        assert_eq!(url("hello"), parsed("hello", "127.0.0.1:0"));
        assert_eq!(url("hello=127.0.0.1:9001"), parsed("hello", "127.0.0.1:9001"));
        assert_eq!(url("hello=[::1]:9001"), parsed("hello", "[::1]:9001"));
        assert!(url("hello=9001").is_err() && url("hello=").is_err());
    }

    #[test]
    fn provisioned_environments_have_a_function_and_a_number() {
        assert_eq!(provisioned("hello=2"), Ok(Provisioned { function: "hello".into(), count: 2 }));
        for wrong in ["hello", "hello=", "hello=0", "hello=-1", "hello=x", "hello=70000"] {
            assert!(provisioned(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn factors_are_above_nothing_and_finite() {
        assert_eq!((factor("1"), factor("0.5"), factor("10")), (Ok(1.0), Ok(0.5), Ok(10.0)));
        for wrong in ["", "0", "-1", "inf", "NaN", "1e9", "x"] {
            assert!(factor(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_and_accounts_are_checked() {
        assert!(region("us-east-1").is_ok() && region("us-gov-west-1").is_ok());
        assert!(region("").is_err() && region("mars").is_err() && region("us-east-x").is_err());
        assert!(account_id("000000000000").is_ok());
        assert!(account_id("1").is_err() && account_id("00000000000x").is_err());
    }
}
