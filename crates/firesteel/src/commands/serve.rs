//! `firesteel serve [NAME=TARGET | TARGET]…`: the Lambda HTTP API over functions.
//!
//! The composition root: every part is built here and passed down. The order of the end is the reverse: no new
//! connections, requests under way answered, environments ended, logs printed, the run's folder removed.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use firesteel_api::Front;
use firesteel_api::authentication::{Credentials, Replay};
use firesteel_catalog::{FunctionName, Store, Version};
use firesteel_environment::{Capacity, Folder, Full, InitializationType, Limits, Pool, Spec};
use firesteel_invoke::plan::Host;
use firesteel_invoke::queue::rules::TimeScale;
use firesteel_invoke::{
    Admission, Bandwidth, Deployments, EventSettings, Events, Images, Invoker, Parts, admission,
};
use firesteel_runtimes::{Interpreters, Layout};
use firesteel_sandbox::Backend;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::capacity;
use crate::cli::{Provisioned, ServeArguments, StreamBandwidth};
use crate::data_folder::DataFolder;
use crate::door::{self, Outside};
use crate::exit::{Exit, Failure};
use crate::function::{self, Workshop};
use crate::function_urls::{self, BoundUrl};
use crate::images::FunctionImages;
use crate::isolation;
use crate::kept::Kept;
use crate::listen::listen;
use crate::mount::{self, Mount};
use crate::notice::tell;

pub(crate) async fn run(arguments: ServeArguments) -> Result<Exit, Failure> {
    let credentials = door::credentials(&arguments.door)?;
    let (listener, address) = listen("--listen ", arguments.listen, credentials.is_some()).await?;
    let signals = Signals::new()?;
    let data = DataFolder::open(arguments.server.data.as_deref())?;
    let backend = isolation::open(&arguments.server, &data, blanks(&arguments)).await?;
    let result = serve(arguments, (listener, address), credentials, signals, &data, &backend).await;
    backend.close().await;
    result
}

async fn serve(
    arguments: ServeArguments,
    (listener, address): (TcpListener, SocketAddr),
    credentials: Option<Arc<Credentials>>,
    mut signals: Signals,
    data: &DataFolder,
    backend: &Backend,
) -> Result<Exit, Failure> {
    let settings = door::settings(&arguments.door)?;
    let host = host(data, layout(backend), &arguments.function.mount)?;
    let Kept { store, code, queue } = Kept::open(&arguments.server, data, arguments.account_concurrency)?;
    let outside = Outside::new(arguments.server.aws_endpoint.as_deref(), &arguments.server.region);
    let images = FunctionImages::new(&arguments.server.images, outside.clone(), data).images();
    let given = tokio::select! {
        // An image may be long on its way.
        () = signals.next() => return Ok(Exit::Success),
        given = functions(&arguments, data, (&host, &images), &store) => given?,
    };
    let names: Vec<FunctionName> = given.iter().map(|(version, _)| version.name().clone()).collect();
    let urls = function_urls::listen(&arguments, &names).await?;
    let capacity = capacity::of_server(&arguments);
    let specs: Specs =
        given.iter().map(|(version, spec)| (version.name().clone(), Arc::clone(spec))).collect();
    capacity::check_each(&capacity, &specs)?;
    let provisioned = provisioned(&arguments, &specs, &capacity)?;

    let logs = super::start_logs(data, &arguments.server)?;
    let idle_timeout = Duration::from_secs(u64::from(arguments.idle_timeout));
    let limits = Limits { capacity, idle_timeout, max_wait: Duration::from_millis(arguments.wait_ms) };
    let output = logs.output(match names.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    let pool = Pool::new(limits, Folder { parent: data.subfolder("environments")? }, backend.clone(), output);
    let provisioned: Vec<_> =
        provisioned.into_iter().map(|(spec, count)| pool.provision(&spec, count)).collect();

    let deployments = Deployments::new(Arc::clone(&store), Some(code), Some(images), host, pool.clone());
    for (version, spec) in given {
        deployments.insert(&version, spec);
    }
    let invoker = Invoker::new(Parts {
        store,
        deployments,
        pool,
        admission: Admission::new(admission_limits(&arguments, idle_timeout)),
        queue,
        stream_bandwidth: match arguments.stream_bandwidth {
            StreamBandwidth::Unlimited => None,
            StreamBandwidth::Aws => Some(Bandwidth::AWS),
        },
    });
    invoker.begin().await.map_err(|error| Failure::from_error(Exit::Platform, &error))?;
    let front = front(&arguments, address, credentials.as_ref(), &outside, &invoker)?;
    let events = Events::start(&invoker, &event_settings(&arguments, &outside));

    say(&arguments, address, &names, &urls, backend);
    let grace = Duration::from_secs(u64::from(arguments.drain_timeout));
    let stop = CancellationToken::new();
    let mut servers = JoinSet::new();
    servers.spawn(firesteel_api::serve(listener, front, settings, stop.clone().cancelled_owned()));
    for BoundUrl { url, listener, .. } in urls {
        let stop = stop.clone().cancelled_owned();
        servers.spawn(firesteel_api::function_url::serve(listener, url, invoker.clone(), stop));
    }
    let result = drained(all(servers), &invoker, events, signals, stop, grace).await;
    drop(provisioned);
    drop(logs);
    result
}

fn front(
    arguments: &ServeArguments,
    address: SocketAddr,
    credentials: Option<&Arc<Credentials>>,
    outside: &Outside,
    invoker: &Invoker,
) -> Result<Front, Failure> {
    let region = arguments.server.region.as_str();
    Front::new(firesteel_api::Parts {
        invoker: invoker.clone(),
        s3: outside.s3()?,
        origin: door::origin(&arguments.door, address),
        authenticator: door::authenticator(credentials, region, Replay::Refused),
        url_authenticator: door::authenticator(credentials, region, Replay::Accepted),
    })
    .map_err(|error| Failure::platform("this machine has no random numbers").because(&error))
}

fn admission_limits(arguments: &ServeArguments, idle_timeout: Duration) -> admission::Limits {
    admission::Limits {
        account_concurrency: arguments.account_concurrency,
        requests_per_concurrency: Some(arguments.request_rate).filter(|rate| *rate > 0),
        new_environments_per_10_s: Some(arguments.scaling_rate).filter(|rate| *rate > 0),
        warm_for: idle_timeout,
        ..admission::Limits::AWS
    }
}

fn event_settings(arguments: &ServeArguments, outside: &Outside) -> EventSettings {
    // The command line takes none that it could not be.
    let scale = TimeScale::new(arguments.event_time_scale).unwrap_or(TimeScale::REAL);
    EventSettings { destinations: outside.destinations(), scale }
}

/// What people want to know of a server that has started.
fn say(
    arguments: &ServeArguments,
    address: SocketAddr,
    names: &[FunctionName],
    urls: &[BoundUrl],
    backend: &Backend,
) {
    let origin = door::origin(&arguments.door, address);
    for name in names {
        tell(format_args!("firesteel: {origin}/2015-03-31/functions/{name}/invocations"));
    }
    if names.is_empty() {
        tell(format_args!("firesteel: {origin}/2015-03-31/functions/ is the Lambda API"));
    }
    for BoundUrl { url, address, .. } in urls {
        tell(format_args!("firesteel: http://{address}/ is the URL of {}", url.function));
    }
    if arguments.server.data.is_none() && names.is_empty() {
        tell(format_args!(
            "firesteel: functions that are created end with this server; --data DIR keeps them"
        ));
    }
    match backend {
        Backend::Process => {
            tell(format_args!("firesteel: functions run as you, without isolation from this machine"));
        }
        #[cfg(target_os = "linux")]
        Backend::Oci(containers) => {
            tell(format_args!(
                "firesteel: each environment is a container, made by {}",
                containers.runtime().version()
            ));
        }
        #[cfg(target_os = "linux")]
        Backend::Namespace(_) => {
            tell(format_args!(
                "firesteel: each environment has namespaces, a file system and limits of its own"
            ));
        }
    }
}

/// The end of the last of them, or the first that fails, which is the end of the others.
async fn all(mut servers: JoinSet<std::io::Result<()>>) -> std::io::Result<()> {
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Serves until a signal, then drains. A second signal cuts the draining short.
async fn drained(
    server: impl Future<Output = std::io::Result<()>>,
    invoker: &Invoker,
    events: Events,
    mut signals: Signals,
    stop: CancellationToken,
    grace: Duration,
) -> Result<Exit, Failure> {
    tokio::pin!(server);
    let broke = |error: std::io::Error| Failure::platform("the server ended").because(&error);
    tokio::select! {
        result = &mut server => {
            invoker.shutdown(Duration::ZERO).await;
            return result.map(|()| Exit::Success).map_err(broke);
        }
        () = signals.next() => stop.cancel(),
    }
    tell(format_args!(
        "firesteel: finishing what runs, at most {} s; once more to end it now",
        grace.as_secs()
    ));
    let in_order = async {
        let deadline = tokio::time::Instant::now() + grace;
        let finished = tokio::time::timeout(grace, &mut server).await;
        // What is still running of them runs again, if it is kept.
        events.shutdown(deadline.saturating_duration_since(tokio::time::Instant::now())).await;
        invoker.shutdown(if finished.is_ok() { grace } else { Duration::ZERO }).await;
    };
    tokio::select! {
        () = in_order => {}
        () = signals.next() => invoker.shutdown(Duration::ZERO).await,
    }
    Ok(Exit::Success)
}

/// How many sandboxes are kept ready: as many as may be asked for while the next ones are made, which takes a
/// processor a few milliseconds each.
fn blanks(arguments: &ServeArguments) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.blanks.map_or((2 * cores).clamp(4, 16), usize::from)
}

/// What functions see here.
pub(super) fn layout(backend: &Backend) -> Layout {
    if backend.has_own_root() { Layout::OwnRoot } else { Layout::Host }
}

/// What this machine offers to functions that see `layout` of it.
pub(super) fn host(data: &DataFolder, layout: Layout, mounts: &[Mount]) -> Result<Host, Failure> {
    if let Err(error) = firesteel_sandbox::adopt_orphans() {
        tracing::warn!(%error, "processes that a function orphans on purpose may outlive it");
    }
    let runtime_dir = data.subfolder("runtime")?;
    firesteel_runtimes::install_bootstraps(&runtime_dir)
        .map_err(|error| Failure::from_error(Exit::Platform, &error))?;
    let mounts = mount::placed(mounts, layout)?;
    Ok(Host { interpreters: Interpreters::of_host(), runtime_dir, layout, mounts })
}

pub(crate) type Specs = HashMap<firesteel_catalog::FunctionName, Arc<Spec>>;
type Given = Vec<(Arc<Version>, Arc<Spec>)>;

/// Those of the command line.
async fn functions(
    arguments: &ServeArguments,
    data: &DataFolder,
    (host, images): (&Host, &Images),
    store: &Store,
) -> Result<Given, Failure> {
    let workshop = Workshop {
        data,
        host,
        images,
        store,
        server: &arguments.server,
        arguments: &arguments.function,
        max_concurrency: arguments.max_concurrency,
    };
    let mut given: Given = Vec::new();
    let mut compiled = HashSet::new();
    for argument in &arguments.functions {
        let (name, target) = named_target(argument);
        let name = function::name_of(name, target)?;
        // Before anything is unpacked: each name has one folder to unpack into.
        if given.iter().any(|(version, _)| *version.name() == name) {
            return Err(Failure::usage(format!("two functions are named `{name}`"))
                .try_next("give each its own name: NAME=TARGET"));
        }
        let prepared = workshop.prepare(name.clone(), target).await?;
        tell(format_args!("firesteel: {name}: {}", prepared.why));
        if let Some(runtime) = prepared.runtime
            && !compiled.contains(&runtime)
        {
            let Host { interpreters, runtime_dir, .. } = host;
            firesteel_runtimes::compile_bootstraps(&runtime, interpreters, runtime_dir);
            compiled.insert(runtime);
        }
        given.push((prepared.version, prepared.spec));
    }
    Ok(given)
}

/// What is to be kept initialised, and how many of each.
fn provisioned(
    arguments: &ServeArguments,
    specs: &Specs,
    capacity: &Capacity,
) -> Result<Vec<(Arc<Spec>, usize)>, Failure> {
    let mut all: Vec<(Arc<Spec>, usize)> = Vec::new();
    for Provisioned { function, count } in &arguments.provisioned {
        let spec = specs.iter().find(|(name, _)| name.as_str() == function).map(|(_, spec)| spec);
        let Some(spec) = spec else {
            return Err(Failure::usage(format!("--provisioned names `{function}`, which is not served"))
                .try_next("the name of a function that is"));
        };
        if all.iter().any(|(other, _)| Arc::ptr_eq(other, spec)) {
            return Err(Failure::usage(format!("--provisioned names `{function}` twice")));
        }
        if spec.initialization != InitializationType::OnDemand {
            let other = spec.initialization.name();
            return Err(Failure::usage(format!("--provisioned cannot be had together with {other}"))
                .try_next("neither --snap-start nor --max-concurrency"));
        }
        all.push((Arc::clone(spec), usize::from(*count)));
    }
    let count: usize = all.iter().map(|(_, count)| count).sum();
    let holds = capacity.holds(all.iter().map(|(spec, count)| (&**spec, *count)));
    holds.map(|()| all).map_err(|full| match full {
        Full::Environments { max } => Failure::usage(format!(
            "{count} provisioned environments do not fit into the {max} that there may be"
        ))
        .try_next(format!("--max-environments {count} or more, or fewer by --provisioned")),
        Full::Memory { max, .. } => Failure::usage(format!(
            "{count} provisioned environments do not fit into the {max} MB of memory that there are for all"
        ))
        .try_next("a larger --max-memory or --overcommit-memory, or fewer by --provisioned"),
        Full::Cpu { .. } => Failure::usage(format!(
            "{count} provisioned environments do not fit into the processor time that there is for all"
        ))
        .try_next("a larger --overcommit-cpu, or fewer by --provisioned"),
    })
}

/// `NAME=TARGET`, unless all of it is the path of something.
fn named_target(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((name, target)) if !std::path::Path::new(argument).exists() => (Some(name), target),
        _ => (None, argument),
    }
}

/// Both ways in which a server is asked to end.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::platform("signals cannot be received").because(&error))
        };
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_have_a_name_before_it() {
        assert_eq!(named_target("hello=./code"), (Some("hello"), "./code"));
        assert_eq!(named_target("./code"), (None, "./code"));
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a=b");
        std::fs::create_dir(&odd).unwrap();
        let odd = odd.to_str().unwrap();
        assert_eq!(named_target(odd), (None, odd));
    }
}
