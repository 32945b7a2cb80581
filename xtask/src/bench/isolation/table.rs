//! A report of `bench isolation` as a person reads it.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::super::check::median;
use super::super::phases::{CALLERS, ENVIRONMENTS as LOADED};
use super::super::report::Contestant;
use super::super::table::{NOTHING, cell, could_not_run, machine, micros, millis, targets};
use super::burst::ENVIRONMENTS;
use super::checks;
use super::freezing::{LONG, NONE, SHORT};
use super::report::{Burst, ColdStart, Idle, Paused, Report};

/// The columns.
const COMPARED: [Contestant; 5] =
    [Contestant::Floor, Contestant::Rie, Contestant::Process, Contestant::Namespace, Contestant::NoBlanks];

pub(crate) fn table(report: &Report) -> String {
    let mut out = String::new();
    write(&mut out, report).expect("a string takes all that is written to it");
    out
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    machine(out, &report.machine)?;
    let mut row = |what: &str, cells: [String; COMPARED.len()]| {
        // Of a part that was not asked for.
        if cells.iter().all(|cell| cell == NOTHING) {
            return Ok(());
        }
        write!(out, "{what:<32}")?;
        cells.iter().try_for_each(|cell| write!(out, "{cell:>12}"))?;
        writeln!(out)
    };
    row("", COMPARED.map(|who| who.title().to_owned()))?;

    let cold = |show: fn(&ColdStart) -> String| COMPARED.map(|who| cell(report.cold(who), show));
    row("cold start (1), p50", cold(|row| millis(row.latency.p50_us)))?;
    row("                p90", cold(|row| millis(row.latency.p90_us)))?;
    row("                p99", cold(|row| millis(row.latency.p99_us)))?;
    row("                starts", cold(|row| row.latency.count.to_string()))?;
    row("  alone (3),    p50", cold(|row| cell(row.alone.as_ref(), |of| millis(of.p50_us))))?;
    row("                p99", cold(|row| cell(row.alone.as_ref(), |of| millis(of.p99_us))))?;
    row("                starts", cold(|row| cell(row.alone.as_ref(), |of| of.count.to_string())))?;

    let burst = |show: fn(&Burst) -> String| COMPARED.map(|who| cell(report.burst(who), show));
    let per_s = |row: &Burst| cell(median(&row.per_s).as_ref(), |figure| format!("{figure:.0} /s"));
    row(&format!("{ENVIRONMENTS} environments at once"), burst(per_s))?;
    row(
        "                first bytes p50",
        burst(|row| cell(row.first_bytes.as_ref(), |of| millis(of.p50_us))),
    )?;
    row("                failures", burst(|row| row.failures().to_string()))?;

    for (what, pause) in [("no pause", NONE), ("short pause (2)", SHORT), ("long pause (2)", LONG)] {
        paused(&mut row, report, what, pause)?;
    }

    let warm = |show: fn(f64, f64) -> String| {
        COMPARED.map(|who| cell(report.warm(who), |row| show(row.latency.p50_us, row.latency.p99_us)))
    };
    row("warm, 1 caller, p50", warm(|p50, _| micros(p50)))?;
    row("                p99", warm(|_, p99| micros(p99)))?;
    let rate = COMPARED.map(|who| {
        let per_s = report.throughput(who).and_then(|row| median(&row.per_s));
        cell(per_s.as_ref(), |figure| format!("{figure:.0} /s"))
    });
    row(&format!("{CALLERS} callers, {LOADED} environments"), rate)?;

    writeln!(
        out,
        "\n(1) floor: a bare process, from spawn to its first `next`; RIE: from its start to its answer; others: from request to answer"
    )?;
    writeln!(
        out,
        "(2) before each invoke, {} and {}: namespaces are frozen in the long one only, processes in none",
        micros(SHORT.as_secs_f64() * 1e6),
        millis(LONG.as_secs_f64() * 1e6)
    )?;
    writeln!(
        out,
        "(3) starts beside which no other program of this machine ran for a twentieth of the time"
    )?;
    if let Some(answer) = &report.rie_from_request {
        let [p50, p99] = [answer.p50_us, answer.p99_us].map(millis);
        writeln!(out, "\nRIE, cold start without its own: p50 {p50}, p99 {p99}")?;
    }
    for (what, count) in report.burst.iter().flat_map(|row| &row.failed) {
        writeln!(out, "burst, {count} times: {what}")?;
    }
    if let Some(idle) = &report.idle {
        write_idle(out, idle)?;
    }
    targets(out, &checks(report))?;
    could_not_run(out, &report.failures)
}

fn paused(
    row: &mut impl FnMut(&str, [String; COMPARED.len()]) -> fmt::Result,
    report: &Report,
    what: &str,
    pause: Duration,
) -> fmt::Result {
    let show = |show: fn(&Paused) -> String| COMPARED.map(|who| cell(report.paused(who, pause), show));
    row(&format!("{what}, p50"), show(|row| micros(row.latency.p50_us)))?;
    row("                p99", show(|row| micros(row.latency.p99_us)))?;
    row("                frozen, each", show(|row| cell(row.frozen_us.as_ref(), |us| micros(*us))))
}

fn write_idle(out: &mut String, idle: &Idle) -> fmt::Result {
    let Idle { environments, made_s, stopped_s, frozen, same_again, .. } = idle;
    writeln!(
        out,
        "\n{environments} environments, made in {made_s:.1} s, {frozen} processes frozen, {same_again} the same \
         when all had answered again, ended in {stopped_s:.1} s; each:"
    )?;
    for (what, kib) in [
        ("server, resident", idle.each_kib(|of| of.server.rss_kib)),
        ("server, proportional", idle.each_kib(|of| of.server.pss_kib)),
        ("server, private and dirty", idle.each_kib(|of| of.server_private_kib)),
        ("first processes, proportional", idle.each_kib(|of| of.first_processes_kib)),
        ("functions, proportional", idle.each_kib(|of| of.functions_kib)),
        ("kernel (whole machine)", idle.each_kib(|of| of.kernel_kib)),
        ("available, lost (whole machine)", -idle.each_kib(|of| of.available_kib)),
    ] {
        writeln!(out, "  {what:<34}{kib:>10.1} KiB")?;
    }
    Ok(())
}
