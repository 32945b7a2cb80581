//! From versions in the catalog to what their environments are made from.
//!
//! ```text
//!             ┌ code store: its package and layers, unpacked ┐
//!  version ─►─┤                                              ├─► plan ─► Deployment, kept by the version's instance
//!     ▲       └ images: its image, resolved to a digest      ┘               │
//!     └── settled: Active or Failed ◄────────── make_ready ◄────────────────┘
//! ```
//!
//! A version is planned once: when it is made, and after a start of the server when it is first invoked. What was replaced or
//! deleted is forgotten, its environments end, and its code goes when the last of them has.
//!
//! Called by the [`Invoker`](crate::Invoker). What cannot be planned on this machine is told by the version's state.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use firesteel_catalog::{Code, CodeDigest, Reason, Settlement, Store, Version};
use firesteel_environment::{Credentials, Pool, Spec};
use firesteel_image::{CodeStore, ReadError, Sha256};
use firesteel_runtimes::{LaunchError, Layout, Runtime, RuntimeError};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::images::{ImageError, ImageReference, Images, LoadedImage};
use crate::plan::{self, Folders, Host};

/// Until an image is asked for again that was too many.
const BUSY_FOR: Duration = Duration::from_secs(1);

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
    /// Its image is not there.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Nothing here loads images.
    #[error("container image {uri} cannot be loaded: this server loads no images")]
    NoImages {
        /// As given.
        uri: String,
    },
    /// Functions see the host's root and no other.
    #[error(
        "container image {uri} cannot be run without isolation: start the server with --isolation namespace, \
         or ask `firesteel doctor` why it cannot be had"
    )]
    NoRoot {
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
    /// Its image had not come when the server was to end.
    #[error("the server ends")]
    Ending,
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
    images: Option<Images>,
    host: Host,
    pool: Pool,
    planned: Mutex<HashMap<u64, Arc<OnceCell<Planned>>>>,
    /// Versions that are being made ready.
    tasks: TaskTracker,
    /// Nobody waits for an image any more.
    stop: CancellationToken,
}

/// A version that was planned.
#[derive(Debug, Clone)]
struct Planned {
    deployment: Deployment,
    /// What its image's reference meant.
    image_digest: Option<String>,
}

impl Deployments {
    /// Without a store of code only functions of folders can be planned, and of images, if there is somebody to load them.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        code: Option<Arc<CodeStore>>,
        images: Option<Images>,
        host: Host,
        pool: Pool,
    ) -> Self {
        let (planned, tasks, stop) = (Mutex::default(), TaskTracker::new(), CancellationToken::new());
        Deployments { inner: Arc::new(Inner { store, code, images, host, pool, planned, tasks, stop }) }
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
        let planned = Planned { deployment: Deployment::Runs(spec), image_digest: None };
        let cell = OnceCell::new_with(Some(planned));
        self.inner.planned().insert(version.instance, Arc::new(cell));
    }

    /// How the version is run. Plans it if that has not been done.
    pub async fn of(&self, version: &Arc<Version>) -> Result<Deployment, DeployError> {
        Ok(self.planned(version).await?.deployment)
    }

    async fn planned(&self, version: &Arc<Version>) -> Result<Planned, DeployError> {
        let cell = Arc::clone(self.inner.planned().entry(version.instance).or_default());
        if let Some(planned) = cell.get() {
            return Ok(planned.clone());
        }
        let planned = cell.get_or_try_init(|| async {
            let (inner, version) = (Arc::clone(&self.inner), Arc::clone(version));
            let image = tokio::select! {
                biased;
                () = inner.stop.cancelled() => return Err(DeployError::Ending),
                image = inner.image(&version) => image?,
            };
            // Packages are unpacked, and interpreters asked for their versions.
            let planned = tokio::task::spawn_blocking(move || match image {
                Some(image) => Ok(inner.plan_image(&version, image)),
                None => inner.plan(&version),
            });
            planned.await.unwrap_or(Err(DeployError::BrokeOff))
        });
        planned.await.cloned()
    }

    /// Likewise of a version that nobody waits for: its image may let others go first.
    async fn planned_in_time(&self, version: &Arc<Version>) -> Result<Planned, DeployError> {
        loop {
            match self.planned(version).await {
                Err(DeployError::Image(ImageError::Busy { .. })) => tokio::time::sleep(BUSY_FOR).await,
                done => return done,
            }
        }
    }

    /// Plans every version of which nothing has been said yet, and says what came of it.
    pub fn make_ready(&self, unsettled: impl IntoIterator<Item = Arc<Version>>) {
        for version in unsettled {
            let deployments = self.clone();
            self.inner.tasks.spawn(async move {
                let settlement = match deployments.planned_in_time(&version).await {
                    Ok(Planned { image_digest, .. }) => Settlement::Ready { image_digest },
                    // Whoever keeps it makes it ready at the next start.
                    Err(DeployError::Ending) => return,
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
            if let Some(Planned { deployment: Deployment::Runs(spec), .. }) = cell.get() {
                self.inner.pool.retire(spec);
            }
        }
    }

    /// Waits for what is being made ready, but not longer than `grace` for an image that does not come.
    pub(crate) async fn shutdown(&self, grace: Duration) {
        self.inner.tasks.close();
        if tokio::time::timeout(grace, self.inner.tasks.wait()).await.is_err() {
            self.inner.stop.cancel();
            self.inner.tasks.wait().await;
        }
    }
}

impl Inner {
    fn planned(&self) -> MutexGuard<'_, HashMap<u64, Arc<OnceCell<Planned>>>> {
        // A map of cells is never left half-changed.
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of a version that is one.
    async fn image(&self, version: &Version) -> Result<Option<LoadedImage>, DeployError> {
        let Code::Image { uri, digest } = &version.code else { return Ok(None) };
        let uri = uri.clone();
        if self.host.layout == Layout::Host {
            return Err(DeployError::NoRoot { uri });
        }
        let Some(images) = &self.images else { return Err(DeployError::NoImages { uri }) };
        Ok(Some(images.load(ImageReference { uri, digest: digest.clone() }).await?))
    }

    fn plan_image(&self, version: &Version, image: LoadedImage) -> Planned {
        let digest = image.digest.clone();
        let spec = plan::spec_of_image(version, image, Credentials::placeholder(), &self.host);
        Planned { deployment: Deployment::Runs(Arc::new(spec)), image_digest: Some(digest) }
    }

    fn plan(&self, version: &Version) -> Result<Planned, DeployError> {
        let folders = self.folders(version)?;
        let identifier = version.configuration.runtime.as_deref();
        let runtime: Runtime =
            identifier.ok_or_else(|| DeployError::NoRuntime { arn: version.arn.to_string() })?.parse()?;
        let deployment = match plan::spec(version, &runtime, &folders, Credentials::placeholder(), &self.host)
        {
            Ok(spec) => Deployment::Runs(Arc::new(spec)),
            Err(error @ (LaunchError::NoBootstrap { .. } | LaunchError::NotExecutable { .. })) => {
                Deployment::NothingToStart { reason: error.to_string() }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Planned { deployment, image_digest: None })
    }

    fn folders(&self, version: &Version) -> Result<Folders, DeployError> {
        let store = |sha256| self.code.as_ref().ok_or(DeployError::NoStore { sha256 });
        let (code, mut held): (_, Vec<Arc<dyn Any + Send + Sync>>) = match &version.code {
            Code::Image { uri, .. } => return Err(DeployError::NoImages { uri: uri.clone() }),
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
        DeployError::Image(error) => error.code(),
        DeployError::NoImages { .. } | DeployError::NoRoot { .. } => "InvalidConfiguration",
        DeployError::Code(ReadError::Unpack { .. } | ReadError::Layers(_)) => "InvalidZipFileException",
        DeployError::Launch(_) => "InvalidConfiguration",
        DeployError::Code(_) | DeployError::NoStore { .. } | DeployError::BrokeOff | DeployError::Ending => {
            "InternalError"
        }
    };
    Reason { code: code.to_owned(), text: chain(error) }
}

/// With what is behind it: who reads it has no log of this server.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
