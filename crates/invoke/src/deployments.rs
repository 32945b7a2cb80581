//! From versions in the catalog to what their environments are made from.
//!
//! ```text
//!  version ─► code store: its package and layers, unpacked ─► plan ─► Deployment, kept by the version's instance
//!     ▲                                                                   │
//!     └── settled: Active or Failed ◄───────── make_ready ◄──────────────┘
//! ```
//!
//! A version is planned once: when it is made, and after a start of the server when it is first invoked. What was replaced or
//! deleted is forgotten, its environments end, and its code goes when the last of them has.
//!
//! Called by the [`Invoker`](crate::Invoker). What cannot be planned on this machine is told by the version's state.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use firesteel_catalog::{Code, CodeDigest, Reason, Settlement, Store, Version};
use firesteel_environment::{Credentials, Pool, Spec};
use firesteel_image::{CodeStore, ReadError, Sha256};
use firesteel_runtimes::{LaunchError, Runtime, RuntimeError};
use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

use crate::plan::{self, Folders, Host};

/// How a version is run.
#[derive(Debug, Clone)]
pub enum Deployment {
    /// In environments made from this.
    Runs(Arc<Spec>),
    /// Not at all: its package has nothing that could be started. AWS finds out with each invocation, and so is it told here.
    NothingToStart {
        /// After `Error:` in what the caller is told.
        reason: String,
    },
}

/// Why a version cannot be run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Its runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// It has none, and is no image.
    #[error("version {arn} has no runtime")]
    NoRuntime {
        /// The version.
        arn: String,
    },
    /// Nothing here loads images.
    #[error(
        "container image {uri} cannot be loaded: functions of images are not run by this version of Firesteel"
    )]
    Image {
        /// As given.
        uri: String,
    },
    /// Its package or layers cannot be read.
    #[error(transparent)]
    Code(#[from] ReadError),
    /// It has a package, and there is no store of code.
    #[error("package {sha256} is in no store of code")]
    NoStore {
        /// The package.
        sha256: CodeDigest,
    },
    /// It cannot be started here.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A panic.
    #[error("planning broke off")]
    BrokeOff,
}

/// All versions that were planned. Clones share them.
#[derive(Debug, Clone)]
pub struct Deployments {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    code: Option<Arc<CodeStore>>,
    host: Host,
    pool: Pool,
    planned: Mutex<HashMap<u64, Arc<OnceCell<Deployment>>>>,
    /// Versions that are being made ready.
    tasks: TaskTracker,
}

impl Deployments {
    /// Without a store of code only functions of folders can be planned.
    #[must_use]
    pub fn new(store: Arc<Store>, code: Option<Arc<CodeStore>>, host: Host, pool: Pool) -> Self {
        let (planned, tasks) = (Mutex::default(), TaskTracker::new());
        Deployments { inner: Arc::new(Inner { store, code, host, pool, planned, tasks }) }
    }

    /// What this machine offers to functions.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.inner.host
    }

    /// The store of code, unless only folders are run.
    #[must_use]
    pub fn code(&self) -> Option<&Arc<CodeStore>> {
        self.inner.code.as_ref()
    }

    /// A version that somebody else has planned.
    pub fn insert(&self, version: &Version, spec: Arc<Spec>) {
        let cell = OnceCell::new_with(Some(Deployment::Runs(spec)));
        self.inner.planned().insert(version.instance, Arc::new(cell));
    }

    /// How the version is run. Plans it if that has not been done.
    pub async fn of(&self, version: &Arc<Version>) -> Result<Deployment, DeployError> {
        let cell = Arc::clone(self.inner.planned().entry(version.instance).or_default());
        if let Some(deployment) = cell.get() {
            return Ok(deployment.clone());
        }
        let planned = cell.get_or_try_init(|| async {
            let (inner, version) = (Arc::clone(&self.inner), Arc::clone(version));
            // Packages are unpacked, and interpreters asked for their versions.
            let planned = tokio::task::spawn_blocking(move || inner.plan(&version)).await;
            planned.unwrap_or(Err(DeployError::BrokeOff))
        });
        planned.await.cloned()
    }

    /// Plans every version of which nothing has been said yet, and says what came of it.
    pub fn make_ready(&self, unsettled: impl IntoIterator<Item = Arc<Version>>) {
        for version in unsettled {
            let deployments = self.clone();
            self.inner.tasks.spawn(async move {
                let settlement = match deployments.of(&version).await {
                    Ok(_) => Settlement::Ready { image_digest: None },
                    Err(error) => {
                        tracing::warn!(function = %version.arn, error = &error as &(dyn std::error::Error + 'static), "a version cannot be run here");
                        Settlement::Failed(reason(&error))
                    }
                };
                let store = Arc::clone(&deployments.inner.store);
                let settled = tokio::task::spawn_blocking(move || store.settle(&version, &settlement)).await;
                if let Ok(Err(error)) = settled {
                    tracing::error!(error = &error as &(dyn std::error::Error + 'static), "a version's state could not be kept");
                }
            });
        }
    }

    /// These were replaced or deleted: nothing new runs of them, and their environments end.
    pub fn forget(&self, instances: &[u64]) {
        let forgotten: Vec<_> = {
            let mut planned = self.inner.planned();
            instances.iter().filter_map(|instance| planned.remove(instance)).collect()
        };
        for cell in forgotten {
            if let Some(Deployment::Runs(spec)) = cell.get() {
                self.inner.pool.retire(spec);
            }
        }
    }

    /// Waits for what is being made ready.
    pub(crate) async fn shutdown(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

impl Inner {
    fn planned(&self) -> MutexGuard<'_, HashMap<u64, Arc<OnceCell<Deployment>>>> {
        // A map of cells is never left half-changed.
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plan(&self, version: &Version) -> Result<Deployment, DeployError> {
        let folders = self.folders(version)?;
        let identifier = version.configuration.runtime.as_deref();
        let runtime: Runtime =
            identifier.ok_or_else(|| DeployError::NoRuntime { arn: version.arn.to_string() })?.parse()?;
        match plan::spec(version, &runtime, &folders, Credentials::placeholder(), &self.host) {
            Ok(spec) => Ok(Deployment::Runs(Arc::new(spec))),
            Err(error @ (LaunchError::NoBootstrap { .. } | LaunchError::NotExecutable { .. })) => {
                Ok(Deployment::NothingToStart { reason: error.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn folders(&self, version: &Version) -> Result<Folders, DeployError> {
        let store = |sha256| self.code.as_ref().ok_or(DeployError::NoStore { sha256 });
        let (code, mut held): (_, Vec<Arc<dyn Any + Send + Sync>>) = match &version.code {
            Code::Image { uri, .. } => return Err(DeployError::Image { uri: uri.clone() }),
            Code::Folder { path, opt } => {
                return Ok(Folders { code: path.clone(), opt: opt.clone(), keeps_alive: None });
            }
            Code::Package { sha256, .. } => {
                let tree = store(*sha256)?.tree(Sha256::from(sha256.0))?;
                (tree.path().to_owned(), vec![tree])
            }
        };
        let layers: Vec<Sha256> = version.layers.iter().map(|layer| Sha256::from(layer.sha256.0)).collect();
        let opt = match version.layers.first() {
            None => None,
            Some(first) => {
                let tree = store(first.sha256)?.layers(&layers)?;
                let path = tree.path().to_owned();
                held.push(tree);
                Some(path)
            }
        };
        Ok(Folders { code, opt, keeps_alive: Some(Arc::new(held)) })
    }
}

/// By AWS's codes.
fn reason(error: &DeployError) -> Reason {
    let code = match error {
        DeployError::Runtime(_) | DeployError::NoRuntime { .. } => "InvalidRuntime",
        DeployError::Launch(LaunchError::Interpreter(_)) => "InvalidRuntime",
        DeployError::Image { .. } => "InvalidImage",
        DeployError::Code(ReadError::Unpack { .. } | ReadError::Layers(_)) => "InvalidZipFileException",
        DeployError::Launch(_) => "InvalidConfiguration",
        DeployError::Code(_) | DeployError::NoStore { .. } | DeployError::BrokeOff => "InternalError",
    };
    Reason { code: code.to_owned(), text: error.to_string() }
}
