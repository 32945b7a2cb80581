//! A synchronous invocation: the caller waits for the result.
//!
//! The caller has its answer as soon as the runtime posted it; the environment is busy for a little longer.
//! Only a caller who wants the end of the log waits for REPORT. A caller who goes away ends nothing, not even a
//! cold start.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_environment::{
    Account, Answer, Invocation, InvokeError as PoolError, Invoked, ResponseDelivery,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Deployment, InvokeError, Invoker, Outcome, Reply, Request, Target, Throttle, ThrottleReason, started,
    trace,
};

pub(crate) const INVALID_ENTRYPOINT: &str = "Runtime.InvalidEntrypoint";

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
        let mut target = self.target(&request.reference).await?;
        let Target { qualifier, settings, .. } = &target;
        let name = request.reference.name.as_str();
        let permit = Arc::new(self.inner.admission.admit_soon(name, qualifier, *settings).await?);
        let trace = trace::header(request.trace.as_deref());
        let mut invocation = Invocation {
            request_id: request.request_id,
            function_arn: std::mem::take(&mut target.arn),
            payload: request.payload,
            content_type: "application/json".into(),
            trace: trace.clone(),
            client_context: request.client_context,
            delivery,
            // Until the invocation is over, whether or not its caller is still there.
            permit: Some(Arc::clone(&permit) as Arc<dyn Any + Send + Sync>),
        };
        let Invoked { answer, account } = loop {
            let spec = match &target.deployment {
                Deployment::Runs(spec) => spec,
                Deployment::NothingToStart { reason } => {
                    let executed_version = target.version.number.to_string();
                    return Ok(nothing_to_start(request.request_id, reason, executed_version, trace));
                }
            };
            match self.inner.pool.invoke(spec, invocation).await {
                Ok(invoked) => break invoked,
                // It was replaced since it was looked up: what has taken its place runs.
                Err(PoolError::Retired { spec: retired, invocation: back }) => {
                    target = self.target(&request.reference).await?;
                    if started(&target.deployment).is_some_and(|spec| Arc::ptr_eq(spec, &retired)) {
                        return Err(refused(PoolError::Retired { spec: retired, invocation: back }));
                    }
                    invocation = *back;
                }
                Err(error) => return Err(refused(error)),
            }
        };
        permit.answered();
        let account = request.log_tail.then_some(account);
        Ok(Answered { executed_version: target.version.number.to_string(), trace, answer, account })
    }
}

/// What AWS answers when it has looked for something to start, and found nothing.
fn nothing_to_start(request_id: Uuid, reason: &str, executed_version: String, trace: String) -> Answered {
    let error_message = format!("RequestId: {request_id} Error: {reason}");
    let payload = serde_json::json!({ "errorType": INVALID_ENTRYPOINT, "errorMessage": error_message });
    let answer = Answer::FunctionError {
        content_type: "application/json".into(),
        payload: payload.to_string().into(),
        error_type: INVALID_ENTRYPOINT.into(),
    };
    Answered { executed_version, trace, answer, account: None }
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
