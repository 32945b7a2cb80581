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
//! The first process is root in the container, with as few rights as it takes to confine what it starts, and stays outside of
//! what is frozen. The runtime makes no control groups: it begins in one of the server's and is shown them
//! read-only. All it leaves is in a folder of the server's run.
//!
//! Used by [`Backend`](crate::Backend), as root. Nothing is made ahead: to make a container takes 20 ms with crun and 50 with
//! runc, to delete it 13 and 22. Refused are runtimes whose containers cannot send descriptors out, see
//! [`FindRuntimeError::Apart`], and a way out of this host, which containers do not have.

mod bundle;
mod config;
mod container;
mod runtime;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use firesteel_sandbox_init::furnishing::{Confinement, Furnishing, Scratch};
use firesteel_sandbox_init::protocol::Mounts;
use firesteel_sandbox_init::scratch::Disk;
use tokio::net::UnixStream;

pub(crate) use self::container::Container;
pub use self::runtime::{FindRuntimeError, OciRuntime};

use self::bundle::Bundle;
use self::config::{Config, Tmp};
use self::runtime::Caller;
use crate::cgroup::{Enforcement, Group, Groups};
use crate::event::Events;
use crate::first_process::{self, FirstProcess, InitProgram};
use crate::guests::Guests;
use crate::images::Images;
use crate::namespace::{Network, Settings};
use crate::sandbox::{Begun, CreateError, Sandbox, Spec};
use crate::system;

/// The group in which runtimes and first processes begin. No sandbox is called so.
const LOBBY: &str = "oci-runtime";

/// Makes sandboxes. Nothing of it is left once it is dropped and its sandboxes are closed.
#[derive(Debug)]
pub(crate) struct Containers {
    own_network: bool,
    resolv_conf: String,
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
    /// Blocks for some milliseconds.
    pub(crate) fn open(settings: &Settings, runtime: OciRuntime) -> io::Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(io::Error::other("containers are made by root only: start the server as root"));
        }
        if let Network::Egress(_) = settings.network {
            return Err(io::Error::other(
                "containers have no way out: their network is none, or the host's (--network none or host)",
            ));
        }
        let cgroup2 = Groups::unified_mountpoint().ok_or_else(|| {
            io::Error::other(
                "no cgroup2 file system is mounted, which runtimes are to see: try `mount -t cgroup2`",
            )
        })?;
        let folder = settings.folder.join("oci");
        std::fs::create_dir_all(&folder)?;
        let groups = Groups::open(&settings.id);
        let lobby = groups.make(LOBBY).map_err(io::Error::other)?;
        let caller = Caller {
            runtime,
            starter: first_process::path(&settings.init)?,
            state: folder.join("state"),
            place: lobby.place_below(&cgroup2),
            groups: lobby.all_entrances(),
            cgroup2,
        };
        Ok(Containers {
            own_network: !matches!(settings.network, Network::Host),
            resolv_conf: settings.network.resolv_conf(),
            guests: Guests::new(&settings.id),
            init: init_program(&settings.init, &folder)?,
            caller: Arc::new(caller),
            images: Images::new(settings.folder.clone()),
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
        let Made { begun, guest } = begun;
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
        // All of that was the runtime's to do.
        furnished.prepare(Mounts::default()).await
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

        // Unlike names of sandboxes, nothing that a runtime might object to.
        let name = format!("c{}", self.count.fetch_add(1, Ordering::Relaxed));
        let config = Config {
            runtime: &self.caller.runtime,
            init: &self.init,
            guest: &guest,
            places: &mounts.binds,
            tmp,
            own_network: self.own_network,
            cgroups_path: self.caller.cgroups_path(&name),
        };
        let bundle = Bundle::make(self.folder.join(&name), &config, &self.resolv_conf).map_err(root)?;
        let container = Container::new(Arc::clone(&self.caller), name, bundle);
        let first_process = FirstProcess::cloned(|| container.run(theirs.into())).map_err(start)?;
        let begun = Begun {
            id: id.clone(),
            first_process,
            stream,
            container: Some(container),
            group: Some(group),
            own_network: self.own_network,
        };
        if let Some(group) = &begun.group {
            limits.apply(group).map_err(limit)?;
        }
        Ok(Made { begun, guest })
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
