//! Failures: which words they get.
//!
//! A failure that the runtime reported keeps the runtime's words. One that the platform found gets AWS's. One of
//! the platform itself has none for the caller.

use std::collections::BTreeMap;

use firesteel_runtime_api::ErrorReport;
use firesteel_sandbox::{Exit, StartStep};
use uuid::Uuid;

use super::Processes;
use crate::failure::PlatformError;
use crate::lifecycle::extensions::Extensions;
use crate::lifecycle::{ExtensionFailure, Failure};
use crate::logs::platform_event::{PlatformEvent, Status};
use crate::outcome::Answer;
use crate::posted::{function_error, reported};

/// Why the last failure happened; set before the event that reports it.
#[derive(Debug, Default)]
pub(crate) struct Cause {
    pub(super) exit: Option<Exit>,
    /// The kernel has killed a process since the init began.
    pub(super) out_of_memory: bool,
    pub(super) launch: Option<PlatformError>,
    /// Of a failed init or restore.
    pub(crate) runtime_report: Option<ErrorReport>,
    /// How an extension's process ended, why it did not begin, or what it reported.
    pub(super) extension: Option<String>,
    /// What extensions reported, by their indices.
    pub(super) extension_errors: BTreeMap<usize, String>,
}

/// What is told of an invocation that the platform ends.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) answer: Answer,
    pub(crate) status: Status,
    /// For the log, if the platform found it.
    pub(crate) error: Option<PlatformError>,
}

impl Processes {
    /// Keeps why the runtime could not be started. Of an image the log tells at once, and more, as AWS's does.
    pub(super) fn launch_failed(&mut self, step: StartStep, reason: &str) {
        let program = &self.spec.entrypoint.program;
        let error = match (&self.spec.image, step) {
            (Some(image), StartStep::WorkingDir) => PlatformError::working_dir(&image.working_dir, reason),
            (Some(_), StartStep::Search) => PlatformError::no_entrypoint(program),
            (Some(_), StartStep::Execution) | (None, _) => PlatformError::launch(program, reason),
        };
        if self.spec.image.is_some() {
            self.log.platform(&PlatformEvent::ImageNotStarted { error: error.clone() });
        }
        self.cause.launch = Some(error);
    }

    /// The platform's name and words for a failure; none where the runtime found its own.
    pub(crate) fn platform_error(&self, failure: Failure, extensions: &Extensions) -> Option<PlatformError> {
        match failure {
            Failure::Exited => {
                let exit = self.cause.exit.unwrap_or(Exit::Code(0));
                Some(PlatformError::exited(exit, self.cause.out_of_memory))
            }
            Failure::Launch => self.cause.launch.clone(),
            Failure::Extension(failure) => Some(self.extension_error_of(failure, extensions)),
            Failure::TimedOut => Some(PlatformError::timed_out(self.spec.timeout)),
            Failure::InitError | Failure::RestoreError | Failure::Sandbox => None,
        }
    }

    fn extension_error_of(&self, failure: ExtensionFailure, extensions: &Extensions) -> PlatformError {
        let text = || self.cause.extension.clone().unwrap_or_default();
        match failure {
            ExtensionFailure::Launch(index) => {
                let members = extensions.members();
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

    /// What the caller of an invocation is told that ends by this failure.
    pub(crate) fn verdict(&self, request_id: Uuid, failure: Failure, extensions: &Extensions) -> Verdict {
        if let (Failure::InitError, Some(report)) = (failure, &self.cause.runtime_report) {
            let ErrorReport { error_type, content_type, body, .. } = report.clone();
            let status = Status::Error(error_type.clone());
            return Verdict { answer: reported(error_type, content_type, body).0, status, error: None };
        }
        match self.platform_error(failure, extensions) {
            Some(error) => {
                let status = match failure {
                    Failure::TimedOut => Status::Timeout,
                    _ => Status::Error(error.error_type.into()),
                };
                let answer = function_error(error.error_type, error.payload(request_id));
                Verdict { answer, status, error: Some(error) }
            }
            None => Verdict {
                answer: Answer::PlatformFailed { reason: "the execution environment was ended".into() },
                status: Status::Error("Sandbox.Failure".into()),
                error: None,
            },
        }
    }

    pub(crate) fn init_failure_status(&self, failure: Failure, extensions: &Extensions) -> Status {
        match (failure, &self.cause.runtime_report) {
            (Failure::InitError | Failure::RestoreError, Some(report)) => {
                Status::Error(report.error_type.clone())
            }
            (Failure::TimedOut, _) => Status::Timeout,
            _ => match self.platform_error(failure, extensions) {
                Some(error) => Status::Error(error.error_type.into()),
                None => Status::Error("Sandbox.Failure".into()),
            },
        }
    }
}
