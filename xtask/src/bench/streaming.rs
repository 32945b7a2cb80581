//! Streamed answers: how fast a chunk is, how fast many bytes are, and what a slow reader costs.
//!
//! | measured | how |
//! |---|---|
//! | a chunk | [`ROUNDS`] rounds of one invocation with [`CHUNKS`] chunks, floor and Firesteel by turns. The function writes its clock into each, and writes none before the caller has read the last |
//! | bytes | [`TURNS`] invocations with [`BYTES`] bytes, by turns, read as fast as they come |
//! | a slow reader | the same bytes from Firesteel, read over [`SLOW`]; its memory is looked at all the while |
//!
//! The function is this program's own ([`guest`]).

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::guest::{self, Event};
use super::load::{ANSWER_LIMIT, InvokeError, Percentiles};
use super::ours::Serving;
use super::phases::{Setup, entrants, turns};
use super::report::{Contestant, Report, SlowReader, Streaming};
use super::response_stream::ResponseStream;
use super::server::Server;
use crate::explain;

const ROUNDS: usize = 5;
const CHUNKS: usize = 1_000;
/// Chunks of the invocation before the first round, which is also the one that starts the function.
const WARM_UP: usize = 200;

/// As many as a function may stream.
const BYTES: usize = 200 * 1024 * 1024;
const TURNS: usize = 5;

const SLOW: Duration = Duration::from_secs(10);
/// The server's memory is looked at whenever so many bytes were read.
const LOOK_EVERY: usize = 1024 * 1024;

#[derive(Default)]
struct SoFar {
    samples: Vec<Duration>,
    rounds: Vec<Percentiles>,
    mb_per_s: Vec<f64>,
}

pub(super) async fn run(setup: &Setup, report: &mut Report) {
    const PHASE: &str = "streaming";
    let function = match guest::function(&setup.scratch) {
        Ok(function) => function,
        Err(error) => return report.failures.add(Contestant::Ours, PHASE, &explain(&error)),
    };
    let names = ["function".to_owned()];
    let started = vec![
        (Contestant::Floor, setup.floor(&function, 1).await),
        (Contestant::Ours, setup.ours(PHASE, Serving::one(&function, &names)).await),
    ];
    let mut running = entrants::<SoFar>(started, PHASE, &mut report.failures);

    turns(&mut running, PHASE, &mut report.failures, |entrant| chunks(&entrant.server, WARM_UP).map(drop))
        .await;
    for _ in 0..ROUNDS {
        turns(&mut running, PHASE, &mut report.failures, |entrant| {
            let samples = chunks(&entrant.server, CHUNKS)?;
            entrant.figures.rounds.extend(Percentiles::of(&samples));
            entrant.figures.samples.extend(samples);
            Ok(())
        })
        .await;
    }
    // Before the fast readers: they may leave the server with memory that a slow one would then not have to ask for.
    for entrant in running.iter().filter(|entrant| entrant.contestant == Contestant::Ours) {
        match slow(&entrant.server).await {
            Ok(seen) => report.slow_reader = seen,
            Err(error) => report.failures.add(entrant.contestant, "slow reader", &explain(&error)),
        }
    }
    for _ in 0..TURNS {
        turns(&mut running, PHASE, &mut report.failures, |entrant| {
            entrant.figures.mb_per_s.push(mb_per_s(&entrant.server)?);
            Ok(())
        })
        .await;
    }

    for entrant in running {
        if let Some(latency) = Percentiles::of(&entrant.figures.samples) {
            report.streaming.push(Streaming {
                contestant: entrant.contestant,
                latency,
                p50_us_per_round: entrant.figures.rounds.iter().map(|round| round.p50_us).collect(),
                mb_per_s: entrant.figures.mb_per_s,
            });
        }
        entrant.server.stop().await;
    }
}

/// The ages of the chunks of one invocation when they were read.
fn chunks(server: &Server, count: usize) -> Result<Vec<Duration>, InvokeError> {
    let lost = |source: io::Error| InvokeError::Connection { address: server.address, source };
    let signs = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(lost)?;
    signs.set_read_timeout(Some(ANSWER_LIMIT)).map_err(lost)?;
    let caller = signs.local_addr().map_err(lost)?;
    let mut stream = ResponseStream::open(server.address, &server.function, &Event::Times { count, caller })?;
    let (_, function) = signs.recv_from(&mut []).map_err(lost)?;
    let mut ages = Vec::with_capacity(count);
    for _ in 0..count {
        signs.send_to(&[], function).map_err(lost)?;
        let chunk = stream.next()?.unwrap_or_default();
        ages.push(guest::age(chunk).ok_or_else(|| {
            InvokeError::MalformedStream(format!("{} bytes in place of a time", chunk.len()))
        })?);
    }
    match stream.next()? {
        None => Ok(ages),
        Some(more) => Err(InvokeError::MalformedStream(format!("{} bytes too many", more.len()))),
    }
}

fn mb_per_s(server: &Server) -> Result<f64, InvokeError> {
    let start = Instant::now();
    let mut stream = ResponseStream::open(server.address, &server.function, &Event::Bytes(BYTES))?;
    let mut count = 0;
    while let Some(piece) = stream.next()? {
        count += piece.len();
    }
    whole(count)?;
    Ok(count as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// Nothing where the server's memory cannot be seen.
async fn slow(server: &Server) -> Result<Option<SlowReader>, InvokeError> {
    let Some(before) = server.memory() else { return Ok(None) };
    let start = Instant::now();
    let mut stream = ResponseStream::open(server.address, &server.function, &Event::Bytes(BYTES))?;
    let (mut count, mut looked_at, mut peak_kib) = (0, 0, before.rss_kib);
    while let Some(piece) = stream.next()? {
        count += piece.len();
        let due = start + SLOW.mul_f64(count as f64 / BYTES as f64);
        tokio::time::sleep_until(due.into()).await;
        if count - looked_at >= LOOK_EVERY {
            looked_at = count;
            peak_kib = peak_kib.max(server.memory().map_or(0, |memory| memory.rss_kib));
        }
    }
    whole(count)?;
    let took_s = start.elapsed().as_secs_f64();
    Ok(Some(SlowReader { bytes: count, took_s, start_kib: before.rss_kib, peak_kib }))
}

fn whole(count: usize) -> Result<(), InvokeError> {
    if count == BYTES {
        Ok(())
    } else {
        Err(InvokeError::MalformedStream(format!("{count} bytes in place of {BYTES}")))
    }
}
