//! What is measured, and in which order.
//!
//! | phase | how |
//! |---|---|
//! | warm | one caller, [`ROUNDS`] rounds; in each, every contestant answers [`INVOKES`] times |
//! | throughput | [`CALLERS`] callers on [`ENVIRONMENTS`] environments, floor and Firesteel by turns |
//! | cold | [`STARTS`] times: a bare spawn, then a Firesteel function never invoked before |
//! | streaming | see [`streaming`](super::streaming) |
//! | subscribers | see [`subscribers`](super::subscribers) |
//!
//! Contestants take turns within a phase, and the order turns round with each round, so that a machine that gets
//! slower or hotter does so for all. Between turns the others' servers idle. A contestant that fails leaves the
//! phase, its failure goes into the report, the others go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::{Client, InvokeError, Percentiles, rush};
use super::ours::{self, Serving};
use super::report::{Cold, Contestant, Failures, Report, Throughput, Warm};
use super::server::{Memory, Server, StartError};
use super::{floor, rie};
use crate::explain;

/// Rounds of the warm measurement, and timed invokes per round and contestant.
const ROUNDS: usize = 10;
const INVOKES: usize = 1_000;
/// Invokes before the first round, after which memory is read, and before each round.
const WARM_UP: usize = 100;
const WARM_UP_ROUND: usize = 50;

/// Callers, environments and turns of the measurement of throughput.
pub(super) const CALLERS: usize = 16;
pub(super) const ENVIRONMENTS: usize = 8;
const TURNS: u32 = 5;
const WARM_UP_RUSH: Duration = Duration::from_millis(500);

/// Cold starts, and of how many of them each one also starts the emulator, which is slow at it.
const STARTS: usize = 200;
const RIE_EVERY: usize = 4;

/// What the phases need to start contestants.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) function: PathBuf,
    pub(super) firesteel: PathBuf,
    pub(super) rie: Option<PathBuf>,
    pub(super) scratch: PathBuf,
    /// Seconds of load per contestant in the measurement of throughput.
    pub(super) load: Duration,
}

impl Setup {
    pub(super) async fn floor(&self, function: &Path, environments: usize) -> Result<Server, StartError> {
        floor::start(function, environments, self.scratch.join("floor.log")).await
    }

    /// `phase` gives each of Firesteel's servers a data folder that was never used.
    pub(super) async fn ours(&self, phase: &str, serving: Serving<'_>) -> Result<Server, StartError> {
        ours::start(&self.firesteel, serving, &self.scratch.join(phase), self.log_of(phase)).await
    }

    /// What Firesteel's server of this phase prints.
    pub(super) fn log_of(&self, phase: &str) -> PathBuf {
        self.scratch.join(format!("{phase}.log"))
    }

    pub(super) async fn rie(&self, emulator: &Path) -> Result<Server, StartError> {
        rie::start(emulator, &self.function, self.scratch.join("rie.log")).await
    }
}

/// A contestant within a phase, and what it has done so far.
pub(super) struct Entrant<T> {
    pub(super) contestant: Contestant,
    pub(super) server: Server,
    pub(super) figures: T,
}

/// Servers that started; the failures of those that did not go into the report.
pub(super) fn entrants<T: Default>(
    started: Vec<(Contestant, Result<Server, StartError>)>,
    phase: &str,
    failures: &mut Failures,
) -> Vec<Entrant<T>> {
    let mut running = Vec::new();
    for (contestant, outcome) in started {
        match outcome {
            Ok(server) => running.push(Entrant { contestant, server, figures: T::default() }),
            Err(error) => failures.add(contestant, phase, &explain(&error)),
        }
    }
    running
}

/// Lets each entrant take its turn; those that fail are stopped and leave.
pub(super) async fn turns<T>(
    running: &mut Vec<Entrant<T>>,
    phase: &str,
    failures: &mut Failures,
    mut turn: impl FnMut(&mut Entrant<T>) -> Result<(), InvokeError>,
) {
    let mut left = Vec::new();
    for mut entrant in running.drain(..).rev() {
        match turn(&mut entrant) {
            Ok(()) => left.push(entrant),
            Err(error) => {
                failures.add(entrant.contestant, phase, &explain(&error));
                entrant.server.stop().await;
            }
        }
    }
    *running = left;
}

#[derive(Default)]
pub(super) struct WarmSoFar {
    started: Option<Memory>,
    used: Option<Memory>,
    samples: Vec<Duration>,
    rounds: Vec<Percentiles>,
}

/// Latency of one caller, and the servers' memory.
pub(super) async fn warm(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "warm invokes";
    let names = ["function".to_owned()];
    let mut started = vec![
        (Contestant::Floor, setup.floor(&setup.function, 1).await),
        (Contestant::Ours, setup.ours("warm", Serving::one(&setup.function, &names)).await),
    ];
    if let Some(emulator) = &setup.rie {
        started.push((Contestant::Rie, setup.rie(emulator).await));
    }
    let mut running = entrants(started, PHASE, &mut report.failures);
    warm_rounds(&mut running, PHASE, &mut report.failures).await;
    for mut entrant in running {
        if entrant.contestant == Contestant::Rie {
            report.rie_pairs = Some(rie::pairs(&mut entrant.server).await);
        }
        report.warm.extend(entrant.figures.row(entrant.contestant));
        entrant.server.stop().await;
    }
}

pub(super) async fn warm_rounds(running: &mut Vec<Entrant<WarmSoFar>>, phase: &str, failures: &mut Failures) {
    turns(running, phase, failures, |entrant| {
        entrant.figures.started = entrant.server.memory();
        let mut client = Client::connect(entrant.server.address, &entrant.server.function)?;
        for _ in 0..WARM_UP {
            client.timed()?;
        }
        entrant.figures.used = entrant.server.memory();
        Ok(())
    })
    .await;
    for _ in 0..ROUNDS {
        turns(running, phase, failures, |entrant| {
            let mut client = Client::connect(entrant.server.address, &entrant.server.function)?;
            for _ in 0..WARM_UP_ROUND {
                client.timed()?;
            }
            let samples = (0..INVOKES).map(|_| client.timed()).collect::<Result<Vec<_>, _>>()?;
            entrant.figures.rounds.extend(Percentiles::of(&samples));
            entrant.figures.samples.extend(samples);
            Ok(())
        })
        .await;
    }
}

impl WarmSoFar {
    /// Nothing of a contestant that was never timed.
    pub(super) fn row(&self, contestant: Contestant) -> Option<Warm> {
        let latency = Percentiles::of(&self.samples)?;
        let p50_us_per_round = self.rounds.iter().map(|round| round.p50_us).collect();
        let (started, used) = (self.started, self.used);
        Some(Warm { contestant, latency, p50_us_per_round, started, used })
    }
}

#[derive(Default)]
pub(super) struct RushesSoFar {
    per_s: Vec<f64>,
    answered: usize,
    throttled: usize,
}

/// Invokes per second with more callers than environments. The emulator has one environment and takes no part.
pub(super) async fn throughput(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "throughput";
    let names = ["function".to_owned()];
    let serving = Serving { environments: Some(ENVIRONMENTS), ..Serving::one(&setup.function, &names) };
    let started = vec![
        (Contestant::Floor, setup.floor(&setup.function, ENVIRONMENTS).await),
        (Contestant::Ours, setup.ours("throughput", serving).await),
    ];
    let mut running = entrants(started, PHASE, &mut report.failures);
    rushes(&mut running, setup.load, PHASE, &mut report.failures).await;
    for entrant in running {
        report.throughput.push(entrant.figures.row(entrant.contestant));
        entrant.server.stop().await;
    }
}

/// Each takes a part of `load` in turn.
pub(super) async fn rushes(
    running: &mut Vec<Entrant<RushesSoFar>>,
    load: Duration,
    phase: &str,
    failures: &mut Failures,
) {
    turns(running, phase, failures, |entrant| {
        rush(entrant.server.address, &entrant.server.function, CALLERS, WARM_UP_RUSH).map(drop)
    })
    .await;
    for _ in 0..TURNS {
        turns(running, phase, failures, |entrant| {
            let server = &entrant.server;
            let seen = rush(server.address, &server.function, CALLERS, load / TURNS)?;
            entrant.figures.per_s.push(seen.answered as f64 / seen.took.as_secs_f64());
            entrant.figures.answered += seen.answered;
            entrant.figures.throttled += seen.throttled;
            Ok(())
        })
        .await;
    }
}

impl RushesSoFar {
    pub(super) fn row(self, contestant: Contestant) -> Throughput {
        let RushesSoFar { per_s, answered, throttled } = self;
        Throughput { contestant, per_s, answered, throttled }
    }
}

/// From request to answer where no environment exists yet, beside the bare start of the same process.
pub(super) async fn cold(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "cold starts";
    let names: Vec<String> = (1..=STARTS).map(|number| format!("f{number}")).collect();
    let started = vec![(Contestant::Ours, setup.ours("cold", Serving::one(&setup.function, &names)).await)];
    let mut running = entrants::<()>(started, PHASE, &mut report.failures);
    let mut emulator = setup.rie.as_deref();
    let (mut bare, mut ours, mut emulated) = (Vec::new(), Vec::new(), Vec::new());

    for (number, name) in names.iter().enumerate() {
        match floor::bare_spawn(&setup.function) {
            Ok(took) => bare.push(took),
            Err(error) => {
                report.failures.add(Contestant::Floor, PHASE, &explain(&error));
                break;
            }
        }
        turns(&mut running, PHASE, &mut report.failures, |entrant| {
            ours.push(Client::connect(entrant.server.address, name)?.timed()?);
            Ok(())
        })
        .await;
        if let Some(path) = emulator.filter(|_| number % RIE_EVERY == 0) {
            match cold_rie(setup, path).await {
                Ok(took) => emulated.push(took),
                Err(why) => {
                    report.failures.add(Contestant::Rie, PHASE, &why);
                    emulator = None;
                }
            }
        }
    }

    for entrant in running {
        entrant.server.stop().await;
    }
    for (contestant, samples) in
        [(Contestant::Floor, bare), (Contestant::Ours, ours), (Contestant::Rie, emulated)]
    {
        if let Some(latency) = Percentiles::of(&samples) {
            report.cold.push(Cold { contestant, latency });
        }
    }
}

/// A fresh emulator starts its runtime when the first invoke arrives; the emulator's own start is not counted.
async fn cold_rie(setup: &Setup, emulator: &Path) -> Result<Duration, String> {
    let server = setup.rie(emulator).await.map_err(|error| explain(&error))?;
    let took = Client::connect(server.address, &server.function).and_then(|mut client| client.timed());
    server.stop().await;
    took.map_err(|error| explain(&error))
}
