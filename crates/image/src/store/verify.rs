//! Looking whether an image is still what it was.

use futures_util::stream::{self, StreamExt};

use super::ImageStore;
use super::error::OpenError;
use crate::chunk::FetchError;
use crate::manifest::ImageId;

/// What was found of an image whose manifest is in order.
#[derive(Debug)]
pub struct Verified {
    /// How many chunks it has.
    pub chunks: usize,
    /// Of those that are in order.
    pub stored_bytes: u64,
    /// What is wrong with the others.
    pub damaged: Vec<FetchError>,
}

impl ImageStore {
    /// Fetches every chunk of an image and compares it with its name, after the manifest, which its tenant's key must open:
    /// then every byte of the image is as it was stored.
    pub async fn verify(&self, image: ImageId) -> Result<Verified, OpenError> {
        let (opened, manifest) = self.open_with_manifest(image).await?;
        let chunks = manifest.chunks();
        let (origin, objects) = (&opened.origin, &*self.shared.store);
        let mut found = Verified { chunks: chunks.len(), stored_bytes: 0, damaged: Vec::new() };
        let fetched =
            stream::iter(chunks).map(|chunk| async move { (chunk, origin.fetch_by(objects, chunk).await) });
        let mut fetched = fetched.buffer_unordered(self.shared.settings.requests);
        while let Some((chunk, fetched)) = fetched.next().await {
            match fetched {
                Ok(_) => found.stored_bytes += u64::from(chunk.stored_bytes),
                Err(error) => found.damaged.push(error),
            }
        }
        Ok(found)
    }
}
