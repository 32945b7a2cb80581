//! By what the functions of a run are held apart: what was asked for, and what this host allows.
//!
//! | `--isolation` | what is done |
//! |---|---|
//! | `auto` | namespaces; where the host does not allow them, plain processes, which is said |
//! | `namespace` | namespaces, or the run does not begin |
//! | `oci` | containers, made by the best OCI runtime that is installed, or the run does not begin |
//! | `oci:crun`, `oci:/path/to/runtime` | likewise, by this one |
//! | `process` | plain processes |

use std::str::FromStr;

use firesteel_sandbox::{Backend, InitProgram};

use crate::cli::{IsolationArguments, ServerArguments};
use crate::data_folder::DataFolder;
use crate::exit::Failure;
use crate::notice::tell;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Isolation {
    Auto,
    Namespace,
    /// By this runtime, if one was named.
    Oci(Option<String>),
    Process,
}

impl FromStr for Isolation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Isolation::Auto),
            "namespace" => Ok(Isolation::Namespace),
            "oci" => Ok(Isolation::Oci(None)),
            "process" => Ok(Isolation::Process),
            _ => match text.strip_prefix("oci:") {
                Some(runtime) if !runtime.is_empty() => Ok(Isolation::Oci(Some(runtime.to_owned()))),
                _ => Err("there are auto, namespace, oci, oci:<runtime> and process".into()),
            },
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
    match &arguments.isolation {
        Isolation::Process => Ok(Backend::Process),
        Isolation::Namespace => namespace(arguments, data, blanks).await.map_err(|error| {
            Failure::platform("this machine does not allow namespaces")
                .because(error.as_ref())
                .try_next("--isolation process, without isolation")
        }),
        Isolation::Oci(runtime) => containers(arguments, data, runtime.as_deref()).await.map_err(|error| {
            Failure::platform("this machine does not allow containers")
                .because(error.as_ref())
                .try_next("--isolation namespace, which needs no runtime")
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
fn settings(
    arguments: &IsolationArguments,
    data: &DataFolder,
    blanks: usize,
) -> Result<firesteel_sandbox::namespace::Settings, Error> {
    Ok(firesteel_sandbox::namespace::Settings {
        id: data.id().to_owned(),
        folder: data.subfolder("sandboxes").map_err(|_| "the data folder cannot be used")?,
        blanks,
        network: arguments.network,
        init: InitProgram::default(),
    })
}

#[cfg(target_os = "linux")]
async fn namespace(
    arguments: &IsolationArguments,
    data: &DataFolder,
    blanks: usize,
) -> Result<Backend, Error> {
    probed(Backend::namespace(settings(arguments, data, blanks)?)?).await
}

#[cfg(target_os = "linux")]
async fn containers(
    arguments: &IsolationArguments,
    data: &DataFolder,
    runtime: Option<&str>,
) -> Result<Backend, Error> {
    let runtime = firesteel_sandbox::oci::OciRuntime::find(runtime)?;
    probed(Backend::oci(&settings(arguments, data, 0)?, runtime)?).await
}

#[cfg(target_os = "linux")]
async fn probed(backend: Backend) -> Result<Backend, Error> {
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

#[cfg(not(target_os = "linux"))]
async fn containers(_: &IsolationArguments, _: &DataFolder, _: Option<&str>) -> Result<Backend, Error> {
    Err("there are containers on Linux only".into())
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
