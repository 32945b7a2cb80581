//! A report as a person reads it: one row per figure, one column per contestant, then the targets.

use std::fmt::{self, Write as _};

use super::check::{Bound, Check, checks, median};
use super::phases::{CALLERS, ENVIRONMENTS};
use super::report::{
    Cold, Contestant, Failures, Machine, Report, Streaming, Subscribed, Subscriber, Throughput, Warm,
};
use super::rie::Pairs;
use super::server::Memory;

/// The columns.
const COMPARED: [Contestant; 3] = [Contestant::Floor, Contestant::Ours, Contestant::Rie];

/// Shown where nothing was measured.
pub(super) const NOTHING: &str = "–";

pub(crate) fn table(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("a string takes all that is written to it");
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    machine(out, &report.machine)?;

    let mut row = |what: &str, [floor, ours, rie]: [String; 3]| {
        writeln!(out, "{what:<28}{floor:>18}{ours:>18}{rie:>18}")
    };
    row("", COMPARED.map(|who| who.title().to_owned()))?;

    let warm = |show: fn(&Warm) -> String| COMPARED.map(|who| cell(report.warm(who), show));
    row("warm, 1 caller, p50", warm(|row| micros(row.latency.p50_us)))?;
    row("                p90", warm(|row| micros(row.latency.p90_us)))?;
    row("                p99", warm(|row| micros(row.latency.p99_us)))?;
    row("                invokes", warm(|row| row.latency.count.to_string()))?;

    let rate = |show: fn(&Throughput) -> String| COMPARED.map(|who| cell(report.throughput(who), show));
    let per_s = |row: &Throughput| cell(median(&row.per_s).as_ref(), |figure| format!("{figure:.0} /s"));
    row(&format!("{CALLERS} callers, {ENVIRONMENTS} environments"), rate(per_s))?;
    row("                throttled", rate(|row| row.throttled.to_string()))?;

    let cold = |show: fn(&Cold) -> String| COMPARED.map(|who| cell(report.cold(who), show));
    row("cold start (1), p50", cold(|row| millis(row.latency.p50_us)))?;
    row("                p99", cold(|row| millis(row.latency.p99_us)))?;
    row("                starts", cold(|row| row.latency.count.to_string()))?;

    row("memory (2), started", warm(|row| cell(row.started.as_ref(), memory)))?;
    row("     after 100 invokes", warm(|row| cell(row.used.as_ref(), memory)))?;

    let streaming = |show: fn(&Streaming) -> String| COMPARED.map(|who| cell(report.streaming(who), show));
    row("streamed chunk (3), p50", streaming(|row| micros(row.latency.p50_us)))?;
    row("                p90", streaming(|row| micros(row.latency.p90_us)))?;
    row("                p99", streaming(|row| micros(row.latency.p99_us)))?;
    row("                chunks", streaming(|row| row.latency.count.to_string()))?;
    let mb_per_s =
        |row: &Streaming| cell(median(&row.mb_per_s).as_ref(), |figure| format!("{figure:.0} MB/s"));
    row("streamed bytes", streaming(mb_per_s))?;

    writeln!(
        out,
        "\n(1) floor: a bare process, from spawn to its first `next`; others: from request to answer"
    )?;
    writeln!(out, "(2) of the server's own process, resident / proportional set size")?;
    writeln!(out, "(3) from the function's write to the caller's read, each chunk alone on its way")?;

    if let Some(slow) = &report.slow_reader {
        writeln!(
            out,
            "\nslow reader: {} MB in {:.1} s, resident memory of firesteel {:.1} MiB at first, {:.1} MiB at most",
            slow.bytes / 1_000_000,
            slow.took_s,
            slow.start_kib as f64 / 1024.0,
            slow.peak_kib as f64 / 1024.0
        )?;
    }
    for (subscriber, how) in [(Subscriber::Healthy, "takes all"), (Subscriber::Silent, "reads nothing")] {
        if let Some(Subscribed { latency, lost, .. }) = report.subscribed(subscriber) {
            let [p50, p99] = [latency.p50_us, latency.p99_us].map(micros);
            writeln!(out, "telemetry subscriber that {how}: warm p50 {p50}, p99 {p99}, {lost} events lost")?;
        }
    }

    if let Some(Pairs { invokes, answered, throttled, failed, ended }) = &report.rie_pairs {
        write!(
            out,
            "\nRIE called by 2 at once: of {invokes} invokes {answered} answered, {throttled} throttled"
        )?;
        for (what, count) in failed {
            write!(out, ", {count} failed ({what})")?;
        }
        match ended {
            Some(status) => writeln!(out, "; its process ended ({status})")?,
            None => writeln!(out)?,
        }
    }

    targets(out, &checks(report))?;
    could_not_run(out, &report.failures)
}

pub(super) fn machine(out: &mut String, machine: &Machine) -> fmt::Result {
    let Machine { cores, cpu, kernel, load_before } = machine;
    writeln!(out, "rust-hello on {cores} cores, {cpu}, kernel {kernel}, load {load_before} before the run\n")
}

pub(super) fn targets(out: &mut String, checks: &[Check]) -> fmt::Result {
    writeln!(out, "\n{:<40}{:>12}{:>18}{:>15}   verdict", "target", "", "measured", "rounds")?;
    for check in checks {
        let Check { what, unit, bound, target, figure, rounds } = check;
        let sign = match bound {
            Bound::AtMost => '≤',
            Bound::AtLeast => '≥',
        };
        let bound = format!("{sign} {target} {unit}");
        let figure = cell(figure.as_ref(), |figure| format!("{figure:.2} {unit}"));
        let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = if rounds.is_empty() { String::new() } else { format!("{least:.2} – {most:.2}") };
        writeln!(out, "{what:<40}{bound:>12}{figure:>18}{spread:>15}   {}", check.verdict())?;
    }
    Ok(())
}

pub(super) fn could_not_run(out: &mut String, failures: &Failures) -> fmt::Result {
    for failure in &failures.0 {
        writeln!(out, "\ncould not run: {failure}")?;
    }
    Ok(())
}

pub(super) fn cell<T>(value: Option<&T>, show: impl Fn(&T) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), show)
}

pub(super) fn micros(us: f64) -> String {
    format!("{us:.0} µs")
}

pub(super) fn millis(us: f64) -> String {
    format!("{:.2} ms", us / 1e3)
}

fn memory(of: &Memory) -> String {
    format!("{:.1} / {:.1} MiB", of.rss_mib(), of.pss_mib())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contestant_that_could_not_run_is_named_with_its_reason() {
        let mut report = Report::new();
        report.failures.add(Contestant::Ours, "warm invokes", "no such file");
        assert!(table(&report).contains("could not run: firesteel, warm invokes: no such file"));
    }
}
