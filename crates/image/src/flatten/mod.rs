//! Flattening: the layers of a container image become one file system, always the same one.
//!
//! ```text
//! layers, each a tar                         lowest first; the tars stay where they are
//!   │ archive      entries: tar dialects, long names, sparse files
//!   │ layer_tree   one layer as a tree, with what it hides
//!   │ merge        over the layers below: deletions, opaque directories, hard links, links in paths
//!   ▼
//! tree ─ layout ─► FlatImage: metadata in memory, and (place in the image ─► place in a tar) for content
//!                     read_slot(n)  ─► 512 KiB, read from the tars when asked for
//! ```
//!
//! # The image
//!
//! EROFS, not compressed, which Linux mounts as it is:
//!
//! ```text
//! slot 0          1               k               k + 1           …
//! | superblock, inodes, … | zeros | layer 0: files, in byte order of paths     | layer 1: …
//!   metadata, contiguous            ├─ from 256 KiB on: whole slots
//!                                   └─ smaller: bins of one slot, closed by the hash of a path   (`placement`)
//! ```
//!
//! - **Metadata comes first**, so that what a mount needs can be fetched and verified before it, as one run.
//! - **A file lies in the region of the layer that brought it**, with others of that layer only. Images with the same layer
//!   have its region in common, slot for slot, wherever in them it begins; and layers that differ in a few files have all but
//!   a few slots in common. Deduplication is by slot: this is where it comes from.
//! - **Nothing is lost**: owners, modes, times to the nanosecond, attributes, hard links, holes. Times are not clamped, as
//!   reproducible builds do: Python would take all of its compiled files for stale.
//! - **Nothing is added**: no clock, no randomness, no order of a hash table or of a directory on disk. The superblock's
//!   time and UUID are constants. The same layers give the same bytes on every machine.
//!
//! # What layers may be
//!
//! Made by whoever pushed the image, and hostile until read. Names with `..` or NUL, links to nothing, types that are no files,
//! and whatever is no tar end in a [`FlattenError`] that names layer and entry; sizes and numbers are held against
//! [`FlattenLimits`] before memory is taken for them. Symbolic links in paths are followed within the image only. Devices are left
//! out (see `layer_tree`), and so are overlayfs' own attributes.
//!
//! Not done here: decompressing and checking layers, which is done before ([`Layer`]); chunks, keys and mounting, after.
//! Everything is synchronous. Called when an image is added to the store.

mod archive;
mod error;
mod flat_image;
mod layer;
mod layer_tree;
mod layout;
mod limits;
mod merge;
mod metadata;
mod path;
mod placement;
mod tree;

pub use error::{BadEntry, BadTar, FlattenError};
pub use flat_image::FlatImage;
pub use layer::{Layer, ReadAt};
pub use limits::{FlattenLimit, FlattenLimits};

use layer_tree::read_layer;
use layout::Layout;
use limits::Budget;
use merge::merge;
use tree::Tree;

/// Makes one file system of layers, the lowest first.
pub fn flatten(layers: &[Layer], limits: &FlattenLimits) -> Result<FlatImage, FlattenError> {
    if u16::try_from(layers.len()).is_err() {
        return Err(FlattenError::Layers { layers: layers.len() });
    }
    let mut budget = Budget::new(*limits);
    let mut tree = Tree::new();
    let mut root = tree.add_root();
    for (number, layer) in (0u16..).zip(layers) {
        let above = read_layer(layer, number, &mut tree, &mut budget)?;
        root = merge(layer, number, &above, root, &mut tree, &mut budget)?;
    }
    tree.finish();
    let layout = Layout::of(&mut tree, root, layers, limits.path_bytes)?;
    Ok(FlatImage::new(&tree, &layout, layers))
}
