//! The name of a blob: the hash of its bytes.

use std::fmt;
use std::str::FromStr;

use crate::code_store::{Hasher, Sha256};

/// `sha256:` and 64 hexadecimal digits. Other algorithms are allowed by the specification and used by nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Sha256);

/// Not the digest of anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: `sha256:` and 64 lower-case hexadecimal digits are")]
pub struct BadDigest(String);

impl Digest {
    /// The digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        Digest(Sha256::of(content))
    }

    /// As files are named after it.
    pub(super) fn hex(&self) -> Sha256 {
        self.0
    }

    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        hex.parse().ok().map(Digest)
    }
}

impl From<Hasher> for Digest {
    fn from(hasher: Hasher) -> Self {
        Digest(hasher.finish())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        // It may come from anywhere, and is shown.
        let bad = || BadDigest(text.chars().take(100).collect::<String>().escape_debug().to_string());
        text.strip_prefix("sha256:").and_then(Digest::from_hex).ok_or_else(bad)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
