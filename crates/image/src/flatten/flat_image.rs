//! The image itself: metadata as bytes, and of the files where their content lies.

use std::fmt;

use super::error::{BadTar, FlattenError};
use super::layer::{Layer, read_full};
use super::layout::Layout;
use super::metadata;
use super::tree::{Node, Tree};
use crate::chunk::CHUNK_BYTES;
use crate::erofs::BLOCK_BYTES;

/// An image of one file system. It holds the layers' tars, from which it reads content when a slot is asked for; there
/// is no other copy of it anywhere.
pub struct FlatImage {
    layers: Vec<Layer>,
    metadata: Vec<u8>,
    /// By place in the image.
    extents: Vec<Extent>,
    image_bytes: u64,
}

/// A run of bytes that is in an image what it is in a layer's tar.
#[derive(Clone, Copy, Debug)]
struct Extent {
    image_at: u64,
    tar_at: u64,
    bytes: u64,
    layer: u16,
}

impl FlatImage {
    pub(super) fn new(tree: &Tree, layout: &Layout, layers: &[Layer]) -> Self {
        FlatImage {
            layers: layers.to_vec(),
            metadata: metadata::write(tree, layout),
            extents: extents(tree, layout),
            image_bytes: u64::from(layout.blocks) * u64::from(BLOCK_BYTES),
        }
    }

    /// Bytes of the image, whole blocks of 4 KiB.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// Pieces of 512 KiB that the image is read in; the last one goes on with zeros after the image's end.
    pub fn slots(&self) -> u32 {
        let slots = self.image_bytes.div_ceil(u64::from(CHUNK_BYTES));
        u32::try_from(slots).expect("blocks, which are more, are counted by 32 bits")
    }

    /// Bytes at the start of the image that describe files, and are not their content.
    pub fn metadata_bytes(&self) -> u64 {
        self.metadata.len() as u64
    }

    /// Reads a slot, from as many threads as wanted. What no file has is zeros.
    pub fn read_slot(&self, slot: u32, into: &mut [u8; CHUNK_BYTES as usize]) -> Result<(), FlattenError> {
        if slot >= self.slots() {
            return Err(FlattenError::Slot { slot, slots: self.slots() });
        }
        into.fill(0);
        let start = u64::from(slot) * u64::from(CHUNK_BYTES);
        let end = start + u64::from(CHUNK_BYTES);
        if let Some(metadata) = usize::try_from(start).ok().and_then(|start| self.metadata.get(start..)) {
            let bytes = metadata.len().min(into.len());
            into[..bytes].copy_from_slice(&metadata[..bytes]);
        }
        let first = self.extents.partition_point(|extent| extent.image_at + extent.bytes <= start);
        for extent in self.extents[first..].iter().take_while(|extent| extent.image_at < end) {
            let from = extent.image_at.max(start);
            let to = (extent.image_at + extent.bytes).min(end);
            let within = |at: u64| usize::try_from(at - start).expect("it is within the slot");
            self.read(extent, from - extent.image_at, &mut into[within(from)..within(to)])?;
        }
        Ok(())
    }

    fn read(&self, extent: &Extent, skipped: u64, into: &mut [u8]) -> Result<(), FlattenError> {
        let layer = &self.layers[usize::from(extent.layer)];
        let offset = extent.tar_at + skipped;
        match read_full(&*layer.tar, into, offset) {
            Ok(bytes) if bytes == into.len() => Ok(()),
            // It was there when the tar was read first.
            Ok(_) => {
                Err(FlattenError::Tar { layer: layer.digest.clone(), offset, source: BadTar::Truncated })
            }
            Err(source) => Err(FlattenError::Read { layer: layer.digest.clone(), offset, source }),
        }
    }
}

impl fmt::Debug for FlatImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatImage")
            .field("layers", &self.layers)
            .field("metadata_bytes", &self.metadata.len())
            .field("extents", &self.extents.len())
            .field("image_bytes", &self.image_bytes)
            .finish()
    }
}

fn extents(tree: &Tree, layout: &Layout) -> Vec<Extent> {
    let mut extents = Vec::new();
    for &inode in &layout.order {
        let image_at = u64::from(layout.places[inode.index()].block) * u64::from(BLOCK_BYTES);
        let layer = tree.attributes(inode).layer;
        match tree.node(inode) {
            Node::File { at, bytes } if bytes > 0 => {
                extents.push(Extent { image_at, tar_at: at, bytes, layer });
            }
            Node::Sparse { first, count, .. } => {
                extents.extend(tree.segments(first, count).iter().map(|segment| Extent {
                    image_at: image_at + segment.file_at,
                    tar_at: segment.tar_at,
                    bytes: segment.bytes,
                    layer,
                }));
            }
            _ => {}
        }
    }
    extents.sort_unstable_by_key(|extent| extent.image_at);
    extents
}
