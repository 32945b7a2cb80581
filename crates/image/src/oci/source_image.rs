//! Images, fetched.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::task::spawn_blocking;

use super::config::ImageConfig;
use super::digest::Digest;
use super::error::SourceError;
use super::limits::OciLimits;
use super::local::{Found, Wanted, find_in_archive, find_in_layout};
use super::platform::Platform;
use super::progress::Progress;
use super::reference::Reference;
use super::single_flight::SingleFlight;
use super::spools::{Removed, Spool, Spools};
use super::unpack::{Allowance, LayerError, Packed, unpack};
use crate::code_store::DiskError;
use crate::flatten::Layer;

/// An image that is on this disk as plain tar files, for as long as it is held.
#[derive(Clone, Debug)]
pub struct SourceImage {
    /// Of its manifest; of its configuration if it is of an archive without manifests, as `docker images` shows it.
    pub digest: String,
    /// How its process is started.
    pub config: ImageConfig,
    /// The lowest first.
    pub layers: Vec<Layer>,
}

/// Where images come from. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct ImageSources {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    spools: Spools,
    limits: OciLimits,
    flights: SingleFlight,
    /// Layers of one image at a time.
    parallel: usize,
}

impl ImageSources {
    /// Uses `folder`, which is made if need be, for downloads and tar files. Other processes may use it, too.
    pub fn open(folder: &Path, _s: super::SourceSettings, limits: OciLimits) -> Result<Self, DiskError> {
        let spools = Spools::open(folder)?;
        let shared = Shared { spools, limits, flights: SingleFlight::default(), parallel: 4 };
        Ok(ImageSources { shared: Arc::new(shared) })
    }

    /// Fetches an image. Dropped at an await, it leaves what the next attempt goes on with.
    pub async fn fetch(
        &self,
        reference: &Reference,
        platform: &Platform,
        progress: Arc<dyn Progress>,
    ) -> Result<SourceImage, SourceError> {
        let shared = Arc::clone(&self.shared);
        let (asked, platform) = (reference.clone(), platform.clone());
        let found = blocking(move || shared.find(&asked, &platform)).await?;
        self.gather(found, progress).await
    }

    /// TEMP
    pub async fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<String, SourceError> {
        let shared = Arc::clone(&self.shared);
        let (asked, platform) = (reference.clone(), platform.clone());
        Ok(blocking(move || shared.find(&asked, &platform)).await?.digest.to_string())
    }

    /// Removes layers that no image here holds, and downloads that nobody goes on with. Blocking.
    pub fn sweep(&self) -> Result<Removed, DiskError> {
        self.shared.spools.sweep()
    }

    async fn gather(
        &self,
        found: Found<Packed>,
        progress: Arc<dyn Progress>,
    ) -> Result<SourceImage, SourceError> {
        let sizes: Vec<u64> = found.layers.iter().map(|(_, packed)| packed.section.bytes()).collect();
        progress.layers(&sizes);
        let unpacking = Unpacking(Arc::new(Allowance::new(self.shared.limits)));
        let layers = found.layers.iter().enumerate().map(|(number, (diff_id, packed))| {
            let work = LayerWork {
                number,
                diff_id: *diff_id,
                shared: Arc::clone(&self.shared),
                allowance: Arc::clone(&unpacking.0),
                progress: Arc::clone(&progress),
            };
            let packed = packed.clone();
            async move {
                let _turn = work.shared.flights.enter(work.diff_id).await;
                let work = Arc::new(work);
                if let Some(spool) = work.reuse().await? {
                    return Ok(spool);
                }
                work.unpack(packed).await
            }
            // Boxed, and made before the first is polled: a stream of futures that borrow is no future for any thread.
            .boxed()
        });
        let layers: Vec<_> = layers.collect();
        let spools: Vec<Arc<Spool>> =
            stream::iter(layers).buffered(self.shared.parallel).try_collect().await?;
        let layers = found.layers.iter().zip(spools);
        let layers = layers.map(|((diff_id, _), tar)| Layer { digest: diff_id.to_string(), tar });
        Ok(SourceImage { digest: found.digest.to_string(), config: found.config, layers: layers.collect() })
    }
}

impl Shared {
    fn find(&self, reference: &Reference, platform: &Platform) -> Result<Found<Packed>, SourceError> {
        let shown = reference.to_string();
        let wanted = |name| Wanted { reference: &shown, name, platform, limits: &self.limits };
        match reference {
            Reference::Layout { folder, tag } => find_in_layout(folder, wanted(tag.as_deref())),
            Reference::Archive { file, name } => find_in_archive(file, wanted(name.as_deref()), &self.spools),
            Reference::Registry(_) => unreachable!("registries are asked elsewhere"),
        }
    }
}

/// Ends what is being unpacked on other threads when nobody waits for it any more.
struct Unpacking(Arc<Allowance>);

impl Drop for Unpacking {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// One layer of one image that is being fetched.
struct LayerWork {
    number: usize,
    diff_id: Digest,
    shared: Arc<Shared>,
    allowance: Arc<Allowance>,
    progress: Arc<dyn Progress>,
}

impl LayerWork {
    async fn reuse(self: &Arc<Self>) -> Result<Option<Arc<Spool>>, SourceError> {
        let work = Arc::clone(self);
        let Some(spool) = blocking(move || work.shared.spools.get(work.diff_id)).await? else {
            return Ok(None);
        };
        self.allowance.take(spool.bytes()).map_err(|error| self.error(None, error))?;
        self.progress.ready(self.number);
        Ok(Some(spool))
    }

    async fn unpack(self: &Arc<Self>, packed: Packed) -> Result<Arc<Spool>, SourceError> {
        let work = Arc::clone(self);
        let spool = blocking(move || {
            let mut file = work.shared.spools.begin()?;
            let tell = |bytes| work.progress.unpacked(work.number, bytes);
            let bytes = unpack(&packed, work.diff_id, &work.allowance, file.as_file_mut(), &tell)
                .map_err(|error| work.error(packed.digest, error))?;
            Ok::<_, SourceError>(work.shared.spools.keep(work.diff_id, file, bytes)?)
        });
        let spool = spool.await?;
        self.progress.ready(self.number);
        Ok(spool)
    }

    fn error(&self, digest: Option<Digest>, source: LayerError) -> SourceError {
        SourceError::Layer { layer: self.number, digest: digest.unwrap_or(self.diff_id), source }
    }
}

/// Work that blocks, on a thread that may be.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is going down, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}
