//! From nothing to the first response: how long it takes and what is fetched for it.
//!
//! | way | what is counted |
//! |---|---|
//! | folder | the image unpacked already; its files taken out of memory before, or in memory |
//! | pull | unpacking the compressed layers, without their download, then a start from that folder |
//! | lazy | mounting, then a start from the mount: chunks are fetched when they are read, and ahead if prefetched |
//!
//! Images and ways take turns, round by round, and what is compared is compared turn by turn: the machine may be half as fast
//! a minute later.
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

/// Starts of one image, all in milliseconds, in the order in which they were made.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Starts {
    pub(super) image: String,
    pub(super) image_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) unpack_ms: Vec<f64>,
    /// Unpacking and the start.
    pub(super) pull_ms: Vec<f64>,
    pub(super) folder_cold_ms: Vec<f64>,
    /// Of each turn, as the next: these two are a pair.
    pub(super) folder_warm_ms: Vec<f64>,
    pub(super) mounted_warm_ms: Vec<f64>,
    pub(super) lazy: Vec<Lazy>,
}

/// By one way of fetching, from one tier; a figure for each round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Lazy {
    pub(super) layout: &'static str,
    pub(super) tier: &'static str,
    pub(super) prefetch: bool,
    pub(super) start_ms: Vec<f64>,
    /// From the folder, in the same turn.
    pub(super) folder_cold_ms: Vec<f64>,
    /// Until the first response, mounting included.
    pub(super) fetched_chunks: Vec<f64>,
    pub(super) fetched_bytes: Vec<f64>,
}

impl Starts {
    pub(super) fn lazy(&self, layout: &str, tier: &str, prefetch: bool) -> Option<&Lazy> {
        self.lazy.iter().find(|lazy| lazy.layout == layout && lazy.tier == tier && lazy.prefetch == prefetch)
    }

    fn lazy_mut(&mut self, layout: &'static str, (tier, prefetch): (&'static str, bool)) -> &mut Lazy {
        let is = |lazy: &Lazy| lazy.layout == layout && lazy.tier == tier && lazy.prefetch == prefetch;
        let index = self.lazy.iter().position(is).unwrap_or_else(|| {
            let (start_ms, folder_cold_ms) = (Vec::new(), Vec::new());
            let (fetched_chunks, fetched_bytes) = (Vec::new(), Vec::new());
            self.lazy.push(Lazy {
                layout,
                tier,
                prefetch,
                start_ms,
                folder_cold_ms,
                fetched_chunks,
                fetched_bytes,
            });
            self.lazy.len() - 1
        });
        &mut self.lazy[index]
    }
}

/// The tiers behind the worker, as they were recorded.
const TIERS: [(&str, Latency); 2] = [("L2", Latency::CACHE_NODES), ("origin", Latency::ORIGIN)];

/// One by one: an image that could not be measured, and why, does not keep the others from being.
pub(super) fn run(
    setup: &Setup,
    images: &[&Image],
    rounds: usize,
) -> io::Result<Vec<Result<Starts, String>>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mounts = Mounts::open(&setup.scratch.join("mounts"), ServingPath::Erofs, runtime.handle().clone())?;
    let starter = Starter { mounts: &mounts, runtime: runtime.handle() };
    let failed = |image: &Image, error: io::Error| format!("{}: {error}", image.name);
    let mut entrants: Vec<Result<Entrant, String>> = Vec::new();
    for image in images {
        progress(&format!("starts of {}: unpacked, and made ready", image.name));
        entrants.push(Entrant::new(setup, image, &starter, rounds).map_err(|error| failed(image, error)));
    }
    // What was unpacked would be written while others start.
    rustix::fs::sync();
    for round in 0..rounds {
        for (tier, latency) in TIERS {
            for prefetch in [true, false] {
                let how = if prefetch { "" } else { "not " };
                progress(&format!("starts, round {} of {rounds}: from {tier}, {how}prefetched", round + 1));
                for (image, entrant) in images.iter().zip(&mut entrants) {
                    let Ok(ready) = entrant else { continue };
                    if let Err(error) = ready.turn(&starter, (tier, latency), prefetch, round as u64) {
                        *entrant = Err(failed(image, error));
                    }
                }
            }
        }
    }
    Ok(entrants.into_iter().map(|entrant| entrant.map(|entrant| entrant.found)).collect())
}

/// The image that the stock tool's layout is measured with too.
const WITH_STOCK: &str = "data";

/// An image whose starts are measured, in all the ways there are.
struct Entrant {
    unpacked: Unpacked,
    layouts: Vec<(&'static str, Arc<Sealed>, PrefetchList)>,
    found: Starts,
}

impl Entrant {
    fn new(setup: &Setup, image: &Image, starter: &Starter<'_>, rounds: usize) -> io::Result<Self> {
        let ours = setup.flatten(image)?;
        let mut found =
            Starts { image: image.name.clone(), image_bytes: Slots::image_bytes(&ours), ..Starts::default() };
        let sealed = Sealed::of(&ours)?;
        found.stored_bytes = sealed.stored_bytes();
        let mut unpacked = pull(setup, image, &mut found)?;
        for _ in 1..if found.image_bytes > 1 << 30 { 1 } else { rounds } {
            // One at a time: they are large.
            drop(unpacked);
            unpacked = pull(setup, image, &mut found)?;
        }
        let mut layouts = vec![("ours", sealed)];
        if image.name == WITH_STOCK {
            layouts.push(("stock", Sealed::of(&Stock::new(&unpacked, &setup.scratch)?)?));
        }
        let listed = |(layout, sealed): (&'static str, Arc<Sealed>)| {
            let records =
                (0..2).map(|round| starter.record(&sealed, round)).collect::<io::Result<Vec<_>>>()?;
            Ok((layout, sealed, PrefetchList::merge(&records)))
        };
        let layouts = layouts.into_iter().map(listed).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { unpacked, layouts, found })
    }

    /// A start from the folder and one from a mount, cold and warm: a machine that gets slower does so for both.
    fn turn(
        &mut self,
        starter: &Starter<'_>,
        (tier, latency): (&'static str, Latency),
        prefetch: bool,
        round: u64,
    ) -> io::Result<()> {
        self.unpacked.chill()?;
        let folder_cold_ms = as_ms(respond(self.unpacked.root())?);
        let folder_warm_ms = as_ms(respond(self.unpacked.root())?);
        self.found.folder_cold_ms.push(folder_cold_ms);
        for (layout, image, list) in &self.layouts {
            let remote = Remote::new(Arc::clone(image), latency, round);
            let began = Instant::now();
            let (mounted, _) = starter.mount(image, &remote, prefetch.then_some(list))?;
            respond(mounted.root())?;
            let took = began.elapsed();
            let (chunks, bytes) = remote.fetched();
            let warm = respond(mounted.root())?;
            drop(mounted);
            // Unmounting would take a processor from the next start.
            starter.mounts.wait_for_unmounts();
            let lazy = self.found.lazy_mut(layout, (tier, prefetch));
            lazy.start_ms.push(as_ms(took));
            lazy.folder_cold_ms.push(folder_cold_ms);
            lazy.fetched_chunks.push(chunks as f64);
            lazy.fetched_bytes.push(bytes as f64);
            if *layout == "ours" {
                self.found.folder_warm_ms.push(folder_warm_ms);
                self.found.mounted_warm_ms.push(as_ms(warm));
            }
        }
        Ok(())
    }
}

/// The layers unpacked, as if they had just been downloaded, and a start from that.
fn pull(setup: &Setup, image: &Image, found: &mut Starts) -> io::Result<Unpacked> {
    let began = Instant::now();
    let fresh = Unpacked::new(&setup.folder, image, &setup.scratch)?;
    let unpacked = began.elapsed();
    found.unpack_ms.push(as_ms(unpacked));
    found.pull_ms.push(as_ms(unpacked + respond(fresh.root())?));
    Ok(fresh)
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

fn as_ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
