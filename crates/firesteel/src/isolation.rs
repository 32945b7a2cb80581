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
            let what = match error {
                NamespaceError::Network(_) => "functions cannot be let out",
                NamespaceError::Isolation(_) => "this machine does not allow namespaces",
            };
            refused(what, error)
        })?),
        Isolation::Oci(runtime) => {
            let backend = containers(arguments, data, runtime.as_deref()).await.map_err(|error| {
                Failure::platform("this machine does not allow containers")
                    .because(error.as_ref())
                    .try_next("firesteel doctor, which tells more; or --isolation namespace")
            })?;
            let unasked = arguments.network.is_none();
            let reason = "there is no way out of containers; try: --isolation namespace, or --network host";
            Some(Opened { backend, no_egress: unasked.then(|| reason.to_owned()) })
        }
        Isolation::Auto => match namespace(arguments, data, blanks).await {
            Ok(opened) => Some(opened),
            // It would be had without isolation, and much more with it.
            Err(error @ NamespaceError::Network(_)) => {
                return Err(refused("functions cannot be let out", error));
            }
            Err(NamespaceError::Isolation(error)) => {
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

fn refused(what: &str, error: NamespaceError) -> Failure {
    let (error, other) = match error {
        NamespaceError::Network(error) => (error, "--network none"),
        NamespaceError::Isolation(error) => (error, "--isolation process, without isolation"),
    };
    Failure::platform(what)
        .because(error.as_ref())
        .try_next(format!("firesteel doctor, which tells more; or {other}"))
}

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// Namespaces, as they could be had.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) backend: Backend,
    /// Why functions have no network, where none was asked for and they would have one.
    pub(crate) no_egress: Option<String>,
}

/// What cannot be had.
#[derive(Debug)]
pub(crate) enum NamespaceError {
    /// The network that was asked for.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there are none to be asked for"))]
    Network(Error),
    /// Any isolation by namespaces.
    Isolation(Error),
}

/// Opens namespaces with the network that was asked for; where none was, with a way out if that can be had.
#[cfg(target_os = "linux")]
pub(crate) async fn namespace(
    arguments: &IsolationArguments,
    data: &DataFolder,
    blanks: usize,
) -> Result<Opened, NamespaceError> {
    use firesteel_sandbox::namespace::Network;
    use firesteel_sandbox::network::Egress;

    let egress = || Egress::find(arguments.egress_allow.clone());
    let (network, no_egress) = match arguments.network {
        Some(cli::Network::None) => (Network::None, None),
        Some(cli::Network::Host) => (Network::Host, None),
        Some(cli::Network::Egress) => {
            let found = egress().map_err(|error| NamespaceError::Network(error.into()))?;
            return match probed(Network::Egress(found), data, blanks).await {
                Ok(backend) => Ok(Opened { backend, no_egress: None }),
                // Whose fault it is shows without.
                Err(error) if probed(Network::None, data, 0).await.is_ok() => {
                    Err(NamespaceError::Network(error))
                }
                Err(error) => Err(NamespaceError::Isolation(error)),
            };
        }
        None => match egress() {
            Err(unavailable) => (Network::None, Some(chain(&unavailable))),
            Ok(found) => match probed(Network::Egress(found), data, blanks).await {
                Ok(backend) => return Ok(Opened { backend, no_egress: None }),
                Err(error) => (Network::None, Some(chain(error.as_ref()))),
            },
        },
    };
    let backend = probed(network, data, blanks).await.map_err(NamespaceError::Isolation)?;
    Ok(Opened { backend, no_egress })
}

/// Opens containers. Unless it is asked for, their network is none: there is no way out of them.
#[cfg(target_os = "linux")]
pub(crate) async fn containers(
    arguments: &IsolationArguments,
    data: &DataFolder,
    runtime: Option<&str>,
) -> Result<Backend, Error> {
    use firesteel_sandbox::namespace::Network;

    let network = match arguments.network {
        None | Some(cli::Network::None) => Network::None,
        Some(cli::Network::Host) => Network::Host,
        Some(cli::Network::Egress) => {
            Network::Egress(firesteel_sandbox::network::Egress::find(arguments.egress_allow.clone())?)
        }
    };
    let runtime = firesteel_sandbox::oci::OciRuntime::find(runtime)?;
    tried(Backend::oci(&settings(network, data, 0)?, runtime)?).await
}

#[cfg(target_os = "linux")]
async fn probed(
    network: firesteel_sandbox::namespace::Network,
    data: &DataFolder,
    blanks: usize,
) -> Result<Backend, Error> {
    tried(Backend::namespace(settings(network, data, blanks)?)?).await
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
) -> Result<Backend, Error> {
    Err("there are containers on Linux only".into())
}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn namespace(
    _: &IsolationArguments,
    _: &DataFolder,
    _: usize,
) -> Result<Opened, NamespaceError> {
    let _ = InitProgram::default();
    Err(NamespaceError::Isolation("there are namespaces on Linux only".into()))
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
