//! A block of IPv4 addresses, `10.0.0.0/8`.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A block of addresses; the bits beyond its length are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prefix {
    address: Ipv4Addr,
    bits: u8,
}

/// Why a text is no block of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixError(String);

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is neither an IPv4 address nor a block as 10.0.0.0/8", self.0)
    }
}

impl std::error::Error for PrefixError {}

impl Prefix {
    /// The block of this length around an address. More than 32 bits count as 32.
    #[must_use]
    pub const fn new(address: Ipv4Addr, bits: u8) -> Self {
        let bits = if bits > 32 { 32 } else { bits };
        Self { address: Ipv4Addr::from_bits(address.to_bits() & mask(bits)), bits }
    }

    /// Its first address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// How many bits its addresses share.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Whether an address is in it.
    #[must_use]
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.bits) == self.address.to_bits()
    }

    /// Whether some address is in both.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The same addresses in as few blocks as hold them, sorted: none lies in another.
    #[must_use]
    pub fn without_contained(mut blocks: Vec<Self>) -> Vec<Self> {
        // A block sorts directly before what lies in it.
        blocks.sort_unstable();
        blocks.dedup_by(|later, earlier| earlier.contains(later.address));
        blocks
    }
}

const fn mask(bits: u8) -> u32 {
    if bits == 0 { 0 } else { u32::MAX << (32 - bits) }
}

impl From<Ipv4Addr> for Prefix {
    fn from(address: Ipv4Addr) -> Self {
        Self::new(address, 32)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        match (address.parse(), bits.parse()) {
            (Ok(address), Ok(bits)) if bits <= 32 => Ok(Self::new(address, bits)),
            _ => Err(PrefixError(text.to_owned())),
        }
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn read_and_written() {
        assert_eq!(prefix("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(prefix("192.0.2.7").to_string(), "192.0.2.7/32");
        assert_eq!(prefix("1.2.3.4/0").to_string(), "0.0.0.0/0");
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::1", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_lies_in_another_is_left_out() {
        let blocks = ["127.0.0.1", "10.0.0.0/8", "10.1.0.0/16", "127.0.0.0/8", "10.0.0.0/8", "9.9.9.9"];
        let kept = Prefix::without_contained(blocks.map(prefix).to_vec());
        assert_eq!(kept, ["9.9.9.9", "10.0.0.0/8", "127.0.0.0/8"].map(prefix));
    }

    #[test]
    fn overlapping_is_mutual() {
        assert!(prefix("0.0.0.0/0").overlaps(prefix("10.0.0.0/8")));
        assert!(prefix("10.2.0.0/16").overlaps(prefix("10.0.0.0/8")));
        assert!(!prefix("10.2.0.0/16").overlaps(prefix("10.3.0.0/16")));
    }
}
