//! What becomes of asynchronous events of a function, version or alias.

/// Settings of one target; what is absent has AWS's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventInvokeSettings {
    /// 0 to 2; 2 when absent.
    pub maximum_retry_attempts: Option<u32>,
    /// 60 to 21 600; 21 600 when absent.
    pub maximum_event_age_s: Option<u32>,
    /// ARN that is told of successes.
    pub on_success: Option<String>,
    /// ARN that is told of failures.
    pub on_failure: Option<String>,
}
