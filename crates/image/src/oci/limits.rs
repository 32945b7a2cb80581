//! What an image may not exceed.

/// [`OciLimits::default`] are AWS's, and ours where AWS names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OciLimits {
    /// Of a manifest or an index. Registries take no larger ones.
    pub manifest_bytes: u64,
    /// Of an image's configuration, most of which is its history.
    pub config_bytes: u64,
    /// More cannot be put over each other by most who run containers.
    pub layers: usize,
    /// Bytes of all layers' tar files together, counted as they are unpacked.
    pub unpacked_bytes: u64,
    /// How many times its compressed length a layer may have when unpacked …
    pub expansion_ratio: u64,
    /// … once it has more than this many bytes: a small layer of mostly zeros harms nobody.
    pub expansion_free_bytes: u64,
}

impl Default for OciLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        OciLimits {
            manifest_bytes: 4 * MIB,
            config_bytes: 8 * MIB,
            layers: 127,
            // 10 GB is AWS's limit for an image.
            unpacked_bytes: 10 * 1024 * MIB,
            expansion_ratio: 200,
            expansion_free_bytes: 512 * MIB,
        }
    }
}
