//! From a request to an outcome: which version runs, may it run now, what happens to its result.
//!
//! ```text
//!  api ─► Invoker ─► catalog: what is meant ─► router: which version ─► deployments: how it is run
//!            ▲                                                               │
//!            │        admission: may it run now ─► pool: an environment, or throttled ─► outcome, whole or as a stream
//!            │
//!  queue ─► events: asynchronous ones, run when they are due ─► destinations
//! ```
//!
//! The caller's mistakes ([`InvokeError::NotFound`], [`InvokeError::Throttled`], …), the function's failures
//! ([`Outcome::FunctionError`]) and the platform's ([`InvokeError::Platform`]) leave here as different things and are never
//! told apart by looking into a payload.
//!
//! Whoever changes the catalog says so afterwards: [`Invoker::changed`]. What runs follows it.
#![forbid(unsafe_code)]

pub mod admission;
mod asynchronous;
mod bandwidth;
mod changes;
mod deployments;
pub mod destinations;
mod events;
mod images;
pub mod plan;
mod provisioning;
pub mod queue;
mod router;
mod streaming;
mod synchronous;
pub mod trace;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_catalog::{Arn, CatalogError, FunctionReference, Refusal, Resolved, State, Store, Version};
use firesteel_environment::{Pool, Spec};
use uuid::Uuid;

pub use admission::{Admission, Permit, Throttle, ThrottleReason};
pub use bandwidth::Bandwidth;
pub use changes::Change;
pub use deployments::{DeployError, Deployment, Deployments};
pub use events::{EventSettings, Events};
pub use firesteel_environment::{Progress, ProvisionFailure, ProvisionStatus};
pub use images::{ImageError, ImageReference, Images, LoadedImage};
pub use streaming::{ResponseStream, StreamEnd, StreamError, StreamReply};

use crate::provisioning::Provisioning;
use crate::queue::Queue;

/// A request to run a function.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which function, as the caller addressed it.
    pub reference: FunctionReference,
    /// Given to this request at the front door.
    pub request_id: Uuid,
    /// The event.
    pub payload: Bytes,
    /// The caller's client context, as JSON text.
    pub client_context: Option<String>,
    /// The caller's `X-Amzn-Trace-Id`.
    pub trace: Option<String>,
    /// The caller wants the end of the log, and for that waits until the invocation is over.
    pub log_tail: bool,
}

/// A synchronous invocation that was run.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The version that ran.
    pub executed_version: String,
    /// The trace header that the function saw.
    pub trace: String,
    /// Content type that the runtime gave its answer.
    pub content_type: String,
    /// What came out.
    pub outcome: Outcome,
    /// The last 4 096 bytes of the log, if they were wanted.
    pub log_tail: Option<Bytes>,
}

/// What came out of an invocation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The handler's result.
    Success(Bytes),
    /// The function failed; this is its error JSON.
    FunctionError(Bytes),
}

/// Why a function was not run, or not to an end.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// There is no such function or version.
    #[error("Function not found: {arn}")]
    NotFound {
        /// What was asked for, qualified only if the request was.
        arn: Arn,
    },
    /// The version cannot be invoked in the state that it is in.
    #[error("The operation cannot be performed at this time. The function is currently in the following state: {}", state.name())]
    NotActive {
        /// `Pending` or `Failed`.
        state: State,
    },
    /// It may not run now.
    #[error(transparent)]
    Throttled(#[from] Throttle),
    /// The environment could not be restored for it (SnapStart).
    #[error("the function could not be restored: {message}")]
    RestoreFailed {
        /// Its hooks ran out of time.
        timed_out: bool,
        /// Why not, for the caller.
        message: String,
    },
    /// The platform failed.
    #[error("the platform could not run the function")]
    Platform(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Runs functions. Clones share everything.
#[derive(Debug, Clone)]
pub struct Invoker {
    inner: Arc<Inner>,
}

/// What an invoker is made of.
#[derive(Debug)]
pub struct Parts {
    /// What there is.
    pub store: Arc<Store>,
    /// How it is run.
    pub deployments: Deployments,
    /// Where it is run.
    pub pool: Pool,
    /// How much of it may run at a time.
    pub admission: Admission,
    /// Asynchronous events.
    pub queue: Queue,
    /// Streamed responses are no faster than this. Otherwise they are as fast as their readers.
    pub stream_bandwidth: Option<Bandwidth>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    deployments: Deployments,
    provisioning: Provisioning,
    pool: Pool,
    admission: Admission,
    queue: Queue,
    stream_bandwidth: Option<Bandwidth>,
}

/// What an invocation is about to run.
struct Target {
    version: Arc<Version>,
    deployment: Deployment,
    /// ARN as the caller addressed it.
    arn: String,
    /// The version or alias that the caller addressed.
    qualifier: String,
    /// What it may.
    settings: admission::Settings,
}

impl Invoker {
    /// Nothing is provisioned and no event is run yet: [`Invoker::begin`] and [`Events`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, deployments, pool, admission, queue, stream_bandwidth } = parts;
        let provisioning = Provisioning::new(pool.clone());
        let inner = Inner { store, deployments, provisioning, pool, admission, queue, stream_bandwidth };
        Invoker { inner: Arc::new(inner) }
    }

    /// The functions that can be invoked.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.inner.store
    }

    /// How they are run.
    #[must_use]
    pub fn deployments(&self) -> &Deployments {
        &self.inner.deployments
    }

    /// How much of them runs.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.inner.admission
    }

    /// Whether a request would be run: everything but the run itself (invocation type `DryRun`).
    pub fn dry_run(&self, reference: &FunctionReference) -> Result<(), InvokeError> {
        let resolved = self.resolve(reference)?;
        check_active(&resolved.target.version)
    }

    /// Ends every environment: those that run at the end of their invocations, or of `grace`.
    pub async fn shutdown(&self, grace: Duration) {
        let deadline = tokio::time::Instant::now() + grace;
        self.inner.deployments.shutdown(grace).await;
        self.inner.pool.shutdown(deadline.saturating_duration_since(tokio::time::Instant::now())).await;
    }

    fn resolve(&self, reference: &FunctionReference) -> Result<Arc<Resolved>, InvokeError> {
        self.inner.store.resolve(reference).map_err(|error| match error {
            CatalogError::Refused(Refusal::FunctionNotFound { arn }) => InvokeError::NotFound { arn },
            error => InvokeError::Platform(Box::new(error)),
        })
    }

    async fn target(&self, reference: &FunctionReference) -> Result<Target, InvokeError> {
        let resolved = self.resolve(reference)?;
        let version = &router::choose(&resolved, fastrand::f64()).version;
        check_active(version)?;
        let deployment = self.inner.deployments.of(version).await;
        let deployment = deployment.map_err(|error| InvokeError::Platform(Box::new(error)))?;
        let asked = reference.qualifier.clone().unwrap_or_else(|| version.number.qualifier());
        let (provisioned, provisioned_in_function) =
            self.inner.provisioning.of_function(&reference.name, &asked);
        let (reserved, set_aside) =
            (self.inner.store.reserved_concurrency_total(), self.inner.provisioning.set_aside());
        let settings = admission::Settings {
            reserved: resolved.reserved_concurrency,
            provisioned,
            provisioned_in_function,
            set_aside: reserved.saturating_add(set_aside),
        };
        Ok(Target {
            version: Arc::clone(version),
            deployment,
            arn: resolved.arn.to_string(),
            qualifier: asked.to_string(),
            settings,
        })
    }
}

fn check_active(version: &Version) -> Result<(), InvokeError> {
    match &version.state {
        State::Active => Ok(()),
        state => Err(InvokeError::NotActive { state: state.clone() }),
    }
}

/// The spec of a version that can be started.
fn started(deployment: &Deployment) -> Option<&Arc<Spec>> {
    match deployment {
        Deployment::Runs(spec) => Some(spec),
        Deployment::NothingToStart { .. } => None,
    }
}
