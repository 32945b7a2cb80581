//! The figures of a run, what they are held against, and how they are shown: as a table or as JSON.
//!
//! A report is filled by the phases and then only read. A target that was not reached is said, never an error.

use std::fmt::Write as _;

use serde::Serialize;

use super::load::Percentiles;
use super::phases::{CALLERS, ENVIRONMENTS};
use super::rie::Pairs;
use super::server::Memory;

/// What Firesteel is held to. Figures beside the floor, since a machine's own speed is nobody's merit.
const WARM_TO_FLOOR: f64 = 1.5;
const THROUGHPUT_TO_FLOOR: f64 = 0.7;
const COLD_OVER_SPAWN_MS: f64 = 4.0;
const MEMORY_MIB: f64 = 25.0;

/// One of the things compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contestant {
    Floor,
    Ours,
    Rie,
}

impl Contestant {
    const ALL: [Self; 3] = [Self::Floor, Self::Ours, Self::Rie];

    fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "firesteel",
            Self::Rie => "RIE",
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Warm {
    pub(crate) contestant: Contestant,
    pub(crate) latency: Percentiles,
    pub(crate) p50_us_per_round: Vec<f64>,
    /// Memory of the server when it had just started, and after a hundred invokes.
    pub(crate) started: Option<Memory>,
    pub(crate) used: Option<Memory>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) contestant: Contestant,
    /// Invokes per second, one figure per turn.
    pub(crate) per_s: Vec<f64>,
    pub(crate) answered: usize,
    /// Answers 429, after each of which the caller tried again at once. Not among `answered`.
    pub(crate) throttled: usize,
}

/// For the floor: a bare process, from spawn to its first `next`. For the others: from request to answer.
#[derive(Debug, Serialize)]
pub(crate) struct Cold {
    pub(crate) contestant: Contestant,
    pub(crate) latency: Percentiles,
}

/// Where the figures come from; without it they mean nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
}

/// A figure and what it is held against.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: f64,
    pub(crate) at_most: bool,
    /// Nothing when a side of it could not be measured.
    pub(crate) figure: Option<f64>,
}

impl Check {
    fn verdict(&self) -> &'static str {
        match self.figure {
            None => "not measured",
            Some(figure) if (figure <= self.target) == self.at_most || figure == self.target => "met",
            Some(_) => "missed",
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) warm: Vec<Warm>,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) cold: Vec<Cold>,
    /// What the emulator answers when two call at once.
    pub(crate) rie_pairs: Option<Pairs>,
    /// What could not run, and why.
    pub(crate) failures: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let first_line = |path: &str, prefix: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(prefix));
            line.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']))
                .to_owned()
        };
        let machine = Machine {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: first_line("/proc/cpuinfo", "model name"),
            kernel: first_line("/proc/sys/kernel/osrelease", ""),
        };
        let (warm, throughput, cold, failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            machine,
            warm,
            throughput,
            cold,
            rie_pairs: None,
            failures,
        }
    }

    pub(crate) fn fail(&mut self, contestant: Contestant, phase: &str, why: &str) {
        self.failures
            .push(format!("{}, {phase}: {why}", contestant.title()));
    }

    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            report: &'a Report,
            checks: Vec<Check>,
        }
        let whole = Whole {
            report: self,
            checks: self.checks(),
        };
        let text = serde_json::to_string_pretty(&whole).expect("names are text and figures numbers");
        text + "\n"
    }

    /// Every target, measured or not.
    fn checks(&self) -> Vec<Check> {
        let warm = |who| self.warm.iter().find(|row| row.contestant == who);
        let rate = |who| self.throughput.iter().find(|row| row.contestant == who);
        let cold = |who| {
            self.cold
                .iter()
                .find(|row| row.contestant == who)
                .map(|row| row.latency)
        };
        let (floor, ours) = (Contestant::Floor, Contestant::Ours);

        let warm_ratio = both(warm(ours), warm(floor))
            .and_then(|(a, b)| median_ratio(&a.p50_us_per_round, &b.p50_us_per_round));
        let rate_ratio = both(rate(ours), rate(floor)).and_then(|(a, b)| median_ratio(&a.per_s, &b.per_s));
        let over_spawn = |percentile: fn(Percentiles) -> f64| {
            let (ours, bare) = both(cold(ours), cold(floor))?;
            Some((percentile(ours) - percentile(bare)) / 1e3)
        };
        let rss = |memory: fn(&Warm) -> Option<Memory>| Some(mib(memory(warm(ours)?)?.rss_kib));

        let at_most = |what, unit, target, figure| Check {
            what,
            unit,
            target,
            at_most: true,
            figure,
        };
        vec![
            at_most(
                "warm p50, to the floor's, median of rounds",
                "×",
                WARM_TO_FLOOR,
                warm_ratio,
            ),
            Check {
                what: "throughput, to the floor's, median of turns",
                unit: "×",
                target: THROUGHPUT_TO_FLOOR,
                at_most: false,
                figure: rate_ratio,
            },
            at_most(
                "cold start p50, over a bare spawn's",
                "ms",
                COLD_OVER_SPAWN_MS,
                over_spawn(|of| of.p50_us),
            ),
            at_most(
                "cold start p99, over a bare spawn's",
                "ms",
                COLD_OVER_SPAWN_MS,
                over_spawn(|of| of.p99_us),
            ),
            at_most(
                "resident memory, just started",
                "MiB",
                MEMORY_MIB,
                rss(|of| of.started),
            ),
            at_most(
                "resident memory, after 100 invokes",
                "MiB",
                MEMORY_MIB,
                rss(|of| of.used),
            ),
        ]
    }

    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let Machine { cores, cpu, kernel } = &self.machine;
        line(
            &mut out,
            format_args!("rust-hello on {cores} cores, {cpu}, kernel {kernel}\n"),
        );

        let titles = Contestant::ALL.map(|who| who.title().to_owned());
        row(&mut out, "", &titles);
        let warm = |show: &dyn Fn(&Warm) -> String| {
            Contestant::ALL.map(|who| cell(self.warm.iter().find(|row| row.contestant == who), show))
        };
        row(
            &mut out,
            "warm, 1 caller, p50",
            &warm(&|row| micros(row.latency.p50_us)),
        );
        row(
            &mut out,
            "                p90",
            &warm(&|row| micros(row.latency.p90_us)),
        );
        row(
            &mut out,
            "                p99",
            &warm(&|row| micros(row.latency.p99_us)),
        );
        row(
            &mut out,
            "                invokes",
            &warm(&|row| row.latency.count.to_string()),
        );
        let rate = |show: &dyn Fn(&Throughput) -> String| {
            Contestant::ALL.map(|who| cell(self.throughput.iter().find(|row| row.contestant == who), show))
        };
        row(
            &mut out,
            &format!("{CALLERS} callers, {ENVIRONMENTS} environments"),
            &rate(&|row| median(&row.per_s).map_or(NOTHING.to_owned(), |figure| format!("{figure:.0} /s"))),
        );
        row(
            &mut out,
            "                throttled",
            &rate(&|row| row.throttled.to_string()),
        );
        let cold = |show: &dyn Fn(&Cold) -> String| {
            Contestant::ALL.map(|who| cell(self.cold.iter().find(|row| row.contestant == who), show))
        };
        row(
            &mut out,
            "cold start (1),  p50",
            &cold(&|row| millis(row.latency.p50_us)),
        );
        row(
            &mut out,
            "                p99",
            &cold(&|row| millis(row.latency.p99_us)),
        );
        row(
            &mut out,
            "                starts",
            &cold(&|row| row.latency.count.to_string()),
        );
        row(
            &mut out,
            "memory, started (2)",
            &warm(&|row| cell(row.started.as_ref(), &memory)),
        );
        row(
            &mut out,
            "   after 100 invokes",
            &warm(&|row| cell(row.used.as_ref(), &memory)),
        );
        line(
            &mut out,
            format_args!(
                "\n(1) floor: a bare process, from spawn to its first `next`; the others: from request to answer\n\
             (2) the server's own process, resident / proportional set size"
            ),
        );
        if let Some(pairs) = &self.rie_pairs {
            let Pairs {
                invokes,
                answered,
                throttled,
                failed,
                slowest_ms,
            } = pairs;
            let wrong: usize = failed.values().sum();
            line(
                &mut out,
                format_args!(
                    "\nRIE with 2 callers at once: of {invokes} invokes {answered} answered, {throttled} throttled, \
                 {wrong} failed; the slowest took {slowest_ms:.0} ms"
                ),
            );
            for (what, count) in failed {
                line(&mut out, format_args!("  {count} × {what}"));
            }
        }

        line(
            &mut out,
            format_args!("\n{:<46}{:>12}{:>14}   verdict", "target", "", "measured"),
        );
        for check in self.checks() {
            let Check {
                what,
                unit,
                target,
                at_most,
                figure,
            } = &check;
            let bound = format!("{} {target} {unit}", if *at_most { "≤" } else { "≥" });
            let figure = figure.map_or(NOTHING.to_owned(), |figure| format!("{figure:.2} {unit}"));
            line(
                &mut out,
                format_args!("{what:<46}{bound:>12}{figure:>14}   {}", check.verdict()),
            );
        }
        for failure in &self.failures {
            line(&mut out, format_args!("\ncould not run: {failure}"));
        }
        out
    }
}

/// Shown where nothing was measured.
const NOTHING: &str = "–";

fn row(out: &mut String, what: &str, cells: &[String; 3]) {
    let [floor, ours, rie] = cells;
    line(out, format_args!("{what:<28}{floor:>18}{ours:>18}{rie:>18}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes all that is written to it");
}

fn cell<T>(value: Option<&T>, show: &dyn Fn(&T) -> String) -> String {
    value.map_or(NOTHING.to_owned(), show)
}

fn micros(us: f64) -> String {
    format!("{us:.0} µs")
}

fn millis(us: f64) -> String {
    format!("{:.2} ms", us / 1e3)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn memory(of: &Memory) -> String {
    format!("{:.1} / {:.1} MiB", mib(of.rss_kib), mib(of.pss_kib))
}

fn both<T>(a: Option<T>, b: Option<T>) -> Option<(T, T)> {
    Some((a?, b?))
}

/// The middle one; of an even number the lower middle, so that it is a figure that was measured.
fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// Of rounds that happened side by side, the median of their ratios.
fn median_ratio(ours: &[f64], floor: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at_most: bool, figure: Option<f64>, expect: &str) {
        let check = Check {
            what: "",
            unit: "",
            target: 1.5,
            at_most,
            figure,
        };
        assert_eq!(check.verdict(), expect, "{check:?}");
    }

    #[test]
    fn a_target_is_met_at_its_bound_and_on_its_good_side() {
        check(true, Some(1.5), "met");
        check(true, Some(1.4), "met");
        check(true, Some(1.6), "missed");
        check(false, Some(1.5), "met");
        check(false, Some(1.6), "met");
        check(false, Some(1.4), "missed");
        check(true, None, "not measured");
    }

    #[test]
    fn a_contestant_that_did_not_run_leaves_its_targets_unmeasured() {
        let mut report = Report::new();
        report.fail(Contestant::Ours, "warm invokes", "no such file");
        assert!(
            report
                .checks()
                .iter()
                .all(|check| check.verdict() == "not measured")
        );
        assert!(
            report
                .table()
                .contains("could not run: firesteel, warm invokes: no such file")
        );
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        // The machine halved its speed after the first round: the ratio must not notice.
        assert_eq!(median_ratio(&[2.0, 4.0, 4.0], &[1.0, 2.0, 2.0]), Some(2.0));
        assert_eq!(median_ratio(&[], &[]), None);
    }
}
