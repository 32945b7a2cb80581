//! `cargo xtask bench isolation`: what isolation costs, beside the same server without it and the emulator.
//!
//! | part | what is measured |
//! |---|---|
//! | cold | see [`cold`]: from request to answer where no environment exists |
//! | burst | see [`burst`]: many environments of one function at once, from nothing |
//! | freezing | see [`freezing`]: what standing still between invocations adds to them |
//! | warm | the warm invokes and the throughput of `phases`, with and without isolation |
//! | idle | see [`idle`]: the memory of a thousand environments that stand still; only when it is named |
//!
//! Functions have the network that Firesteel gives them without being asked: one of their own, with a way out where this
//! machine allows it.

use super::ours::{Isolation, Serving};
use super::phases::{self, Entrant, RushesSoFar, Setup, WarmSoFar, entrants};
use super::progress;
use super::report::Contestant;

mod burst;
mod check;
mod cold;
mod freezing;
mod idle;
mod report;
mod table;

pub(super) use check::checks;
pub(super) use report::Report;
pub(super) use table::table;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure [default: all but idle, which takes minutes]
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
    /// Environments of `idle`.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    idle_environments: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Cold,
    Burst,
    Freezing,
    Warm,
    Idle,
}

/// As much that the share of the processors that comes with it is a whole one.
const WHOLE_CORE_MIB: u32 = 1769;

pub(super) async fn measure(options: &Options, setup: &Setup) -> Report {
    let mut report = Report::new();
    let named = |part| {
        if options.parts.is_empty() { part != Part::Idle } else { options.parts.contains(&part) }
    };
    if named(Part::Cold) {
        progress("cold starts");
        cold::run(setup, &mut report).await;
    }
    if named(Part::Burst) {
        progress("bursts");
        burst::run(setup, &mut report).await;
    }
    if named(Part::Freezing) {
        progress("freezing");
        freezing::run(setup, &mut report).await;
    }
    if named(Part::Warm) {
        progress("warm invokes");
        warm(setup, &mut report).await;
        progress("throughput");
        throughput(setup, &mut report).await;
    }
    if named(Part::Idle) {
        progress("idle environments");
        idle::run(setup, options.idle_environments, &mut report).await;
    }
    report
}

/// Those of Firesteel's that are compared where blanks do not matter.
const ISOLATIONS: [(Contestant, Isolation); 2] = [
    (Contestant::Process, Isolation::Process),
    (Contestant::Namespace, Isolation::Namespace { blanks: None }),
];

async fn warm(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "isolated warm invokes";
    let mut running: Vec<Entrant<WarmSoFar>> = beside_floor(setup, PHASE, None, report).await;
    phases::warm_rounds(&mut running, PHASE, &mut report.failures).await;
    for entrant in running {
        report.warm.extend(entrant.figures.row(entrant.contestant));
        entrant.server.stop().await;
    }
}

async fn throughput(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "isolated throughput";
    let environments = Some(phases::ENVIRONMENTS);
    let mut running: Vec<Entrant<RushesSoFar>> = beside_floor(setup, PHASE, environments, report).await;
    phases::rushes(&mut running, setup.load, PHASE, &mut report.failures).await;
    for entrant in running {
        report.throughput.push(entrant.figures.row(entrant.contestant));
        entrant.server.stop().await;
    }
}

/// The floor, and Firesteel without isolation and with it, all with a whole core for each environment.
async fn beside_floor<T: Default>(
    setup: &Setup,
    phase: &str,
    environments: Option<usize>,
    report: &mut Report,
) -> Vec<Entrant<T>> {
    let names = ["function".to_owned()];
    let mut started =
        vec![(Contestant::Floor, setup.floor(&setup.function, environments.unwrap_or(1)).await)];
    for (contestant, isolation) in ISOLATIONS {
        let memory_mib = Some(WHOLE_CORE_MIB);
        let serving =
            Serving { isolation, environments, memory_mib, ..Serving::one(&setup.function, &names) };
        started.push((contestant, setup.ours(&folder(phase, contestant), serving).await));
    }
    entrants(started, phase, &mut report.failures)
}

/// The name of a data folder of its own.
fn folder(phase: &str, contestant: Contestant) -> String {
    format!("{phase} {}", contestant.title()).replace(' ', "-")
}
