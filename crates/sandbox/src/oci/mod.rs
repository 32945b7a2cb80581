//! Sandboxes in containers that an OCI runtime of the host makes.
//!
//! ```text
//!   create ──► control group ─► bundle (config.json, rootfs) ─► crun run ─► container ──limits──► Sandbox
//!                                                                 └── first process: this program, in its hidden mode
//! ```
//!
//! What it is like inside, and how it is spoken to, is as in [`crate::namespace`]: the same system folders, the same places,
//! the same `/tmp`, the same confinement of what is started, the same control groups. Only who makes the namespaces and
//! mounts is another: a program with an audit of its own, which an operator chooses.
//!
//! | | |
//! |---|---|
//! | `runtime` | which one; how it is started |
//! | `bundle` | what it is given: a folder for each container |
//! | `config` | what `config.json` says |
//! | `container` | one of them, until it is deleted |
//!
//! Where the root is a tree of files, such as an image's, the first process makes it in the container, as it does elsewhere.
//!
//! The first process is root in the container, with as few rights as it takes to confine what it starts, and stays outside of
//! what is frozen. The runtime makes no control groups: it begins in one of the server's and is shown them
//! read-only. All it leaves is in a folder of the server's run.
//!
//! Where functions have a way out, the network is made by the spawner, as for namespaces, and the runtime is told
//! to enter it: it knows nothing of routers. Otherwise it makes an empty one.
//!
//! Used by [`Backend`](crate::Backend), as root. Nothing is made ahead: to make a container takes 20 ms with crun and 50 with
//! runc, to delete it 13 and 22. Refused are runtimes whose containers cannot send descriptors out, see
//! [`FindRuntimeError::Apart`].

mod bundle;
mod config;
mod container;
mod runtime;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firesteel_sandbox_init::furnishing::{Confinement, Furnishing, Scratch};
use firesteel_sandbox_init::protocol::{Bind, Mounts};
use firesteel_sandbox_init::scratch::Disk;
use tokio::net::UnixStream;

pub(crate) use self::container::Container;
pub use self::runtime::{FindRuntimeError, OciRuntime};

use self::bundle::Bundle;
use self::config::{Config, NetworkNamespace, TREE, Tmp};
use self::runtime::Caller;
use crate::cgroup::{Enforcement, Group, Groups};
use crate::event::Events;
use crate::first_process::{self, FirstProcess, InitProgram};
use crate::guests::Guests;
use crate::images::Images;
use crate::namespace::{Network, Settings};
use crate::orphans;
use crate::sandbox::{Begun, CreateError, Sandbox, Spec};
use crate::spawner::{self, KeptSpawner, Spawner};
use crate::system;

/// The group in which runtimes and first processes begin. No sandbox is called so.
const LOBBY: &str = "oci-runtime";

/// Makes sandboxes. Nothing of it is left once it is dropped and its sandboxes are closed.
#[derive(Debug)]
pub(crate) struct Containers {
    /// Not started unless there is a way out.
    spawner: Arc<KeptSpawner>,
    guests: Guests,
    /// Bundles, the runtime's state, and what is the same for all.
    folder: PathBuf,
    /// What containers execute.
    init: PathBuf,
    caller: Arc<Caller>,
    images: Images,
    count: AtomicU64,
    /// Before the groups that it is below.
    _lobby: Group,
    groups: Groups,
}

impl Containers {
    /// Blocks for some milliseconds. Must be called within an async runtime.
    pub(crate) fn open(settings: Settings, runtime: OciRuntime) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other("containers are made by root only: start the server as root"));
        }
        let cgroup2 = Groups::unified_mountpoint().ok_or_else(|| {
            io::Error::other(
                "no cgroup2 file system is mounted, which runtimes are to see: try `mount -t cgroup2`",
            )
        })?;
        let Settings { id, folder: of_server, blanks: _, network, init } = settings;
        let folder = of_server.join("oci");
        std::fs::create_dir_all(&folder)?;
        let groups = Groups::open(&id);
        let lobby = groups.make(LOBBY).map_err(io::Error::other)?;
        let caller = Caller {
            runtime,
            starter: first_process::path(&init)?,
            state: folder.join("state"),
            place: lobby.place_below(&cgroup2),
            groups: lobby.all_entrances(),
            cgroup2,
        };
        Ok(Containers {
            guests: Guests::new(&id),
            init: init_program(&init, &folder)?,
            spawner: KeptSpawner::new(init, of_server.clone(), network)?,
            caller: Arc::new(caller),
            images: Images::new(of_server),
            count: AtomicU64::default(),
            folder,
            _lobby: lobby,
            groups,
        })
    }

    pub(crate) fn runtime(&self) -> &OciRuntime {
        &self.caller.runtime
    }

    /// What holds which limit, or why nothing does.
    pub(crate) fn enforcement(&self) -> &Enforcement {
        self.groups.enforcement()
    }

    /// Why `/tmp` is in memory, if it is.
    pub(crate) fn tmp_in_memory(&self) -> Option<&str> {
        self.images.unavailable()
    }

    pub(crate) async fn create(self: &Arc<Self>, spec: Spec) -> Result<(Sandbox, Events), CreateError> {
        let id = spec.id.clone();
        let begun = {
            let containers = Arc::clone(self);
            tokio::task::spawn_blocking(move || containers.begin(spec))
        };
        let begun =
            begun.await.map_err(|error| CreateError::Start { id: id.clone(), source: error.into() })??;
        let Made { begun, guest, mounts } = begun;
        let groups = begun.group.as_ref().map_or(Ok(Vec::new()), open);
        let groups = groups.map_err(|source| CreateError::Start { id, source })?;
        let furnishing = Furnishing {
            groups: Vec::new(),
            root: None,
            confinement: guest,
            hostname: system::HOSTNAME.to_owned(),
            own_network: begun.own_network,
            link: None,
        };
        let furnished = begun.attend().furnish(furnishing, groups).await?;
        furnished.prepare(mounts, None).await
    }

    /// Makes a sandbox and ends it.
    pub(crate) async fn probe(self: &Arc<Self>) -> Result<(), CreateError> {
        let spec = Spec {
            id: "probe".to_owned(),
            folder: self.folder.clone(),
            mounts: Mounts::default(),
            limits: crate::Limits::default(),
            init: InitProgram::default(),
        };
        let (sandbox, _events) = self.create(spec).await?;
        sandbox.close().await;
        Ok(())
    }

    /// Ends the spawner. Nothing is made from then on.
    pub(crate) async fn close(&self) {
        self.spawner.close().await;
    }

    /// Blocks for some ten milliseconds.
    fn begin(&self, spec: Spec) -> Result<Made, CreateError> {
        let Spec { id, mounts, limits, .. } = spec;
        let socket = |source| CreateError::Socket { id: id.clone(), source };
        let limit = |source| CreateError::Limit { id: id.clone(), source };
        let start = |source| CreateError::Start { id: id.clone(), source };
        let root = |error: io::Error| CreateError::Root { id: id.clone(), reason: error.to_string() };

        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(socket)?;
        ours.set_nonblocking(true).map_err(socket)?;
        let stream = UnixStream::from_std(ours).map_err(socket)?;
        let group = self.groups.make(&id).map_err(limit)?;
        let guest = self.guests.next();
        // Held until it is mounted.
        let (tmp, _disk) = self.tmp(limits.tmp_mib).map_err(start)?;

        // Held until the container is in it.
        let network = self.network().map_err(start)?;
        // Unlike names of sandboxes, nothing that a runtime might object to.
        let name = format!("c{}", self.count.fetch_add(1, Ordering::Relaxed));
        let Divided { places, tree, rest } = divided(mounts);
        let config = Config {
            runtime: &self.caller.runtime,
            init: &self.init,
            guest: &guest,
            places: &places,
            tree: tree.as_deref(),
            tmp,
            network: network.as_ref().map_or(self.unconnected(), path_of),
            cgroups_path: self.caller.cgroups_path(&name),
        };
        let resolv_conf = self.spawner.network().resolv_conf();
        let bundle = Bundle::make(self.folder.join(&name), &config, &resolv_conf).map_err(root)?;
        let container = Container::new(Arc::clone(&self.caller), name, bundle);
        let first_process = FirstProcess::cloned(|| container.run(theirs.into())).map_err(|error| {
            // One that was killed while the runtime was not done with it is left to this process, which nobody told of it.
            orphans::end_orphans();
            start(error)
        })?;
        let begun = Begun {
            id: id.clone(),
            first_process,
            stream,
            container: Some(container),
            group: Some(group),
            own_network: self.spawner.network().is_own(),
        };
        if let Some(group) = &begun.group {
            limits.apply(group).map_err(limit)?;
        }
        Ok(Made { begun, guest, mounts: rest })
    }

    /// With a way out, if that is what containers have.
    fn network(&self) -> io::Result<Option<OwnedFd>> {
        if !matches!(self.spawner.network(), Network::Egress(_)) {
            return Ok(None);
        }
        let made = match self.spawner.ask(Spawner::make_network) {
            // Whatever has ended the spawner, there is another for the second time.
            Err(error) if spawner::has_ended(&error) => self.spawner.ask(Spawner::make_network),
            made => made,
        };
        made.map(Some)
    }

    fn unconnected(&self) -> NetworkNamespace {
        if self.spawner.network().is_own() { NetworkNamespace::New } else { NetworkNamespace::Host }
    }

    fn tmp(&self, mib: u32) -> io::Result<(Tmp, Option<Disk>)> {
        Ok(match self.images.scratch(mib)? {
            Scratch::Image(template) => {
                let disk = Disk::of(&template)?;
                (Tmp::Disk(disk.path().to_owned()), Some(disk))
            }
            Scratch::Memory { bytes } => (Tmp::Memory { bytes }, None),
        })
    }
}

/// A container with its first process, and as whom that is to start what it starts.
#[derive(Debug)]
struct Made {
    begun: Begun,
    guest: Confinement,
    mounts: Mounts,
}

/// Who makes which mounts of a container.
#[derive(Debug)]
struct Divided {
    /// The runtime.
    places: Vec<Bind>,
    tree: Option<PathBuf>,
    /// The first process, from what the runtime shows it.
    rest: Mounts,
}

/// All are the runtime's to make. Where the root is a tree, that and the places are only shown, as the first process has to
/// begin in a root with the libraries it was built for; it puts them where they belong, and leaves that root.
fn divided(mounts: Mounts) -> Divided {
    let Mounts { binds, tree: Some(tree), .. } = mounts else {
        return Divided { places: mounts.binds, tree: None, rest: Mounts::default() };
    };
    let shown = |index| PathBuf::from(format!("{SHOWN}/{index}"));
    let places = binds.iter().enumerate().map(|(index, bind)| Bind { at: shown(index), ..bind.clone() });
    let rest = binds.iter().enumerate().map(|(index, bind)| Bind { from: shown(index), ..bind.clone() });
    Divided {
        places: places.collect(),
        tree: Some(tree),
        rest: Mounts { tree: Some(TREE.into()), binds: rest.collect(), ..Mounts::default() },
    }
}

/// Where places are shown that belong into a tree.
const SHOWN: &str = "/.firesteel/places";

/// A namespace that this process holds, for another that sees the same processes.
fn path_of(namespace: &OwnedFd) -> NetworkNamespace {
    let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    NetworkNamespace::Given(path.into())
}

/// What a first process that does not see them is given of control groups.
fn open(group: &Group) -> io::Result<Vec<OwnedFd>> {
    let Some(unified) = group.clone_into() else {
        return Err(io::Error::other("no control group in cgroup2 can be had"));
    };
    let mut opened = vec![unified.try_clone_to_owned()?];
    for entrance in group.entrances() {
        opened.push(File::options().write(true).open(entrance)?.into());
    }
    Ok(opened)
}

/// Something that can be mounted: the program that is running may have been replaced on the disk, or removed.
fn init_program(init: &InitProgram, folder: &Path) -> io::Result<PathBuf> {
    let running = match init {
        InitProgram::Path(path) => return std::fs::canonicalize(path),
        InitProgram::CurrentExe => first_process::path(init)?,
    };
    let name = folder.join("init");
    let linked = rustix::fs::linkat(
        rustix::fs::CWD,
        &running,
        rustix::fs::CWD,
        &name,
        rustix::fs::AtFlags::SYMLINK_FOLLOW,
    );
    if linked.is_err() {
        // On another file system, or without a name.
        std::fs::copy(&running, &name)?;
    }
    Ok(name)
}
