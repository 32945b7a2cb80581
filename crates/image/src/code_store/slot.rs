//! Where a tree is kept once it has been made: by the first who asks, while the others wait.
//!
//! ```text
//! Unmade ──► Made ──► Closed
//!    └──────────────────▲
//! ```
//!
//! Making may fail; the slot is then as before, and the next who waits tries. A closed slot stays closed: who
//! found it before it was closed learns that there is nothing to be had.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::place::Place;
use super::tree::Tree;

#[derive(Debug)]
pub(super) struct Slot(Mutex<Content>);

#[derive(Debug)]
enum Content {
    /// With the folder that an earlier run has left, which may be whole.
    Unmade(Option<PathBuf>),
    Made(Arc<Tree>),
    Closed,
}

impl Slot {
    pub(super) fn new(left: Option<PathBuf>) -> Self {
        Slot(Mutex::new(Content::Unmade(left)))
    }

    /// Waits for whoever is making the tree.
    pub(super) fn enter(&self) -> Entered<'_> {
        Entered(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The tree, which `make` makes, of the folder left if it can, unless there is one. `None` if closed.
    pub(super) fn get_or_make<E>(
        &self,
        make: impl FnOnce(Option<PathBuf>) -> Result<Tree, E>,
    ) -> Result<Option<Arc<Tree>>, E> {
        let mut entered = self.enter();
        match &mut *entered.0 {
            Content::Made(tree) => Ok(Some(Arc::clone(tree))),
            Content::Closed => Ok(None),
            Content::Unmade(left) => {
                let tree = make(left.take())?;
                Ok(Some(entered.fill(tree)))
            }
        }
    }

    /// Lets the tree go. It is removed by who holds it last, which may be here and now.
    pub(super) fn close(&self, place: &Place) {
        self.enter().close(place);
    }
}

/// A slot that nobody else gets at.
pub(super) struct Entered<'a>(MutexGuard<'a, Content>);

impl Entered<'_> {
    pub(super) fn fill(&mut self, tree: Tree) -> Arc<Tree> {
        let tree = Arc::new(tree);
        *self.0 = Content::Made(Arc::clone(&tree));
        tree
    }

    pub(super) fn close(&mut self, place: &Place) {
        match std::mem::replace(&mut *self.0, Content::Closed) {
            Content::Made(tree) => tree.discard(),
            Content::Unmade(Some(left)) => place.discard(&left),
            Content::Unmade(None) | Content::Closed => {}
        }
    }
}
