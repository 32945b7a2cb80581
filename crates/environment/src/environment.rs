//! One execution environment, from outside: made, handed invocations, ended.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firesteel_sandbox::{self as sandbox, Sandbox};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::driver::{Driver, Parts};
use crate::invocation::Admitted;
use crate::lifecycle::State;
use crate::logs::{Log, Output};
use crate::pool::lease::Room;
use crate::spec::{InitializationType, Spec};

/// What others may see of an environment's state. Only its driver writes it.
#[derive(Debug, Default)]
pub(crate) struct Published {
    takes_invocation: AtomicBool,
}

impl Published {
    pub(crate) fn publish(&self, state: &State) {
        self.takes_invocation.store(state.takes_invocation(), Ordering::Release);
    }
}

/// What the pool tells a driver.
#[derive(Debug)]
pub(crate) enum Command {
    Invoke(Box<Admitted>),
    Shutdown,
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
    /// Its place in the pool.
    room: Room,
}

impl Environment {
    /// Makes the sandbox and starts the driver, whose task is returned; init is under way from here.
    pub(crate) async fn start(
        spec: Arc<Spec>,
        folder: &Folder,
        output: Output,
        room: Room,
        said_shortfall: &AtomicBool,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), CreateError> {
        let id = Uuid::new_v4();
        let name = id.simple().to_string();
        let folder = folder.create(&name)?;
        let (sandbox, sandbox_events) = Sandbox::create(sandbox::Spec {
            id: name.clone(),
            folder: folder.path.clone(),
            mounts: mounts(&spec, &folder.tmp()),
            init: sandbox::InitProgram::default(),
        })
        .await
        .map_err(CreateError::Sandbox)?;

        if let sandbox::Mounted::Not { reason } = sandbox.mounted()
            && !said_shortfall.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%reason, "functions can write to their code and share this machine's /tmp");
        }
        let log = Log::new(
            output,
            Arc::clone(&spec),
            log_stream(&spec.version, &name),
            InitializationType::OnDemand,
        );
        // Room for an invocation and a shutdown: the pool never sends more.
        let (commands, commands_receiver) = mpsc::channel(4);
        let published = Arc::new(Published::default());
        let driver = Driver::new(Parts {
            spec,
            published: Arc::clone(&published),
            commands: commands_receiver,
            sandbox,
            sandbox_events,
            log,
        });
        let task = async move {
            driver.run().await;
            // Last: the function's files go when nothing can write to them any more.
            let _ = tokio::task::spawn_blocking(move || drop(folder)).await;
        };
        Ok((Environment { id, commands, published, room }, task))
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

    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    pub(crate) fn takes_invocation(&self) -> bool {
        !self.commands.is_closed() && self.published.takes_invocation.load(Ordering::Acquire)
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
}

/// Code, layers and runtime cannot be written to, and `/tmp` is the environment's own.
///
/// A `/tmp` that something of the function lies in cannot be hidden from it: then it stays the host's.
fn mounts(spec: &Spec, tmp: &Path) -> sandbox::Mounts {
    let mut read_only = vec![spec.task_root.clone(), spec.runtime_dir.clone()];
    read_only.extend(spec.opt.clone());
    let below_tmp = |path: &PathBuf| path.starts_with(TMP);
    let own = if read_only.iter().chain([&spec.entrypoint.program]).any(below_tmp) {
        Vec::new()
    } else {
        vec![sandbox::OwnFolder { folder: tmp.to_path_buf(), at: TMP.into() }]
    };
    sandbox::Mounts { read_only, own }
}

/// The one place that a function may write to.
const TMP: &str = "/tmp";

impl Folder {
    fn create(&self, id: &str) -> Result<OwnFolder, CreateError> {
        let own = OwnFolder { path: self.parent.join(id) };
        std::fs::create_dir_all(own.tmp())
            .and_then(|()| std::fs::set_permissions(own.tmp(), Permissions::from_mode(0o1777)))
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

/// Such as `2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef`.
fn log_stream(version: &str, id: &str) -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    format!("{:04}/{:02}/{:02}/[{version}]{id}", today.year(), today.month(), today.day())
}
