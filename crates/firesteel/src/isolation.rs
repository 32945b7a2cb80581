//! By what the functions of a run are held apart: what was asked for, and what this host allows.
//!
//! | `--isolation` | what is done | what is said at the start |
//! |---|---|---|
//! | `auto` | the first of these that can be had: `namespace`, `process` | why not those before it |
//! | `namespace` | namespaces, or the run does not begin | |
//! | `oci` | containers, made by the best OCI runtime that is installed, or the run does not begin | |
//! | `oci:crun`, `oci:/path/to/runtime` | likewise, by this one | |
//! | `process` | plain processes | |
//!
//! Whatever it is, each limit that it cannot hold is said too, in a line with what to type. "Can be had" is never guessed: a
//! sandbox is made, and kept for the first function.
//!
//! Used by the commands that run functions, and by `doctor`, which tells the same at length.

use std::collections::BTreeSet;
use std::str::FromStr;

use firesteel_sandbox::{Backend, Groups, HostGroups, InitProgram, Means};

use crate::cli::{self, IsolationArguments, ServerArguments};
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
    remove_abandoned().await;
    let arguments = &server.isolation;
    let opened = match &arguments.isolation {
        Isolation::Process => None,
        Isolation::Namespace => Some(namespace(arguments, data, blanks).await.map_err(|error| {
            refused(
                "this machine does not allow namespaces",
                &error,
                "--isolation process, without isolation",
            )
        })?),
        Isolation::Oci(runtime) => {
            Some(containers(arguments, data, runtime.as_deref()).await.map_err(|error| {
                refused("this machine does not allow containers", &error, "--isolation namespace")
            })?)
        }
        Isolation::Auto => match namespace(arguments, data, blanks).await {
            Ok(opened) => Some(opened),
            // It would be had without isolation, and much more with it.
            Err(OpenError::Network(error)) => return Err(no_way_out(&error)),
            // No containers either: they are made of the same.
            Err(OpenError::Isolation(error)) => {
                let reason = chain(error.as_ref());
                tell(format_args!("firesteel: no isolation: {reason}; try: firesteel doctor"));
                tell(format_args!("firesteel: memory, processor time, processes and /tmp are not limited"));
                None
            }
        },
    };
    let Some(Opened { backend, no_egress }) = opened else {
        if matches!(arguments.network, Some(cli::Network::None | cli::Network::Egress)) {
            tell(format_args!(
                "firesteel: functions reach all that this machine can: --network needs isolation"
            ));
        }
        return Ok(Backend::Process);
    };
    if let Some(reason) = no_egress {
        tell(format_args!("firesteel: functions have no network: {reason}"));
    }
    for Shortfall { what, reason, next } in shortfalls(&backend) {
        tell(format_args!("firesteel: {what}: {reason}; try: {next}"));
    }
    Ok(backend)
}

/// Ends and removes the control groups that killed servers left, on whichever data folder they ran.
pub(crate) async fn remove_abandoned() {
    // Removing takes as long as what is in there takes to end.
    let removed = tokio::task::spawn_blocking(Groups::remove_abandoned).await.unwrap_or_default();
    // One server has a group of the same name in each hierarchy.
    let names: BTreeSet<_> = removed.iter().filter_map(|group| group.file_name()).collect();
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(|name| name.to_string_lossy()).collect();
        tell(format_args!(
            "firesteel: removed the control groups that killed runs left: {}",
            names.join(", ")
        ));
    }
}

/// What a backend that isolates does not do on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortfall {
    pub(crate) what: &'static str,
    pub(crate) reason: String,
    /// What to type.
    pub(crate) next: &'static str,
}

/// What functions could feel, in the order of weight. Nothing where everything is held, and nothing of a backend that is not to
/// hold anything. `doctor` tells of finer points too.
pub(crate) fn shortfalls(backend: &Backend) -> Vec<Shortfall> {
    let Some(enforcement) = backend.enforcement() else { return Vec::new() };
    // Who may use all memory may use all swap, and need not be told twice.
    let swap = enforcement.memory.is_there().then_some(("swap is not limited", &enforcement.swap));
    let rows = [
        ("memory is not limited", &enforcement.memory),
        ("processor time is not limited", &enforcement.cpu),
        ("processes are not limited", &enforcement.processes),
        ("functions are frozen by signals, which they can notice", &enforcement.freeze),
    ];
    let limits = rows.into_iter().chain(swap).filter_map(|(what, means)| match means {
        Means::By(_) => None,
        Means::Not { reason } => Some(Shortfall { what, reason: reason.clone(), next: next_for_limits() }),
    });
    let tmp = backend.tmp_in_memory().map(|reason| Shortfall {
        what: "/tmp is in memory and counts as such",
        reason: reason.to_owned(),
        next: next_for_tmp(),
    });
    limits.chain(tmp).collect()
}

/// Control groups are root's to give, and those of v1 are given to nobody.
pub(crate) fn next_for_limits() -> &'static str {
    let in_v1 = || HostGroups::read().is_ok_and(|groups| !groups.v1.is_empty());
    if is_root() {
        "a writable /sys/fs/cgroup with the controllers memory, cpu and pids; in a container: --privileged"
    } else if in_v1() {
        "sudo firesteel …"
    } else {
        "systemd-run --user --scope --property Delegate=yes firesteel …"
    }
}

pub(crate) fn next_for_tmp() -> &'static str {
    if is_root() { "modprobe loop; apt install e2fsprogs" } else { "sudo firesteel …" }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn no_way_out(error: &Error) -> Failure {
    failure("functions cannot be let out", error, "--network none")
}

/// `what` and `other`: where the network is not to blame.
fn refused(what: &str, error: &OpenError, other: &str) -> Failure {
    match error {
        OpenError::Network(error) => no_way_out(error),
        OpenError::Isolation(error) => failure(what, error, other),
    }
}

fn failure(what: &str, error: &Error, other: &str) -> Failure {
    Failure::platform(what)
        .because(error.as_ref())
        .try_next(format!("firesteel doctor, which tells more; or {other}"))
}

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// What isolates, as it could be had.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) backend: Backend,
    /// Why functions have no network, where none was asked for and they would have one.
    pub(crate) no_egress: Option<String>,
}

/// What cannot be had.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// The network that was asked for.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there are none to be asked for"))]
    Network(Error),
    /// The isolation itself.
    Isolation(Error),
}

/// Opens namespaces with the network that was asked for; where none was, with a way out if that can be had.
#[cfg(target_os = "linux")]
pub(crate) async fn namespace(
    arguments: &IsolationArguments,
    data: &DataFolder,
    blanks: usize,
) -> Result<Opened, OpenError> {
    opened(arguments, async |network| tried(Backend::namespace(settings(network, data, blanks)?)?).await)
        .await
}

/// Likewise containers, by the named runtime or the best that is installed.
#[cfg(target_os = "linux")]
pub(crate) async fn containers(
    arguments: &IsolationArguments,
    data: &DataFolder,
    runtime: Option<&str>,
) -> Result<Opened, OpenError> {
    let runtime = firesteel_sandbox::oci::OciRuntime::find(runtime)
        .map_err(|error| OpenError::Isolation(error.into()))?;
    let open = async |network| tried(Backend::oci(settings(network, data, 0)?, runtime.clone())?).await;
    opened(arguments, open).await
}

#[cfg(target_os = "linux")]
async fn opened(
    arguments: &IsolationArguments,
    open: impl AsyncFn(firesteel_sandbox::namespace::Network) -> Result<Backend, Error>,
) -> Result<Opened, OpenError> {
    use firesteel_sandbox::namespace::Network;
    use firesteel_sandbox::network::Egress;

    let egress = || Egress::find(arguments.egress_allow.clone());
    let (network, no_egress) = match arguments.network {
        Some(cli::Network::None) => (Network::None, None),
        Some(cli::Network::Host) => (Network::Host, None),
        Some(cli::Network::Egress) => {
            let found = egress().map_err(|error| OpenError::Network(error.into()))?;
            let error = match open(Network::Egress(found)).await {
                Ok(backend) => return Ok(Opened { backend, no_egress: None }),
                Err(error) => error,
            };
            // Whose fault it is shows without.
            return Err(match open(Network::None).await {
                Ok(backend) => {
                    backend.close().await;
                    OpenError::Network(error)
                }
                Err(_) => OpenError::Isolation(error),
            });
        }
        None => match egress() {
            Err(unavailable) => (Network::None, Some(chain(&unavailable))),
            Ok(found) => match open(Network::Egress(found)).await {
                Ok(backend) => return Ok(Opened { backend, no_egress: None }),
                Err(error) => (Network::None, Some(chain(error.as_ref()))),
            },
        },
    };
    let backend = open(network).await.map_err(OpenError::Isolation)?;
    Ok(Opened { backend, no_egress })
}

#[cfg(target_os = "linux")]
fn settings(
    network: firesteel_sandbox::namespace::Network,
    data: &DataFolder,
    blanks: usize,
) -> Result<firesteel_sandbox::namespace::Settings, Error> {
    Ok(firesteel_sandbox::namespace::Settings {
        id: data.id().to_owned(),
        folder: data.subfolder("sandboxes").map_err(|_| "the data folder cannot be used")?,
        blanks,
        network,
        init: InitProgram::default(),
    })
}

/// A sandbox is made.
#[cfg(target_os = "linux")]
async fn tried(backend: Backend) -> Result<Backend, Error> {
    match backend.probe().await {
        Ok(()) => Ok(backend),
        Err(error) => {
            backend.close().await;
            Err(error.into())
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn containers(
    _: &IsolationArguments,
    _: &DataFolder,
    _: Option<&str>,
) -> Result<Opened, OpenError> {
    Err(OpenError::Isolation("there are containers on Linux only".into()))
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn namespace(_: &IsolationArguments, _: &DataFolder, _: usize) -> Result<Opened, OpenError> {
    let _ = InitProgram::default();
    Err(OpenError::Isolation("there are namespaces on Linux only".into()))
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
