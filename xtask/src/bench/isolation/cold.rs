//! Cold starts: from request to answer on a running server, where the function has no environment yet.
//!
//! In each of [`STARTS`] rounds every one of Firesteel's servers is asked for a function that it never ran, a bare process
//! is started, and every [`RIE_EVERY`]th time a fresh emulator is started and asked: it is made for one environment, so
//! that its own start is part of every cold start with it. Nothing is ever evicted. Before each start it is
//! quiet for [`SETTLE`], in which blanks are made again: a start is not to pay for the one before. What other programs of the
//! machine ran beside is told, and percentiles given without it too.

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::floor;
use super::super::load::{Client, InvokeError, Percentiles, pause};
use super::super::neighbours::{Neighbours, Timed};
use super::super::ours::{Isolation, Serving};
use super::super::phases::{Setup, entrants, turns};
use super::super::report::Contestant;
use super::report::{ColdStart, Report};
use crate::explain;

const STARTS: usize = 200;
const RIE_EVERY: usize = 2;
/// Starts that make a round of the report: so many have a median that means something.
const ROUND: usize = 20;
const SETTLE: Duration = Duration::from_millis(25);

const CONTESTANTS: [(Contestant, Isolation); 3] = [
    (Contestant::Process, Isolation::Process),
    (Contestant::Namespace, Isolation::Namespace { blanks: None }),
    (Contestant::NoBlanks, Isolation::Namespace { blanks: Some(0) }),
];

pub(super) async fn run(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "isolated cold starts";
    let names: Vec<String> = (1..=STARTS).map(|number| format!("f{number}")).collect();
    let others = Neighbours::now();
    let mut started = Vec::new();
    for (contestant, isolation) in CONTESTANTS {
        let serving =
            Serving { isolation, environments: Some(STARTS), ..Serving::one(&setup.function, &names) };
        started.push((contestant, setup.ours(&super::folder(PHASE, contestant), serving).await));
    }
    let mut running = entrants::<Vec<Timed>>(started, PHASE, &mut report.failures);
    let mut emulator = setup.rie.as_deref();
    let (mut bare, mut emulated, mut answers) = (Vec::new(), Vec::new(), Vec::new());

    for (number, name) in names.iter().enumerate() {
        turns(&mut running, PHASE, &mut report.failures, |entrant| {
            pause(SETTLE);
            let mut client = Client::connect(entrant.server.address, name)?;
            entrant.figures.push(others.beside::<InvokeError>(|| client.timed())?);
            Ok(())
        })
        .await;
        pause(SETTLE);
        match others.beside(|| floor::bare_spawn(&setup.function)) {
            Ok(took) => bare.push(took),
            Err(error) => {
                report.failures.add(Contestant::Floor, PHASE, &explain(&error));
                break;
            }
        }
        if let Some(path) = emulator.filter(|_| number % RIE_EVERY == 0) {
            let before = others.ran();
            match emulated_start(setup, path).await {
                Ok((whole, from_request)) => {
                    emulated.push(others.since(before, whole));
                    answers.push(from_request);
                }
                Err(why) => {
                    report.failures.add(Contestant::Rie, PHASE, &why);
                    emulator = None;
                }
            }
        }
    }

    report.cold.extend(row(Contestant::Floor, &bare, ROUND));
    report.cold.extend(row(Contestant::Rie, &emulated, ROUND / RIE_EVERY));
    report.rie_from_request = Percentiles::of(&answers);
    for entrant in running {
        report.cold.extend(row(entrant.contestant, &entrant.figures, ROUND));
        entrant.server.stop().await;
    }
}

/// From the start of an emulator to its answer, and from the request.
async fn emulated_start(setup: &Setup, emulator: &Path) -> Result<(Duration, Duration), String> {
    let start = Instant::now();
    let server = setup.rie(emulator).await.map_err(|error| explain(&error))?;
    let answer = Client::connect(server.address, &server.function).and_then(|mut client| client.timed());
    let whole = start.elapsed();
    server.stop().await;
    Ok((whole, answer.map_err(|error| explain(&error))?))
}

fn row(contestant: Contestant, starts: &[Timed], round: usize) -> Option<ColdStart> {
    let took: Vec<_> = starts.iter().map(|start| start.took).collect();
    let alone: Vec<_> = starts.iter().filter(|start| !start.disturbed).map(|start| start.took).collect();
    let rounds = took.chunks(round).filter_map(Percentiles::of);
    Some(ColdStart {
        contestant,
        latency: Percentiles::of(&took)?,
        alone: Percentiles::of(&alone),
        p50_us_per_round: rounds.map(|round| round.p50_us).collect(),
    })
}
