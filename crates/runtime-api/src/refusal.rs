//! The table of protocol errors: what the Runtime API answers to a call the lifecycle does not allow.

/// Why the lifecycle does not allow a call. Each is the guest's doing, save [`Refusal::Platform`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 403: not a call for this state.
    Transition {
        /// State name as AWS spells it, for instance `Running`.
        from: &'static str,
        /// Target state name, for instance `InitError`.
        to: &'static str,
    },
    /// 400: the id in the path is not the current one.
    InvalidRequestId,
    /// 400: see [`crate::ResponseMode::Unknown`].
    InvalidResponseMode,
    /// 413: see [`crate::AnswerBody::TooLarge`].
    TooLarge,
    /// 400: see [`crate::AnswerBody::Truncated`].
    Truncated,
    /// 410: the invocation timed out before its answer came.
    InvokeTimeout,
    /// 500: our fault. Runtimes are told to exit on it.
    Platform,
}
