//! A synchronous invocation: the caller waits for the result.
//!
//! The caller has its answer as soon as the runtime posted it; the environment is busy for a little longer.
//! Only a caller who wants the end of the log waits for REPORT. A caller who goes away ends nothing, not even a
//! cold start.

use bytes::Bytes;
use firesteel_environment::{
    Account, Answer, Invocation, InvokeError as PoolError, Invoked, ResponseDelivery,
};
use tokio::sync::oneshot;

use crate::{InvokeError, Invoker, Outcome, Reply, Request, ThrottleReason, trace};

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
        let trace = trace::header(request.trace.as_deref());
        let invocation = Invocation {
            request_id: request.request_id,
            function_arn: target.arn,
            payload: request.payload,
            content_type: "application/json".into(),
            trace: trace.clone(),
            client_context: request.client_context,
            delivery,
        };
        let Invoked { answer, account } =
            self.inner.pool.invoke(&target.spec, invocation).await.map_err(refused)?;
        let account = request.log_tail.then_some(account);
        Ok(Answered { executed_version: target.spec.version.clone(), trace, answer, account })
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
            InvokeError::Throttled(ThrottleReason::ConcurrentInvocationLimitExceeded)
        }
        PoolError::ShuttingDown | PoolError::Create(_) => InvokeError::Platform(Box::new(error)),
    }
}
