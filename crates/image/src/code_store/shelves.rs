//! What is in the store, in memory. Locked for moments only: unpacking and everything else that takes time goes on
//! in a slot. Who holds a slot may lock the shelves, and never the reverse.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::ReadError;
use super::sha256::Sha256;
use super::slot::Slot;

#[derive(Debug, Default)]
pub(super) struct Shelves {
    /// Those stored, and those about to be: the slot of the latter is held by who stores them.
    pub(super) packages: HashMap<Sha256, Arc<Package>>,
    /// Layers over each other, by their list.
    pub(super) stacks: HashMap<Vec<Sha256>, Arc<Slot>>,
    pub(super) packages_bytes: u64,
}

#[derive(Debug)]
pub(super) struct Package {
    pub(super) size_bytes: u64,
    pub(super) tree: Slot,
    claims: AtomicUsize,
}

/// Keeps a package from being removed while nothing refers to it yet: from before it is stored until this is dropped.
#[derive(Debug)]
pub struct Claim(Arc<Package>);

impl Package {
    pub(super) fn new(size_bytes: u64, tree: Slot) -> Self {
        Package { size_bytes, tree, claims: AtomicUsize::new(0) }
    }

    /// To be asked with the shelves locked, as claims are made: one that is there then does not go before what it is for is
    /// done.
    pub(super) fn is_claimed(&self) -> bool {
        self.claims.load(Ordering::Acquire) > 0
    }
}

impl Claim {
    /// Made with the shelves locked.
    pub(super) fn on(package: &Arc<Package>) -> Self {
        package.claims.fetch_add(1, Ordering::Relaxed);
        Claim(Arc::clone(package))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // What was done under it is seen by whoever sees that it is gone.
        self.0.claims.fetch_sub(1, Ordering::Release);
    }
}

impl Shelves {
    /// The slot of these layers, each of which is stored.
    pub(super) fn stack(&mut self, layers: &[Sha256]) -> Result<Arc<Slot>, ReadError> {
        if let Some(sha256) = layers.iter().find(|layer| !self.packages.contains_key(layer)) {
            return Err(ReadError::Unknown { sha256: *sha256 });
        }
        if let Some(stack) = self.stacks.get(layers) {
            return Ok(Arc::clone(stack));
        }
        let stack = Arc::new(Slot::new(None));
        self.stacks.insert(layers.to_owned(), Arc::clone(&stack));
        Ok(stack)
    }

    /// Whether it is this one that is on the shelf: it may have been taken, and another like it come.
    pub(super) fn has(&self, sha256: Sha256, package: &Arc<Package>) -> bool {
        self.packages.get(&sha256).is_some_and(|found| Arc::ptr_eq(found, package))
    }

    /// Takes a package, and all stacks that it is part of, which are returned.
    pub(super) fn take(&mut self, sha256: Sha256) -> Option<Vec<Arc<Slot>>> {
        let package = self.packages.remove(&sha256)?;
        self.packages_bytes -= package.size_bytes;
        let stacks = self.stacks.extract_if(|layers, _| layers.contains(&sha256));
        Some(stacks.map(|(_, stack)| stack).collect())
    }
}
