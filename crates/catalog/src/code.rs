//! Where the code of a version is.

use std::fmt::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// SHA-256 of a package: its name in the store of code. Printed in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeDigest(pub [u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 in hexadecimal")]
pub struct InvalidDigest(String);

/// The code of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A zip archive in the store of code.
    Package {
        /// Of the archive as it was uploaded.
        sha256: CodeDigest,
        /// Likewise; `CodeSize`.
        size_bytes: u64,
    },
    /// A container image.
    Image {
        /// As given.
        uri: String,
        /// `sha256:…` of what the reference meant when it was loaded; unknown until then.
        digest: Option<String>,
    },
    /// Unpacked folders of this machine, for a function named on the command line. Not kept across starts.
    Folder {
        /// The function's `LAMBDA_TASK_ROOT`.
        path: PathBuf,
        /// All layers laid over each other, the function's `/opt`.
        opt: Option<PathBuf>,
    },
}

/// What a function's code is, to those who only upload it. Never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageType {
    /// Archives and folders.
    Zip,
    /// Container images.
    Image,
}

impl CodeDigest {
    /// As `CodeSha256` shows it.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl fmt::Display for CodeDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            write!(text, "{byte:02x}")?;
        }
        formatter.write_str(&text)
    }
}

impl fmt::Debug for CodeDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for CodeDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let invalid = || InvalidDigest(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut digest = [0; 32];
        for (byte, index) in digest.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[index..index + 2], 16).map_err(|_| invalid())?;
        }
        Ok(CodeDigest(digest))
    }
}

impl TryFrom<String> for CodeDigest {
    type Error = InvalidDigest;

    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<CodeDigest> for String {
    fn from(digest: CodeDigest) -> Self {
        digest.to_string()
    }
}

impl Code {
    /// What it is to those who upload it.
    pub fn package_type(&self) -> PackageType {
        match self {
            Code::Package { .. } | Code::Folder { .. } => PackageType::Zip,
            Code::Image { .. } => PackageType::Image,
        }
    }

    /// Its package in the store of code, if it is one.
    pub fn package(&self) -> Option<CodeDigest> {
        match self {
            Code::Package { sha256, .. } => Some(*sha256),
            Code::Image { .. } | Code::Folder { .. } => None,
        }
    }

    /// `CodeSize`: 0 for what is no archive.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Code::Package { size_bytes, .. } => *size_bytes,
            Code::Image { .. } | Code::Folder { .. } => 0,
        }
    }

    /// `CodeSha256`: base64 for archives, hexadecimal for images whose digest is known; folders have none.
    pub fn sha256(&self) -> Option<String> {
        match self {
            Code::Package { sha256, .. } => Some(sha256.base64()),
            Code::Image { digest, .. } => {
                digest.as_deref().map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest).to_owned())
            }
            Code::Folder { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_are_printed() {
        let digest = CodeDigest(std::array::from_fn(|index| u8::try_from(index * 8).unwrap()));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.base64(), "AAgQGCAoMDhASFBYYGhweICIkJigqLC4wMjQ2ODo8Pg=");
        for bad in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<CodeDigest>().is_err(), "{bad}");
        }
    }
}
