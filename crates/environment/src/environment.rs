//! One execution environment, from outside: made, handed invocations, ended.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firesteel_sandbox::{self as sandbox, Sandbox};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::concurrent;
use crate::driver::Driver;
use crate::invocation::Admitted;
use crate::logs::{Log, Output};
use crate::pool::Seat;
use crate::pool::lease::Room;
use crate::spec::{Layout, Placed, Spec};

/// What others may see of an environment's state. Only its driver writes it.
#[derive(Debug)]
pub(crate) struct Published {
    takes_invocation: AtomicBool,
}

impl Published {
    pub(crate) fn publish(&self, takes_invocation: bool) {
        self.takes_invocation.store(takes_invocation, Ordering::Release);
    }
}

/// How the last init ended: well, or by an error of this type.
pub(crate) type Initialization = Result<(), String>;

/// What the pool tells a driver.
#[derive(Debug)]
pub(crate) enum Command {
    Invoke(Box<Admitted>),
    Shutdown,
}

/// What a driver is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) spec: Arc<Spec>,
    pub(crate) published: Arc<Published>,
    /// `None` until an init is over.
    pub(crate) initialization: watch::Sender<Option<Initialization>>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) sandbox: Sandbox,
    pub(crate) sandbox_events: sandbox::Events,
    /// Where the layers are, as the processes see it.
    pub(crate) opt: PathBuf,
    pub(crate) log: Log,
}

/// Why an environment could not be made: always the host's state.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The environment's folder.
    #[error("making the folder {} of an execution environment", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The environment's sandbox.
    #[error("making the sandbox of an execution environment")]
    Sandbox(#[source] sandbox::CreateError),
}

/// A handle on a running environment. The driver ends the environment when the last handle is dropped.
#[derive(Debug)]
pub(crate) struct Environment {
    id: Uuid,
    commands: mpsc::Sender<Command>,
    published: Arc<Published>,
    initialization: watch::Receiver<Option<Initialization>>,
    /// By which invocations come. Held so that its address is nobody else's as long as there is an environment of it.
    spec: Arc<Spec>,
    /// How many invocations it takes at a time.
    slots: usize,
    /// If it is one of those that are kept initialised.
    seat: Option<Seat>,
    /// Its place in the pool.
    room: Room,
}

impl Environment {
    /// Makes the sandbox and starts the driver, whose task is returned; init is under way from here.
    pub(crate) async fn start(
        invoked_by: &Arc<Spec>,
        seat: Option<Seat>,
        site: Site<'_>,
        output: Output,
        room: Room,
        said_shortfall: &AtomicBool,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), CreateError> {
        let spec = Arc::clone(seat.as_ref().map_or(invoked_by, Seat::spec));
        let id = Uuid::new_v4();
        let name = id.simple().to_string();
        let folder = site.folder.create(&name, spec.layout)?;
        let (mounts, unplaced) = match spec.layout {
            Layout::Host => mounts_on_host(&spec, &folder),
            Layout::OwnRoot => (mounts_in_own_root(&spec), None),
        };
        let opt_is_bound = mounts.binds.iter().any(|bind| bind.at == Path::new(OPT));
        let sandbox_spec = sandbox::Spec {
            id: name.clone(),
            folder: folder.path.clone(),
            mounts,
            limits: limits(&spec),
            init: sandbox::InitProgram::default(),
        };
        let (sandbox, sandbox_events) =
            site.backend.create(sandbox_spec).await.map_err(CreateError::Sandbox)?;

        let refused = match sandbox.mounted() {
            sandbox::Mounted::Not { reason } => Some(reason.clone()),
            sandbox::Mounted::AsAsked => None,
        };
        let opt =
            if opt_is_bound && refused.is_none() { OPT.into() } else { spec.opt.clone().unwrap_or_default() };
        let shortfall: Vec<_> = unplaced.into_iter().chain(refused).collect();
        if !shortfall.is_empty() && !said_shortfall.swap(true, Ordering::Relaxed) {
            let reason = shortfall.join("; ");
            tracing::warn!(reason, "functions can write to, or find, what is this machine's and not theirs");
        }
        let log = Log::new(output, Arc::clone(&spec), log_stream(&spec.version, &name), spec.initialization);
        let slots = spec.slots();
        // Room for an invocation in each slot and a shutdown: the pool never sends more.
        let (commands, commands_receiver) = mpsc::channel(slots + 3);
        // The driver starts before it looks at what it is sent.
        let published = Arc::new(Published { takes_invocation: AtomicBool::new(true) });
        let (initialization, initialization_receiver) = watch::channel(None);
        let several = spec.max_concurrency.is_some();
        let parts = Parts {
            spec,
            published: Arc::clone(&published),
            initialization,
            commands: commands_receiver,
            sandbox,
            sandbox_events,
            opt,
            log,
        };
        let task = async move {
            if several {
                concurrent::Driver::new(parts, slots).run().await;
            } else {
                Driver::new(parts).run().await;
            }
            // Last: the function's files go when nothing can write to them any more.
            let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
        };
        let environment = Environment {
            id,
            commands,
            published,
            initialization: initialization_receiver,
            spec: Arc::clone(invoked_by),
            slots,
            seat,
            room,
        };
        Ok((environment, task))
    }

    /// Hands an invocation over. A driver that is gone drops it, which tells the caller.
    pub(crate) fn invoke(&self, admitted: Admitted) {
        let _ = self.commands.try_send(Command::Invoke(Box::new(admitted)));
    }

    /// Ends it: what runs is cut off.
    pub(crate) fn shutdown(&self) {
        let _ = self.commands.try_send(Command::Shutdown);
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// How many invocations it takes at a time.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// Whether it is one of those that are kept initialised.
    pub(crate) fn is_provisioned(&self) -> bool {
        self.seat.is_some()
    }

    pub(crate) fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    /// By which invocations come.
    pub(crate) fn spec(&self) -> &Arc<Spec> {
        &self.spec
    }

    /// How its last init ended, to be waited for.
    pub(crate) fn initialization(&self) -> watch::Receiver<Option<Initialization>> {
        self.initialization.clone()
    }

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    pub(crate) fn takes_invocation(&self) -> bool {
        !self.commands.is_closed() && self.published.takes_invocation.load(Ordering::Acquire)
    }
}

/// What environments are made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) backend: &'a sandbox::Backend,
}

/// Processes and threads of one environment. As on AWS.
const MAX_PROCESSES: u32 = 1024;

/// The processors are its own until init is over; see [`crate::processes`].
fn limits(spec: &Spec) -> sandbox::Limits {
    sandbox::Limits {
        memory_bytes: Some(u64::from(spec.memory_mib) << 20),
        processes: Some(MAX_PROCESSES),
        cpu: None,
        tmp_mib: spec.tmp_mib,
    }
}

/// Where environments keep their files.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The parent of every environment's own folder.
    pub parent: PathBuf,
}

/// One environment's own folder, removed when dropped.
#[derive(Debug)]
struct OwnFolder {
    path: PathBuf,
}

impl OwnFolder {
    fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    fn hosts(&self) -> PathBuf {
        self.path.join("hosts")
    }

    /// With what takes the place of the host's.
    fn fill(&self) -> std::io::Result<()> {
        std::fs::create_dir(self.tmp())?;
        std::fs::set_permissions(self.tmp(), Permissions::from_mode(0o1777))?;
        std::fs::write(self.hosts(), with_own_names(std::fs::read(HOSTS).unwrap_or_default()))
    }
}

/// The one place that a function may write to. In a root of its own it is the sandbox's to make, as are the names of the
/// machine.
const TMP: &str = "/tmp";

/// Where functions expect their layers. Extensions are built with paths below it.
const OPT: &str = "/opt";

const HOSTS: &str = "/etc/hosts";

/// Names under which extensions listen for telemetry, and tell it to the platform.
const OWN_NAMES: &[u8] = b"127.0.0.1 sandbox.localdomain sandbox\n";

/// In a root of its own a function sees its places, and can write to those alone that say so.
fn mounts_in_own_root(spec: &Spec) -> sandbox::Mounts {
    let place = |place: &Placed| sandbox::Bind {
        from: place.on_host.clone(),
        at: place.inside.clone(),
        read_only: !place.writable,
    };
    sandbox::Mounts {
        binds: spec.places.iter().map(place).collect(),
        tree: spec.image.as_ref().map(|image| image.tree.clone()),
        ..sandbox::Mounts::default()
    }
}

/// Code, layers and runtime cannot be written to; `/tmp`, `/opt` and `/etc/hosts` are the environment's own.
///
/// A place that something of the function lies in cannot be hidden from it: then it stays the host's. For `/opt` that is
/// told, for people, as is a host that has none.
fn mounts_on_host(spec: &Spec, folder: &OwnFolder) -> (sandbox::Mounts, Option<String>) {
    let read_only: Vec<PathBuf> = spec.places.iter().map(|place| place.on_host.clone()).collect();
    // What is started may be wrapped: then the interpreter is an argument.
    let arguments = spec.entrypoint.arguments.iter().map(Path::new);
    let needed: Vec<&Path> =
        read_only.iter().chain([&spec.entrypoint.program]).map(PathBuf::as_path).chain(arguments).collect();
    let below = |place: &str| needed.iter().find(|path| path.starts_with(place));

    let mut binds = Vec::new();
    if Path::new(HOSTS).is_file() {
        binds.push(sandbox::Bind { from: folder.hosts(), at: HOSTS.into(), read_only: true });
    }
    let mut unplaced = None;
    if let Some(opt) = spec.opt.clone().filter(|opt| opt != Path::new(OPT)) {
        match below(OPT) {
            Some(path) => unplaced = Some(format!("layers are not at {OPT}, as it holds {}", path.display())),
            None if !Path::new(OPT).is_dir() => {
                unplaced = Some(format!("layers are not at {OPT}, as this machine has no such folder"));
            }
            None => binds.push(sandbox::Bind { from: opt, at: OPT.into(), read_only: true }),
        }
    }
    // Last, as it may hide what is bound elsewhere.
    if below(TMP).is_none() {
        binds.push(sandbox::Bind { from: folder.tmp(), at: TMP.into(), read_only: false });
    }
    (sandbox::Mounts { read_only, binds, ..sandbox::Mounts::default() }, unplaced)
}

impl Folder {
    fn create(&self, id: &str, layout: Layout) -> Result<OwnFolder, CreateError> {
        let own = OwnFolder { path: self.parent.join(id) };
        std::fs::create_dir_all(&own.path)
            .and_then(|()| match layout {
                Layout::Host => own.fill(),
                Layout::OwnRoot => Ok(()),
            })
            .map_err(|source| CreateError::Folder { path: own.path.clone(), source })?;
        Ok(own)
    }
}

impl Drop for OwnFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "an environment's folder could not be removed");
        }
    }
}

/// The host's names for addresses, then ours: asked for the name of 127.0.0.1, the first one answers.
fn with_own_names(mut hosts: Vec<u8>) -> Vec<u8> {
    if hosts.last().is_some_and(|last| *last != b'\n') {
        hosts.push(b'\n');
    }
    hosts.extend(OWN_NAMES);
    hosts
}

/// Such as `2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef`.
fn log_stream(version: &str, id: &str) -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    format!("{:04}/{:02}/{:02}/[{version}]{id}", today.year(), today.month(), today.day())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Entrypoint, tests::spec};

    /// Its files are real, and removed when it is dropped.
    fn own_folder() -> OwnFolder {
        folder_for(Layout::Host)
    }

    fn folder_for(layout: Layout) -> OwnFolder {
        let name = format!("firesteel-{}", Uuid::new_v4());
        Folder { parent: std::env::temp_dir() }.create(&name, layout).unwrap()
    }

    fn same(path: &str) -> Placed {
        Placed { on_host: path.into(), inside: path.into(), writable: false }
    }

    /// Its layers are at `opt`.
    fn layered(opt: &str) -> Spec {
        let mut layered = Spec { opt: Some(opt.into()), ..spec() };
        layered.places.push(same(opt));
        layered
    }

    fn places(mounts: &sandbox::Mounts) -> Vec<&str> {
        mounts.binds.iter().map(|bind| bind.at.to_str().unwrap()).filter(|at| *at != HOSTS).collect()
    }

    #[test]
    fn layers_are_bound_where_functions_expect_them() {
        let (mounts, unplaced) = mounts_on_host(&layered("/data/layers"), &own_folder());
        assert!(mounts.read_only.contains(&"/data/layers".into()), "seen in their own place too");
        if Path::new(OPT).is_dir() {
            assert_eq!(places(&mounts), [OPT, TMP]);
            assert!(mounts.binds.iter().all(|bind| bind.read_only == (bind.at != Path::new(TMP))));
            assert_eq!(unplaced, None);
        } else {
            assert_eq!(places(&mounts), [TMP]);
            assert!(unplaced.unwrap().contains("no such folder"));
        }
    }

    #[test]
    fn what_a_function_needs_is_never_hidden() {
        let wrapped = |interpreter: &str| Entrypoint {
            program: "/bin/sh".into(),
            arguments: vec!["/data/layers/bootstrap".into(), interpreter.into()],
        };
        let elsewhere = layered("/data/layers");
        let program = Entrypoint { program: "/opt/node/bin/node".into(), arguments: Vec::new() };
        for in_opt in [
            Spec { entrypoint: program, ..elsewhere.clone() },
            Spec { entrypoint: wrapped("/opt/node/bin/node"), ..elsewhere.clone() },
            Spec { task_root: "/opt/app".into(), places: vec![same("/opt/app")], ..elsewhere.clone() },
            layered("/opt/firesteel/layers"),
        ] {
            let (mounts, unplaced) = mounts_on_host(&in_opt, &own_folder());
            assert_eq!(places(&mounts), [TMP]);
            assert!(unplaced.unwrap().contains("as it holds /opt/"));
        }
        let in_tmp = Spec { entrypoint: wrapped("/tmp/node"), ..elsewhere };
        assert!(!places(&mounts_on_host(&in_tmp, &own_folder()).0).contains(&TMP));
    }

    #[test]
    fn without_layers_opt_is_the_hosts_and_nothing_is_said() {
        for spec in [spec(), layered(OPT)] {
            let (mounts, unplaced) = mounts_on_host(&spec, &own_folder());
            assert_eq!((places(&mounts), unplaced), (vec![TMP], None));
        }
    }

    #[test]
    fn in_a_root_of_its_own_places_are_bound_and_nothing_else() {
        let placed = |(on_host, inside, writable): (&str, &str, bool)| Placed {
            on_host: on_host.into(),
            inside: inside.into(),
            writable,
        };
        let bound = |(on_host, inside, writable): (&str, &str, bool)| sandbox::Bind {
            from: on_host.into(),
            at: inside.into(),
            read_only: !writable,
        };
        let places = [
            ("/tmp/code", "/var/task", false),
            ("/data/layers", OPT, false),
            ("/srv/me/node", "/srv/me/node", false),
            ("/srv/me/data", "/data", true),
        ];
        let spec = Spec {
            layout: Layout::OwnRoot,
            places: places.map(placed).into(),
            opt: Some(OPT.into()),
            ..spec()
        };
        let mounts = mounts_in_own_root(&spec);
        assert_eq!(mounts.binds, places.map(bound));
        assert_eq!(mounts.read_only, [] as [PathBuf; 0]);
        let folder = folder_for(Layout::OwnRoot);
        assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 0);
    }

    #[test]
    fn own_names_are_added_to_those_of_the_host() {
        for host in ["127.0.0.1 localhost", "127.0.0.1 localhost\n"] {
            let hosts = String::from_utf8(with_own_names(host.into())).unwrap();
            assert_eq!(hosts, "127.0.0.1 localhost\n127.0.0.1 sandbox.localdomain sandbox\n");
        }
        let folder = own_folder();
        assert!(std::fs::read(folder.hosts()).unwrap().ends_with(OWN_NAMES));
    }
}
