//! A synchronous invocation: the caller waits for the result.
//!
//! The caller has its answer as soon as the runtime posted it; the environment is busy for a little longer.
//! Only a caller who wants the end of the log waits for REPORT. A caller who goes away ends nothing, not even a
//! cold start.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_catalog::FunctionReference;
use firesteel_environment::{
    Account, Answer, Invocation, InvokeError as PoolError, Invoked, ResponseDelivery, Spec,
};
use tokio::sync::oneshot;

use crate::{InvokeError, Invoker, Outcome, Permit, Reply, Request, Target, Throttle, ThrottleReason, trace};

/// An invocation that has begun to answer, and what its callers are told beside the answer.
pub(crate) struct Answered {
    pub(crate) executed_version: String,
    pub(crate) trace: String,
    pub(crate) answer: Answer,
    /// Only if the caller wants the log.
    pub(crate) account: Option<oneshot::Receiver<Account>>,
}

impl Invoker {
    /// Runs the function and returns its result.
    pub async fn synchronous(&self, request: Request) -> Result<Reply, InvokeError> {
        let Answered { executed_version, trace, answer, account } =
            self.answered(request, ResponseDelivery::Whole).await?;
        let (content_type, outcome) = match answer {
            Answer::Response { content_type, payload } => (content_type, Outcome::Success(payload)),
            Answer::FunctionError { content_type, payload, .. } => {
                (content_type, Outcome::FunctionError(payload))
            }
            other => return Err(no_result(other)),
        };
        let log_tail = log_tail(account).await;
        Ok(Reply { executed_version, trace, content_type, outcome, log_tail })
    }

    pub(crate) async fn answered(
        &self,
        request: Request,
        delivery: ResponseDelivery,
    ) -> Result<Answered, InvokeError> {
        let target = self.target(&request.reference)?;
        let permit = self.permit(&target).await?;
        let trace = trace::header(request.trace.as_deref());
        let held = permit.clone();
        let invocation = Invocation {
            request_id: request.request_id,
            function_arn: target.arn,
            payload: request.payload,
            content_type: "application/json".into(),
            trace: trace.clone(),
            client_context: request.client_context,
            delivery,
            // Until the invocation is over, whether or not its caller is still there.
            permit: held.map(|permit| permit as Arc<dyn Any + Send + Sync>),
        };
        let (spec, Invoked { answer, account }) =
            self.run(&request.reference, target.spec, invocation).await?;
        if let Some(permit) = permit {
            permit.answered();
        }
        let account = request.log_tail.then_some(account);
        Ok(Answered { executed_version: spec.version.clone(), trace, answer, account })
    }

    async fn permit(&self, target: &Target) -> Result<Option<Arc<Permit>>, InvokeError> {
        let Some(admission) = &self.admission else { return Ok(None) };
        let Target { spec, qualifier, settings, .. } = target;
        Ok(Some(Arc::new(admission.admit_soon(&spec.function_name, qualifier, *settings).await?)))
    }

    /// Runs it in an environment of this spec, or of the one that has taken its place meanwhile.
    async fn run(
        &self,
        reference: &FunctionReference,
        mut spec: Arc<Spec>,
        mut invocation: Invocation,
    ) -> Result<(Arc<Spec>, Invoked), InvokeError> {
        loop {
            match self.inner.pool.invoke(&spec, invocation).await {
                Ok(invoked) => return Ok((spec, invoked)),
                Err(PoolError::Retired { spec: retired, invocation: back }) => {
                    spec = self.target(reference)?.spec;
                    if Arc::ptr_eq(&spec, &retired) {
                        return Err(refused(PoolError::Retired { spec: retired, invocation: back }));
                    }
                    invocation = *back;
                }
                Err(error) => return Err(refused(error)),
            }
        }
    }
}

/// The end of the log, if it is wanted. An environment that breaks between the answer and REPORT has an answer, but
/// no log.
pub(crate) async fn log_tail(account: Option<oneshot::Receiver<Account>>) -> Option<Bytes> {
    Some(account?.await.map(|account| account.log_tail).unwrap_or_default())
}

/// An answer that is no result of the function.
pub(crate) fn no_result(answer: Answer) -> InvokeError {
    match answer {
        Answer::RestoreFailed { timed_out, message } => InvokeError::RestoreFailed { timed_out, message },
        Answer::PlatformFailed { reason } => InvokeError::Platform(reason.into()),
        Answer::Response { .. } | Answer::FunctionError { .. } | Answer::Stream { .. } => {
            InvokeError::Platform("an answer of a kind that was not asked for".into())
        }
    }
}

fn refused(error: PoolError) -> InvokeError {
    match error {
        PoolError::AtCapacity { .. } => {
            Throttle::by_concurrency(ThrottleReason::ConcurrentInvocationLimitExceeded).into()
        }
        PoolError::Retired { .. } | PoolError::ShuttingDown | PoolError::Create(_) => {
            InvokeError::Platform(Box::new(error))
        }
    }
}
