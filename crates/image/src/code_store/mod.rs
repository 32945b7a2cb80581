//! The store of code: packages by what is in them, each kept once, whoever refers to it.
//!
//! ```text
//! receive ─► Incoming ─► put ─┬─► packages/SHA256.zip        zip: as it was uploaded
//!            (or put_bytes)   └─► trees/SHA256-…/ ──────────► tree: unpacked, for /var/task
//!                                   └─ several ─► stacks/… ─► layers: over each other, for /opt
//! ```
//!
//! - A package is stored whole or not at all, and has been unpacked before it is: what cannot be unpacked is refused.
//!   Killed at any moment, the server finds at its next start what it had answered for.
//! - It is unpacked once, however many ask for it at the same time. A [`Tree`] stays while somebody holds it,
//!   even when its package has been removed meanwhile.
//! - Which package is still needed is not known here: [`CodeStore::remove`] and [`CodeStore::sweep`] are told.
//!
//! Called by the front door (uploads, downloads) and by whoever starts functions. All of it is blocking; only a tree
//! that has been asked for before is there at once. One process at a time has a store open.

mod error;
mod incoming;
mod place;
mod sha256;
mod shelves;
mod slot;
mod tree;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::incoming::Received;
use self::place::{Place, entries, sync_folder};
use self::shelves::{Package, Shelves};
use self::slot::Slot;
use crate::layers::{LayersError, MAX_LAYERS, stack_shared};
use crate::limits::{Limits, Unpacked};
use crate::unpack::UnpackError;
use crate::zip_archive::unpack_zip;

pub use self::error::{CodeStoreOpenError, DiskError, PutError, ReadError};
pub use self::incoming::Incoming;
pub(crate) use self::sha256::Hasher;
pub use self::sha256::{BadSha256, Sha256};
pub use self::shelves::Claim;
pub use self::tree::Tree;

/// 75 GiB, as AWS counts them: the quota of an account's code in a region.
const PACKAGES_BYTES: u64 = 75 * 1024 * 1024 * 1024;

/// What a store may not exceed. The defaults are AWS's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Bytes of all archives together. What several functions and versions share counts once.
    pub packages_bytes: u64,
    /// Of one package unpacked, and of a function's layers.
    pub package: Limits,
}

impl Default for StoreLimits {
    fn default() -> Self {
        StoreLimits { packages_bytes: PACKAGES_BYTES, package: Limits::default() }
    }
}

/// A package as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name here, and AWS's `CodeSha256`.
    pub sha256: Sha256,
    /// Of the archive: AWS's `CodeSize`.
    pub size_bytes: u64,
    /// Of what is in it, as it counts against the limit of a function with its layers.
    pub unzipped_bytes: u64,
}

/// What [`CodeStore::sweep`] has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many packages.
    pub packages: usize,
    /// Bytes of their archives.
    pub size_bytes: u64,
}

/// Packages by what is in them: stored whole or not at all, unpacked once, there while somebody holds them.
///
/// Shared by reference; every method may be called by several threads at once, and may block, but for
/// [`CodeStore::tree`] of what has been asked for before.
#[derive(Debug)]
pub struct CodeStore {
    place: Arc<Place>,
    limits: StoreLimits,
    shelves: Mutex<Shelves>,
}

impl CodeStore {
    /// The store in `folder`, which is made if need be. What a crash has left half done is removed.
    pub fn open(folder: &Path, limits: StoreLimits) -> Result<Self, CodeStoreOpenError> {
        let place = Place::open(folder)?;
        let mut left = trees_left(&place)?;
        let mut shelves = Shelves::default();
        for path in entries(&place.packages())? {
            let Some(sha256) = sha256_of(&path, ".zip") else {
                tracing::warn!(file = %path.display(), "not a package of the store");
                continue;
            };
            let size_bytes = fs::metadata(&path).map_err(DiskError::at("reading", &path))?.len();
            let tree = Slot::new(left.remove(&sha256));
            shelves.packages_bytes += size_bytes;
            shelves.packages.insert(sha256, Arc::new(Package::new(size_bytes, tree)));
        }
        left.values().for_each(|tree| place.discard(tree));
        Ok(CodeStore { place: Arc::new(place), limits, shelves: Mutex::new(shelves) })
    }

    /// What it may not exceed.
    pub fn limits(&self) -> &StoreLimits {
        &self.limits
    }

    /// Begins a package that comes in pieces.
    pub fn receive(&self) -> Result<Incoming, DiskError> {
        Incoming::begin(&self.place)
    }

    /// Stores a package. After this it is there for good; it is the same package, stored once, if it was before.
    pub fn put(&self, incoming: Incoming) -> Result<Stored, PutError> {
        self.put_claimed(incoming).map(|(stored, _)| stored)
    }

    /// [`CodeStore::put`] for who has yet to refer to the package: until the claim is dropped, nobody removes it.
    pub fn put_claimed(&self, incoming: Incoming) -> Result<(Stored, Claim), PutError> {
        let received = incoming.finish();
        let Received { sha256, size_bytes, .. } = received;
        if size_bytes == 0 {
            return Err(PutError::Empty);
        }
        let package = Arc::new(Package::new(size_bytes, Slot::new(None)));
        let mut entered = package.tree.enter();
        let (tree, claim) = loop {
            match self.reserve(sha256, &package)? {
                (None, claim) => break (self.store(received), claim),
                // Another one has stored it, or is about to, which may fail.
                (Some(earlier), claim) => {
                    if let Some(tree) = self.tree_of(sha256, &earlier, PutError::from)? {
                        let unzipped_bytes = tree.unpacked().bytes;
                        return Ok((Stored { sha256, size_bytes, unzipped_bytes }, claim));
                    }
                }
            }
        };
        match tree {
            Ok(tree) => {
                let unzipped_bytes = entered.fill(tree).unpacked().bytes;
                Ok((Stored { sha256, size_bytes, unzipped_bytes }, claim))
            }
            Err(error) => {
                // Nobody else takes it while its slot is held.
                self.shelves().take(sha256);
                entered.close(&self.place);
                Err(error)
            }
        }
    }

    /// [`CodeStore::put`] of a package that came in one piece.
    pub fn put_bytes(&self, package: &[u8]) -> Result<Stored, PutError> {
        self.put(self.receive_bytes(package)?)
    }

    /// [`CodeStore::put_claimed`] of a package that came in one piece.
    pub fn put_bytes_claimed(&self, package: &[u8]) -> Result<(Stored, Claim), PutError> {
        self.put_claimed(self.receive_bytes(package)?)
    }

    /// Whether `incoming` could be stored, and what it would be: nothing is kept of it.
    pub fn check(&self, incoming: Incoming) -> Result<Stored, PutError> {
        let received = incoming.finish();
        let Received { sha256, size_bytes, .. } = received;
        if size_bytes == 0 {
            return Err(PutError::Empty);
        }
        let folder = self.place.new_folder("check-")?;
        let unpacked = self.unpack_new(received.path(), &folder.path().join("content"))?;
        Ok(Stored { sha256, size_bytes, unzipped_bytes: unpacked.bytes })
    }

    /// [`CodeStore::check`] of a package that came in one piece.
    pub fn check_bytes(&self, package: &[u8]) -> Result<Stored, PutError> {
        self.check(self.receive_bytes(package)?)
    }

    /// What a package unpacks to, for `/var/task`.
    pub fn tree(&self, sha256: Sha256) -> Result<Arc<Tree>, ReadError> {
        let unknown = || ReadError::Unknown { sha256 };
        let package = self.shelves().packages.get(&sha256).map(Arc::clone).ok_or_else(unknown)?;
        let damaged = |source| ReadError::Unpack { sha256, source };
        self.tree_of(sha256, &package, damaged)?.ok_or_else(unknown)
    }

    /// Layers over each other, in order, for `/opt`. No layers are an empty folder.
    ///
    /// Their files are shared with the trees of the layers, so it costs no more than their names.
    pub fn layers(&self, layers: &[Sha256]) -> Result<Arc<Tree>, ReadError> {
        if let [layer] = layers {
            return self.tree(*layer);
        }
        if layers.len() > MAX_LAYERS {
            return Err(LayersError::TooMany { count: layers.len() }.into());
        }
        let stack = self.shelves().stack(layers)?;
        let stacked = stack.get_or_make(|_| {
            // Held until the names are made.
            let trees = layers.iter().map(|layer| self.tree(*layer)).collect::<Result<Vec<_>, _>>()?;
            let folders: Vec<PathBuf> = trees.iter().map(|tree| tree.path().to_owned()).collect();
            Tree::make(&self.place, &self.place.stacks(), "", |into| {
                stack_shared(&folders, into, self.limits.package).map_err(ReadError::from)
            })
        })?;
        // Closed: one of them has been removed meanwhile.
        match stacked {
            Some(tree) => Ok(tree),
            None => self.layers(layers),
        }
    }

    /// The archive, byte for byte as it was uploaded. Opened, it can be read to its end even if it is removed.
    pub fn zip(&self, sha256: Sha256) -> Result<File, ReadError> {
        let package = self.shelves().packages.get(&sha256).map(Arc::clone);
        let package = package.ok_or(ReadError::Unknown { sha256 })?;
        // Whoever stores it comes to an end first.
        let _settled = package.tree.enter();
        let path = self.place.package(sha256);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ReadError::Unknown { sha256 },
            _ => DiskError::at("opening", &path)(source).into(),
        })
    }

    /// Bytes of all archives, those about to be stored included.
    pub fn packages_bytes(&self) -> u64 {
        self.shelves().packages_bytes
    }

    /// Removes a package that nobody refers to any more, and says whether there was one. Its tree, and the
    /// stacks of layers it is part of, go when they are dropped by whoever holds them.
    ///
    /// If the machine goes down soon after, it may be there again: [`CodeStore::sweep`] is for that too.
    pub fn remove(&self, sha256: Sha256) -> Result<bool, DiskError> {
        self.remove_unless(sha256, || false)
    }

    /// [`CodeStore::remove`], unless somebody has a claim on the package, or it `is_needed`, which is asked when there is no
    /// claim and no new one can be made: who refers to a package under a claim is not overlooked.
    pub fn remove_unless(&self, sha256: Sha256, is_needed: impl FnOnce() -> bool) -> Result<bool, DiskError> {
        let Some(package) = self.shelves().packages.get(&sha256).map(Arc::clone) else {
            return Ok(false);
        };
        // Whoever stores or unpacks it comes to an end first.
        let mut entered = package.tree.enter();
        let Some(stacks) = self.unlink(sha256, &package, is_needed)? else {
            return Ok(false);
        };
        entered.close(&self.place);
        drop(entered);
        stacks.iter().for_each(|stack| stack.close(&self.place));
        Ok(true)
    }

    /// Removes every package that is not `referenced`. Called at the start, when nothing is being stored:
    /// a package that is stored and not yet referred to would be taken for one that nobody needs.
    pub fn sweep(&self, referenced: &HashSet<Sha256>) -> Result<Swept, DiskError> {
        let unreferenced: Vec<(Sha256, u64)> = {
            let shelves = self.shelves();
            let sizes = shelves.packages.iter().map(|(sha256, package)| (*sha256, package.size_bytes));
            sizes.filter(|(sha256, _)| !referenced.contains(sha256)).collect()
        };
        let mut swept = Swept::default();
        for (sha256, size_bytes) in unreferenced {
            if self.remove(sha256)? {
                swept.packages += 1;
                swept.size_bytes += size_bytes;
            }
        }
        sync_folder(&self.place.packages())?;
        Ok(swept)
    }

    /// Puts `package` on the shelf, unless there is one like it, which is returned. Whichever it is is claimed.
    fn reserve(
        &self,
        sha256: Sha256,
        package: &Arc<Package>,
    ) -> Result<(Option<Arc<Package>>, Claim), PutError> {
        let mut shelves = self.shelves();
        if let Some(earlier) = shelves.packages.get(&sha256) {
            return Ok((Some(Arc::clone(earlier)), Claim::on(earlier)));
        }
        let packages_bytes = shelves.packages_bytes.saturating_add(package.size_bytes);
        let limit_bytes = self.limits.packages_bytes;
        if packages_bytes > limit_bytes {
            return Err(PutError::CodeStorageExceeded { limit_bytes });
        }
        shelves.packages_bytes = packages_bytes;
        shelves.packages.insert(sha256, Arc::clone(package));
        Ok((None, Claim::on(package)))
    }

    /// Takes the archive away and `package` off the shelf, in one: the archive of another like it, which comes
    /// next, has the same path. `None` if it is not on the shelf, or is to stay there.
    fn unlink(
        &self,
        sha256: Sha256,
        package: &Arc<Package>,
        is_needed: impl FnOnce() -> bool,
    ) -> Result<Option<Vec<Arc<Slot>>>, DiskError> {
        let mut shelves = self.shelves();
        if !shelves.has(sha256, package) || package.is_claimed() || is_needed() {
            return Ok(None);
        }
        let path = self.place.package(sha256);
        fs::remove_file(&path).map_err(DiskError::at("removing", &path))?;
        Ok(shelves.take(sha256))
    }

    /// The tree comes first: without its archive it is nothing, and the next start removes it.
    fn store(&self, received: Received) -> Result<Tree, PutError> {
        let prefix = format!("{}-", received.sha256);
        let tree = Tree::make(&self.place, &self.place.trees(), &prefix, |into| {
            self.unpack_new(received.path(), into)
        })?;
        match received.keep(&self.place) {
            Ok(()) => Ok(tree),
            Err(error) => {
                tree.discard();
                Err(error.into())
            }
        }
    }

    fn unpack_new(&self, archive: &Path, into: &Path) -> Result<Unpacked, PutError> {
        let unpacked = unpack_zip(archive, into, self.limits.package)?;
        if unpacked.entries == 0 { Err(PutError::Empty) } else { Ok(unpacked) }
    }

    fn tree_of<E: From<DiskError>>(
        &self,
        sha256: Sha256,
        package: &Package,
        damaged: impl FnOnce(UnpackError) -> E,
    ) -> Result<Option<Arc<Tree>>, E> {
        package.tree.get_or_make(|left| {
            if let Some(left) = left {
                if let Some(tree) = Tree::reopen(&self.place, left.clone()) {
                    return Ok(tree);
                }
                tracing::warn!(%sha256, "the tree of a package is not whole; unpacking it again");
                self.place.discard(&left);
            }
            Tree::make(&self.place, &self.place.trees(), &format!("{sha256}-"), |into| {
                unpack_zip(&self.place.package(sha256), into, self.limits.package).map_err(damaged)
            })
        })
    }

    fn receive_bytes(&self, package: &[u8]) -> Result<Incoming, DiskError> {
        let mut incoming = self.receive()?;
        incoming.write_all(package).map_err(DiskError::at("writing in", &self.place.packages()))?;
        Ok(incoming)
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What earlier runs have unpacked. One tree of a package is enough; the others were on their way out.
fn trees_left(place: &Place) -> Result<HashMap<Sha256, PathBuf>, DiskError> {
    let mut left = HashMap::new();
    for path in entries(&place.trees())? {
        let sha256 = path.file_name().and_then(|name| name.to_str()?.get(..64)?.parse().ok());
        match sha256 {
            Some(sha256) if !left.contains_key(&sha256) => drop(left.insert(sha256, path)),
            _ => place.discard(&path),
        }
    }
    Ok(left)
}

fn sha256_of(path: &Path, suffix: &str) -> Option<Sha256> {
    path.file_name()?.to_str()?.strip_suffix(suffix)?.parse().ok()
}
