//! A sandbox, from its owner's side.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use firesteel_sandbox_init::furnishing::Furnishing;
use firesteel_sandbox_init::protocol::{Mounted, Mounts, Program, Request, Signal};
use firesteel_sandbox_init::wire;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

use crate::cgroup::{CpuShare, Group, GroupError};
use crate::control::{Control, Making, Outgoing};
use crate::event::Events;
use crate::first_process::{FirstProcess, InitProgram};
use crate::limits::Limits;
use crate::listening::{self, Dialer, Sockets};
use crate::memory::{MemoryReading, Meter};
#[cfg(target_os = "linux")]
use crate::oci::Container;

/// Requests waiting to be written. The socket's own buffer holds dozens more; a first process that lets
/// both fill up is not running.
const MAX_WAITING_REQUESTS: usize = 64;

/// What a sandbox is made from.
#[derive(Debug, Clone)]
pub struct Spec {
    /// For people: shown in the process list and in logs.
    pub id: String,
    /// Exists and belongs to the sandbox. The first process's own working directory.
    pub folder: PathBuf,
    /// How the file system differs inside, where the host allows that; see [`Sandbox::mounted`]. In a root of its own:
    /// what of the host's is found in it beside the system's folders.
    pub mounts: Mounts,
    /// What it may use.
    pub limits: Limits,
    /// What to start as the first process, where one is started.
    pub init: InitProgram,
}

/// A process to start.
#[derive(Debug)]
pub struct Process {
    /// What to execute.
    pub program: Program,
    /// Where it writes. Closed on this side once handed over.
    pub stdout: OwnedFd,
    /// Likewise.
    pub stderr: OwnedFd,
}

/// Why there is no sandbox. The host's doing, never the caller's.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Descriptors or memory ran out.
    #[error("making the control socket of sandbox {id}")]
    Socket {
        /// Of the sandbox.
        id: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The executable is gone, the folder does not exist, or processes ran out.
    #[error("starting the first process of sandbox {id}")]
    Start {
        /// Of the sandbox.
        id: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No control group, or a limit of it could not be set.
    #[error("limiting sandbox {id}")]
    Limit {
        /// Of the sandbox.
        id: String,
        /// What was refused.
        #[source]
        source: GroupError,
    },
    /// Its root file system could not be made. Nothing ran in it.
    #[error("making the file system of sandbox {id}: {reason}")]
    Root {
        /// Of the sandbox.
        id: String,
        /// What its first process said.
        reason: String,
    },
    /// It started, and ended before it was ready: killed, or its `main` does not enter the first process.
    #[error("the first process of sandbox {id} ended before it was ready")]
    Ended {
        /// Of the sandbox.
        id: String,
    },
}

/// Why a request was not sent.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The first process died. [`Event::Lost`](crate::Event::Lost) tells or will tell.
    #[error("sandbox {id} is gone")]
    Gone {
        /// Of the sandbox.
        id: String,
    },
    /// The first process does not take requests; 64 are waiting. It may have been stopped from within.
    #[error("sandbox {id} takes no requests")]
    Busy {
        /// Of the sandbox.
        id: String,
    },
    /// More than 4 MiB of arguments and environment, or a path that is not UTF-8.
    #[error("process {name} cannot be described to sandbox {id}")]
    Unsendable {
        /// Of the sandbox.
        id: String,
        /// Of the process.
        name: String,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
}

/// A tree of processes under one first process.
///
/// To be ended by [`Sandbox::close`]. Dropped instead, it ends likewise, but nobody knows when; this
/// is logged, as it is a mistake unless everything is being torn down.
#[derive(Debug)]
pub struct Sandbox {
    id: String,
    mounted: Mounted,
    /// Dropped to say that the sandbox is to end.
    requests: Option<mpsc::Sender<Outgoing>>,
    meter: Arc<Meter>,
    sockets: Arc<Sockets>,
    /// With a network of its own.
    own_network: bool,
    /// Ends when nothing is left.
    control: Option<JoinHandle<()>>,
    /// Last: it can be removed when nobody is in it any more.
    group: Option<Group>,
}

/// A first process, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) id: String,
    pub(crate) first_process: FirstProcess,
    /// Our end of its control socket.
    pub(crate) stream: UnixStream,
    /// Whose first process it is.
    #[cfg(target_os = "linux")]
    pub(crate) container: Option<Container>,
    pub(crate) group: Option<Group>,
    pub(crate) own_network: bool,
}

/// A sandbox that is being made: nothing runs in it yet.
#[derive(Debug)]
pub(crate) struct Unready {
    sandbox: Sandbox,
    events: Events,
    making: mpsc::UnboundedReceiver<Making>,
    /// It was furnished.
    own_root: bool,
}

impl Sandbox {
    /// Starts the first process and waits until it is ready.
    ///
    /// Starting it blocks for about half a millisecond and is therefore done on a thread for blocking work.
    /// Dropped while waiting, everything begun is ended.
    ///
    /// # Errors
    /// See [`CreateError`]. Nothing is left running.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn create(spec: Spec) -> Result<(Self, Events), CreateError> {
        let Spec { id, folder, mounts, limits: _, init } = spec;
        let socket = |source| CreateError::Socket { id: id.clone(), source };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(socket)?;
        ours.set_nonblocking(true).map_err(socket)?;
        let stream = UnixStream::from_std(ours).map_err(socket)?;

        let first_process = {
            let id = id.clone();
            tokio::task::spawn_blocking(move || FirstProcess::start(&init, &id, &folder, theirs.into()))
        };
        let start = |source| CreateError::Start { id: id.clone(), source };
        let first_process = first_process.await.map_err(|error| start(error.into()))?.map_err(start)?;
        let begun = Begun {
            id,
            first_process,
            stream,
            #[cfg(target_os = "linux")]
            container: None,
            group: None,
            own_network: false,
        };
        begun.attend().prepare(mounts, None).await
    }

    /// What became of [`Spec::mounts`].
    #[must_use]
    pub fn mounted(&self) -> &Mounted {
        &self.mounted
    }

    /// Where what runs inside can call, and nobody else where it has a network of its own. Each call of this opens
    /// another and ends the one before.
    ///
    /// # Errors
    /// When the host has no descriptors left, or the sandbox is gone.
    pub fn listen(&self) -> io::Result<std::net::TcpListener> {
        if self.own_network { self.sockets.listen() } else { listening::on_the_host() }
    }

    /// For calling what listens inside.
    #[must_use]
    pub fn dialer(&self) -> Dialer {
        let requests = self.requests.as_ref().filter(|_| self.own_network).map(mpsc::Sender::downgrade);
        Dialer::new(Arc::clone(&self.sockets), requests)
    }

    /// Stops every process in the sandbox, until [`Sandbox::thaw`]. A process that the sandbox's own processes had stopped
    /// is left to them. What a process cannot run for, it cannot end for either: no event comes of it, but for those under way.
    ///
    /// Not answered, as nothing is to be waited for: requests are served in turn, and memory can be read
    /// meanwhile. Without a control group, processes that keep forking faster than they can be found may go on. Without
    /// effect when frozen.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn freeze(&self) -> Result<(), RequestError> {
        if self.set_frozen(true) { Ok(()) } else { self.send(&Request::Freeze, Vec::new(), "") }
    }

    /// Lets those go on that [`Sandbox::freeze`] stopped. Without effect when not frozen.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn thaw(&self) -> Result<(), RequestError> {
        if self.set_frozen(false) { Ok(()) } else { self.send(&Request::Thaw, Vec::new(), "") }
    }

    /// Whether freezing takes microseconds, and nobody inside can tell: by the control group and not by signals.
    #[must_use]
    pub fn freezes_at_once(&self) -> bool {
        self.group.as_ref().is_some_and(Group::can_freeze)
    }

    /// By the control group. `false` when there is none that could.
    fn set_frozen(&self, frozen: bool) -> bool {
        let Some(group) = self.group.as_ref().filter(|group| group.can_freeze()) else { return false };
        let done = if frozen { group.freeze() } else { group.thaw() };
        if let Err(error) = done {
            tracing::warn!(sandbox = self.id, %error, frozen, "the control group does not do as it is told");
        }
        true
    }

    /// Sets another share of the processors' time. Without effect where that cannot be limited.
    pub fn limit_cpu(&self, share: Option<CpuShare>) {
        let limited = self.group.as_ref().map_or(Ok(()), |group| group.limit_cpu(share));
        if let Err(error) = limited
            && !matches!(error, GroupError::Unavailable { .. })
        {
            tracing::warn!(sandbox = self.id, %error, "the share of processor time could not be set");
        }
    }

    /// How many processes the kernel has killed for want of memory, as far as it is limited.
    #[must_use]
    pub fn out_of_memory_kills(&self) -> u64 {
        self.group.as_ref().and_then(|group| group.oom_kills().ok()).unwrap_or(0)
    }

    /// Asks for a process. Answered by [`Event::Started`](crate::Event::Started), then once by
    /// [`Event::Exited`](crate::Event::Exited); or by [`Event::SpawnFailed`](crate::Event::SpawnFailed).
    ///
    /// Its stdin is `/dev/null`; it leads a process group of its own. A frozen sandbox is thawed first.
    ///
    /// # Errors
    /// See [`RequestError`]; there will be no event then.
    pub fn spawn(&self, process: Process) -> Result<(), RequestError> {
        let Process { program, stdout, stderr } = process;
        self.set_frozen(false);
        let name = program.name.clone();
        self.send(&Request::Spawn(program), vec![stdout, stderr], &name)
    }

    /// Sends a signal to a process and its process group. Without effect when it has ended. A frozen sandbox is thawed
    /// before [`Signal::Terminate`], which only a running process can follow.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn signal(&self, name: &str, signal: Signal) -> Result<(), RequestError> {
        if signal == Signal::Terminate {
            self.set_frozen(false);
        }
        self.send(&Request::Signal { name: name.to_owned(), signal }, Vec::new(), name)
    }

    /// Kills everything in the sandbox, frozen or not; the sandbox itself stays usable. Answered by an
    /// [`Event::Exited`](crate::Event::Exited) for each process asked for, then by
    /// [`Event::Emptied`](crate::Event::Emptied).
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn end_all(&self) -> Result<(), RequestError> {
        self.send(&Request::EndAll, Vec::new(), "")
    }

    /// Whether the kernel keeps the peak: then nothing is missed between two looks.
    #[must_use]
    pub fn keeps_memory_peak(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.memory().is_ok())
    }

    /// What the processes in the sandbox use now and have used at most; the first process is not counted.
    /// Makes a few system calls and does not wait: see [`MemoryReading`] for what it cannot see.
    #[must_use]
    pub fn memory(&self) -> MemoryReading {
        self.memory_within(Duration::ZERO)
    }

    /// Likewise, but satisfied with a reading that is at most this old, which costs nothing.
    #[must_use]
    pub fn memory_within(&self, max_age: Duration) -> MemoryReading {
        // The kernel counts, and to ask it costs next to nothing.
        let counted = self.group.as_ref().and_then(|group| group.memory().ok());
        counted.unwrap_or_else(|| self.meter.read(max_age))
    }

    /// Ends everything in the sandbox, and the sandbox. Returns when no process of it exists any more.
    ///
    /// Dropped while waiting, it happens all the same.
    pub async fn close(mut self) {
        self.requests = None;
        if let Some(control) = self.control.take() {
            // Fails only if the runtime is being shut down, or by a panic that has been printed.
            let _ = control.await;
        }
    }

    fn send(&self, request: &Request, descriptors: Vec<OwnedFd>, name: &str) -> Result<(), RequestError> {
        let id = || self.id.clone();
        let frame = wire::frame(request).map_err(|source| RequestError::Unsendable {
            id: id(),
            name: name.to_owned(),
            source,
        })?;
        let requests = self.requests.as_ref().expect("only close takes it, and close takes the sandbox");
        requests.try_send(Outgoing { frame, descriptors }).map_err(|error| match error {
            TrySendError::Closed(_) => RequestError::Gone { id: id() },
            TrySendError::Full(_) => RequestError::Busy { id: id() },
        })
    }
}

impl Begun {
    /// Starts the task beside it. Must be called within an async runtime.
    pub(crate) fn attend(self) -> Unready {
        #[cfg(target_os = "linux")]
        let container = self.container;
        let Begun { id, first_process, stream, group, own_network, .. } = self;
        let (requests, waiting_requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let (events, received) = mpsc::unbounded_channel();
        let (making, is_made) = mpsc::unbounded_channel();
        let meter = Arc::new(Meter::new(first_process.pid()));
        let sockets = Arc::<Sockets>::default();
        let control = tokio::spawn(
            Control {
                id: id.clone(),
                stream,
                requests: waiting_requests,
                making,
                sockets: Arc::clone(&sockets),
                events,
                meter: Arc::clone(&meter),
                first_process,
                #[cfg(target_os = "linux")]
                container,
            }
            .run(),
        );
        let sandbox = Sandbox {
            id,
            mounted: Mounted::AsAsked,
            requests: Some(requests),
            meter,
            sockets,
            own_network,
            control: Some(control),
            group,
        };
        Unready { sandbox, events: Events(received), making: is_made, own_root: false }
    }
}

impl Unready {
    /// Builds its root. `groups`: what travels with [`Request::Furnish`]. On failure it is ended.
    pub(crate) async fn furnish(
        self,
        furnishing: Furnishing,
        groups: Vec<OwnedFd>,
    ) -> Result<Self, CreateError> {
        let (furnished, made) = self.step(&Request::Furnish(Box::new(furnishing)), groups).await?;
        match made {
            Making::Furnished { failed: None } => Ok(Unready { own_root: true, ..furnished }),
            Making::Furnished { failed: Some(reason) } => Err(furnished.without_root(reason).await),
            Making::Ready { .. } => Err(furnished.ended().await),
        }
    }

    /// Makes it a particular one.
    pub(crate) fn named(mut self, id: String) -> Self {
        self.sandbox.id = id;
        self
    }

    pub(crate) fn group(&self) -> Option<&Group> {
        self.sandbox.group.as_ref()
    }

    /// Sets it up. On failure it is ended. A root of its own is all that was asked for, or none. `tree`: that of the mounts,
    /// opened, as far as it can be.
    pub(crate) async fn prepare(
        self,
        mounts: Mounts,
        tree: Option<OwnedFd>,
    ) -> Result<(Sandbox, Events), CreateError> {
        let (mut prepared, made) = self.step(&Request::Prepare(mounts), tree.into_iter().collect()).await?;
        match made {
            Making::Ready { mounted: Mounted::Not { reason } } if prepared.own_root => {
                Err(prepared.without_root(reason).await)
            }
            Making::Ready { mounted } => {
                prepared.sandbox.mounted = mounted;
                Ok((prepared.sandbox, prepared.events))
            }
            Making::Furnished { .. } => Err(prepared.ended().await),
        }
    }

    /// Asks for a step, and hears what came of it. When nothing can, it is ended.
    async fn step(
        mut self,
        request: &Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Self, Making), CreateError> {
        if let Err(error) = self.ask(request, descriptors) {
            self.close().await;
            return Err(error);
        }
        match self.making.recv().await {
            Some(made) => Ok((self, made)),
            None => Err(self.ended().await),
        }
    }

    fn ask(&self, request: &Request, descriptors: Vec<OwnedFd>) -> Result<(), CreateError> {
        let Unready { sandbox, .. } = self;
        let id = || sandbox.id.clone();
        let frame = wire::frame(request).map_err(|source| CreateError::Start { id: id(), source })?;
        let requests = sandbox.requests.as_ref().expect("only close takes it, and close takes the sandbox");
        requests.try_send(Outgoing { frame, descriptors }).map_err(|_| CreateError::Ended { id: id() })
    }

    async fn without_root(self, reason: String) -> CreateError {
        let id = self.sandbox.id.clone();
        self.close().await;
        CreateError::Root { id, reason }
    }

    async fn ended(self) -> CreateError {
        let id = self.sandbox.id.clone();
        self.close().await;
        CreateError::Ended { id }
    }

    /// Ends it.
    pub(crate) async fn close(self) {
        self.sandbox.close().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.control.as_ref().is_some_and(|control| !control.is_finished()) {
            tracing::warn!(sandbox = self.id, "sandbox dropped without being closed; it ends unwatched");
        }
    }
}
