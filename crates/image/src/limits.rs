//! How large a package may become, and how large it became.

/// Bytes of a function and all its layers, unpacked (AWS quota "unzipped").
const UNPACKED_BYTES: u64 = 262_144_000;
/// More than the most splintered `node_modules` below the byte limit; without it, an archive of a few
/// megabytes could name enough empty files to use up the host's inodes.
const ENTRIES: usize = 250_000;
/// Leaves room, below the kernel's 4096, for the path of the folder unpacked into.
const PATH_BYTES: usize = 1024;

/// What a package may not exceed. [`Limits::default`] are AWS's, and ours where AWS names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of function and layers together.
    pub unpacked_bytes: u64,
    /// Bytes already spent on what was unpacked before; see [`Limits::after`].
    pub used_bytes: u64,
    /// Files, folders and links in one folder made, those replaced by later layers included.
    pub entries: usize,
    /// Length of one entry's path, and of a link's target.
    pub path_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { unpacked_bytes: UNPACKED_BYTES, used_bytes: 0, entries: ENTRIES, path_bytes: PATH_BYTES }
    }
}

impl Limits {
    /// What is left once `unpacked` has been made: the layers' limits, given the function.
    pub fn after(self, unpacked: Unpacked) -> Limits {
        Limits { used_bytes: self.used_bytes.saturating_add(unpacked.bytes), ..self }
    }

    /// Whether a package of `bytes` still fits.
    pub(crate) fn allows(&self, bytes: u64) -> bool {
        self.used_bytes.saturating_add(bytes) <= self.unpacked_bytes
    }
}

/// The size of a package as found, not as declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Sum over regular files of their length, and over links of their targets' length. What a later
    /// layer replaced counts too: layers are no way round the limit.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: usize,
}
