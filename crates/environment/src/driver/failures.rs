//! Failures: which words they get, and who is told.
//!
//! A failure that the runtime reported keeps the runtime's words. One that the platform found gets AWS's. One of
//! the platform itself has none for the caller.

use std::collections::BTreeMap;

use bytes::Bytes;
use firesteel_runtime_api::ErrorReport;
use firesteel_sandbox::Exit;
use uuid::Uuid;

use super::Driver;
use crate::failure::PlatformError;
use crate::lifecycle::{ExtensionFailure, Failure};
use crate::logs::platform_event::Status;
use crate::outcome::{Answer, StreamEnd};

/// Why the last failure happened; set before the event that reports it.
#[derive(Debug, Default)]
pub(super) struct Cause {
    pub(super) exit: Option<Exit>,
    pub(super) launch: Option<PlatformError>,
    /// Of a failed init or restore.
    pub(super) runtime_report: Option<ErrorReport>,
    /// How an extension's process ended, why it did not begin, or what it reported.
    pub(super) extension: Option<String>,
    /// What extensions reported, by their indices.
    pub(super) extension_errors: BTreeMap<usize, String>,
}

impl Driver {
    /// The platform's name and words for a failure; none where the runtime found its own.
    pub(super) fn platform_error(&self, failure: Failure) -> Option<PlatformError> {
        match failure {
            Failure::Exited => Some(PlatformError::exited(self.cause.exit.unwrap_or(Exit::Code(0)))),
            Failure::Launch => self.cause.launch.clone(),
            Failure::Extension(failure) => Some(self.extension_error_of(failure)),
            Failure::TimedOut => Some(PlatformError::timed_out(self.spec.timeout)),
            Failure::InitError | Failure::RestoreError | Failure::Sandbox => None,
        }
    }

    fn extension_error_of(&self, failure: ExtensionFailure) -> PlatformError {
        let text = || self.cause.extension.clone().unwrap_or_default();
        match failure {
            ExtensionFailure::Launch(index) => {
                let members = self.state.extensions.members();
                let name =
                    members.get(index).map_or_else(String::new, |extension| extension.name.to_string());
                let reason = self.cause.extension.as_deref().unwrap_or("too many extensions");
                PlatformError::extension(
                    "Extension.LaunchError",
                    format!("fork/exec /opt/extensions/{name}: {reason}"),
                )
            }
            ExtensionFailure::InitError(_) => PlatformError::extension("Extension.InitError", text()),
            ExtensionFailure::ExitError(_) => PlatformError::extension("Extension.ExitError", text()),
            ExtensionFailure::Crash(_) => PlatformError::extension("Extension.Crash", text()),
        }
    }

    pub(super) fn failure_answer(&mut self, id: Uuid, failure: Failure) -> (Answer, Status) {
        if let (Failure::InitError, Some(report)) = (failure, &self.cause.runtime_report) {
            let ErrorReport { error_type, content_type, body, .. } = report.clone();
            let status = Status::Error(error_type.clone());
            return (reported(error_type, content_type, body).0, status);
        }
        let before_the_invocation = self.current.as_ref().is_some_and(|current| current.began.is_none());
        if failure == Failure::RestoreError || (before_the_invocation && failure != Failure::Sandbox) {
            return self.restore_failure(failure);
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

    /// The invocation never began, because the environment could not be restored for it.
    fn restore_failure(&self, failure: Failure) -> (Answer, Status) {
        let status = self.init_failure_status(failure);
        let timed_out = failure == Failure::TimedOut;
        let message = match (&self.cause.runtime_report, self.platform_error(failure)) {
            (Some(report), _) if failure == Failure::RestoreError => {
                String::from_utf8_lossy(&report.body).into_owned()
            }
            (_, Some(error)) if !timed_out => error.message,
            _ => "the hooks after the restore took more than 10 seconds".to_owned(),
        };
        (Answer::RestoreFailed { timed_out, message }, status)
    }

    /// The answer to a post that the platform cannot pass on.
    pub(super) fn platform_failure(&self, error: &PlatformError) -> (Answer, Status) {
        let id = self.current.as_ref().map_or(Uuid::nil(), |current| current.invocation().request_id);
        (function_error(error.error_type, error.payload(id)), Status::Error(error.error_type.into()))
    }

    /// Likewise, for a reader who has the beginning of it.
    pub(super) fn stream_failure(&self, error: &PlatformError) -> (StreamEnd, Status) {
        let (answer, status) = self.platform_failure(error);
        (stream_end(answer), status)
    }

    pub(super) fn init_failure_status(&self, failure: Failure) -> Status {
        match (failure, &self.cause.runtime_report) {
            (Failure::InitError | Failure::RestoreError, Some(report)) => {
                Status::Error(report.error_type.clone())
            }
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

/// An answer for one who has the beginning of another.
pub(super) fn stream_end(answer: Answer) -> StreamEnd {
    match answer {
        Answer::FunctionError { error_type, payload, .. } => StreamEnd::Failed { error_type, payload },
        Answer::PlatformFailed { reason } => StreamEnd::PlatformFailed { reason },
        Answer::Response { .. } | Answer::Stream { .. } | Answer::RestoreFailed { .. } => StreamEnd::Complete,
    }
}
