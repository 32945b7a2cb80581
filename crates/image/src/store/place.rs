//! Where things are in the store.

use object_store::path::Path as Key;

use crate::chunk::ChunkId;
use crate::manifest::{ImageId, ManifestId, RootId};

/// Nothing that is longer is read: the largest manifest is shorter.
pub(super) const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// Nor anything longer of first touches: a few starts, each of 4 bytes for a slot, of which an image has 32 Ki.
pub(super) const MAX_PREFETCH_BYTES: u64 = 4 * 1024 * 1024;

/// Everything of a root, which goes at once.
pub(super) fn root(root: RootId) -> Key {
    Key::from(format!("roots/{root}"))
}

/// All chunks of a root.
pub(super) fn chunks(root: RootId) -> Key {
    Key::from(format!("roots/{root}/chunks"))
}

/// The first two digits are a folder of their own: local file systems do not like a million names in one.
pub(super) fn chunk(root: RootId, chunk: ChunkId) -> Key {
    let name = chunk.to_string();
    Key::from(format!("roots/{root}/chunks/{}/{name}", &name[..2]))
}

pub(super) fn manifest(root: RootId, manifest: ManifestId) -> Key {
    Key::from(format!("roots/{root}/manifests/{manifest}"))
}

pub(super) fn prefetch(root: RootId, image: ImageId) -> Key {
    Key::from(format!("roots/{root}/prefetch/{image}"))
}
