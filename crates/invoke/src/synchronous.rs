//! A synchronous invocation: the caller waits for the result.
//!
//! The caller has its answer as soon as the runtime posted it; the environment is busy for a little longer.
//! Only a caller who wants the end of the log waits for REPORT. A caller who goes away ends nothing, not even a
//! cold start: what may take time before the invocation is with its environment runs in a task of its own.

use std::sync::Arc;

use firesteel_environment::{AcquireError, Answer, Invocation, Pending, Spec};

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
        };
        let pending = self.hand_over(&target.spec, invocation).await?;
        let outcome = match pending.answer.await {
            Ok(Answer::Response { payload, .. }) => Outcome::Success(payload),
            Ok(Answer::FunctionError { payload, .. }) => Outcome::FunctionError(payload),
            Ok(Answer::PlatformFailed { reason }) => return Err(InvokeError::Platform(reason.into())),
            Err(_) => {
                return Err(InvokeError::Platform(
                    "the execution environment ended without an answer".into(),
                ));
            }
        };
        let log_tail = if request.log_tail {
            // An environment that breaks between the answer and REPORT has an answer, but no log.
            Some(pending.account.await.map(|account| account.log_tail).unwrap_or_default())
        } else {
            None
        };
        Ok(Reply { executed_version: target.spec.version.clone(), trace, outcome, log_tail })
    }
}

impl Invoker {
    async fn hand_over(&self, spec: &Arc<Spec>, invocation: Invocation) -> Result<Pending, InvokeError> {
        if let Some(lease) = self.inner.pool.idle(spec).map_err(refused)? {
            return Ok(lease.invoke(invocation));
        }
        let (pool, spec) = (self.inner.pool.clone(), Arc::clone(spec));
        let acquired = tokio::spawn(async move { Ok(pool.acquire(&spec).await?.invoke(invocation)) });
        match acquired.await {
            Ok(result) => result.map_err(refused),
            Err(panicked) => Err(InvokeError::Platform(Box::new(panicked))),
        }
    }
}

fn refused(error: AcquireError) -> InvokeError {
    match error {
        AcquireError::AtCapacity { .. } => {
            InvokeError::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded)
        }
        AcquireError::ShuttingDown | AcquireError::Create(_) => InvokeError::Platform(Box::new(error)),
    }
}
