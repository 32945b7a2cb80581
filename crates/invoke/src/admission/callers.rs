//! How fast each caller may send requests, whatever they ask for.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::rate::Rate;
use super::throttle::{Throttle, ThrottleReason};

const PERIOD: Duration = Duration::from_secs(1);

/// Who has sent requests lately.
#[derive(Debug)]
pub(super) struct Callers {
    requests_per_s: u32,
    rates: HashMap<Box<str>, Rate>,
    /// When those are forgotten that have sent none for a while.
    sweep_at: Instant,
}

impl Callers {
    pub(super) fn new(requests_per_s: u32, now: Instant) -> Self {
        Callers { requests_per_s, rates: HashMap::new(), sweep_at: now + PERIOD }
    }

    pub(super) fn admit(&mut self, now: Instant, caller: &str) -> Result<(), Throttle> {
        if now >= self.sweep_at {
            self.rates.retain(|_, rate| !rate.is_full(now));
            self.sweep_at = now + PERIOD;
        }
        let rate = self.rates.get(caller).copied().unwrap_or(Rate::full(now));
        let rate = rate.take(now, self.requests_per_s, PERIOD).map_err(|retry_after| Throttle {
            reason: ThrottleReason::CallerRateLimitExceeded,
            retry_after,
        })?;
        match self.rates.get_mut(caller) {
            Some(known) => *known = rate,
            None => drop(self.rates.insert(caller.into(), rate)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_a_rate_and_is_forgotten() {
        let start = Instant::now();
        let mut callers = Callers::new(2, start);
        for caller in ["a", "b"] {
            callers.admit(start, caller).unwrap();
            callers.admit(start, caller).unwrap();
            let throttle = callers.admit(start, caller).unwrap_err();
            assert_eq!(throttle.reason, ThrottleReason::CallerRateLimitExceeded);
            assert_eq!(throttle.retry_after, PERIOD / 2);
        }
        callers.admit(start + PERIOD / 2, "a").unwrap();
        callers.admit(start + PERIOD, "c").unwrap();
        let mut known: Vec<_> = callers.rates.keys().map(|name| &**name).collect();
        known.sort_unstable();
        assert_eq!(known, ["a", "c"]);
    }
}
