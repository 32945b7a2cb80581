//! Images, fetched.

use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::blocking::blocking;
use super::config::ImageConfig;
use super::digest::Digest;
use super::error::SourceError;
use super::limits::OciLimits;
use super::local::{Found, Wanted, find_in_archive, find_in_layout};
use super::manifest::Descriptor;
use super::platform::Platform;
use super::progress::Progress;
use super::reference::Reference;
use super::registry::{Origin, Partial, Registries, RegistrySettings};
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

/// What a reference means at the time it was resolved: an image whose documents have been read, and none of its layers.
#[derive(Debug)]
pub struct Resolved(Found<Place>);

impl Resolved {
    /// The one that [`SourceImage`] has.
    pub fn digest(&self) -> String {
        self.0.digest.to_string()
    }
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
    registries: Registries,
    flights: SingleFlight,
}

impl ImageSources {
    /// Uses `folder`, which is made if need be, for downloads and tar files. Other processes may use it, too.
    pub fn open(folder: &Path, limits: OciLimits, registries: RegistrySettings) -> Result<Self, DiskError> {
        let spools = Spools::open(folder)?;
        let registries = Registries::new(registries);
        let shared = Shared { spools, limits, registries, flights: SingleFlight::default() };
        Ok(ImageSources { shared: Arc::new(shared) })
    }

    /// Resolves and gathers an image.
    pub async fn fetch(
        &self,
        reference: &Reference,
        platform: &Platform,
        progress: Arc<dyn Progress>,
    ) -> Result<SourceImage, SourceError> {
        let resolved = self.resolve(reference, platform).await?;
        self.gather(resolved, progress).await
    }

    /// Reads an image's documents, so that its layers can be gathered if they are needed.
    pub async fn resolve(&self, reference: &Reference, platform: &Platform) -> Result<Resolved, SourceError> {
        self.find(reference, platform).await.map(Resolved)
    }

    /// Removes layers that no image here holds, and downloads that nobody goes on with. Blocking.
    pub fn sweep(&self) -> Result<Removed, DiskError> {
        self.shared.spools.sweep()
    }

    async fn find(&self, reference: &Reference, platform: &Platform) -> Result<Found<Place>, SourceError> {
        if let Reference::Registry(reference) = reference {
            let origin = Arc::new(self.shared.registries.origin(reference)?);
            let found = origin.find(reference, platform, &self.shared.limits).await?;
            return Ok(found.map(|layer| Place::Registry(Arc::clone(&origin), layer)));
        }
        let shared = Arc::clone(&self.shared);
        let (reference, platform) = (reference.clone(), platform.clone());
        Ok(blocking(move || shared.find(&reference, &platform)).await?.map(Place::Here))
    }

    /// Fetches and unpacks an image's layers. Dropped at an await, it leaves what the next attempt goes on with.
    pub async fn gather(
        &self,
        Resolved(found): Resolved,
        progress: Arc<dyn Progress>,
    ) -> Result<SourceImage, SourceError> {
        let sizes: Vec<u64> = found.layers.iter().map(|(_, place)| place.bytes()).collect();
        progress.layers(&sizes);
        let unpacking = Unpacking(Arc::new(Allowance::new(self.shared.limits)));
        let layers = found.layers.iter().enumerate().map(|(number, (diff_id, place))| {
            let work = Arc::new(LayerWork {
                number,
                diff_id: *diff_id,
                shared: Arc::clone(&self.shared),
                allowance: Arc::clone(&unpacking.0),
                progress: Arc::clone(&progress),
            });
            work.make(place.clone())
        });
        let layers: Vec<_> = layers.collect();
        let at_once = self.shared.registries.settings().layers_at_once.max(1);
        let spools: Vec<Arc<Spool>> = stream::iter(layers).buffered(at_once).try_collect().await?;
        let layers = found.layers.iter().zip(spools);
        let layers = layers.map(|((diff_id, _), tar)| Layer { digest: diff_id.to_string(), tar });
        Ok(SourceImage { digest: found.digest.to_string(), config: found.config, layers: layers.collect() })
    }
}

impl Shared {
    /// An image on this disk.
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

/// Where the bytes of a layer are.
#[derive(Clone, Debug)]
enum Place {
    Here(Packed),
    Registry(Arc<Origin>, Descriptor),
}

impl Place {
    fn bytes(&self) -> u64 {
        match self {
            Place::Here(packed) => packed.section.bytes(),
            Place::Registry(_, layer) => layer.bytes,
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
    async fn make(self: Arc<Self>, place: Place) -> Result<Arc<Spool>, SourceError> {
        let _turn = self.shared.flights.enter(self.diff_id).await;
        let spool = match (self.reuse().await?, place) {
            (Some(spool), _) => spool,
            (None, Place::Here(packed)) => self.unpack(packed).await?,
            (None, Place::Registry(origin, layer)) => self.download(&origin, layer).await?,
        };
        self.progress.ready(self.number);
        Ok(spool)
    }

    async fn reuse(self: &Arc<Self>) -> Result<Option<Arc<Spool>>, SourceError> {
        let work = Arc::clone(self);
        let spool = blocking(move || work.shared.spools.get(work.diff_id)).await?;
        if let Some(spool) = &spool {
            self.allowance.take(spool.bytes()).map_err(|error| self.error(None, error))?;
        }
        Ok(spool)
    }

    async fn unpack(self: &Arc<Self>, packed: Packed) -> Result<Arc<Spool>, SourceError> {
        let work = Arc::clone(self);
        blocking(move || {
            let mut file = work.shared.spools.begin()?;
            let tell = |bytes| work.progress.unpacked(work.number, bytes);
            let bytes = unpack(&packed, work.diff_id, &work.allowance, file.as_file_mut(), &tell)
                .map_err(|error| work.error(packed.digest, error))?;
            Ok::<_, SourceError>(work.shared.spools.keep(work.diff_id, file, bytes)?)
        })
        .await
    }

    /// From each place in turn. Bytes that turn out to be wrong are asked for once more if some were of an earlier run.
    async fn download(
        self: &Arc<Self>,
        origin: &Origin,
        layer: Descriptor,
    ) -> Result<Arc<Spool>, SourceError> {
        let shared = Arc::clone(&self.shared);
        let mut partial = blocking(move || Partial::open(&shared.spools, layer)).await?;
        let tell = |bytes| self.progress.downloaded(self.number, bytes);
        tell(partial.length());
        let mut failed = None;
        for place in 0..origin.places() {
            loop {
                match origin.download(place, &mut partial, &tell).await {
                    Ok(()) => {}
                    Err(error @ SourceError::Disk(_)) => return Err(error),
                    Err(error @ SourceError::Wrong { .. }) => {
                        partial.begin_anew()?;
                        failed = Some(error);
                        break;
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
                let error = match self.unpack(partial.packed()?).await {
                    Ok(spool) => {
                        blocking(move || partial.discard()).await;
                        return Ok(spool);
                    }
                    Err(error @ SourceError::Layer { source: LayerError::Wrong(_), .. }) => error,
                    // The right bytes, and no better elsewhere.
                    Err(error) => {
                        let worthless = matches!(
                            &error,
                            SourceError::Layer {
                                source: LayerError::Damaged(_)
                                    | LayerError::DiffId { .. }
                                    | LayerError::Compression { .. }
                                    | LayerError::Expansion { .. },
                                ..
                            }
                        );
                        if worthless {
                            blocking(move || partial.discard()).await;
                        }
                        return Err(error);
                    }
                };
                failed = Some(error);
                tell(0);
                if !partial.begin_anew()? {
                    break;
                }
            }
        }
        if partial.length() == 0 {
            blocking(move || partial.discard()).await;
        }
        Err(failed.expect("there is at least the registry itself"))
    }

    fn error(&self, digest: Option<Digest>, source: LayerError) -> SourceError {
        SourceError::Layer { layer: self.number, digest: digest.unwrap_or(self.diff_id), source }
    }
}
