//! Failures: which words they get, and who is told.
//!
//! A failure that the runtime reported keeps the runtime's words. One that the platform found gets AWS's. One of
//! the platform itself has none for the caller.

use bytes::Bytes;
use firesteel_runtime_api::ErrorReport;
use firesteel_sandbox::Exit;
use uuid::Uuid;

use super::Driver;
use crate::failure::PlatformError;
use crate::lifecycle::Failure;
use crate::logs::platform_event::Status;
use crate::outcome::Answer;

/// Why the last failure happened; set before the event that reports it.
#[derive(Debug, Default)]
pub(super) struct Cause {
    pub(super) exit: Option<Exit>,
    pub(super) launch: Option<PlatformError>,
    pub(super) init_error: Option<ErrorReport>,
}

impl Driver {
    /// The platform's name and words for a failure; none where the runtime found its own.
    pub(super) fn platform_error(&self, failure: Failure) -> Option<PlatformError> {
        match failure {
            Failure::Exited => Some(PlatformError::exited(self.cause.exit.unwrap_or(Exit::Code(0)))),
            Failure::Launch => self.cause.launch.clone(),
            Failure::TimedOut => Some(PlatformError::timed_out(self.spec.timeout)),
            Failure::InitError | Failure::Sandbox => None,
        }
    }

    pub(super) fn failure_answer(&mut self, id: Uuid, failure: Failure) -> (Answer, Status) {
        if let (Failure::InitError, Some(report)) = (failure, self.cause.init_error.take()) {
            let status = Status::Error(report.error_type.clone());
            return (reported(report.error_type, report.content_type, report.body).0, status);
        }
        match self.platform_error(failure) {
            Some(error) => {
                let status = match failure {
                    Failure::TimedOut => Status::Timeout,
                    _ => Status::Error(error.error_type.into()),
                };
                let answer = function_error(error.error_type, error.payload(id));
                if let Some(current) = &mut self.current {
                    current.failure = Some(error);
                }
                (answer, status)
            }
            None => (
                Answer::PlatformFailed { reason: "the execution environment was ended".into() },
                Status::Error("Sandbox.Failure".into()),
            ),
        }
    }

    /// The answer to a post that the platform cannot pass on.
    pub(super) fn platform_failure(&self, error: &PlatformError) -> (Answer, Status) {
        let id =
            self.current.as_ref().map_or(Uuid::nil(), |current| current.admitted.order.invocation.request_id);
        (function_error(error.error_type, error.payload(id)), Status::Error(error.error_type.into()))
    }

    pub(super) fn init_failure_status(&self, failure: Failure) -> Status {
        match (failure, &self.cause.init_error) {
            (Failure::InitError, Some(report)) => Status::Error(report.error_type.clone()),
            (Failure::TimedOut, _) => Status::Timeout,
            _ => match self.platform_error(failure) {
                Some(error) => Status::Error(error.error_type.into()),
                None => Status::Error("Sandbox.Failure".into()),
            },
        }
    }
}

/// The answer that the runtime itself gave.
pub(super) fn reported(error_type: String, content_type: String, payload: Bytes) -> (Answer, Status) {
    let content_type = if content_type.is_empty() { "application/json".into() } else { content_type };
    let status = Status::Reported(error_type.clone());
    (Answer::FunctionError { error_type, content_type, payload }, status)
}

pub(super) fn function_error(error_type: &str, payload: Bytes) -> Answer {
    Answer::FunctionError { error_type: error_type.into(), content_type: "application/json".into(), payload }
}
