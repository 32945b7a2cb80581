//! How a command ends: an exit code, and for a failure what, why, and what to type next.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

/// The exit codes, as `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The function succeeded; the server ended in order; the runtime keeps the rules.
    Success = 0,
    /// The function failed, its error JSON is on stdout; or the runtime that was checked did, the report is. Or this machine holds
    /// functions by less than was asked for, as `doctor` reports.
    FunctionFailed = 1,
    /// Wrong usage or bad input: nothing was run.
    Usage = 2,
    /// The platform failed.
    Platform = 3,
    /// Ended by Ctrl-C, as shells count it.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    causes: Vec<String>,
    next: Option<String>,
}

impl Failure {
    /// Bad input: the user can mend it.
    pub(crate) fn usage(what: impl fmt::Display) -> Self {
        Failure { exit: Exit::Usage, what: what.to_string(), causes: Vec::new(), next: None }
    }

    /// Ours or the host's.
    pub(crate) fn platform(what: impl fmt::Display) -> Self {
        Failure { exit: Exit::Platform, ..Failure::usage(what) }
    }

    /// Adds the chain of an error as causes.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// The error itself is the message; its sources are the causes.
    pub(crate) fn from_error(exit: Exit, error: &dyn Error) -> Self {
        let failure = Failure { exit, ..Failure::usage(error) };
        match error.source() {
            Some(source) => failure.because(source),
            None => failure,
        }
    }

    /// What and why, for where it is a cause itself.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_one_line(&self) -> String {
        std::iter::once(&self.what).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// The next thing to type or do.
    pub(crate) fn try_next(mut self, next: impl fmt::Display) -> Self {
        self.next = Some(next.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for cause in &self.causes {
            write!(f, "\n  cause: {cause}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "\n  try:   {next}")?;
        }
        Ok(())
    }
}
