//! By what the functions of a run are held apart: what was asked for, and what this host allows.
//!
//! | `--isolation` | what is done |
//! |---|---|
//! | `auto` | namespaces; where the host does not allow them, plain processes, which is said |
//! | `namespace` | namespaces, or the run does not begin |
//! | `process` | plain processes |

use std::str::FromStr;

use firesteel_sandbox::{Backend, InitProgram};

use crate::cli::{self, IsolationArguments, ServerArguments};
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::notice::tell;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Isolation {
    Auto,
    Namespace,
    Process,
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Isolation::Auto),
            "namespace" => Ok(Isolation::Namespace),
            "process" => Ok(Isolation::Process),
            _ => Err("there are auto, namespace and process".into()),
        }
    }
}

/// Opens what was asked for, and says what it lacks. `blanks`: how many sandboxes to keep ready.
pub(crate) async fn open(
    server: &ServerArguments,
    data: &DataFolder,
    blanks: usize,
) -> Result<Backend, Failure> {
    let arguments = &server.isolation;
    match arguments.isolation {
        Isolation::Process => Ok(Backend::Process),
        Isolation::Namespace => namespace(arguments, data, blanks).await.map_err(|error| {
            Failure::platform("this machine does not allow namespaces")
                .because(error.as_ref())
                .try_next("--isolation process, without isolation")
        }),
        Isolation::Auto => match namespace(arguments, data, blanks).await {
            Ok(backend) => Ok(backend),
            Err(error) => {
                tell(format_args!("firesteel: no isolation: {}", chain(error.as_ref())));
                Ok(Backend::Process)
            }
        },
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

#[cfg(target_os = "linux")]
async fn namespace(
    arguments: &IsolationArguments,
    data: &DataFolder,
    blanks: usize,
) -> Result<Backend, Error> {
    use firesteel_sandbox::namespace::{Network, Settings};
    use firesteel_sandbox::network::Egress;

    let network = match arguments.network {
        Some(cli::Network::None) => Network::None,
        Some(cli::Network::Host) => Network::Host,
        Some(cli::Network::Egress) => Network::Egress(Egress::find(arguments.egress_allow.clone())?),
        None => match Egress::find(arguments.egress_allow.clone()) {
            Ok(egress) => Network::Egress(egress),
            Err(unavailable) => {
                tell(format_args!("firesteel: functions have no network: {}", chain(&unavailable)));
                Network::None
            }
        },
    };

    let backend = Backend::namespace(Settings {
        id: data.id().to_owned(),
        folder: data.subfolder("sandboxes").map_err(|_| "the data folder cannot be used")?,
        blanks,
        network,
        init: InitProgram::default(),
    })?;
    match backend.probe().await {
        Ok(()) => Ok(backend),
        Err(error) => {
            backend.close().await;
            Err(error.into())
        }
    }
}

#[cfg(not(target_os = "linux"))]
async fn namespace(_: &IsolationArguments, _: &DataFolder, _: usize) -> Result<Backend, Error> {
    let _ = InitProgram::default();
    Err("there are namespaces on Linux only".into())
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
