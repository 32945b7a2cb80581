//! The arithmetic of REPORT.
//!
//! Since August 2025 the init of an on-demand environment is billed with the invocation that it was made for,
//! and the sum is rounded up once: 145.399 ms of init and 3 923.569 ms of duration are 4 069 ms.

use std::time::Duration;

/// What one invocation took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// From the delivery of the event (or the start of an init inside the invocation) to its end.
    pub(crate) duration: Duration,
    /// The init phase that this invocation is the first to follow, where it is billed with it.
    pub(crate) init: Option<Duration>,
    /// What is billed of the restore that this invocation is the first to follow, in milliseconds.
    pub(crate) restore_billed_ms: u64,
    /// The limit, if the invocation ran into it during an init of its own: AWS then bills the limit and not
    /// the few milliseconds that the end took.
    pub(crate) capped_at: Option<Duration>,
}

/// Milliseconds that are billed: at least one.
pub(crate) fn billed_ms(usage: Usage) -> u64 {
    let duration = usage.capped_at.map_or(usage.duration, |cap| usage.duration.min(cap));
    whole_ms(duration + usage.init.unwrap_or_default() + Duration::from_millis(usage.restore_billed_ms))
        .max(1)
}

/// Rounded up.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    // Durations are printed and recorded with microseconds; what is below them must not tip the rounding.
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    micros.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(ms: f64) -> Duration {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive figures")]
        Duration::from_micros((ms * 1000.0).round() as u64)
    }

    #[track_caller]
    fn check(duration: f64, init: Option<f64>, billed: u64) {
        let usage = Usage {
            duration: micros(duration),
            init: init.map(micros),
            restore_billed_ms: 0,
            capped_at: None,
        };
        assert_eq!(billed_ms(usage), billed);
    }

    #[test]
    fn recorded_lines_of_the_service_are_reproduced() {
        check(2.761, None, 3);
        check(6.848, None, 7);
        check(7.199, None, 8);
        check(3923.569, Some(145.399), 4069);
        check(1.802, Some(60.644), 63);
        check(17.21, Some(80.52), 98);
        check(80.00, Some(133.61), 214);
        check(84.00, Some(3016.78), 3101);
        check(1049.63, Some(1293.83), 2344);
    }

    #[test]
    fn a_whole_millisecond_is_not_rounded_up_and_nothing_is_free() {
        check(5.0, None, 5);
        check(0.0, None, 1);
    }

    #[test]
    fn an_init_inside_the_invocation_is_billed_up_to_the_timeout() {
        let capped_at = Some(Duration::from_secs(3));
        let usage = Usage { duration: micros(3022.91), init: None, restore_billed_ms: 0, capped_at };
        assert_eq!(billed_ms(usage), 3000);
    }

    #[test]
    fn a_restore_is_billed_with_the_invocation_that_follows_it() {
        for (duration, restore_billed_ms, billed) in
            [(306.34, 303, 610), (2338.66, 182, 2521), (127.10, 26, 154)]
        {
            let usage = Usage { duration: micros(duration), init: None, restore_billed_ms, capped_at: None };
            assert_eq!(billed_ms(usage), billed);
        }
    }

    proptest::proptest! {
        #[test]
        fn one_rounding_of_the_sum(duration_us in 0u64..10_000_000, init_us in 0u64..10_000_000) {
            let usage = Usage {
                duration: Duration::from_micros(duration_us),
                init: Some(Duration::from_micros(init_us)),
                restore_billed_ms: 0,
                capped_at: None,
            };
            let billed = billed_ms(usage);
            let sum = duration_us + init_us;
            proptest::prop_assert!(billed * 1000 >= sum);
            proptest::prop_assert!(billed == 1 || (billed - 1) * 1000 < sum);
        }
    }
}
