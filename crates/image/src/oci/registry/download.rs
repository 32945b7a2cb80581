//! A layer's compressed bytes, on their way to a file on this disk.
//!
//! ```text
//! DIGEST.partial, as long as it is ─► Range: bytes=LENGTH- ─► 206: goes on ─► … ─► whole
//!                                                          ├► 200: begins anew
//!                                                          └► cut off ─► waits, goes on
//! ```
//!
//! Whether they are the right bytes is seen when they are unpacked, which reads them all in any case: what is here is
//! as long as it should be, and no more is promised.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use reqwest::Response;
use reqwest::header::CONTENT_RANGE;

use super::RegistryError;
use super::origin::Origin;
use super::patience::Patience;
use super::repository::Repository;
use crate::code_store::DiskError;
use crate::oci::blocking::blocking;
use crate::oci::error::SourceError;
use crate::oci::manifest::Descriptor;
use crate::oci::section::Section;
use crate::oci::spools::Spools;
use crate::oci::unpack::{Packed, WrongBytes};

/// Written at once: a write costs a change of threads.
const WRITE_BYTES: usize = 1024 * 1024;

/// The file of a blob that comes, locked against other processes. Dropped, the next run goes on with it.
#[derive(Debug)]
pub(in crate::oci) struct Partial {
    file: Arc<File>,
    /// None if another process is at the same blob: then this one has a file of its own, which vanishes with it.
    path: Option<PathBuf>,
    blob: Descriptor,
    /// Bytes that are there.
    length: u64,
    /// Some of it is of an earlier run, or of another place.
    resumed: bool,
    /// From which the last of it came.
    place: Option<usize>,
}

impl Partial {
    /// Blocking.
    pub(in crate::oci) fn open(spools: &Spools, blob: Descriptor) -> Result<Self, DiskError> {
        let path = spools.partial(blob.digest);
        let opening = || DiskError::at("opening", &path);
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            // As all that is unpacked: whose image it is has not said that everybody here may read it.
            .mode(0o600)
            .open(&path)
            .map_err(opening())?;
        if file.try_lock().is_err() {
            let file = Arc::new(spools.unnamed()?);
            return Ok(Partial { file, path: None, blob, length: 0, resumed: false, place: None });
        }
        let mut length = file.metadata().map_err(opening())?.len();
        if length > blob.bytes {
            file.set_len(0).map_err(opening())?;
            length = 0;
        }
        Ok(Partial { file: Arc::new(file), path: Some(path), blob, length, resumed: length > 0, place: None })
    }

    pub(in crate::oci) fn length(&self) -> u64 {
        self.length
    }

    pub(in crate::oci) fn packed(&self) -> Result<Packed, DiskError> {
        let path = self.path.clone().unwrap_or_default();
        let file = self.file.try_clone().map_err(DiskError::at("opening", &path))?;
        let section = Section::of(file).map_err(DiskError::at("opening", &path))?;
        Ok(Packed { section, digest: Some(self.blob.digest) })
    }

    /// Its bytes are not wanted any more. Blocking.
    pub(in crate::oci) fn discard(self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }

    /// Its bytes were wrong: says whether it is worth asking for them once more where they came from, all of them.
    pub(in crate::oci) fn begin_anew(&mut self) -> Result<bool, DiskError> {
        let path = self.path.clone().unwrap_or_default();
        self.file.set_len(0).map_err(DiskError::at("writing", &path))?;
        self.length = 0;
        Ok(std::mem::take(&mut self.resumed))
    }

    async fn append(&mut self, bytes: Vec<u8>) -> Result<(), DiskError> {
        let (file, start, count) = (Arc::clone(&self.file), self.length, bytes.len() as u64);
        let path = self.path.clone().unwrap_or_default();
        blocking(move || file.write_all_at(&bytes, start).map_err(DiskError::at("writing", &path))).await?;
        self.length += count;
        Ok(())
    }
}

impl Origin {
    /// Completes `partial` from one of the places of the image. `tell` is told how many bytes there are.
    pub(in crate::oci) async fn download(
        &self,
        place: usize,
        partial: &mut Partial,
        tell: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), SourceError> {
        let repository = self.place(place);
        if repository.is_down() && place + 1 < self.places() {
            return Err(RegistryError::TimedOut { url: repository.shown("") }.into());
        }
        let is_other = partial.place.replace(place).is_some_and(|before| before != place);
        partial.resumed |= is_other && partial.length > 0;
        let mut patience = Patience::new(&repository.http.settings);
        let mut furthest = partial.length;
        while partial.length < partial.blob.bytes {
            let error = match attempt(repository, partial, tell).await {
                Ok(()) => continue,
                Err(SourceError::Registry(error)) => error,
                Err(error) => return Err(error),
            };
            // Further than ever: who begins anew each time, and is cut off each time, would otherwise be asked for ever.
            if partial.length > furthest {
                furthest = partial.length;
                patience.progressed();
            }
            repository.note(&error);
            patience.after(error).await?;
        }
        Ok(())
    }
}

async fn attempt(
    repository: &Repository,
    partial: &mut Partial,
    tell: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), SourceError> {
    let blob = partial.blob;
    let url = || repository.shown(&format!("blobs/{}", blob.digest));
    let malformed = |problem| RegistryError::Malformed { url: url(), problem };
    let mut response = repository.blob_from(&blob, partial.length).await?;
    match response.status().as_u16() {
        206 if range_start(&response) == Some(partial.length) => {}
        206 => return Err(malformed("another part than was asked for").into()),
        // It begins at the beginning, or does not like where this would go on.
        _ => {
            partial.begin_anew()?;
            tell(0);
            if response.status().as_u16() == 416 {
                response = repository.blob_from(&blob, 0).await?;
            }
        }
    }
    let wrong_length = |found| SourceError::Wrong {
        digest: blob.digest,
        source: WrongBytes::Length { expected: blob.bytes, found },
    };
    let announced = response.content_length().map(|left| partial.length.saturating_add(left));
    if let Some(found) = announced.filter(|found| *found != blob.bytes) {
        return Err(wrong_length(found));
    }
    let mut pending = Vec::new();
    loop {
        let piece = repository.http.piece(&mut response).await;
        let has_ended = !matches!(piece, Ok(Some(_)));
        if let Ok(Some(piece)) = &piece {
            pending.extend_from_slice(piece);
        }
        let length = partial.length + pending.len() as u64;
        if length > blob.bytes {
            return Err(wrong_length(length));
        }
        if pending.len() >= WRITE_BYTES || (has_ended && !pending.is_empty()) {
            partial.append(std::mem::take(&mut pending)).await?;
            tell(partial.length);
        }
        match piece {
            Ok(Some(_)) => {}
            Ok(None) if partial.length == blob.bytes => return Ok(()),
            Ok(None) => return Err(RegistryError::CutOff { url: url() }.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// `bytes START-END/ALL`.
fn range_start(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}
