//! A synchronous invocation: the caller waits for the result.
//!
//! The caller has its answer as soon as the runtime posted it; the environment is busy for a little longer.
//! Only a caller who wants the end of the log waits for REPORT. A caller who goes away ends nothing, not even a
//! cold start.

use firesteel_environment::{Answer, Invocation, InvokeError as PoolError, Invoked, ResponseDelivery};

use crate::{InvokeError, Invoker, Outcome, Reply, Request, ThrottleReason, trace};

impl Invoker {
    /// Runs the function and returns its result.
    pub async fn synchronous(&self, request: Request) -> Result<Reply, InvokeError> {
        let target = self.target(&request.reference)?;
        let trace = trace::header(request.trace.as_deref());
        let invocation = Invocation {
            request_id: request.request_id,
            function_arn: target.arn,
            payload: request.payload,
            content_type: "application/json".into(),
            trace: trace.clone(),
            client_context: request.client_context,
            delivery: ResponseDelivery::Whole,
        };
        let Invoked { answer, account } =
            self.inner.pool.invoke(&target.spec, invocation).await.map_err(refused)?;
        let outcome = match answer {
            Answer::Response { payload, .. } => Outcome::Success(payload),
            Answer::FunctionError { payload, .. } => Outcome::FunctionError(payload),
            Answer::PlatformFailed { reason } => return Err(InvokeError::Platform(reason.into())),
        };
        let log_tail = if request.log_tail {
            // An environment that breaks between the answer and REPORT has an answer, but no log.
            Some(account.await.map(|account| account.log_tail).unwrap_or_default())
        } else {
            None
        };
        Ok(Reply { executed_version: target.spec.version.clone(), trace, outcome, log_tail })
    }
}

fn refused(error: PoolError) -> InvokeError {
    match error {
        PoolError::AtCapacity { .. } => {
            InvokeError::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded)
        }
        PoolError::ShuttingDown | PoolError::Create(_) => InvokeError::Platform(Box::new(error)),
    }
}
