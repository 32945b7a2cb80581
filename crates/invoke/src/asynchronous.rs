//! An asynchronous invocation: the event is on disk before its caller hears of it.

use crate::queue::Event;
use crate::{InvokeError, Invoker, Request, check_active};

impl Invoker {
    /// Accepts an event. When this returns, it is kept, and it will be run whether or not anybody waits.
    pub async fn asynchronous(&self, request: Request) -> Result<(), InvokeError> {
        let resolved = self.resolve(&request.reference)?;
        check_active(&resolved.target.version)?;
        let event = Event {
            request_id: request.request_id,
            function_arn: resolved.target.version.function_arn().to_string(),
            qualifier: request.reference.qualifier.map(|qualifier| qualifier.to_string()),
            trace: request.trace,
            client_context: request.client_context,
            payload: request.payload,
        };
        self.inner.queue.push(event).await.map_err(|error| InvokeError::Platform(Box::new(error)))
    }
}
