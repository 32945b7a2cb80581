//! What came of a rule.

use std::time::Duration;

use crate::rules::Rule;

/// A rule, judged.
#[derive(Debug)]
pub struct Judged {
    /// Which.
    pub rule: &'static Rule,
    /// How it went.
    pub verdict: Verdict,
    /// What the runtime wrote to stdout and stderr meanwhile, its last lines.
    pub output: String,
    /// How long it took.
    pub duration: Duration,
}

/// How a rule went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed(Finding),
    /// The rule is about something that this runtime, or its handler, does not have.
    NotApplicable {
        /// What it does not have.
        why: String,
    },
    /// Could not be tried, because of another rule that failed.
    Skipped {
        /// Which.
        why: String,
    },
}

/// What is wrong, for those who can mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What the runtime should have done.
    pub expected: String,
    /// What it did; a request as it was on the wire.
    pub seen: String,
    /// What to change.
    pub advice: String,
}

/// Why a rule could not be judged: the host's doing, never the runtime's.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A socket, a pipe or a folder.
    #[error("preparing a start of the runtime")]
    Prepare(#[source] std::io::Error),
    /// The sandbox.
    #[error("making the sandbox of the runtime")]
    Sandbox(#[from] firesteel_sandbox::CreateError),
    /// A request to the sandbox.
    #[error("asking the sandbox of the runtime")]
    Request(#[from] firesteel_sandbox::RequestError),
    /// The sandbox's first process was killed by somebody else.
    #[error("the sandbox of the runtime died")]
    SandboxLost,
}

/// Why a rule ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Without advice of its own, the rule's is given.
    Failed {
        expected: String,
        seen: String,
        advice: Option<&'static str>,
    },
    NotApplicable(String),
    Skipped(String),
    Host(HostError),
}

impl Stop {
    pub(crate) fn failed(expected: impl Into<String>, seen: impl Into<String>) -> Self {
        Stop::Failed { expected: expected.into(), seen: seen.into(), advice: None }
    }

    /// For a rule that builds on another: what that one has found is not found again.
    pub(crate) fn first_comes(self, rule: &str) -> Self {
        match self {
            Stop::Failed { .. } => Stop::Skipped(format!("{rule} comes first")),
            other => other,
        }
    }

    pub(crate) fn not_applicable(why: impl Into<String>) -> Self {
        Stop::NotApplicable(why.into())
    }
}

impl<E: Into<HostError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Host(error.into())
    }
}

/// What a rule comes to; `Ok` is passed.
pub(crate) type Outcome<T = ()> = Result<T, Stop>;
