//! What isolation is held to; see [`check`](super::super::check) for how.

use super::super::check::{Bound, Check, ratios};
use super::super::load::Percentiles;
use super::super::report::Contestant;
use super::freezing::{LONG, NONE, SHORT};
use super::report::{Footprint, Report};

const COLD_TO_RIE: f64 = 0.6;
const COLD_NO_BLANKS_TO_RIE: f64 = 1.0;
const COLD_P99_TO_P50: f64 = 2.0;
const BURST_PER_S: f64 = 150.0;
const BURST_FAILURES: f64 = 0.0;
const FREEZING_US: f64 = 100.0;
/// A caller that is kept from running for a millisecond lets an environment freeze; if each invoke did, it would be thousands.
const FROZEN_UNDER_LOAD_US: f64 = 10.0;
const IDLE_KIB: f64 = 200.0;
const NOT_AGAIN: f64 = 0.0;
const WARM_TO_PROCESS: f64 = 1.1;
const THROUGHPUT_TO_PROCESS: f64 = 0.9;

/// Every target, measured or not.
pub(crate) fn checks(report: &Report) -> Vec<Check> {
    let (namespace, process) = (Contestant::Namespace, Contestant::Process);
    let cold = |who| report.cold(who).map_or(&[][..], |row| &row.p50_us_per_round);
    let p99_to_p50 = |of: &Percentiles| of.p99_us / of.p50_us;
    let all = report.cold(namespace).map(|row| p99_to_p50(&row.latency));
    let alone = report.cold(namespace).and_then(|row| row.alone.as_ref()).map(p99_to_p50);
    let warm = |who| report.warm(who).map_or(&[][..], |row| &row.p50_us_per_round);
    let p99 = |who| report.warm(who).map(|row| row.latency.p99_us);
    let warm_p99 = p99(namespace).zip(p99(process)).map(|(ours, other)| ours / other);
    let rate = |who| report.throughput(who).map_or(&[][..], |row| &row.per_s);
    let idle = report.idle.as_ref();
    vec![
        Check::ratio(
            "cold start p50, to RIE's",
            Bound::AtMost,
            COLD_TO_RIE,
            ratios(cold(namespace), cold(Contestant::Rie)),
        ),
        Check::ratio(
            "cold start p50 without blanks, to RIE's",
            Bound::AtMost,
            COLD_NO_BLANKS_TO_RIE,
            ratios(cold(Contestant::NoBlanks), cold(Contestant::Rie)),
        ),
        Check::one("cold start p99, to its p50", "×", COLD_P99_TO_P50, all),
        Check::one("the same, of starts alone (3)", "×", COLD_P99_TO_P50, alone),
        Check::median(
            "burst, environments a second",
            "/s",
            Bound::AtLeast,
            BURST_PER_S,
            report.burst(namespace).map_or_else(Vec::new, |row| row.per_s.clone()),
        ),
        Check::one(
            "burst, failures",
            "",
            BURST_FAILURES,
            report.burst(namespace).map(|row| row.failures() as f64),
        ),
        Check::median("freeze and thaw, added", "µs", Bound::AtMost, FREEZING_US, added_us(report)),
        Check::one(
            "frozen under load, per invoke",
            "µs",
            FROZEN_UNDER_LOAD_US,
            report.paused(namespace, NONE).and_then(|row| row.frozen_us),
        ),
        Check::ratio(
            "warm p50, to process's",
            Bound::AtMost,
            WARM_TO_PROCESS,
            ratios(warm(namespace), warm(process)),
        ),
        Check::one("warm p99, to process's", "×", WARM_TO_PROCESS, warm_p99),
        Check::ratio(
            "throughput, to process's",
            Bound::AtLeast,
            THROUGHPUT_TO_PROCESS,
            ratios(rate(namespace), rate(process)),
        ),
        Check::one(
            "idle, platform's share of memory",
            "KiB",
            IDLE_KIB,
            idle.map(|idle| idle.each_kib(Footprint::platform_kib)),
        ),
        Check::one(
            "idle, that did not answer again",
            "",
            NOT_AGAIN,
            idle.map(|idle| idle.environments.saturating_sub(idle.same_again) as f64),
        ),
    ]
}

/// By how much more a pause in which it is frozen costs, round by round.
fn added_us(report: &Report) -> Vec<f64> {
    let of = |who, pause| report.paused(who, pause).map_or(&[][..], |row| &row.p50_us_per_round);
    let cost = |who| of(who, LONG).iter().zip(of(who, SHORT)).map(|(long, short)| long - short);
    cost(Contestant::Namespace).zip(cost(Contestant::Process)).map(|(ours, other)| ours - other).collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::Paused;
    use super::*;

    fn paused(contestant: Contestant, pause: std::time::Duration, p50_us: f64) -> Paused {
        let latency = Percentiles { count: 1, p50_us, p90_us: p50_us, p99_us: p50_us };
        Paused { contestant, pause, latency, p50_us_per_round: vec![p50_us], frozen_us: None }
    }

    #[test]
    fn what_a_pause_costs_anybody_is_not_counted_as_freezing() {
        let mut report = Report::new();
        for (contestant, short, long) in
            [(Contestant::Process, 100.0, 170.0), (Contestant::Namespace, 110.0, 220.0)]
        {
            report.paused.push(paused(contestant, SHORT, short));
            report.paused.push(paused(contestant, LONG, long));
        }
        assert_eq!(added_us(&report), [40.0]);
    }

    #[test]
    fn what_did_not_run_is_not_measured() {
        assert!(checks(&Report::new()).iter().all(|check| check.verdict() == "not measured"));
    }
}
