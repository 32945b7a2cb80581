//! Sandboxes in namespaces and control groups of their own.
//!
//! ```text
//!             ┌── control group, first process, root ──┐
//!  create ──► │ a blank, made ahead, or made now       │ ──► limits, the function's folders ──► Sandbox
//!             └────────────────────────────────────────┘
//!                         ▲ refilled in the background
//! ```
//!
//! What is the same for every function is done ahead, in *blanks*: namespaces, control group, network, root file system. To
//! become a particular sandbox takes a blank some limits and mounts.
//!
//! Used by [`Backend`](crate::Backend). It refuses to make less than was asked for: a sandbox without one of its
//! namespaces is no sandbox. Only limits may be missing, and those it tells of.

mod blanks;
mod spawner;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use firesteel_sandbox_init::furnishing::{Furnishing, Root};
use firesteel_sandbox_init::protocol::Mounts;
use tokio::net::UnixStream;

use self::blanks::Blanks;
use self::spawner::Spawner;
use crate::cgroup::{Enforcement, Groups};
use crate::event::Events;
use crate::first_process::InitProgram;
use crate::images::Images;
use crate::limits::Limits;
use crate::sandbox::{Begun, CreateError, Sandbox, Spec, Unready};
use crate::system;

/// What namespaces are made with, for all sandboxes of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of the server; its control groups are named after it.
    pub id: String,
    /// A folder of the server's own that exists, for what sandboxes are built on. Removed by its owner.
    pub folder: PathBuf,
    /// How many blanks are kept; 0: none, everything is made when it is asked for.
    pub blanks: usize,
    /// What functions can reach.
    pub network: Network,
    /// What is started as the spawner.
    pub init: InitProgram,
}

/// What a function can reach from its sandbox, beside its own loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// Everything the host can, the host included: there is no network of its own.
    Host,
}

impl Network {
    /// What `/etc/resolv.conf` says inside.
    pub(crate) fn resolv_conf(self) -> String {
        match self {
            Network::None => String::new(),
            Network::Host => std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        }
    }
}

/// Makes sandboxes. Nothing of it is left once it is dropped and its sandboxes are closed.
#[derive(Debug)]
pub(crate) struct Namespaces {
    settings: Settings,
    staging: PathBuf,
    images: Images,
    groups: Groups,
    spawner: Mutex<Option<Arc<Spawner>>>,
    blanks: Blanks,
}

/// The size of `/tmp` that blanks have: what functions have unless they say otherwise.
const BLANK_TMP_MIB: u32 = 512;

impl Namespaces {
    /// Starts the spawner and makes the control groups. Blocks for some milliseconds. Must be called within an async
    /// runtime.
    pub(crate) fn open(settings: Settings) -> io::Result<Self> {
        let staging = settings.folder.join("root");
        std::fs::create_dir_all(&staging)?;
        let images = Images::new(settings.folder.clone());
        let groups = Groups::open(&settings.id);
        let namespaces = Namespaces {
            blanks: Blanks::new(settings.blanks),
            settings,
            staging,
            images,
            groups,
            spawner: Mutex::default(),
        };
        namespaces.spawner()?;
        Ok(namespaces)
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
        let Spec { id, mut mounts, limits, .. } = spec;
        if limits.tmp_mib != BLANK_TMP_MIB {
            let tmp = self.images.scratch(limits.tmp_mib);
            mounts.tmp = Some(tmp.map_err(|source| CreateError::Start { id: id.clone(), source })?);
        }
        let blank = self.blanks.take();
        self.refill();
        // One that has died meanwhile is no reason to fail.
        if let Some(blank) = blank
            && let Ok(made) = become_sandbox(blank, id.clone(), mounts.clone(), &limits).await
        {
            return Ok(made);
        }
        let blank = self.make_blank(id.clone()).await?;
        become_sandbox(blank, id, mounts, &limits).await
    }

    pub(crate) async fn probe(self: &Arc<Self>) -> Result<(), CreateError> {
        let blank = self.make_blank("probe".into()).await?;
        if let Some(blank) = self.blanks.put(blank) {
            blank.close().await;
        }
        self.refill();
        Ok(())
    }

    /// Fills the pool of blanks up in the background.
    fn refill(self: &Arc<Self>) {
        if self.blanks.begin_refill() {
            let namespaces = Arc::downgrade(self);
            tokio::spawn(blanks::refill(namespaces));
        }
    }

    /// Ends the blanks. None are made from then on.
    pub(crate) async fn close(&self) {
        for blank in self.blanks.close() {
            blank.close().await;
        }
    }

    async fn make_blank(self: &Arc<Self>, id: String) -> Result<Unready, CreateError> {
        let begun = {
            let (namespaces, id) = (Arc::clone(self), id.clone());
            tokio::task::spawn_blocking(move || namespaces.begin(id))
        };
        let begun =
            begun.await.map_err(|error| CreateError::Start { id: id.clone(), source: error.into() })??;
        let furnishing = self.furnishing().map_err(|source| CreateError::Start { id, source })?;
        begun.attend().furnish(furnishing, Vec::new()).await
    }

    /// Blocks for about half a millisecond.
    fn begin(&self, id: String) -> Result<Begun, CreateError> {
        let socket = |source| CreateError::Socket { id: id.clone(), source };
        let limit = |source| CreateError::Limit { id: id.clone(), source };
        let start = |source| CreateError::Start { id: id.clone(), source };

        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(socket)?;
        ours.set_nonblocking(true).map_err(socket)?;
        let stream = UnixStream::from_std(ours).map_err(socket)?;
        let group = self.groups.make(&id).map_err(limit)?;
        let own_network = self.own_network();
        let theirs = theirs.into();
        let spawner = self.spawner().map_err(start)?;
        let first_process = spawner.make(own_network, &theirs, group.clone_into()).map_err(|error| {
            // It may be that it has ended; the next one begins anew.
            self.forget(&spawner);
            start(error)
        })?;
        group.enter(first_process.pid()).map_err(limit)?;
        Ok(Begun { id, first_process, stream, container: None, group: Some(group), own_network })
    }

    fn own_network(&self) -> bool {
        self.settings.network != Network::Host
    }

    fn furnishing(&self) -> io::Result<Furnishing> {
        let resolv_conf = self.settings.network.resolv_conf();
        Ok(Furnishing {
            root: Some(Root {
                on: self.staging.clone(),
                system: system::shown(),
                files: system::files(&resolv_conf),
                tmp: self.images.scratch(BLANK_TMP_MIB)?,
            }),
            confinement: system::confinement(),
            hostname: system::HOSTNAME.to_owned(),
            own_network: self.own_network(),
        })
    }

    /// The running one, or another if that has ended.
    fn spawner(&self) -> io::Result<Arc<Spawner>> {
        let mut spawner = self.spawner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*spawner {
            return Ok(Arc::clone(running));
        }
        let started = Arc::new(Spawner::start(&self.settings.init, &self.settings.folder)?);
        *spawner = Some(Arc::clone(&started));
        Ok(started)
    }

    fn forget(&self, failed: &Arc<Spawner>) {
        let mut spawner = self.spawner.lock().unwrap_or_else(PoisonError::into_inner);
        spawner.take_if(|spawner| Arc::ptr_eq(spawner, failed));
    }
}

async fn become_sandbox(
    blank: Unready,
    id: String,
    mounts: Mounts,
    limits: &Limits,
) -> Result<(Sandbox, Events), CreateError> {
    let blank = blank.named(id.clone());
    if let Some(Err(source)) = blank.group().map(|group| limits.apply(group)) {
        blank.close().await;
        return Err(CreateError::Limit { id, source });
    }
    blank.prepare(mounts).await
}
