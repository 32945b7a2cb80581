//! How far it is.

/// Told of an image that is on its way, from any thread. Layers are numbered from 0, the lowest.
///
/// ```text
/// layers(sizes) ─► for each layer: (downloaded)* (unpacked)* ready
/// ```
pub trait Progress: Send + Sync {
    /// The image is known now. Of each layer, the length of what is fetched, compressed.
    fn layers(&self, compressed_bytes: &[u64]) {
        let _ = compressed_bytes;
    }

    /// Of `layer` there are this many bytes on this disk now. It can become less again, when what has come is no good.
    fn downloaded(&self, layer: usize, bytes: u64) {
        let _ = (layer, bytes);
    }

    /// This many compressed bytes of `layer` are unpacked.
    fn unpacked(&self, layer: usize, bytes: u64) {
        let _ = (layer, bytes);
    }

    /// `layer` is there; perhaps it was before, and nothing else was said of it.
    fn ready(&self, layer: usize) {
        let _ = layer;
    }
}

/// Nobody wants to know.
impl Progress for () {}
