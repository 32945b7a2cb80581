//! From nothing to the first response: how long it takes and what is fetched for it.
//!
//! | way | what is counted |
//! |---|---|
//! | folder | the image unpacked already; its files taken out of memory before, or in memory |
//! | pull | unpacking the compressed layers, without their download, then a start from that folder |
//! | lazy | mounting, then a start from the mount: chunks are fetched when they are read, and ahead if prefetched |
//!
//! A start is the image's own Python with the runtime's client and the handler, a process in a `chroot`, from its
//! beginning to the arrival of its response. Neither sandbox nor server is part of it: they cost the same in every way.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_image::chunk::ChunkSource;
use firesteel_image::serve::{BlockFile, MountedImage, Mounts, ServingPath, SlotTable};
use firesteel_image::tiers::simulated::Latency;
use firesteel_image::tiers::{LocalCache, LocalOptions, PrefetchList, PrefetchOptions, Prefetcher, Touches};
use serde::Serialize;
use tokio::runtime::Handle;

use super::Setup;
use super::chunks::{Remote, Sealed, Slots};
use super::runtime_api::RuntimeApi;
use super::unpacked::{Stock, Unpacked};
use crate::bench::progress;
use crate::image_corpus::Image;

/// Enough of the worker's memory for all that a start reads.
const MEMORY_BYTES: u64 = 1 << 30;
const DEADLINE: Duration = Duration::from_secs(60);

/// Enters the function's folder, as an execution environment does, and becomes the image's entrypoint.
const ENTRY: &str =
    "import os, runpy; os.chdir('/var/task'); runpy.run_module('awslambdaric', run_name='__main__')";

/// What each handler of the corpus takes.
const EVENT: &str = r#"{"name":"bench","path":"/","rows":[["a",1],["b",2],["a",3]]}"#;

/// Starts of one image, all in milliseconds. Of several rounds, each figure is the median.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Starts {
    pub(super) image: String,
    pub(super) image_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) rounds: usize,
    pub(super) folder_cold_ms: f64,
    pub(super) folder_warm_ms: f64,
    pub(super) unpack_ms: f64,
    /// Unpacking and the start.
    pub(super) pull_ms: f64,
    pub(super) lazy: Vec<Lazy>,
    pub(super) warm_ms: f64,
}

/// By one way of fetching, from one tier.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lazy {
    pub(super) layout: &'static str,
    pub(super) tier: &'static str,
    pub(super) prefetch: bool,
    pub(super) start_ms: f64,
    /// Until the first response, mounting included.
    pub(super) fetched_chunks: u64,
    pub(super) fetched_bytes: u64,
}

impl Starts {
    pub(super) fn lazy(&self, layout: &str, tier: &str, prefetch: bool) -> Option<&Lazy> {
        self.lazy.iter().find(|lazy| lazy.layout == layout && lazy.tier == tier && lazy.prefetch == prefetch)
    }
}

/// The tiers behind the worker, as they were recorded.
const TIERS: [(&str, Latency); 2] = [("L2", Latency::CACHE_NODES), ("origin", Latency::ORIGIN)];

pub(super) fn run(setup: &Setup, image: &Image, rounds: usize, with_stock: bool) -> io::Result<Starts> {
    progress(&format!("starts of {}", image.name));
    // What the image before was unpacked to would be written while this one starts.
    rustix::fs::sync();
    let mut found = Starts { image: image.name.clone(), rounds, ..Starts::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mounts = Mounts::open(&setup.scratch.join("mounts"), ServingPath::Erofs, runtime.handle().clone())?;
    let ours = setup.flatten(image)?;
    found.image_bytes = Slots::image_bytes(&ours);
    let sealed = Sealed::of(&ours)?;
    found.stored_bytes = sealed.stored_bytes();
    let starter = Starter { mounts: &mounts, runtime: runtime.handle() };
    lazily(&starter, "ours", &sealed, rounds, &mut found)?;
    drop(sealed);

    let mut pulls = Vec::new();
    let mut unpacks = Vec::new();
    let mut unpacked = None;
    for _ in 0..if found.image_bytes > 1 << 30 { 1 } else { rounds } {
        // One at a time: they are large.
        drop(unpacked.take());
        let began = Instant::now();
        let fresh = Unpacked::new(&setup.folder, image, &setup.scratch)?;
        unpacks.push(began.elapsed());
        let start = respond(fresh.root())?;
        pulls.push(unpacks[unpacks.len() - 1] + start);
        unpacked = Some(fresh);
    }
    (found.unpack_ms, found.pull_ms) = (median_ms(&mut unpacks), median_ms(&mut pulls));
    let Some(unpacked) = unpacked else { return Ok(found) };
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        unpacked.chill()?;
        cold.push(respond(unpacked.root())?);
        warm.push(respond(unpacked.root())?);
    }
    (found.folder_cold_ms, found.folder_warm_ms) = (median_ms(&mut cold), median_ms(&mut warm));
    if with_stock {
        let stock = Sealed::of(&Stock::new(&unpacked, &setup.scratch)?)?;
        lazily(&starter, "stock", &stock, rounds, &mut found)?;
    }
    Ok(found)
}

/// A pair of starts over each tier, with and without prefetch, by turns.
fn lazily(
    starter: &Starter,
    layout: &'static str,
    image: &Arc<Sealed>,
    rounds: usize,
    found: &mut Starts,
) -> io::Result<()> {
    let records = (0..2).map(|round| starter.record(image, round)).collect::<io::Result<Vec<_>>>()?;
    let list = PrefetchList::merge(&records);
    let mut warm = Vec::new();
    for (tier, latency) in TIERS {
        for prefetch in [true, false] {
            let mut starts = Vec::new();
            let (mut chunks, mut bytes) = (Vec::new(), Vec::new());
            for round in 0..rounds as u64 {
                let remote = Remote::new(Arc::clone(image), latency, round);
                let list = prefetch.then_some(&list);
                let began = Instant::now();
                let (mounted, _) = starter.mount(image, &remote, list)?;
                respond(mounted.root())?;
                starts.push(began.elapsed());
                let (fetched_chunks, fetched_bytes) = remote.fetched();
                chunks.push(fetched_chunks);
                bytes.push(fetched_bytes);
                warm.push(respond(mounted.root())?);
                drop(mounted);
                // Unmounting would take a processor from the next start.
                starter.mounts.wait_for_unmounts();
            }
            found.lazy.push(Lazy {
                layout,
                tier,
                prefetch,
                start_ms: median_ms(&mut starts),
                fetched_chunks: median(&mut chunks),
                fetched_bytes: median(&mut bytes),
            });
        }
    }
    if layout == "ours" {
        found.warm_ms = median_ms(&mut warm);
    }
    Ok(())
}

/// What starts by mounting have in common.
pub(super) struct Starter<'a> {
    pub(super) mounts: &'a Mounts,
    pub(super) runtime: &'a Handle,
}

impl Starter<'_> {
    /// With nothing in the worker's cache, and what the list names being fetched ahead.
    pub(super) fn mount(
        &self,
        image: &Arc<Sealed>,
        remote: &Arc<Remote>,
        list: Option<&PrefetchList>,
    ) -> io::Result<(Arc<MountedImage>, Arc<Touches>)> {
        let touches = Arc::new(Touches::new(image.slots()));
        let options = LocalOptions { memory_bytes: MEMORY_BYTES, disk: None, deadline: DEADLINE };
        let recorded = Arc::clone(&touches);
        let mounted = self.runtime.block_on(async {
            let remote: Arc<dyn ChunkSource> = Arc::<Remote>::clone(remote);
            let source = LocalCache::open(&options).map_err(io::Error::other)?.over(remote);
            // To its end, whatever becomes of the start: what two starts have read this one reads, too.
            if let Some(list) = list {
                let prefetcher = Prefetcher::new(PrefetchOptions::default());
                let ahead = prefetcher.begin(image.references(list.slots()), Arc::clone(&source));
                tokio::spawn(ahead.finished());
            }
            let name = format!("{:p}", Arc::as_ptr(&recorded));
            let slots: Arc<dyn SlotTable> = Arc::<Sealed>::clone(image);
            let on_touch = Arc::new(move |slot| recorded.record(slot));
            self.mounts
                .mount(&name, || BlockFile::new(slots, source, DEADLINE, on_touch))
                .await
                .map_err(io::Error::other)
        })?;
        Ok((mounted, touches))
    }

    /// What one start reads, in the order in which it reads it.
    fn record(&self, image: &Arc<Sealed>, seed: u64) -> io::Result<PrefetchList> {
        let remote = Remote::new(Arc::clone(image), Latency::ZERO, seed);
        let (mounted, touches) = self.mount(image, &remote, None)?;
        respond(mounted.root())?;
        touches.end();
        Ok(touches.recorded())
    }
}

/// A start from a folder, to its first response.
pub(super) fn respond(root: &Path) -> io::Result<Duration> {
    let api = RuntimeApi::open()?;
    let began = Instant::now();
    let process = Command::new("chroot")
        .arg(root)
        .args(["/usr/bin/python3", "-c", ENTRY, "app.handler"])
        .env_clear()
        .envs([
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            ("LANG", "C.UTF-8"),
            ("AWS_LAMBDA_RUNTIME_API", &api.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
            // An unpacked folder shall be after a start what it was before.
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("OPENBLAS_NUM_THREADS", "1"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut process = Ended(process);
    let response = api.first_response(EVENT, || Ok(process.0.try_wait()?.is_some()))?;
    if response.body.contains("errorMessage") {
        return Err(io::Error::other(format!("the function failed: {}", response.body)));
    }
    Ok(response.at - began)
}

/// A process that does not outlive its value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn median<T: Ord + Copy + Default>(values: &mut [T]) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn median_ms(values: &mut [Duration]) -> f64 {
    median(values).as_secs_f64() * 1e3
}
