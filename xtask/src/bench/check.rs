//! What Firesteel is held to, and whether it held. A target that was missed is said, never an error.
//!
//! Times are taken beside the floor's, since a machine's own speed is nobody's merit; where contestants took turns,
//! round by round, and the median of the ratios counts.

use serde::Serialize;

use super::report::{Contestant, Report, SlowReader, Subscriber, Warm};
use super::server::Memory;

const WARM_TO_FLOOR: f64 = 1.5;
const THROUGHPUT_TO_FLOOR: f64 = 0.7;
const COLD_OVER_SPAWN_MS: f64 = 4.0;
const MEMORY_MIB: f64 = 25.0;
const CHUNK_P50_MS: f64 = 1.0;
const CHUNK_TO_FLOOR: f64 = 1.5;
const STREAM_TO_FLOOR: f64 = 0.7;
const SLOW_READER_MIB: f64 = 8.0;
const SILENT_TO_HEALTHY: f64 = 1.1;
const TOLD_LOST: f64 = 1.0;

/// A figure and what it is held against.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
    pub(crate) target: f64,
    /// Nothing when a side of it could not be measured.
    pub(crate) figure: Option<f64>,
    /// What `figure` is the median of, where it is one.
    pub(crate) rounds: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost,
    AtLeast,
}

impl Check {
    /// Held against a single figure.
    pub(crate) fn one(what: &'static str, unit: &'static str, target: f64, figure: Option<f64>) -> Self {
        Self { what, unit, bound: Bound::AtMost, target, figure, rounds: Vec::new() }
    }

    pub(crate) fn at_least(self) -> Self {
        Self { bound: Bound::AtLeast, ..self }
    }

    /// Held against the median of the ratios of rounds.
    pub(crate) fn ratio(what: &'static str, bound: Bound, target: f64, rounds: Vec<f64>) -> Self {
        Self::median(what, "×", bound, target, rounds)
    }

    /// Held against the median of rounds.
    pub(crate) fn median(
        what: &'static str,
        unit: &'static str,
        bound: Bound,
        target: f64,
        rounds: Vec<f64>,
    ) -> Self {
        Self { what, unit, bound, target, figure: median(&rounds), rounds }
    }

    pub(crate) fn verdict(&self) -> &'static str {
        let held = self.figure.map(|figure| match self.bound {
            Bound::AtMost => figure <= self.target,
            Bound::AtLeast => figure >= self.target,
        });
        match held {
            Some(true) => "met",
            Some(false) => "missed",
            None => "not measured",
        }
    }
}

/// Every target, measured or not.
pub(crate) fn checks(report: &Report) -> Vec<Check> {
    let (floor, ours) = (Contestant::Floor, Contestant::Ours);
    let warm = |who| report.warm(who).map_or(&[][..], |row| &row.p50_us_per_round);
    let rate = |who| report.throughput(who).map_or(&[][..], |row| &row.per_s);
    let over_spawn_ms = |percentile: fn(&super::load::Percentiles) -> f64| {
        let (ours, bare) = (report.cold(ours)?, report.cold(floor)?);
        Some((percentile(&ours.latency) - percentile(&bare.latency)) / 1e3)
    };
    let rss_mib = |when: fn(&Warm) -> Option<Memory>| Some(when(report.warm(ours)?)?.rss_mib());
    let streaming = |who| report.streaming(who);
    let chunk = |who| streaming(who).map_or(&[][..], |row| &row.p50_us_per_round);
    let stream = |who| streaming(who).map_or(&[][..], |row| &row.mb_per_s);
    let subscribed = |by| report.subscribed(by).map_or(&[][..], |row| &row.p50_us_per_round);
    vec![
        Check::ratio(
            "warm p50, to the floor's",
            Bound::AtMost,
            WARM_TO_FLOOR,
            ratios(warm(ours), warm(floor)),
        ),
        Check::ratio(
            "throughput, to the floor's",
            Bound::AtLeast,
            THROUGHPUT_TO_FLOOR,
            ratios(rate(ours), rate(floor)),
        ),
        Check::one(
            "cold start p50, over a bare spawn's",
            "ms",
            COLD_OVER_SPAWN_MS,
            over_spawn_ms(|of| of.p50_us),
        ),
        Check::one(
            "cold start p99, over a bare spawn's",
            "ms",
            COLD_OVER_SPAWN_MS,
            over_spawn_ms(|of| of.p99_us),
        ),
        Check::one("resident memory, just started", "MiB", MEMORY_MIB, rss_mib(|row| row.started)),
        Check::one("resident memory, after 100 invokes", "MiB", MEMORY_MIB, rss_mib(|row| row.used)),
        Check::one(
            "streamed chunk p50",
            "ms",
            CHUNK_P50_MS,
            streaming(ours).map(|row| row.latency.p50_us / 1e3),
        ),
        Check::ratio(
            "streamed chunk p50, to the floor's",
            Bound::AtMost,
            CHUNK_TO_FLOOR,
            ratios(chunk(ours), chunk(floor)),
        ),
        Check::ratio(
            "streamed bytes, to the floor's",
            Bound::AtLeast,
            STREAM_TO_FLOOR,
            ratios(stream(ours), stream(floor)),
        ),
        Check::one(
            "memory gained by a slow reader",
            "MiB",
            SLOW_READER_MIB,
            report.slow_reader.as_ref().map(SlowReader::growth_mib),
        ),
        Check::ratio(
            "warm p50, silent to healthy subscriber",
            Bound::AtMost,
            SILENT_TO_HEALTHY,
            ratios(subscribed(Subscriber::Silent), subscribed(Subscriber::Healthy)),
        ),
        Check::one(
            "telemetry told to be lost",
            "events",
            TOLD_LOST,
            report.subscribed(Subscriber::Silent).map(|row| row.lost as f64),
        )
        .at_least(),
    ]
}

/// The middle one; of an even number the lower middle, so that it is a figure that was measured.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// Of rounds that happened side by side.
pub(crate) fn ratios(ours: &[f64], floor: &[f64]) -> Vec<f64> {
    ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bound: Bound, figure: f64, expect: &str) {
        let check = Check::ratio("", bound, 1.5, vec![figure]);
        assert_eq!(check.verdict(), expect, "{check:?}");
    }

    #[test]
    fn a_target_is_met_at_its_bound_and_on_its_good_side() {
        check(Bound::AtMost, 1.5, "met");
        check(Bound::AtMost, 1.4, "met");
        check(Bound::AtMost, 1.6, "missed");
        check(Bound::AtLeast, 1.5, "met");
        check(Bound::AtLeast, 1.6, "met");
        check(Bound::AtLeast, 1.4, "missed");
    }

    #[test]
    fn a_contestant_that_did_not_run_leaves_its_targets_unmeasured() {
        assert!(checks(&Report::new()).iter().all(|check| check.verdict() == "not measured"));
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The machine halved its speed after the first round: the ratio must not notice.
        assert_eq!(median(&ratios(&[2.0, 4.0, 4.0], &[1.0, 2.0, 2.0])), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
