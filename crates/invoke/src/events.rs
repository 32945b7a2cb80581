//! Asynchronous events, run and told of: what the [`queue`](crate::queue) has the invoker do.
//!
//! ```text
//!  queue ─► settings: of the function, or its version or alias ─► run: as a synchronous caller would ─► queue: what becomes of it
//!     └───► deliver ─► destinations
//! ```

use std::sync::Arc;
use std::time::Duration;

use firesteel_catalog::{FunctionReference, RecursiveLoop};

use crate::destinations::{DestinationSettings, Destinations};
use crate::queue::rules::{self, TimeScale};
use crate::queue::{Counts, Delivery, DeliveryError, Dispatcher, Event, Executor, RunResult};
use crate::{InvokeError, Invoker, Request};

/// How events are run.
#[derive(Debug, Clone)]
pub struct EventSettings {
    /// Where destinations are reached.
    pub destinations: DestinationSettings,
    /// How long retries and back-offs really take.
    pub scale: TimeScale,
}

/// Runs the events of an invoker's queue, as long as it is held.
#[derive(Debug)]
pub struct Events {
    dispatcher: Dispatcher,
}

impl Events {
    /// Begins with what the queue holds. To be called in a runtime of tokio's.
    #[must_use]
    pub fn start(invoker: &Invoker, settings: &EventSettings) -> Self {
        let runner =
            Runner { invoker: invoker.clone(), destinations: Destinations::new(&settings.destinations) };
        let queue = invoker.inner.queue.clone();
        Events { dispatcher: Dispatcher::start(queue, Arc::new(runner), settings.scale) }
    }

    /// What was done since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.dispatcher.counts()
    }

    /// Runs nothing more, and waits for what runs, at most for `grace`. What has no outcome then runs again after the next
    /// start, if the queue is kept.
    pub async fn shutdown(self, grace: Duration) {
        if tokio::time::timeout(grace, self.dispatcher.shutdown()).await.is_err() {
            tracing::info!("asynchronous events were still running when the grace period was over");
        }
    }
}

struct Runner {
    invoker: Invoker,
    destinations: Destinations,
}

impl Runner {
    fn reference(&self, event: &Event) -> Option<FunctionReference> {
        let account = self.invoker.store().account();
        let qualifier = event.qualifier.as_deref();
        FunctionReference::parse(&event.function_arn, qualifier, &account.region, &account.id).ok()
    }
}

impl Executor for Runner {
    async fn settings(&self, event: &Event) -> Option<rules::EventSettings> {
        let resolved = self.invoker.resolve(&self.reference(event)?).ok()?;
        let configured = &resolved.event_invoke;
        let defaults = rules::EventSettings::default();
        let retries = configured.maximum_retry_attempts.and_then(|attempts| u8::try_from(attempts).ok());
        Some(rules::EventSettings {
            maximum_retry_attempts: retries.unwrap_or(defaults.maximum_retry_attempts),
            maximum_event_age_s: configured.maximum_event_age_s.unwrap_or(defaults.maximum_event_age_s),
            on_success: configured.destinations.on_success.clone(),
            on_failure: configured.destinations.on_failure.clone(),
            dead_letter: resolved.target.version.configuration.dead_letter_target.clone(),
            zero_reserved_concurrency: resolved.reserved_concurrency == Some(0),
            recursion_allowed: resolved.recursive_loop == RecursiveLoop::Allow,
        })
    }

    async fn run(&self, event: Event) -> RunResult {
        let Some(reference) = self.reference(&event) else { return RunResult::NotFound };
        let request = Request {
            reference,
            request_id: event.request_id,
            payload: event.payload,
            client_context: event.client_context,
            trace: event.trace,
            log_tail: false,
        };
        let invoked = self.invoker.synchronous(request).await;
        if let Err(InvokeError::Platform(error)) = &invoked {
            tracing::error!(
                error = &**error as &(dyn std::error::Error + 'static),
                "an asynchronous event was not run"
            );
        }
        invoked.into()
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        self.destinations.deliver(&delivery).await
    }
}
