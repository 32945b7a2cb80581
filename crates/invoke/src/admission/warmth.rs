//! How many environments of a function are warm, as far as that can be known from how many were busy at a time.
//!
//! ```text
//!  busy      ┌──┐                        an environment that was busy within `warm_for` is taken to be there still,
//!   at once ─┘  └──┐     ┌──┐            so that as many as were busy at once are warm: the highest of the recent levels
//!                  └─────┘  └──
//!  ticks   │ 2  │ 2  │ 1 │ 2  │ 1 │ …    of each tick only the highest level is kept
//! ```
//!
//! The pool takes the environment that was used most recently, as AWS does by all that can be observed, so the n-th is
//! in use exactly when n are busy. A level is remembered for `warm_for` and up to a tick more.

use std::time::Duration;

use tokio::time::Instant;

/// Into how many ticks the time is cut for which an environment stays warm, beside the present one.
const TICKS: u64 = 8;

/// One slot more than there are ticks, for the present one.
const SLOTS: usize = 9;

/// The number of a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u64);

/// Counts ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticks {
    epoch: Instant,
    length_ms: u64,
}

impl Ticks {
    pub(super) fn new(epoch: Instant, warm_for: Duration) -> Self {
        let warm_for_ms = u64::try_from(warm_for.as_millis()).unwrap_or(u64::MAX);
        Ticks { epoch, length_ms: warm_for_ms.div_ceil(TICKS).max(1) }
    }

    pub(super) fn at(self, now: Instant) -> Tick {
        let since_ms = u64::try_from(now.duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX);
        Tick(since_ms / self.length_ms)
    }
}

/// The highest levels of the present tick and of those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Warmth {
    present: Tick,
    levels: [u32; SLOTS],
}

impl Warmth {
    pub(super) fn cold(present: Tick) -> Self {
        Warmth { present, levels: [0; SLOTS] }
    }

    /// Time has passed in which this many were busy without a change.
    pub(super) fn pass(&mut self, to: Tick, busy: u32) {
        let passed = to.0.saturating_sub(self.present.0);
        for tick in to.0 - passed.min(SLOTS as u64)..to.0 {
            self.levels[slot(tick + 1)] = busy;
        }
        self.present = self.present.max(to);
    }

    /// This many are busy now.
    pub(super) fn reach(&mut self, busy: u32) {
        let level = &mut self.levels[slot(self.present.0)];
        *level = busy.max(*level);
    }

    /// Whether so many were busy at once within the time for which environments stay warm.
    pub(super) fn has_had(&self, busy: u32) -> bool {
        self.levels.iter().any(|level| *level >= busy)
    }
}

fn slot(tick: u64) -> usize {
    usize::try_from(tick % SLOTS as u64).expect("less than the number of slots")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_level_is_remembered_for_its_time() {
        let start = Instant::now();
        let ticks = Ticks::new(start, Duration::from_secs(80));
        let after = |s| ticks.at(start + Duration::from_secs(s));
        let mut warmth = Warmth::cold(after(0));
        assert!(warmth.has_had(0) && !warmth.has_had(1));
        warmth.reach(5);
        warmth.pass(after(9), 5);
        warmth.pass(after(85), 2);
        assert!(warmth.has_had(5));
        warmth.pass(after(90), 2);
        assert!(!warmth.has_had(3) && warmth.has_had(2));
        warmth.pass(after(1000), 2);
        assert!(warmth.has_had(2), "busy all the while");
        warmth.pass(after(1089), 0);
        assert!(warmth.has_had(2));
        warmth.pass(after(1090), 0);
        assert!(!warmth.has_had(1));
        warmth.pass(after(1000), 7);
        assert!(!warmth.has_had(1), "an earlier clock changes nothing");
    }

    proptest! {
        /// Beside one that keeps every change: never forgotten too early, and at most a tick late.
        #[test]
        fn it_is_the_highest_of_the_recent_levels(
            changes in proptest::collection::vec((0u64..30, 0u32..6), 1..60),
        ) {
            let start = Instant::now();
            let ticks = Ticks::new(start, Duration::from_millis(80));
            let (mut now, mut busy) = (start, 0);
            let mut warmth = Warmth::cold(ticks.at(now));
            // Each with when it began and when it ended.
            let mut past: Vec<(Instant, u32)> = Vec::new();
            for (pause_ms, level) in changes {
                now += Duration::from_millis(pause_ms);
                warmth.pass(ticks.at(now), busy);
                past.push((now, busy));
                let highest_since = |age_ms| {
                    let since = now.checked_sub(Duration::from_millis(age_ms)).unwrap();
                    past.iter().filter(|(ended, _)| *ended >= since).map(|(_, level)| *level).max().unwrap()
                };
                prop_assert!(warmth.has_had(highest_since(80)));
                prop_assert!(!warmth.has_had(highest_since(90) + 1));
                busy = level;
                warmth.reach(busy);
            }
        }
    }
}
