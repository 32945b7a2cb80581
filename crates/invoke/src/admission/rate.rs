//! So many in each period, all of them at once if need be, given back continuously.
//!
//! A token bucket without the tokens: all that is kept is the moment at which it is full again, and each taking puts
//! that off by the time in which one comes back. So a count that changes applies to the next taking, and what was taken
//! under the old count is given back within one period, whatever the two are.

use std::time::Duration;

use tokio::time::Instant;

/// How much of a rate is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    full_at: Instant,
}

impl Rate {
    pub(super) fn full(now: Instant) -> Self {
        Rate { full_at: now }
    }

    /// The same with one taken, or the time after which there is one.
    ///
    /// The time for one is rounded down to nanoseconds: at more than some 30 000 in a second, one of 30 000 may be too many.
    pub(super) fn take(self, now: Instant, count: u32, period: Duration) -> Result<Self, Duration> {
        let Some(time_for_one) = period.checked_div(count) else { return Err(period) };
        let full_at = self.full_at.max(now) + time_for_one;
        let missing = full_at.duration_since(now).saturating_sub(period);
        if missing.is_zero() { Ok(Rate { full_at }) } else { Err(missing) }
    }

    /// Nothing of it is used up, so that a new one would be as good.
    pub(super) fn is_full(self, now: Instant) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_secs(10);

    /// How many can be taken at this moment, and when there is one more.
    fn drain(rate: &mut Rate, now: Instant, count: u32) -> (u32, Duration) {
        let mut taken = 0;
        loop {
            match rate.take(now, count, PERIOD) {
                Ok(less) => (*rate, taken) = (less, taken + 1),
                Err(missing) => return (taken, missing),
            }
        }
    }

    #[test]
    fn a_period_s_worth_at_once_and_then_one_by_one() {
        let start = Instant::now();
        let mut rate = Rate::full(start);
        assert_eq!(drain(&mut rate, start, 1000), (1000, Duration::from_millis(10)));
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(drain(&mut rate, after(9), 1000), (0, Duration::from_millis(1)));
        assert_eq!(drain(&mut rate, after(10), 1000), (1, Duration::from_millis(10)));
        assert_eq!(drain(&mut rate, after(2510), 1000), (250, Duration::from_millis(10)));
        assert!(!rate.is_full(after(12_509)));
        assert!(rate.is_full(after(12_510)));
        assert_eq!(drain(&mut rate, after(3_600_000), 1000).0, 1000, "never more");
    }

    #[test]
    fn a_new_count_applies_to_what_is_taken_next() {
        let start = Instant::now();
        let mut rate = Rate::full(start);
        assert_eq!(drain(&mut rate, start, 10).0, 10);
        assert_eq!(drain(&mut rate, start, 1000).0, 0, "what was taken was taken");
        assert_eq!(drain(&mut rate, start + Duration::from_secs(1), 1000).0, 100);
        assert_eq!(drain(&mut rate, start + PERIOD + Duration::from_secs(1), 10).0, 10);
        assert_eq!(drain(&mut rate, start + PERIOD * 3, 0), (0, PERIOD), "none of none");
    }

    #[test]
    fn clocks_that_were_read_in_another_order_do_no_harm() {
        let start = Instant::now() + PERIOD;
        let rate = Rate::full(start).take(start, 1, PERIOD).unwrap();
        assert!(rate.take(start - Duration::from_nanos(1), 1, PERIOD).is_err());
    }

    proptest! {
        /// In no stretch of time more than came back in it and a period's worth; and it is as soon as was said.
        #[test]
        fn no_stretch_of_time_has_too_many(
            count in 1u32..50,
            pauses_ms in proptest::collection::vec(0u64..4000, 1..200),
        ) {
            let start = Instant::now();
            let (mut rate, mut now) = (Rate::full(start), start);
            let mut taken: Vec<Instant> = Vec::new();
            for pause_ms in pauses_ms {
                now += Duration::from_millis(pause_ms);
                match rate.take(now, count, PERIOD) {
                    Ok(less) => {
                        rate = less;
                        taken.push(now);
                        for (index, since) in taken.iter().enumerate() {
                            let number = u32::try_from(taken.len() - index).unwrap();
                            // In nanoseconds, with one for each that was rounded.
                            let room = u128::from(count) * (now.duration_since(*since) + PERIOD).as_nanos();
                            let wanted = u128::from(number) * PERIOD.as_nanos();
                            prop_assert!(wanted <= room + u128::from(number * count));
                        }
                    }
                    Err(missing) => {
                        prop_assert!(rate.take(now + missing, count, PERIOD).is_ok());
                        prop_assert!(rate.take(now + missing - Duration::from_nanos(1), count, PERIOD).is_err());
                    }
                }
            }
        }
    }
}
