//! The payloads and log lines of failures that the platform finds: `Runtime.ExitError`, `Sandbox.Timedout` and
//! their kin. One table of names and texts; the driver chooses the row.
//!
//! Source: recordings of the service (key order `errorType`, `errorMessage`; "RequestId: … Error: …").

use std::time::Duration;

use bytes::Bytes;
use firesteel_sandbox::Exit;
use serde::Serialize;
use uuid::Uuid;

/// Largest response that a runtime may post, in bytes: 6 MiB and 100.
pub const RESPONSE_LIMIT_BYTES: usize = 6_291_556;

/// A failure by the name and text that AWS gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformError {
    /// Such as `Runtime.ExitError`.
    pub(crate) error_type: &'static str,
    /// The text after `RequestId: … Error: `, or the whole text where AWS prints no id.
    pub(crate) message: String,
    /// Whether AWS puts the request id before the text.
    with_request_id: bool,
}

impl PlatformError {
    /// The runtime's process ended without having answered. `out_of_memory`: the kernel has killed for want of memory; if
    /// it was the runtime, it has a type of its own.
    pub(crate) fn exited(exit: Exit, out_of_memory: bool) -> Self {
        let message = match exit {
            Exit::Code(0) => "Runtime exited without providing a reason".to_owned(),
            Exit::Code(code) => format!("Runtime exited with error: exit status {code}"),
            Exit::Signal(signal) => format!("Runtime exited with error: signal: {}", signal_text(signal)),
        };
        let killed = exit == Exit::Signal(9);
        Self::new(if killed && out_of_memory { "Runtime.OutOfMemory" } else { "Runtime.ExitError" }, message)
    }

    /// The function's timeout passed.
    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::new("Sandbox.Timedout", timed_out_text(timeout))
    }

    /// The runtime's program could not be started.
    pub(crate) fn launch(program: &std::path::Path, reason: &str) -> Self {
        Self::new("Runtime.InvalidEntrypoint", format!("fork/exec {}: {reason}", program.display()))
    }

    /// The image has no such program.
    pub(crate) fn no_entrypoint(program: &std::path::Path) -> Self {
        let message = format!("Couldn't find valid bootstrap(s): [{}]", program.display());
        Self::new("Runtime.InvalidEntrypoint", message)
    }

    /// The runtime's working directory could not be entered.
    pub(crate) fn working_dir(folder: &std::path::Path, reason: &str) -> Self {
        Self::new("Runtime.InvalidWorkingDir", format!("chdir {}: {reason}", folder.display()))
    }

    /// An extension failed.
    pub(crate) fn extension(error_type: &'static str, text: String) -> Self {
        Self::new(error_type, text)
    }

    /// The runtime posted more than a caller may receive.
    pub(crate) fn response_too_large() -> Self {
        PlatformError {
            error_type: "Function.ResponseSizeTooLarge",
            message: format!(
                "Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT_BYTES} bytes)."
            ),
            with_request_id: false,
        }
    }

    /// The body of the runtime's response was cut off.
    pub(crate) fn truncated_response() -> Self {
        Self::new("Runtime.TruncatedResponse", "the response of the runtime was cut off".into())
    }

    /// The runtime named a response mode that does not exist.
    pub(crate) fn invalid_response_mode() -> Self {
        Self::new("Runtime.InvalidResponseModeHeader", "Invalid function response mode".into())
    }

    fn new(error_type: &'static str, message: String) -> Self {
        PlatformError { error_type, message, with_request_id: true }
    }

    /// The text as callers and logs see it.
    pub(crate) fn text(&self, request_id: Uuid) -> String {
        if self.with_request_id {
            format!("RequestId: {request_id} Error: {}", self.message)
        } else {
            self.message.clone()
        }
    }

    /// The payload for the caller.
    pub(crate) fn payload(&self, request_id: Uuid) -> Bytes {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct TypeFirst<'a> {
            error_type: &'a str,
            error_message: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct MessageFirst<'a> {
            error_message: &'a str,
            error_type: &'a str,
        }
        let text = self.text(request_id);
        let json = if self.with_request_id {
            serde_json::to_vec(&TypeFirst { error_type: self.error_type, error_message: &text })
        } else {
            serde_json::to_vec(&MessageFirst { error_message: &text, error_type: self.error_type })
        };
        Bytes::from(json.expect("two strings always serialize"))
    }
}

/// How an extension's process ended, in the words that `Extension.Crash` uses.
pub(crate) fn extension_exit_text(exit: Exit) -> String {
    match exit {
        Exit::Code(0) => "exit code 0".to_owned(),
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal(signal) => format!("signal: {}", signal_text(signal)),
    }
}

/// The sentence of a timeout, two decimals of the configured limit.
pub(crate) fn timed_out_text(timeout: Duration) -> String {
    format!("Task timed out after {:.2} seconds", timeout.as_secs_f64())
}

/// A signal as Go's `os.ProcessState` words it, which is what AWS prints.
fn signal_text(signal: i32) -> String {
    let known = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        other => return format!("signal {other}"),
    };
    known.to_owned()
}

/// The errno texts of a failed exec, as Go prints them.
pub(crate) fn exec_error_text(errno: i32, otherwise: &str) -> String {
    match errno {
        2 => "no such file or directory".into(),
        7 => "argument list too long".into(),
        8 => "exec format error".into(),
        12 => "cannot allocate memory".into(),
        13 => "permission denied".into(),
        20 => "not a directory".into(),
        21 => "is a directory".into(),
        26 => "text file busy".into(),
        40 => "too many levels of symbolic links".into(),
        _ => otherwise.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    #[track_caller]
    fn check(error: &PlatformError, payload: &str) {
        assert_eq!(String::from_utf8(error.payload(ID).to_vec()).unwrap(), payload);
    }

    #[test]
    fn payloads_are_worded_as_aws_words_them() {
        let id = "RequestId: 00000000-0000-0000-0000-000000000007 Error: ";
        check(
            &PlatformError::exited(Exit::Code(0), false),
            &format!(
                r#"{{"errorType":"Runtime.ExitError","errorMessage":"{id}Runtime exited without providing a reason"}}"#
            ),
        );
        check(
            &PlatformError::exited(Exit::Code(127), false),
            &format!(
                r#"{{"errorType":"Runtime.ExitError","errorMessage":"{id}Runtime exited with error: exit status 127"}}"#
            ),
        );
        check(
            &PlatformError::exited(Exit::Signal(9), false),
            &format!(
                r#"{{"errorType":"Runtime.ExitError","errorMessage":"{id}Runtime exited with error: signal: killed"}}"#
            ),
        );
        check(
            &PlatformError::exited(Exit::Signal(9), true),
            &format!(
                r#"{{"errorType":"Runtime.OutOfMemory","errorMessage":"{id}Runtime exited with error: signal: killed"}}"#
            ),
        );
        assert_eq!(PlatformError::exited(Exit::Code(1), true).error_type, "Runtime.ExitError");
        check(
            &PlatformError::timed_out(Duration::from_secs(3)),
            &format!(
                r#"{{"errorType":"Sandbox.Timedout","errorMessage":"{id}Task timed out after 3.00 seconds"}}"#
            ),
        );
        check(
            &PlatformError::response_too_large(),
            r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#,
        );
        check(
            &PlatformError::launch(std::path::Path::new("/var/task/bootstrap"), &exec_error_text(8, "")),
            &format!(
                r#"{{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"{id}fork/exec /var/task/bootstrap: exec format error"}}"#
            ),
        );
    }
}
