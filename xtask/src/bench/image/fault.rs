//! What a page costs that is not in memory, when its chunk is in the worker's cache.
//!
//! Reads of 4 KiB at pages of one large file in a random order, each page once, and no reading ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Instant;

use firesteel_image::serve::{Mounts, ServingPath};
use firesteel_image::tiers::simulated::Latency;
use rustix::fs::Advice;
use serde::Serialize;

use super::Setup;
use super::chunks::{Remote, Sealed};
use super::start::Starter;
use super::unpacked::Unpacked;
use crate::bench::progress;

const PAGE_BYTES: usize = 4096;
const READS: usize = 4000;

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Faults {
    pub(super) reads: usize,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// The same pages again, from memory.
    pub(super) again_p50_us: f64,
}

pub(super) fn run(setup: &Setup) -> io::Result<Faults> {
    progress("faults");
    let image = setup.image("data")?;
    let path = Unpacked::new(&setup.folder, image, &setup.scratch)?.largest()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mounts = Mounts::open(&setup.scratch.join("mounts"), ServingPath::Erofs, runtime.handle().clone())?;
    let sealed = Sealed::of(&setup.flatten(image)?)?;
    let remote = Remote::new(Arc::clone(&sealed), Latency::ZERO, 0);
    let starter = Starter { mounts: &mounts, runtime: runtime.handle() };
    let (mounted, _) = starter.mount(&sealed, &remote, None)?;
    let file = File::open(mounted.root().join(path))?;
    rustix::fs::fadvise(&file, 0, None, Advice::Random)?;
    let pages = file.metadata()?.len() / PAGE_BYTES as u64;
    let mut order: Vec<u64> = (0..pages).collect();
    fastrand::Rng::with_seed(6).shuffle(&mut order);
    // One page of each chunk first: that brings the chunk into the worker's cache, which is not what is measured.
    let mut page = [0; PAGE_BYTES];
    let per_chunk = 128;
    for first in (0..pages).step_by(per_chunk) {
        file.read_exact_at(&mut page, first * PAGE_BYTES as u64)?;
    }
    order.retain(|page| page % per_chunk as u64 != 0);
    order.truncate(READS);
    let mut timed = || -> io::Result<Vec<f64>> {
        let mut took = Vec::with_capacity(order.len());
        for at in &order {
            let began = Instant::now();
            file.read_exact_at(&mut page, at * PAGE_BYTES as u64)?;
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        took.sort_unstable_by(f64::total_cmp);
        Ok(took)
    };
    let (cold, again) = (timed()?, timed()?);
    let of = |took: &[f64], percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(f64::NAN);
    let (reads, again_p50_us) = (cold.len(), of(&again, 50));
    Ok(Faults { reads, p50_us: of(&cold, 50), p99_us: of(&cold, 99), again_p50_us })
}
