//! `firesteel serve`: what is served, who may call, how much may run.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{FunctionArguments, ServerArguments};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
