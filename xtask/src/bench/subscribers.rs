//! What a subscriber of telemetry that stops reading costs the function beside it: warm invokes, by turns of a server
//! with an extension that takes what it is sent and of one whose extension reads nothing.
//!
//! Its backlog overflows after some thousand invokes. What is lost then has to be told in the server's log, and is
//! counted there.

use std::path::Path;
use std::time::Duration;

use super::guest;
use super::load::{Client, Percentiles};
use super::ours::Serving;
use super::phases::{Entrant, Setup, turns};
use super::report::{Contestant, Report, Subscribed, Subscriber};
use crate::explain;

/// Many and short: the machine's own unrest then falls on both alike.
const ROUNDS: usize = 21;
const INVOKES: usize = 400;
/// Before the first round: enough for a backlog of 1 MiB, to which an invoke adds about 1 KiB.
const WARM_UP: usize = 1_500;
const WARM_UP_ROUND: usize = 50;

struct SoFar {
    subscriber: Subscriber,
    samples: Vec<Duration>,
    rounds: Vec<Percentiles>,
}

pub(super) async fn run(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "telemetry subscribers";
    let names = ["function".to_owned()];
    let mut running = Vec::new();
    for subscriber in [Subscriber::Healthy, Subscriber::Silent] {
        let layer = match guest::layer(&setup.scratch, subscriber == Subscriber::Silent) {
            Ok(layer) => layer,
            Err(error) => return report.failures.add(Contestant::Ours, PHASE, &explain(&error)),
        };
        let serving = Serving { layer: Some(&layer), ..Serving::one(&setup.function, &names) };
        match setup.ours(phase_of(subscriber), serving).await {
            Ok(server) => {
                let figures = SoFar { subscriber, samples: Vec::new(), rounds: Vec::new() };
                running.push(Entrant { contestant: Contestant::Ours, server, figures });
            }
            Err(error) => report.failures.add(Contestant::Ours, PHASE, &explain(&error)),
        }
    }

    turns(&mut running, PHASE, &mut report.failures, |entrant| {
        let mut client = Client::connect(entrant.server.address, &entrant.server.function)?;
        (0..WARM_UP).try_for_each(|_| client.timed().map(drop))
    })
    .await;
    for _ in 0..ROUNDS {
        turns(&mut running, PHASE, &mut report.failures, |entrant| {
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

    for Entrant { server, figures: SoFar { subscriber, samples, rounds }, .. } in running {
        server.stop().await;
        if let Some(latency) = Percentiles::of(&samples) {
            report.subscribed.push(Subscribed {
                subscriber,
                latency,
                p50_us_per_round: rounds.iter().map(|round| round.p50_us).collect(),
                lost: lost(&setup.log_of(phase_of(subscriber))),
            });
        }
    }
}

/// Each server has a folder and a log by this name.
fn phase_of(subscriber: Subscriber) -> &'static str {
    match subscriber {
        Subscriber::Healthy => "healthy-subscriber",
        Subscriber::Silent => "silent-subscriber",
    }
}

/// How many events were lost, as far as the log tells.
fn lost(log: &Path) -> u64 {
    let text = std::fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(lost_in_line).sum()
}

fn lost_in_line(line: &str) -> Option<u64> {
    let event: serde_json::Value = serde_json::from_str(&line[line.find('{')?..]).ok()?;
    (event["type"] == "platform.logsDropped").then(|| event["record"]["droppedRecords"].as_u64())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Option<u64>) {
        assert_eq!(lost_in_line(line), expect, "{line}");
    }

    #[test]
    fn a_loss_is_found_in_the_log() {
        check(r#"{"type":"platform.logsDropped","record":{"droppedRecords":3,"droppedBytes":9}}"#, Some(3));
        check(r#"function {"type":"platform.logsDropped","record":{"droppedRecords":3}}"#, Some(3));
        check(r#"{"type":"platform.start","record":{"droppedRecords":3}}"#, None);
        check("a line of the server's own", None);
    }
}
