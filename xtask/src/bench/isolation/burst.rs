//! Bursts: [`ENVIRONMENTS`] callers at once of a function that has no environment yet and holds each of them until
//! [`HOLD`] has passed, so that each caller needs an environment of its own.
//!
//! Timed is from the first request until the last function's first bytes are there. Servers take turns, each turn with a
//! fresh one: an environment that was there before would not have to be made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use super::super::guest::{self, Event};
use super::super::load::{InvokeError, Percentiles};
use super::super::ours::Serving;
use super::super::phases::Setup;
use super::super::report::Contestant;
use super::super::response_stream::ResponseStream;
use super::super::server::Server;
use super::report::{Burst, Report};
use crate::explain;

pub(super) const ENVIRONMENTS: usize = 200;
const TURNS: usize = 5;
/// Within it all must have begun; less than [`ANSWER_LIMIT`](super::super::load::ANSWER_LIMIT).
const HOLD: Duration = Duration::from_secs(5);

pub(super) async fn run(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "bursts";
    let function = match guest::function(&setup.scratch) {
        Ok(function) => function,
        Err(error) => return report.failures.add(Contestant::Namespace, PHASE, &explain(&error)),
    };
    let names = ["function".to_owned()];
    let mut rows = super::ISOLATIONS.map(|(contestant, _)| Burst::new(contestant));
    let mut waits = super::ISOLATIONS.map(|_| Vec::new());
    for turn in 0..TURNS {
        for index in 0..rows.len() {
            // The order turns round with each turn.
            let index = if turn % 2 == 0 { index } else { rows.len() - 1 - index };
            let (contestant, isolation) = super::ISOLATIONS[index];
            let environments = Some(ENVIRONMENTS);
            let serving = Serving { isolation, environments, ..Serving::one(&function, &names) };
            let folder = format!("{}-{turn}", super::folder(PHASE, contestant));
            match setup.ours(&folder, serving).await {
                Ok(server) => {
                    let seen = burst(&server);
                    server.stop().await;
                    let row = &mut rows[index];
                    row.per_s.push(seen.environments.len() as f64 / seen.took.as_secs_f64());
                    row.fewest = row.fewest.min(seen.environments.len());
                    for (why, count) in seen.failed {
                        *row.failed.entry(why).or_default() += count;
                    }
                    waits[index].extend(seen.waits);
                }
                Err(error) => report.failures.add(contestant, PHASE, &explain(&error)),
            }
        }
    }
    for (mut row, waits) in rows.into_iter().zip(waits).filter(|(row, _)| !row.per_s.is_empty()) {
        row.first_bytes = Percentiles::of(&waits);
        report.burst.push(row);
    }
}

/// What one burst came to.
struct Seen {
    /// By their own names.
    environments: BTreeSet<Vec<u8>>,
    took: Duration,
    waits: Vec<Duration>,
    failed: BTreeMap<String, usize>,
}

fn burst(server: &Server) -> Seen {
    let gate = Barrier::new(ENVIRONMENTS);
    let until_ns = guest::now_ns().saturating_add(u64::try_from(HOLD.as_nanos()).unwrap_or(u64::MAX));
    let call = || -> Result<_, InvokeError> {
        gate.wait();
        let start = Instant::now();
        let mut stream = ResponseStream::open(server.address, &server.function, &Event::Hold { until_ns })?;
        let environment = stream.next()?.unwrap_or_default().to_vec();
        let begun = Instant::now();
        while stream.next()?.is_some() {}
        Ok((start, begun, environment))
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..ENVIRONMENTS).map(|_| scope.spawn(call)).collect();
        let join = |caller: std::thread::ScopedJoinHandle<'_, _>| {
            caller.join().expect("a caller's thread has nothing that panics")
        };
        callers.into_iter().map(join).collect()
    });

    let mut seen = Seen {
        environments: BTreeSet::new(),
        took: Duration::ZERO,
        waits: Vec::new(),
        failed: BTreeMap::new(),
    };
    let first = outcomes.iter().flatten().map(|(start, ..)| *start).min();
    for outcome in outcomes {
        match outcome {
            Ok((start, begun, environment)) => {
                seen.environments.insert(environment);
                seen.waits.push(begun - start);
                seen.took = seen.took.max(begun - first.unwrap_or(start));
            }
            Err(error) => *seen.failed.entry(explain(&error)).or_default() += 1,
        }
    }
    seen
}
