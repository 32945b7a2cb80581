//! What is in the store, in memory. Locked for moments only: unpacking and everything else that takes time goes on
//! in a slot. Who holds a slot may lock the shelves, and never the reverse.

use std::collections::HashMap;
use std::sync::Arc;

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
