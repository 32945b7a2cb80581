//! The name of a package: the hash of its zip archive.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// SHA-256 of a zip archive, byte for byte as it was uploaded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

/// Not the hash of anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256")]
pub struct BadSha256(String);

impl Sha256 {
    /// The hash of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(content);
        hasher.finish()
    }

    /// As the Lambda API writes it (`CodeSha256`): standard base64, padded.
    pub fn to_base64(self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads what [`Sha256::to_base64`] writes.
    pub fn from_base64(text: &str) -> Result<Self, BadSha256> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Sha256).ok_or_else(|| BadSha256(text.to_owned()))
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(hash: [u8; 32]) -> Self {
        Sha256(hash)
    }
}

impl From<Sha256> for [u8; 32] {
    fn from(sha256: Sha256) -> Self {
        sha256.0
    }
}

/// 64 hexadecimal digits, lower case: as files are named after it.
impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Reads what `Display` writes, and nothing else: a file has one name.
impl FromStr for Sha256 {
    type Err = BadSha256;

    fn from_str(text: &str) -> Result<Self, BadSha256> {
        let bad = || BadSha256(text.to_owned());
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(bad()),
        };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(bad());
        };
        let bytes = pairs.iter().map(|[high, low]| Ok(digit(*high)? << 4 | digit(*low)?));
        let bytes: Vec<u8> = bytes.collect::<Result<_, _>>()?;
        bytes.try_into().map(Sha256).map_err(|_| bad())
    }
}

/// Hashes what comes in pieces.
pub(crate) struct Hasher(aws_lc_rs::digest::Context);

impl Hasher {
    pub(crate) fn new() -> Self {
        Hasher(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }

    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    pub(crate) fn finish(self) -> Sha256 {
        let digest = self.0.finish();
        Sha256(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_written_forms_can_be_read() {
        let empty = Sha256::of(b"");
        assert_eq!(empty.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(empty.to_base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(empty.to_string().parse(), Ok(empty));
        assert_eq!(Sha256::from_base64(&empty.to_base64()), Ok(empty));
    }

    #[test]
    fn nothing_else_is_a_hash() {
        let hex = Sha256::of(b"").to_string();
        for text in ["", &hex[1..], &hex.to_uppercase(), &format!("{hex}00"), &hex.replace('e', "g")] {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
            assert!(Sha256::from_base64(text).is_err(), "{text}");
        }
    }
}
