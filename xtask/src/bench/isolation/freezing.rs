//! What it adds to an invocation that its environment stood still before, in [`ROUNDS`] rounds by turns.
//!
//! A caller that pauses is served more slowly by any server: caches are cold and processors asleep. So all are called
//! with the same pauses, and what counts is by how much more a pause costs the one that freezes:
//!
//! | pause | namespace | process | floor |
//! |---|---|---|---|
//! | none | runs on | runs on | runs on |
//! | [`SHORT`] | runs on: an environment is frozen after 1 ms | runs on | runs on |
//! | [`LONG`] | frozen | runs on: signals freeze after 10 ms | runs on |
//!
//! That it was so is read from the kernel, which counts how long a control group stood still.

use std::time::Duration;

use super::super::load::{self, Client, InvokeError, Percentiles};
use super::super::phases::{Entrant, Setup, turns};
use super::super::process_tree::Below;
use super::super::server::Server;
use super::report::{Paused, Report};

const ROUNDS: usize = 20;
const WARM_UP_ROUND: usize = 20;

/// Pauses, and how many invokes follow one in each round.
pub(super) const NONE: Duration = Duration::ZERO;
pub(super) const SHORT: Duration = Duration::from_micros(500);
pub(super) const LONG: Duration = Duration::from_millis(5);
const PAUSES: [(Duration, usize); 3] = [(NONE, 400), (SHORT, 200), (LONG, 60)];

#[derive(Default)]
struct SoFar([Pause; PAUSES.len()]);

#[derive(Default)]
struct Pause {
    samples: Vec<Duration>,
    rounds: Vec<Percentiles>,
    /// Of all samples, as far as the kernel says so.
    frozen_us: Option<u64>,
}

pub(super) async fn run(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "freezing";
    let mut running: Vec<Entrant<SoFar>> = super::beside_floor(setup, PHASE, None, report).await;
    for _ in 0..ROUNDS {
        for (index, (pause, count)) in PAUSES.into_iter().enumerate() {
            turns(&mut running, PHASE, &mut report.failures, |entrant| {
                round(&entrant.server, pause, count, &mut entrant.figures.0[index])
            })
            .await;
        }
    }
    for Entrant { contestant, server, figures } in running {
        server.stop().await;
        for ((pause, _), figures) in PAUSES.into_iter().zip(figures.0) {
            if let Some(latency) = Percentiles::of(&figures.samples) {
                report.paused.push(Paused {
                    contestant,
                    pause,
                    p50_us_per_round: figures.rounds.iter().map(|round| round.p50_us).collect(),
                    frozen_us: figures.frozen_us.map(|all| all as f64 / latency.count as f64),
                    latency,
                });
            }
        }
    }
}

fn round(server: &Server, pause: Duration, count: usize, figures: &mut Pause) -> Result<(), InvokeError> {
    let mut client = Client::connect(server.address, &server.function)?;
    let below = server.pid().map(Below::of);
    let frozen_us = || below.as_ref().and_then(Below::frozen_us);
    for _ in 0..WARM_UP_ROUND {
        client.timed()?;
    }
    let before = frozen_us();
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        // Not even the system call where there is no pause.
        if !pause.is_zero() {
            load::pause(pause);
        }
        samples.push(client.timed()?);
    }
    if let (Some(before), Some(after)) = (before, frozen_us()) {
        *figures.frozen_us.get_or_insert(0) += after.saturating_sub(before);
    }
    figures.rounds.extend(Percentiles::of(&samples));
    figures.samples.extend(samples);
    Ok(())
}
