//! Each kind of isolation, tried: a sandbox with limits is made, a program runs in it, it is ended.

use std::collections::BTreeMap;
use std::time::Duration;

use firesteel_sandbox::{
    Backend, CpuShare, Event, Events, Exit, InitProgram, Limits, Mounts, Process, Program, Sandbox, Spec,
};

use super::Check;
use crate::cli::{IsolationArguments, Network};
use crate::data_folder::DataFolder;
use crate::isolation::{self, Error, Isolation, OpenError, Opened, chain, next_for_limits, next_for_tmp};

/// Far more than a shell needs to end on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) kinds: Vec<Check>,
    /// What functions would get.
    pub(super) chosen: &'static str,
    /// Of what was chosen.
    pub(super) limits: Vec<Check>,
    pub(super) network: Vec<Check>,
}

/// Tries all kinds; those decide that functions would get, or should.
pub(super) async fn all(arguments: &IsolationArguments, data: &DataFolder) -> Tried {
    let (asked, wants_process) = (&arguments.isolation, arguments.isolation == Isolation::Process);
    let namespace = namespace(arguments, data).await;
    let containers = containers(arguments, data).await;
    let process = process(data).await;
    let of = |kind: &Isolating| {
        let limits = kind.limits.clone().unwrap_or_default();
        (limits, network(arguments, kind.no_egress.clone()))
    };
    let (chosen, (limits, network)) = match asked {
        Isolation::Oci(_) => ("oci", of(&containers)),
        Isolation::Auto | Isolation::Namespace if namespace.limits.is_some() => ("namespace", of(&namespace)),
        Isolation::Namespace => ("namespace", (Vec::new(), no_network(arguments))),
        // Who asks for no isolation lacks none, but lacks the limits.
        Isolation::Auto | Isolation::Process => ("process", (no_limits(), no_network(arguments))),
    };
    let wants_containers = matches!(asked, Isolation::Oci(_));
    Tried {
        kinds: vec![
            if wants_process || wants_containers { namespace.check } else { namespace.check.deciding() },
            if wants_containers { containers.check.deciding() } else { containers.check },
            if wants_process { process.deciding() } else { process },
        ],
        chosen,
        limits: limits.into_iter().map(Check::deciding).collect(),
        network: vec![network],
    }
}

/// What came of a kind that isolates.
#[derive(Debug)]
struct Isolating {
    check: Check,
    /// If it can be had.
    limits: Option<Vec<Check>>,
    /// Why there is no way out, where one was to be had if possible.
    no_egress: Option<String>,
}

async fn namespace(arguments: &IsolationArguments, data: &DataFolder) -> Isolating {
    let opened = isolation::namespace(arguments, data, 0).await;
    isolating("namespace", opened, data, next_for_namespaces()).await
}

async fn containers(arguments: &IsolationArguments, data: &DataFolder) -> Isolating {
    let runtime = match &arguments.isolation {
        Isolation::Oci(runtime) => runtime.as_deref(),
        _ => None,
    };
    let opened = isolation::containers(arguments, data, runtime).await;
    let next = if isolation::is_root() { "apt install crun" } else { "sudo firesteel doctor" };
    isolating("oci", opened, data, next).await
}

/// `next`: what to type where it cannot be had.
async fn isolating(
    name: &'static str,
    opened: Result<Opened, OpenError>,
    data: &DataFolder,
    next: &str,
) -> Isolating {
    let missing = |error: &Error, next: &str| {
        let check = Check::missing(name, chain(error.as_ref())).try_next(next);
        Isolating { check, limits: None, no_egress: None }
    };
    let Opened { backend, no_egress } = match opened {
        Ok(opened) => opened,
        Err(OpenError::Network(error)) => {
            return missing(&error, "--network none, or what is said to be missing");
        }
        Err(OpenError::Isolation(error)) => return missing(&error, next),
    };
    let found = match &backend {
        #[cfg(target_os = "linux")]
        Backend::Oci(containers) => format!("containers, by {}", containers.runtime().version()),
        _ => "namespaces, a file system and limits of its own for each environment".to_owned(),
    };
    let tried = use_sandbox(&backend, data).await;
    let limits = limits(&backend);
    backend.close().await;
    match tried {
        Ok(()) => Isolating { check: Check::ok(name, found), limits: Some(limits), no_egress },
        Err(error) => missing(&error, next),
    }
}

async fn process(data: &DataFolder) -> Check {
    const NAME: &str = "process";
    match use_sandbox(&Backend::Process, data).await {
        Ok(()) => Check::ok(NAME, "no isolation: functions run as you"),
        Err(error) => Check::missing(NAME, chain(error.as_ref())),
    }
}

fn next_for_namespaces() -> &'static str {
    if isolation::is_root() {
        "as root of the machine itself, or in a container that may do as much: --privileged"
    } else {
        "sudo firesteel doctor"
    }
}

/// Makes one, runs a program in it to its end, and ends it.
async fn use_sandbox(backend: &Backend, data: &DataFolder) -> Result<(), Error> {
    let folder = data.subfolder("environments").map_err(|_| "the data folder cannot be used")?;
    let spec = Spec {
        id: "doctor".into(),
        folder: folder.clone(),
        mounts: Mounts::default(),
        limits: Limits {
            memory_bytes: Some(128 << 20),
            processes: Some(64),
            cpu: Some(CpuShare::from_thousandths(1000)),
            tmp_mib: 512,
        },
        init: InitProgram::default(),
    };
    let (sandbox, events) = backend.create(spec).await?;
    let used = tokio::time::timeout(PATIENCE, run_program(&sandbox, events)).await;
    sandbox.close().await;
    used.unwrap_or_else(|_| Err("a program that was started in a sandbox did not end".into()))
}

async fn run_program(sandbox: &Sandbox, mut events: Events) -> Result<(), Error> {
    let nowhere = || std::fs::OpenOptions::new().write(true).open("/dev/null");
    let program = Program {
        name: "true".into(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), ":".into()],
        variables: BTreeMap::new(),
        working_dir: "/".into(),
    };
    sandbox.spawn(Process { program, stdout: nowhere()?.into(), stderr: nowhere()?.into() })?;
    loop {
        match events.recv().await {
            Some(Event::Started { .. }) => {}
            Some(Event::Exited { status: Exit::Code(0), .. }) => return Ok(()),
            Some(Event::Exited { status, .. }) => {
                return Err(format!("a program that was run in a sandbox ended with {status:?}").into());
            }
            Some(Event::SpawnFailed { message, .. }) => {
                return Err(format!("no program can be run in a sandbox: {message}").into());
            }
            Some(Event::Emptied | Event::Lost) | None => return Err("the sandbox ended by itself".into()),
        }
    }
}

/// What each is held by, or why it is not.
fn limits(backend: &Backend) -> Vec<Check> {
    let rows = backend.enforcement().map(firesteel_sandbox::Enforcement::rows).into_iter().flatten();
    let mut checks: Vec<_> = rows
        .map(|(name, means)| match means {
            firesteel_sandbox::Means::By(files) => Check::ok(name, files),
            firesteel_sandbox::Means::Not { reason } => {
                Check::degraded(name, reason).try_next(next_for_limits())
            }
        })
        .collect();
    checks.push(match backend.tmp_in_memory() {
        None => Check::ok("/tmp", "on disk, a file system of the size that the function was given"),
        Some(reason) => Check::degraded("/tmp", format!("in memory, and counted as such: {reason}"))
            .try_next(next_for_tmp()),
    });
    checks
}

fn no_limits() -> Vec<Check> {
    let missing = |name: &str| Check::missing(name, "not limited without isolation");
    vec![
        missing("memory"),
        missing("processor time"),
        missing("processes"),
        missing("/tmp"),
        Check::degraded("freezing", "by signals, which functions can notice"),
        Check::degraded("memory peak", "by looking now and then"),
    ]
}

/// What functions reach beside their own loopback. A way out that nobody asked for decides nothing.
fn network(arguments: &IsolationArguments, no_egress: Option<String>) -> Check {
    match (arguments.network, no_egress) {
        (Some(Network::None), _) => Check::ok("none", "functions reach nothing beside their own loopback"),
        (Some(Network::Host), _) => {
            Check::ok("host", "functions reach all that this machine can, itself included")
        }
        (Some(Network::Egress) | None, None) => {
            Check::ok("egress", "functions reach what is outside of this machine, and not this machine")
        }
        // What it says ends with what to do.
        (Some(Network::Egress) | None, Some(reason)) => Check::missing("egress", reason),
    }
}

fn no_network(arguments: &IsolationArguments) -> Check {
    let found = "functions reach all that this machine can, itself included, as they are not isolated";
    match arguments.network {
        Some(Network::Host) => Check::ok("host", found),
        _ => Check::degraded("host", found),
    }
}
