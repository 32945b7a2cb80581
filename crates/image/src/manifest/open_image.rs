//! An image that can be read, given its chunks.

use std::fmt;

use zeroize::Zeroizing;

use super::{Slot, slots_of};
use crate::chunk::{ChunkKey, ChunkRef};

/// Which chunk is where in an image, and what opens it. Its keys are forgotten when it is dropped.
pub struct OpenImage {
    image_bytes: u64,
    /// By index; `None` for zeros.
    slots: Vec<Option<(ChunkRef, ChunkKey)>>,
    config: Zeroizing<String>,
}

impl OpenImage {
    /// Slots that are not named are zeros.
    ///
    /// # Panics
    ///
    /// If a slot is past the end of the image.
    pub fn new(
        image_bytes: u64,
        occupied: impl IntoIterator<Item = (Slot, ChunkKey)>,
        config: String,
    ) -> Self {
        let mut slots = vec![None; slots_of(image_bytes) as usize];
        for (slot, key) in occupied {
            slots[slot.index as usize] = Some((slot.chunk, key));
        }
        OpenImage { image_bytes, slots, config: Zeroizing::new(config) }
    }

    /// Of the flat image.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// How many slots it has, those of zeros included.
    pub fn slots(&self) -> u32 {
        slots_of(self.image_bytes)
    }

    /// What is in a slot: `None` for zeros, and past the end.
    pub fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)> {
        let (chunk, key) = self.slots.get(index as usize)?.as_ref()?;
        Some((*chunk, key))
    }

    /// The configuration that was stored with the image: JSON.
    pub fn config(&self) -> &str {
        &self.config
    }
}

/// Without keys and configuration.
impl fmt::Debug for OpenImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chunks = self.slots.iter().flatten().count();
        let mut shown = formatter.debug_struct("OpenImage");
        shown.field("image_bytes", &self.image_bytes).field("chunks", &chunks).finish_non_exhaustive()
    }
}
