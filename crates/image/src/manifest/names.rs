//! What images, manifests, roots and salts are called.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::chunk::Domain;

/// Not the name of any such thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no {1} id")]
pub struct BadName(String, &'static str);

/// An image of a tenant, as it was stored for one domain. The same source stored again has the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ImageId([u8; 32]);

/// BLAKE3-256 of a manifest's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ManifestId([u8; 32]);

/// A root of the store: an epoch of it. Ascending, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RootId(pub u32);

/// A salt of the deployment. Ascending, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SaltId(pub u32);

impl ImageId {
    /// Of a source, which its digest names, for a tenant.
    pub fn of(tenant: &str, digest: &str, domain: &Domain) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("firesteel image id 1");
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(tenant.as_bytes());
        part(digest.as_bytes());
        match domain {
            Domain::Deployment => part(b"deployment"),
            Domain::Tenant(name) => {
                part(b"tenant");
                part(name.as_bytes());
            }
            Domain::Private(number) => {
                part(b"private");
                part(number);
            }
        }
        ImageId(*hasher.finalize().as_bytes())
    }
}

impl ManifestId {
    /// Of these bytes.
    pub fn of(manifest: &[u8]) -> Self {
        ManifestId(*blake3::hash(manifest).as_bytes())
    }
}

/// Names of 32 bytes, written as 64 hexadecimal digits, in lower case only: a thing has one name.
macro_rules! named_by_bytes {
    ($name:ident, $noun:literal) => {
        impl $name {
            /// Reads what `as_bytes` gives.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                $name(bytes)
            }

            /// As formats hold it.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                match blake3::Hash::from_hex(text) {
                    Ok(hash) if hash.to_hex().as_str() == text => Ok($name(*hash.as_bytes())),
                    _ => Err(BadName(text.to_owned(), $noun)),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }
    };
}

named_by_bytes!(ImageId, "image");
named_by_bytes!(ManifestId, "manifest");

/// Numbers, written so that a listing has them in order.
macro_rules! named_by_number {
    ($name:ident, $noun:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:08}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                match text.parse().map($name) {
                    Ok(name) if name.to_string() == text => Ok(name),
                    _ => Err(BadName(text.to_owned(), $noun)),
                }
            }
        }
    };
}

named_by_number!(RootId, "root");
named_by_number!(SaltId, "salt");
