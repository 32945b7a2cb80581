//! From a request to an outcome: which version runs, may it run now, what happens to its result.
//!
//! ```text
//!  api ─► Invoker ─► catalog: which function ─► pool: an environment, or throttled ─► outcome
//!            ▲                                                                      whole, or as a stream
//!  plan: function ─► runtimes ─► environment::Spec (once per function, when it is registered)
//! ```
//!
//! The caller's mistakes ([`InvokeError::NotFound`], [`InvokeError::Throttled`]), the function's failures
//! ([`Outcome::FunctionError`]) and the platform's ([`InvokeError::Platform`]) leave here as three different
//! things and are never told apart by looking into a payload.
#![forbid(unsafe_code)]

pub mod admission;
mod asynchronous;
mod bandwidth;
pub mod plan;
mod streaming;
mod synchronous;
pub mod trace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_catalog::{Catalog, Function, FunctionName, FunctionReference, NotFound, Qualifier};
use firesteel_environment::{Pool, Spec};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use admission::{Admission, Permit, Throttle, ThrottleReason};
pub use bandwidth::Bandwidth;
pub use streaming::{ResponseStream, StreamEnd, StreamError, StreamReply};

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
    #[error(transparent)]
    NotFound(#[from] NotFound),
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
    /// Without one, only the pool throttles.
    admission: Option<Admission>,
    stream_bandwidth: Option<Bandwidth>,
}

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    specs: HashMap<FunctionName, Arc<Spec>>,
    pool: Pool,
    /// Asynchronous events that were accepted and are not yet run.
    events: TaskTracker,
}

/// A function, and what its environments are made from.
#[derive(Debug, Clone)]
struct Target {
    spec: Arc<Spec>,
    /// ARN as the caller addressed it.
    arn: String,
    /// The version or alias that the caller addressed.
    qualifier: String,
    /// What it may.
    settings: admission::Settings,
}

impl Invoker {
    /// Over these functions, with the specs that [`plan`] made of them.
    #[must_use]
    pub fn new(catalog: Catalog, specs: HashMap<FunctionName, Arc<Spec>>, pool: Pool) -> Self {
        let inner = Inner { catalog, specs, pool, events: TaskTracker::new() };
        Invoker { inner: Arc::new(inner), admission: None, stream_bandwidth: None }
    }

    /// The same, with streamed responses no faster than this. Otherwise they are as fast as their readers.
    #[must_use]
    pub fn with_stream_bandwidth(self, stream_bandwidth: Option<Bandwidth>) -> Self {
        Invoker { stream_bandwidth, ..self }
    }

    /// The same, with invocations only as far as they are admitted; the pool's own bounds stay.
    #[must_use]
    pub fn with_admission(self, admission: Admission) -> Self {
        Invoker { admission: Some(admission), ..self }
    }

    /// The functions that can be invoked.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// Whether a request would be run: everything but the run itself (invocation type `DryRun`).
    pub fn dry_run(&self, reference: &FunctionReference) -> Result<(), InvokeError> {
        self.target(reference).map(drop)
    }

    /// Waits for what was accepted, at most for `grace`, then ends every environment.
    pub async fn shutdown(&self, grace: Duration) {
        let deadline = tokio::time::Instant::now() + grace;
        self.inner.events.close();
        if tokio::time::timeout_at(deadline, self.inner.events.wait()).await.is_err() {
            tracing::warn!(
                events = self.inner.events.len(),
                "asynchronous events are lost: the grace period is over"
            );
        }
        self.inner.pool.shutdown(deadline.saturating_duration_since(tokio::time::Instant::now())).await;
    }

    fn target(&self, reference: &FunctionReference) -> Result<Target, InvokeError> {
        let function: Arc<Function> = self.inner.catalog.find(reference)?;
        let spec = self.inner.specs.get(function.name()).cloned();
        let spec = spec.expect("a function enters the catalog together with its spec");
        let arn = match &reference.qualifier {
            None => spec.function_arn.clone(),
            Some(qualifier) => qualified(&spec.function_arn, qualifier),
        };
        let qualifier =
            reference.qualifier.as_ref().map_or_else(|| spec.version.clone(), Qualifier::to_string);
        Ok(Target { spec, arn, qualifier, settings: admission::Settings::default() })
    }
}

fn qualified(arn: &str, qualifier: &Qualifier) -> String {
    format!("{arn}:{qualifier}")
}
