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
//! A root that is a tree of files, such as an image's, is handed to the blank, opened: a blank does not see what was mounted
//! after it was made. Without root that cannot be done, and a sandbox is made when it is asked for.
//!
//! Used by [`Backend`](crate::Backend). It refuses to make less than was asked for: a sandbox without one of its
//! namespaces is no sandbox. Only limits may be missing, and those it tells of.

mod blanks;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use firesteel_sandbox_init::furnishing::{Furnishing, Root};
use firesteel_sandbox_init::network::Link;
use firesteel_sandbox_init::overlay;
use firesteel_sandbox_init::protocol::Mounts;
use tokio::net::UnixStream;

use self::blanks::Blanks;
use crate::cgroup::{Enforcement, Group, Groups};
use crate::event::Events;
use crate::first_process::InitProgram;
use crate::guests::Guests;
use crate::images::Images;
use crate::limits::Limits;
use crate::network::Egress;
use crate::orphans;
use crate::sandbox::{Begun, CreateError, Sandbox, Spec, Unready};
use crate::spawner::{self, KeptSpawner};
use crate::system;

/// What namespaces are made with, for all sandboxes of a server.
#[derive(Debug)]
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
#[derive(Debug, Default)]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// What is outside of this host, and what of the host was allowed.
    Egress(Egress),
    /// Everything the host can, the host included: there is no network of its own.
    Host,
}

impl Network {
    /// Whether each sandbox has one of its own.
    pub(crate) fn is_own(&self) -> bool {
        !matches!(self, Network::Host)
    }

    /// What `/etc/resolv.conf` says inside.
    pub(crate) fn resolv_conf(&self) -> String {
        match self {
            Network::None => String::new(),
            Network::Egress(egress) => egress.resolv_conf(),
            Network::Host => std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        }
    }
}

/// Makes sandboxes. Nothing of it is left once it is dropped and its sandboxes are closed.
#[derive(Debug)]
pub(crate) struct Namespaces {
    staging: PathBuf,
    images: Images,
    guests: Guests,
    groups: Groups,
    spawner: Arc<KeptSpawner>,
    blanks: Blanks,
}

/// The size of `/tmp` that blanks have: what functions have unless they say otherwise.
const BLANK_TMP_MIB: u32 = 512;

impl Namespaces {
    /// Starts the spawner and makes the control groups. Blocks for some milliseconds. Must be called within an async
    /// runtime.
    pub(crate) fn open(settings: Settings) -> io::Result<Arc<Self>> {
        let Settings { id, folder, blanks, network, init } = settings;
        let staging = folder.join("root");
        std::fs::create_dir_all(&staging)?;
        let spawner = KeptSpawner::new(init, folder.clone(), network)?;
        spawner.ask(|_| Ok(()))?;
        Ok(Arc::new(Namespaces {
            staging,
            images: Images::new(folder),
            guests: Guests::new(&id),
            groups: Groups::open(&id),
            spawner,
            blanks: Blanks::new(blanks),
        }))
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
            let namespaces = Arc::clone(self);
            let tmp = tokio::task::spawn_blocking(move || namespaces.images.scratch(limits.tmp_mib)).await;
            let start = |source| CreateError::Start { id: id.clone(), source };
            mounts.tmp = Some(tmp.map_err(|error| start(error.into()))?.map_err(start)?);
        }
        let mut tree = Tree::of(&id, &mounts).await?;
        let blank = if tree.is_seen_by_blanks() { self.blanks.take() } else { None };
        self.refill();
        if let Some(blank) = blank {
            match become_sandbox(blank, id.clone(), mounts.clone(), tree, &limits).await {
                // It has died meanwhile, which is no reason to fail.
                Err(CreateError::Ended { .. }) => tree = Tree::of(&id, &mounts).await?,
                made => return made,
            }
        }
        let blank = self.make_blank(id.clone()).await?;
        become_sandbox(blank, id, mounts, tree, &limits).await
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
        if let Some(right) = self.blanks.begin_refill() {
            let namespaces = Arc::downgrade(self);
            tokio::spawn(blanks::refill(namespaces, right));
        }
    }

    /// Ends the blanks and the spawner. Nothing is made from then on.
    pub(crate) async fn close(&self) {
        for blank in self.blanks.close().await {
            blank.close().await;
        }
        self.spawner.close().await;
    }

    async fn make_blank(self: &Arc<Self>, id: String) -> Result<Unready, CreateError> {
        let begun = match self.begin_aside(&id).await {
            // Whatever has ended the spawner, there is another for the second time.
            Err(CreateError::Start { source, .. }) if spawner::has_ended(&source) => {
                self.begin_aside(&id).await
            }
            begun => begun,
        };
        let (begun, link) = begun?;
        let unready = begun.attend();
        let groups = unready.group().map(Group::entrances).unwrap_or_default();
        let furnishing = self.furnishing(link, groups).map_err(|source| CreateError::Start { id, source })?;
        unready.furnish(furnishing, Vec::new()).await
    }

    async fn begin_aside(self: &Arc<Self>, id: &str) -> Result<(Begun, Option<Link>), CreateError> {
        let (namespaces, name) = (Arc::clone(self), id.to_owned());
        let begun = tokio::task::spawn_blocking(move || namespaces.begin(name)).await;
        begun.map_err(|error| CreateError::Start { id: id.to_owned(), source: error.into() })?
    }

    /// Blocks for about half a millisecond.
    fn begin(&self, id: String) -> Result<(Begun, Option<Link>), CreateError> {
        let socket = |source| CreateError::Socket { id: id.clone(), source };
        let limit = |source| CreateError::Limit { id: id.clone(), source };
        let start = |source| CreateError::Start { id: id.clone(), source };

        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(socket)?;
        ours.set_nonblocking(true).map_err(socket)?;
        let stream = UnixStream::from_std(ours).map_err(socket)?;
        let group = self.groups.make(&id).map_err(limit)?;
        let own_network = self.own_network();
        let theirs = theirs.into();
        let made = self.spawner.ask(|spawner| spawner.make(own_network, &theirs, group.clone_into()));
        let (first_process, link) = made.map_err(|error| {
            // What it has made and told nobody of.
            orphans::end_orphans();
            start(error)
        })?;
        Ok((Begun { id, first_process, stream, container: None, group: Some(group), own_network }, link))
    }

    fn own_network(&self) -> bool {
        self.spawner.network().is_own()
    }

    fn furnishing(&self, link: Option<Link>, groups: Vec<PathBuf>) -> io::Result<Furnishing> {
        let resolv_conf = self.spawner.network().resolv_conf();
        let guest = self.guests.next();
        Ok(Furnishing {
            groups,
            root: Some(Root {
                on: self.staging.clone(),
                system: system::shown(),
                files: system::files(&guest, &resolv_conf),
                tmp: self.images.scratch(BLANK_TMP_MIB)?,
            }),
            confinement: guest,
            hostname: system::HOSTNAME.to_owned(),
            own_network: self.own_network(),
            link,
        })
    }
}

/// The root of a sandbox that is not the host's folders.
#[derive(Debug)]
enum Tree {
    /// There is none.
    None,
    /// Opened: it can be handed to a blank, which does not see what was mounted since it was made.
    Opened(OwnedFd),
    /// Only root may do that. It is found by its path, by who is made after it was mounted.
    ByPath,
}

impl Tree {
    async fn of(id: &str, mounts: &Mounts) -> Result<Self, CreateError> {
        let Some(path) = mounts.tree.clone() else { return Ok(Tree::None) };
        let root = |error: io::Error| CreateError::Root { id: id.to_owned(), reason: error.to_string() };
        // It may be somebody's file system, who takes his time.
        match tokio::task::spawn_blocking(move || overlay::open(&path)).await {
            Ok(Ok(tree)) => Ok(Tree::Opened(tree)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Tree::ByPath),
            Ok(Err(error)) => Err(root(error)),
            Err(error) => Err(root(error.into())),
        }
    }

    fn is_seen_by_blanks(&self) -> bool {
        !matches!(self, Tree::ByPath)
    }

    fn opened(self) -> Option<OwnedFd> {
        match self {
            Tree::Opened(tree) => Some(tree),
            Tree::None | Tree::ByPath => None,
        }
    }
}

async fn become_sandbox(
    blank: Unready,
    id: String,
    mounts: Mounts,
    tree: Tree,
    limits: &Limits,
) -> Result<(Sandbox, Events), CreateError> {
    let blank = blank.named(id.clone());
    if let Some(Err(source)) = blank.group().map(|group| limits.apply(group)) {
        blank.close().await;
        return Err(CreateError::Limit { id, source });
    }
    blank.prepare(mounts, tree.opened()).await
}
