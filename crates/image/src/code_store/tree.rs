//! An unpacked package, or several layers over each other: a folder that stays while somebody holds it.
//!
//! ```text
//! trees/SHA256-RANDOM/content/      what a function sees
//! trees/SHA256-RANDOM/size.json     what `content` had when it was made
//! ```
//!
//! Both come by one rename. The files in `content` are not synced one by one, which would take longer than
//! unpacking them; where a machine goes down before the system has written them, they are too short or missing,
//! and that is what `size.json` finds out: once per tree and run, without reading a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::error::DiskError;
use super::place::Place;
use crate::folder::measure;
use crate::limits::{Limits, Unpacked};

/// A folder of code on this host. It is there, unchanged, until the last holder drops it.
///
/// The modes in it are those of the package, write bits included: a function that copies its files elsewhere gets
/// files it can write, as on AWS. That nothing is written here is for whoever shows it to a function to see to.
#[derive(Debug)]
pub struct Tree {
    folder: PathBuf,
    content: PathBuf,
    unpacked: Unpacked,
    /// Set once the store has let it go: who drops it last removes it.
    discarded: AtomicBool,
    place: Arc<Place>,
}

/// Bytes and entries: of the archives, which is what AWS's limit is about, and of what came of them. They differ
/// where an archive names a file twice, or a layer replaces what an earlier one brought.
#[derive(Serialize, Deserialize)]
struct Size {
    unpacked_bytes: u64,
    unpacked_entries: usize,
    content_bytes: u64,
    content_entries: usize,
}

impl Tree {
    /// Makes a tree in `home`, whose `content` is made by `fill`.
    pub(super) fn make<E: From<DiskError>>(
        place: &Arc<Place>,
        home: &Path,
        prefix: &str,
        fill: impl FnOnce(&Path) -> Result<Unpacked, E>,
    ) -> Result<Self, E> {
        let staging = place.new_folder(prefix)?;
        let unpacked = fill(&content_of(staging.path()))?;
        write_size(staging.path(), unpacked)?;
        let name = staging.path().file_name().expect("a folder in `incoming` has a name");
        let folder = home.join(name);
        fs::rename(staging.path(), &folder).map_err(DiskError::at("making", &folder))?;
        // Its path names nothing of ours any more.
        let _ = staging.keep();
        Ok(Tree::new(place, folder, unpacked))
    }

    /// The tree in `folder`, if it is what was once made there.
    pub(super) fn reopen(place: &Arc<Place>, folder: PathBuf) -> Option<Self> {
        let size: Size = serde_json::from_slice(&fs::read(size_of(&folder)).ok()?).ok()?;
        let exactly =
            Limits { unpacked_bytes: size.content_bytes, entries: size.content_entries, ..unlimited() };
        let found = measure(&content_of(&folder), exactly).ok()?;
        let intact = found == Unpacked { bytes: size.content_bytes, entries: size.content_entries };
        let unpacked = Unpacked { bytes: size.unpacked_bytes, entries: size.unpacked_entries };
        intact.then(|| Tree::new(place, folder, unpacked))
    }

    fn new(place: &Arc<Place>, folder: PathBuf, unpacked: Unpacked) -> Self {
        let (content, place) = (content_of(&folder), Arc::clone(place));
        Tree { folder, content, unpacked, discarded: AtomicBool::new(false), place }
    }

    /// What a function is to see, as `/var/task` or `/opt`.
    pub fn path(&self) -> &Path {
        &self.content
    }

    /// What counts against AWS's limit.
    pub fn unpacked(&self) -> Unpacked {
        self.unpacked
    }

    pub(super) fn discard(&self) {
        self.discarded.store(true, Ordering::Relaxed);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if *self.discarded.get_mut() {
            self.place.discard(&self.folder);
        }
    }
}

fn content_of(folder: &Path) -> PathBuf {
    folder.join("content")
}

fn size_of(folder: &Path) -> PathBuf {
    folder.join("size.json")
}

fn write_size(folder: &Path, unpacked: Unpacked) -> Result<(), DiskError> {
    let content = content_of(folder);
    let found = measure(&content, unlimited())
        .map_err(|error| DiskError::at("reading", &content)(std::io::Error::other(error)))?;
    let size = Size {
        unpacked_bytes: unpacked.bytes,
        unpacked_entries: unpacked.entries,
        content_bytes: found.bytes,
        content_entries: found.entries,
    };
    let json = serde_json::to_vec(&size).expect("numbers can be written as JSON");
    fs::write(size_of(folder), json).map_err(DiskError::at("writing in", folder))
}

/// For folders whose size was judged when they were made.
fn unlimited() -> Limits {
    Limits { unpacked_bytes: u64::MAX, used_bytes: 0, entries: usize::MAX, path_bytes: usize::MAX }
}
