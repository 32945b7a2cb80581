//! The figures of a run with the targets that they are held against, as a table or as JSON.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::deduplication::{Deduplication, Layout};
use super::fault::Faults;
use super::flattening::Flattening;
use super::nodes::Nodes;
use super::start::Starts;
use crate::bench::check::{median, ratios};
use crate::bench::report::Machine;

/// What was measured; a part that was not asked for, or failed, is missing.
#[derive(Debug, Serialize)]
pub(in crate::bench) struct Report {
    machine: Machine,
    pub(super) deduplication: Option<Deduplication>,
    pub(super) flattening: Option<Flattening>,
    pub(super) faults: Option<Faults>,
    pub(super) nodes: Option<Nodes>,
    pub(super) starts: Vec<Starts>,
    /// What could not be measured, and why.
    pub(in crate::bench) failures: Vec<String>,
}

/// One line of the table: a figure, and what it is held against.
struct Line {
    what: String,
    figure: String,
    target: &'static str,
    met: Option<bool>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            machine: Machine::this(),
            deduplication: None,
            flattening: None,
            faults: None,
            nodes: None,
            starts: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub(in crate::bench) fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("the report has string keys only");
        format!("{text}\n")
    }

    pub(in crate::bench) fn table(&self) -> String {
        let mut lines = Vec::new();
        self.deduplication.iter().for_each(|found| deduplication(found, &mut lines));
        self.flattening.iter().for_each(|found| flattening(found, &mut lines));
        self.faults.iter().for_each(|found| faults(found, &mut lines));
        self.nodes.iter().for_each(|found| nodes(found, &mut lines));
        self.starts.iter().for_each(|found| starts(found, &mut lines));
        self.sizes(&mut lines);
        let mut text = format!(
            "images, on {} cores ({}), Linux {}, load before {}\n",
            self.machine.cores, self.machine.cpu, self.machine.kernel, self.machine.load_before
        );
        for line in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line}");
        }
        for failure in &self.failures {
            let _ = writeln!(text, "failed: {failure}");
        }
        text
    }

    /// The same function in a small image and in a large one.
    fn sizes(&self, lines: &mut Vec<Line>) {
        let of = |name: &str| self.starts.iter().find(|starts| starts.image == name);
        let (Some(data), Some(large)) = (of("data"), of("large")) else { return };
        for tier in ["L2", "origin"] {
            let start = |starts: &Starts| Some(starts.lazy("ours", tier, true)?.start_ms.clone());
            if let (Some(small), Some(large_ms)) = (start(data), start(large)) {
                let gb = large.image_bytes as f64 / 1e9;
                let what = format!("start from {tier}, image of {gb:.1} GB / data");
                lines.push(at_most(what, ratio(&large_ms, &small), 1.1, "≤ 1.1"));
            }
        }
    }
}

fn deduplication(found: &Deduplication, lines: &mut Vec<Line>) {
    lines.push(plain("eight images, as tars", megabytes(found.uploaded_bytes)));
    lines.push(plain("eight images, content of files", megabytes(found.content_bytes)));
    lines.push(plain(
        "whole files once",
        format!("{}, {:.2} ×", megabytes(found.distinct_bytes), found.bound()),
    ));
    let mut layout = |name: &str, layout: &Layout| {
        let stored = megabytes(layout.stored_bytes);
        lines.push(plain(&format!("{name}: stored"), format!("{stored}, {:.2} ×", found.ratio(layout))));
        let of =
            |new: u64| format!("{new} of {} chunks, {:.2} %", layout.chunks, percent(new, layout.chunks));
        lines.push(plain(&format!("{name}: one file of the function changed"), of(layout.new_after_app)));
        lines.push(plain(&format!("{name}: five files of the base patched"), of(layout.new_after_base)));
        lines.push(plain(&format!("{name}: another numpy"), of(layout.new_after_dependency)));
    };
    layout("ours", &found.ours);
    if let Some(stock) = &found.stock {
        layout("mkfs.erofs", stock);
    }
    lines.push(plain("the five patched files", megabytes(found.patched_bytes)));
    let ours = &found.ours;
    lines.push(at_least("deduplication", found.ratio(ours), 5.1, "≥ 5.1"));
    lines.push(at_least("part of the bound of whole files", found.ratio(ours) / found.bound(), 0.9, "≥ 0.9"));
    if let Some(stock) = &found.stock {
        lines.push(at_least(
            "deduplication / mkfs.erofs",
            found.ratio(ours) / found.ratio(stock),
            3.0,
            "≥ 3",
        ));
    }
    lines.push(at_most("new chunks, one file, %", percent(ours.new_after_app, ours.chunks), 0.3, "≤ 0.3"));
    lines.push(at_most("new chunks, five files, %", percent(ours.new_after_base, ours.chunks), 1.5, "≤ 1.5"));
}

fn flattening(found: &Flattening, lines: &mut Vec<Line>) {
    let image = format!("flattening {}, {}", found.image, megabytes(found.image_bytes));
    lines.push(plain(&format!("{image}: layout"), format!("{:.0} ms", found.layout_ms)));
    lines.push(at_least(format!("{image}, MB/s on a core"), found.mb_per_s, 400.0, "≥ 400"));
    lines.push(plain(&format!("{image}: memory"), format!("{:.1} MiB", mib(found.memory_kib))));
    let many = format!("flattening {}, 200 000 files", megabytes(found.many_files_bytes));
    lines.push(plain(&format!("{many}: layout"), format!("{:.0} ms", found.many_files_ms)));
    lines.push(at_most(format!("{many}, MiB"), mib(found.many_files_memory_kib), 256.0, "≤ 256"));
    let same = found.same_again && found.same_shuffled;
    let figure = format!("again {}, shuffled {}", found.same_again, found.same_shuffled);
    lines.push(Line { what: "same digest".into(), figure, target: "same", met: Some(same) });
}

fn faults(found: &Faults, lines: &mut Vec<Line>) {
    lines.push(at_most("4 KiB from the worker's cache, p50 µs", found.p50_us, 60.0, "≤ 60"));
    lines.push(at_most("4 KiB from the worker's cache, p99 µs", found.p99_us, 200.0, "≤ 200"));
    lines.push(plain("4 KiB from the page cache, p50", format!("{:.1} µs", found.again_p50_us)));
}

fn nodes(found: &Nodes, lines: &mut Vec<Line>) {
    for (name, reads) in [("4 of 5", &found.four_of_five), ("single copy", &found.single_copy)] {
        let of = |p50: f64, p99: f64| format!("p50 {p50:.1} ms, p99 {p99:.1} ms");
        lines.push(plain(&format!("six nodes, {name}"), of(reads.p50_ms, reads.p99_ms)));
        let what = format!("six nodes, {name}, one stalled");
        lines.push(plain(&what, of(reads.stalled_p50_ms, reads.stalled_p99_ms)));
    }
    let part = 100.0 * found.four_of_five.stalled_p99_ms / found.single_copy.stalled_p99_ms;
    lines.push(at_most("one stalled: p99, % of single copy's", part, 25.0, "≤ 25"));
    let reads = found.store_reads as f64;
    lines.push(at_most("one stalled: reads of the store", reads, 0.0, "none"));
}

fn starts(found: &Starts, lines: &mut Vec<Line>) {
    let name = &found.image;
    lines.push(plain(&format!("{name}: image"), megabytes(found.image_bytes)));
    for (what, ms) in [
        ("folder, cold", &found.folder_cold_ms),
        ("folder, warm", &found.folder_warm_ms),
        ("mounted, warm", &found.mounted_warm_ms),
        ("unpacked without download", &found.pull_ms),
    ] {
        lines.push(plain(&format!("{name}: {what}"), format!("{:.0} ms", middle(ms))));
    }
    for lazy in &found.lazy {
        let prefetch = if lazy.prefetch { "prefetched" } else { "not prefetched" };
        let (ms, chunks) = (middle(&lazy.start_ms), middle(&lazy.fetched_chunks));
        let mb = middle(&lazy.fetched_bytes) / 1e6;
        let what = format!("{name}: {} from {}, {prefetch}", lazy.layout, lazy.tier);
        lines.push(plain(&what, format!("{ms:.0} ms, {chunks:.0} chunks, {mb:.1} MB")));
    }
    lines.push(at_most(
        format!("{name}: mounted warm / folder warm"),
        ratio(&found.mounted_warm_ms, &found.folder_warm_ms),
        1.05,
        "≤ 1.05",
    ));
    if let Some(lazy) = found.lazy("ours", "L2", true) {
        lines.push(at_most(
            format!("{name}: from L2 / folder cold"),
            ratio(&lazy.start_ms, &lazy.folder_cold_ms),
            1.4,
            "≤ 1.4",
        ));
        // Of what others are compared with the target is told: the image that it was set for.
        let of_image = 100.0 * middle(&lazy.fetched_bytes) / found.image_bytes.max(1) as f64;
        let what = format!("{name}: fetched, % of the image");
        lines.push(if name == "data" {
            at_most(what, of_image, 20.0, "≤ 20")
        } else {
            plain(&what, format!("{of_image:.1}"))
        });
    }
    if let (Some(lazy), Some(without)) =
        (found.lazy("ours", "origin", true), found.lazy("ours", "origin", false))
    {
        lines.push(at_least(
            format!("{name}: not prefetched / prefetched, origin"),
            ratio(&without.start_ms, &lazy.start_ms),
            10.0,
            "≥ 10",
        ));
        lines.push(at_least(
            format!("{name}: unpacked / prefetched, origin"),
            middle(&found.pull_ms) / middle(&lazy.start_ms),
            5.0,
            "≥ 5",
        ));
    }
}

/// The median of the ratios of pairs that were measured beside each other.
fn ratio(ours: &[f64], other: &[f64]) -> f64 {
    middle(&ratios(ours, other))
}

/// The median; of nothing, what no target is met by.
fn middle(values: &[f64]) -> f64 {
    median(values).unwrap_or(f64::NAN)
}

fn plain(what: &str, figure: String) -> Line {
    Line { what: what.to_owned(), figure, target: "", met: None }
}

fn at_most(what: impl Into<String>, figure: f64, most: f64, target: &'static str) -> Line {
    Line { what: what.into(), figure: format!("{figure:.2}"), target, met: Some(figure <= most) }
}

fn at_least(what: impl Into<String>, figure: f64, least: f64, target: &'static str) -> Line {
    Line { what: what.into(), figure: format!("{figure:.2}"), target, met: Some(figure >= least) }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let met = match self.met {
            None => "",
            Some(true) => "met",
            Some(false) => "missed",
        };
        let line = format!("{:<58} {:>34}  {:<7} {met}", self.what, self.figure, self.target);
        f.write_str(line.trim_end())
    }
}
