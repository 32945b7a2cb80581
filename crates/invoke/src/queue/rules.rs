//! What becomes of an asynchronous event: pure rules over its settings, its history and what a run gave.
//!
//! ```text
//!            before                     run                    after
//!  due ──► may it run? ── yes ──► success ───────────────► End(Success)
//!            │                    function error ────────► Retry after 1, then 2 minutes; then End(RetriesExhausted)
//!            │                    throttled, 5xx ────────► BackOff 1 s … 5 min, until its age is reached
//!            │                    no such function ──────► Dropped
//!            └─ no ──► End(EventAgeExceeded | ZeroReservedConcurrency | RetriesExhausted for a loop)
//! ```
//!
//! Function errors count as attempts; throttles and failures of the platform do not, as on AWS. The dispatcher asks;
//! nothing here knows a clock, a queue or a destination.

use std::time::Duration;

use super::event::History;

/// AWS's default and greatest age: 6 hours.
pub const LONGEST_EVENT_AGE_S: u32 = 21_600;
/// How long a destination that cannot be reached is tried, AWS says not; as long as an event may take.
const LONGEST_DELIVERY: Duration = Duration::from_secs(LONGEST_EVENT_AGE_S as u64);
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

/// How the events of a function, version or alias are treated. What is checked at the front door is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSettings {
    /// Runs after the first that failed in the function: 0 to 2.
    pub maximum_retry_attempts: u8,
    /// After this an event is not run any more: 60 to 21 600 seconds.
    pub maximum_event_age_s: u32,
    /// ARN of who is told of successes.
    pub on_success: Option<String>,
    /// ARN of who is told of failures.
    pub on_failure: Option<String>,
    /// ARN of the dead-letter queue or topic.
    pub dead_letter: Option<String>,
    /// The function's reserved concurrency is 0: none of its events runs.
    pub zero_reserved_concurrency: bool,
    /// The function's recursion configuration is `Allow`.
    pub recursion_allowed: bool,
}

impl Default for EventSettings {
    /// AWS's: two retries, six hours, nobody is told.
    fn default() -> Self {
        EventSettings {
            maximum_retry_attempts: 2,
            maximum_event_age_s: LONGEST_EVENT_AGE_S,
            on_success: None,
            on_failure: None,
            dead_letter: None,
            zero_reserved_concurrency: false,
            recursion_allowed: false,
        }
    }
}

/// What a run gave, as far as the event's fate hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// The handler's result.
    Success,
    /// The function failed, timed out or crashed.
    FunctionError,
    /// It could not run now.
    Throttled,
    /// The platform failed.
    PlatformError,
    /// The function, version or alias is gone.
    NotFound,
}

/// Why an event ended, by AWS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The function succeeded.
    Success,
    /// It failed as often as it may.
    RetriesExhausted,
    /// The event was too old for another run.
    EventAgeExceeded,
    /// The function may not run at all.
    ZeroReservedConcurrency,
}

impl Condition {
    /// The value of `requestContext.condition` in a record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Condition::Success => "Success",
            Condition::RetriesExhausted => "RetriesExhausted",
            Condition::EventAgeExceeded => "EventAgeExceeded",
            Condition::ZeroReservedConcurrency => "ZeroReservedConcurrency",
        }
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is over; those who want to know are told.
    End(Condition),
    /// It is over, and with its function went those who could be told.
    Dropped,
    /// It runs again at this moment: it failed in the function.
    Retry {
        /// In milliseconds since 1970.
        due_ms: u64,
    },
    /// It is tried again at this moment: it could not be run.
    BackOff {
        /// In milliseconds since 1970.
        due_ms: u64,
    },
}

/// How fast the queue's time goes: every delay and age of this module is multiplied. 1 as on AWS, less for tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeScale(f64);

impl TimeScale {
    /// A minute is a minute.
    pub const REAL: TimeScale = TimeScale(1.0);

    /// `None` unless it is finite and greater than 0.
    #[must_use]
    pub fn new(factor: f64) -> Option<Self> {
        (factor.is_finite() && factor > 0.0).then_some(TimeScale(factor))
    }

    /// The duration in milliseconds, at least one.
    fn ms(self, duration: Duration) -> u64 {
        let scaled = Duration::try_from_secs_f64(duration.as_secs_f64() * self.0).unwrap_or(Duration::MAX);
        u64::try_from(scaled.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

/// What becomes of an event that is due, without a run; `None` if it may run. `passes` are those through this function
/// that its trace has counted.
#[must_use]
pub fn before(
    settings: &EventSettings,
    history: History,
    passes: u32,
    now_ms: u64,
    scale: TimeScale,
) -> Option<Fate> {
    if settings.zero_reserved_concurrency {
        return Some(Fate::End(Condition::ZeroReservedConcurrency));
    }
    if now_ms >= expiry_ms(settings, history, scale) {
        return Some(Fate::End(Condition::EventAgeExceeded));
    }
    if passes >= crate::trace::PASSES_LIMIT && !settings.recursion_allowed {
        // None of the four documented conditions means a loop; no further run is what this one says.
        return Some(Fate::End(Condition::RetriesExhausted));
    }
    None
}

/// What becomes of an event after a try that gave this. `history` is that before the try; `jitter`, from 0 to 1, spreads
/// the back-off.
#[must_use]
pub fn after(
    settings: &EventSettings,
    history: History,
    outcome: RunOutcome,
    now_ms: u64,
    jitter: f64,
    scale: TimeScale,
) -> Fate {
    match outcome {
        RunOutcome::Success => Fate::End(Condition::Success),
        RunOutcome::NotFound => Fate::Dropped,
        RunOutcome::FunctionError => {
            let retries = usize::try_from(history.attempts).unwrap_or(usize::MAX);
            let delay = RETRY_DELAYS.get(retries);
            let Some(delay) = delay.filter(|_| retries < usize::from(settings.maximum_retry_attempts)) else {
                return Fate::End(Condition::RetriesExhausted);
            };
            let due_ms = now_ms.saturating_add(scale.ms(*delay));
            // An event that cannot live to see its retry ends now, while the error that it failed with is at hand.
            if due_ms >= expiry_ms(settings, history, scale) {
                return Fate::End(Condition::EventAgeExceeded);
            }
            Fate::Retry { due_ms }
        }
        RunOutcome::Throttled | RunOutcome::PlatformError => {
            let due_ms = now_ms.saturating_add(backoff_ms(history.backoffs, jitter, scale));
            // No longer than it may live, so that its end comes with its age and not up to five minutes later.
            let due_ms = due_ms.min(expiry_ms(settings, history, scale)).max(now_ms);
            Fate::BackOff { due_ms }
        }
    }
}

/// When a delivery is tried again that failed so many times before and now once more; `None` if never.
#[must_use]
pub(crate) fn redelivery_ms(
    ended_ms: u64,
    failures: u32,
    now_ms: u64,
    jitter: f64,
    scale: TimeScale,
) -> Option<u64> {
    let due_ms = now_ms.saturating_add(backoff_ms(failures, jitter, scale));
    (due_ms < ended_ms.saturating_add(scale.ms(LONGEST_DELIVERY))).then_some(due_ms)
}

/// How long a whole lane rests after a try in vain when nothing else of it runs: one event a second finds out when the
/// others may go on. So long one waits as well before a file that cannot be written is tried again.
pub(crate) fn rest_ms(scale: TimeScale) -> u64 {
    scale.ms(FIRST_BACKOFF)
}

fn expiry_ms(settings: &EventSettings, history: History, scale: TimeScale) -> u64 {
    let age = Duration::from_secs(u64::from(settings.maximum_event_age_s));
    history.accepted_ms.saturating_add(scale.ms(age))
}

/// From one second, doubled each time up to five minutes; between half of it and all.
fn backoff_ms(backoffs: u32, jitter: f64, scale: TimeScale) -> u64 {
    let longest = 2_u32.checked_pow(backoffs).and_then(|factor| FIRST_BACKOFF.checked_mul(factor));
    let longest = longest.unwrap_or(LONGEST_BACKOFF).min(LONGEST_BACKOFF);
    scale.ms(longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0))
}

#[cfg(test)]
mod tests;
