//! An asynchronous invocation: the caller has its 202, the event is run at once.
//!
//! Events are kept in memory only and run once. An event that finds no room waits for some, as AWS queues what
//! it cannot run yet; it is lost when the server ends before its turn has come, which is logged.

use std::time::Duration;

use crate::{InvokeError, Invoker, Outcome, Request};

/// How often an event that was throttled is tried again; doubled each time, as AWS does from one second on.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// An event older than this is dropped (AWS's default maximum event age).
const MAXIMUM_AGE: Duration = Duration::from_secs(6 * 60 * 60);

impl Invoker {
    /// Accepts an event. It runs whether or not anybody waits.
    pub fn asynchronous(&self, request: Request) -> Result<(), InvokeError> {
        self.target(&request.reference)?;
        let invoker = self.clone();
        self.inner.events.spawn(async move {
            let request_id = request.request_id;
            match invoker.run_event(request).await {
                Ok(Outcome::Success(_)) => {}
                Ok(Outcome::FunctionError(payload)) => {
                    let payload = String::from_utf8_lossy(&payload);
                    tracing::warn!(%request_id, %payload, "an asynchronous event failed in its function");
                }
                Err(error) => {
                    tracing::error!(%request_id, %error, "an asynchronous event was not run");
                }
            }
        });
        Ok(())
    }

    async fn run_event(&self, request: Request) -> Result<Outcome, InvokeError> {
        let give_up = tokio::time::Instant::now() + MAXIMUM_AGE;
        let mut backoff = FIRST_BACKOFF;
        loop {
            match self.synchronous(request.clone()).await {
                Err(InvokeError::Throttled(_)) if tokio::time::Instant::now() + backoff < give_up => {
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(LONGEST_BACKOFF);
                }
                result => return result.map(|reply| reply.outcome),
            }
        }
    }
}
