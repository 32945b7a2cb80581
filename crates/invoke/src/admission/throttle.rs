//! Why an invocation may not run now, and when it is worth asking again.

use std::time::Duration;

/// Why a request is throttled, by AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThrottleReason {
    /// The account's concurrency, or what of it is not reserved for others, is used up; or the function would need new
    /// execution environments faster than they may be added.
    ConcurrentInvocationLimitExceeded,
    /// More requests in a second than the concurrency without a reservation allows.
    FunctionInvocationRateLimitExceeded,
    /// The function's reserved concurrency is used up, or is zero.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// More requests in a second than the function's reserved concurrency allows.
    ReservedFunctionInvocationRateLimitExceeded,
    /// The caller sends requests too fast, whatever they ask for.
    CallerRateLimitExceeded,
    /// Too many snapshots are being made.
    ConcurrentSnapshotCreateLimitExceeded,
}

impl ThrottleReason {
    /// The value of `Reason` in the error body.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ThrottleReason::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            ThrottleReason::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            ThrottleReason::ReservedFunctionInvocationRateLimitExceeded => {
                "ReservedFunctionInvocationRateLimitExceeded"
            }
            ThrottleReason::CallerRateLimitExceeded => "CallerRateLimitExceeded",
            ThrottleReason::ConcurrentSnapshotCreateLimitExceeded => "ConcurrentSnapshotCreateLimitExceeded",
        }
    }

    /// Whether it may be otherwise when an invocation is over.
    pub(super) fn is_concurrency(self) -> bool {
        matches!(
            self,
            ThrottleReason::ConcurrentInvocationLimitExceeded
                | ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded
        )
    }
}

/// A request that may not run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("throttled: {}", .reason.name())]
pub struct Throttle {
    /// Which limit it met.
    pub reason: ThrottleReason,
    /// When it may be otherwise: exact for rates, a guess for concurrency, which ends when it ends.
    pub retry_after: Duration,
}

/// Until somebody else's invocation may be over.
const SOON: Duration = Duration::from_secs(1);

impl Throttle {
    /// As much runs as may.
    pub(crate) fn by_concurrency(reason: ThrottleReason) -> Self {
        Throttle { reason, retry_after: SOON }
    }

    /// The value of `Retry-After`: whole seconds, at least one. The service was recorded to say nothing where a reservation
    /// is used up, which may be for good: it is zero, or all of it provisioned.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u64> {
        if self.reason == ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded {
            return None;
        }
        let whole = self.retry_after.as_secs();
        let begun = u64::from(self.retry_after.subsec_nanos() > 0);
        Some(whole.saturating_add(begun).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_whole_seconds_that_are_long_enough() {
        let told = |retry_after| {
            let reason = ThrottleReason::CallerRateLimitExceeded;
            Throttle { reason, retry_after }.retry_after_s()
        };
        for (retry_after_ms, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (9999, 10)] {
            assert_eq!(told(Duration::from_millis(retry_after_ms)), Some(seconds), "{retry_after_ms} ms");
        }
        assert_eq!(told(Duration::MAX), Some(u64::MAX));
    }

    #[test]
    fn nothing_is_told_of_a_reservation() {
        let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
        assert_eq!(Throttle::by_concurrency(reason).retry_after_s(), None);
        let reason = ThrottleReason::ConcurrentInvocationLimitExceeded;
        assert_eq!(Throttle::by_concurrency(reason).retry_after_s(), Some(1));
    }
}
