//! Bytes inside JSON, where they are base64.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are base64 on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = Blob;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("base64")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
                let bytes = BASE64_STANDARD.decode(text).map_err(E::custom)?;
                Ok(Blob(bytes.into()))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_base64_both_ways() {
        let blob: Blob = serde_json::from_str(r#""AAH/""#).unwrap();
        assert_eq!(blob.0, [0, 1, 255].as_slice());
        assert_eq!(serde_json::to_string(&blob).unwrap(), r#""AAH/""#);
        for bad in [r#""A""#, r#""A*==""#, "7"] {
            serde_json::from_str::<Blob>(bad).unwrap_err();
        }
    }
}
