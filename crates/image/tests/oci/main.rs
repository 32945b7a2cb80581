//! Images from folders, archives and registries, by way of the same calls as the server makes.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod archives;
mod crashing;
mod documents;
mod hostile;
mod layouts;
mod packing;
mod registries;
mod registry;
mod skopeo;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use firesteel_image::flatten::{Layer, ReadAt};
use firesteel_image::oci::{
    ImageSources, OciLimits, Platform, Reference, RegistrySettings, SourceError, SourceImage,
};
use tempfile::TempDir;

/// Folders of a test's own: one for what it makes, one for what the sources keep.
struct Yard {
    folder: TempDir,
    sources: ImageSources,
}

impl Yard {
    fn new() -> Self {
        Yard::with(OciLimits::default())
    }

    fn with(limits: OciLimits) -> Self {
        Yard::over(limits, RegistrySettings::default())
    }

    fn over(limits: OciLimits, settings: RegistrySettings) -> Self {
        Yard::of(TempDir::new().unwrap(), limits, settings)
    }

    /// As a process does that is started after another one.
    fn again(folder: TempDir) -> Self {
        Yard::of(folder, OciLimits::default(), RegistrySettings::default())
    }

    fn of(folder: TempDir, limits: OciLimits, settings: RegistrySettings) -> Self {
        let sources = ImageSources::open(&folder.path().join("sources"), limits, settings).unwrap();
        Yard { folder, sources }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reference(&self, text: &str) -> Reference {
        text.replace("HERE", self.folder.path().to_str().unwrap()).parse().unwrap()
    }

    /// `HERE` in `reference` is the test's folder.
    fn try_fetch(&self, reference: &str) -> Result<SourceImage, SourceError> {
        let platform = Platform::new("amd64");
        wait(sent(self.sources.fetch(&self.reference(reference), &platform, Arc::new(()))))
    }

    #[track_caller]
    fn fetch(&self, reference: &str) -> SourceImage {
        self.try_fetch(reference).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    /// Names in one of the folders of the sources.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("sources").join(folder)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Runs what a test awaits.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(future)
}

/// What a server awaits goes from thread to thread.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

/// All of a layer's tar file.
fn content(layer: &Layer) -> Vec<u8> {
    read_all(&*layer.tar)
}

fn read_all(file: &dyn ReadAt) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read_at(&mut piece, bytes.len() as u64).unwrap() {
            0 => return bytes,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

fn contents(image: &SourceImage) -> Vec<Vec<u8>> {
    image.layers.iter().map(content).collect()
}

/// An error with what led to it, as it is shown.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// Bytes that do not compress.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}
