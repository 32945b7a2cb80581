//! What durability costs: pushes by one, by 16 and by 256 callers, and a queue of 100 000 events, its memory and its
//! draining.
//!
//! ```text
//! cargo bench -p firesteel-invoke --bench queue -- [FOLDER]
//! ```
//!
//! The file lies in FOLDER, by default in that for temporary files: a sync costs what the disk below it makes of it.

#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a measurement ends where something fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use firesteel_invoke::queue::rules::{EventSettings, TimeScale};
use firesteel_invoke::queue::{
    Delivery, DeliveryError, Dispatcher, Event, Executor, Queue, Response, RunResult, Slots,
};
use uuid::Uuid;

const PAYLOAD_BYTES: usize = 256;
const QUEUED: u64 = 100_000;
const PERIOD: Duration = Duration::from_secs(3);

fn main() {
    // Cargo adds `--bench`.
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("payload {PAYLOAD_BYTES} bytes, file in {}", folder.display());
    println!("{:>7} {:>10} {:>10} {:>10}", "pushers", "events/s", "p50 µs", "p99 µs");
    for pushers in [1, 16, 256] {
        runtime.block_on(push_for_a_while(&folder, pushers));
    }
    runtime.block_on(fill_and_drain(&folder));
}

async fn push_for_a_while(folder: &Path, pushers: usize) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let queue = Queue::open(Some(&folder.path().join("queue.sqlite")), Slots::default()).unwrap();
    let until = Instant::now() + PERIOD;
    let tasks: Vec<_> = (0..pushers)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < until {
                    let began = Instant::now();
                    queue.push(event()).await.unwrap();
                    latencies.push(began.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies.sort_unstable();
    let quantile = |percent: usize| latencies[latencies.len() * percent / 100].as_micros();
    let rate = latencies.len() as f64 / PERIOD.as_secs_f64();
    println!("{pushers:>7} {rate:>10.0} {:>10} {:>10}", quantile(50), quantile(99));
}

async fn fill_and_drain(folder: &Path) {
    let folder = tempfile::tempdir_in(folder).unwrap();
    let path = folder.path().join("queue.sqlite");
    let before_kib = resident_kib();
    let queue = Queue::open(Some(&path), Slots::default()).unwrap();
    let pushers: Vec<_> = (0..256)
        .map(|pusher| {
            let queue = queue.clone();
            tokio::spawn(async move {
                for _ in (pusher..QUEUED).step_by(256) {
                    queue.push(event()).await.unwrap();
                }
            })
        })
        .collect();
    for pusher in pushers {
        pusher.await.unwrap();
    }
    println!("memory with {QUEUED} events queued: {} KiB more than before", resident_kib() - before_kib);
    drop(queue);
    let began = Instant::now();
    let queue = Queue::open(Some(&path), Slots::default()).unwrap();
    println!("opened in {} ms", began.elapsed().as_millis());
    let began = Instant::now();
    let dispatcher = Dispatcher::start(queue.clone(), Arc::new(Nothing), TimeScale::REAL);
    queue.kept().wait_for(|kept| *kept == 0).await.unwrap();
    let rate = QUEUED as f64 / began.elapsed().as_secs_f64();
    println!(
        "drained, each outcome on disk: {rate:.0} events/s, {} KiB more than before",
        resident_kib() - before_kib
    );
    dispatcher.shutdown().await;
}

fn event() -> Event {
    Event {
        request_id: Uuid::new_v4(),
        function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:measured".into(),
        qualifier: None,
        trace: None,
        client_context: None,
        payload: Bytes::from(vec![b'1'; PAYLOAD_BYTES]),
    }
}

/// Of this process. Anonymous memory only: pages of the file belong to the kernel.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

struct Nothing;

impl Executor for Nothing {
    async fn settings(&self, _: &Event) -> Option<EventSettings> {
        Some(EventSettings::default())
    }

    async fn run(&self, _: Event) -> RunResult {
        RunResult::Success(Response { executed_version: "1".into(), payload: Bytes::from_static(b"null") })
    }

    async fn deliver(&self, _: Delivery) -> Result<(), DeliveryError> {
        Ok(())
    }
}
