//! Manifests as bytes.
//!
//! ```text
//! offset  bytes                                                        numbers are little endian
//!      0      8  "fs-image"
//!      8      2  version of this format: 1
//!     10      2  layout
//!     12      4  root
//!     16      4  salt
//!     20      8  size of the image in bytes
//!     28     32  image id
//!     60      4  n: slots that are not zeros
//!     64      4  c: bytes of the configuration
//!     68      2  k: bytes of the wrapping key's id
//!     70      2  w: bytes of the wrapped key
//!     72      k  id of the wrapping key, UTF-8
//!             w  wrapped key
//!           40n  slots, ascending: index 4, stored bytes 4, chunk id 32
//!                ── all above is authenticated by the tag ──
//!           32n  keys of the chunks, in the order of the slots ┐ AES-256-GCM
//!             c  configuration, UTF-8                          ┘
//!            16  tag
//! ```
//!
//! A full image of 16 GiB takes 2.3 MiB.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::key_vault::{DataKey, TAG_BYTES, WrappedKey};
use super::{Draft, MAX_CONFIG_BYTES, MAX_IMAGE_BYTES, Manifest, Slot, slots_of};
use super::{ImageId, RootId, SaltId};
use crate::chunk::{CHUNK_BYTES, ChunkId, ChunkRef};

const MAGIC: &[u8; 8] = b"fs-image";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 72;
const SLOT_BYTES: usize = 40;
const KEY_BYTES: usize = 32;
/// The longest names and wrapped keys of the services that are known take a few hundred bytes.
const MAX_WRAPPING_BYTES: usize = 4096;

/// Bytes that are no manifest, or a draft that would give none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadManifest {
    /// Something else altogether.
    #[error("{bytes} bytes do not begin as a manifest does")]
    Magic {
        /// How many.
        bytes: usize,
    },
    /// Of a later Firesteel.
    #[error("version {version} of the manifest is not known")]
    Version {
        /// Which.
        version: u16,
    },
    /// It ends too early or too late.
    #[error("a manifest of {found_bytes} bytes should have {expected_bytes}")]
    Length {
        /// By what it says.
        expected_bytes: u64,
        /// What there is.
        found_bytes: u64,
    },
    /// More than there may be.
    #[error("{what} is {size}, over the limit of {limit}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How much.
        size: u64,
        /// How much may be.
        limit: u64,
    },
    /// Twice the same, or not in order.
    #[error("slot {index} is not after the one before it")]
    Order {
        /// Which.
        index: u32,
    },
    /// A chunk that is empty, longer than a slot, or reaches past the end of the image.
    #[error("slot {index} cannot have {stored_bytes} bytes")]
    Chunk {
        /// Which slot.
        index: u32,
        /// Of its chunk.
        stored_bytes: u32,
    },
    /// The wrapping key's id is no text.
    #[error("the id of the wrapping key is not UTF-8")]
    KeyId,
}

/// A draft that [`parse`] would refuse is refused there, by who calls this.
pub(super) fn write(draft: &Draft, wrapped: &WrappedKey, key: &DataKey) -> Result<Bytes, BadManifest> {
    let slots = draft.slots.len();
    let config_bytes = limited("the configuration", draft.config.len() as u64, MAX_CONFIG_BYTES.into())?;
    let slot_count = limited("the number of slots", slots as u64, slots_of(MAX_IMAGE_BYTES).into())?;
    let wrapping = |part: &[u8]| limited("the wrapped key", part.len() as u64, MAX_WRAPPING_BYTES as u64);
    let (id_bytes, key_bytes) = (wrapping(wrapped.key_id.as_bytes())?, wrapping(&wrapped.bytes)?);

    let mut bytes =
        Vec::with_capacity(HEADER_BYTES + (SLOT_BYTES + KEY_BYTES) * slots + draft.config.len() + 512);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&draft.layout.to_le_bytes());
    bytes.extend_from_slice(&draft.root.0.to_le_bytes());
    bytes.extend_from_slice(&draft.salt.0.to_le_bytes());
    bytes.extend_from_slice(&draft.image_bytes.to_le_bytes());
    bytes.extend_from_slice(draft.image.as_bytes());
    bytes.extend_from_slice(&slot_count.to_le_bytes());
    bytes.extend_from_slice(&config_bytes.to_le_bytes());
    // Both are at most `MAX_WRAPPING_BYTES`.
    bytes.extend_from_slice(&id_bytes.to_le_bytes()[..2]);
    bytes.extend_from_slice(&key_bytes.to_le_bytes()[..2]);
    bytes.extend_from_slice(wrapped.key_id.as_bytes());
    bytes.extend_from_slice(&wrapped.bytes);
    // In this order all over the format; sealed after it.
    let mut secret = Zeroizing::new(Vec::with_capacity(KEY_BYTES * slots + draft.config.len()));
    for (slot, key) in &draft.slots {
        bytes.extend_from_slice(&slot.index.to_le_bytes());
        bytes.extend_from_slice(&slot.chunk.stored_bytes.to_le_bytes());
        bytes.extend_from_slice(slot.chunk.id.as_bytes());
        secret.extend_from_slice(key.as_bytes());
    }
    secret.extend_from_slice(draft.config.as_bytes());
    let sealed = key.seal_once(&bytes, &secret);
    bytes.extend_from_slice(&sealed);
    Ok(bytes.into())
}

pub(super) fn parse(bytes: Bytes) -> Result<Manifest, BadManifest> {
    let no_manifest = || BadManifest::Magic { bytes: bytes.len() };
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(no_manifest)?;
    let mut header = Fields(header);
    if header.take::<8>() != MAGIC {
        return Err(no_manifest());
    }
    let version = u16::from_le_bytes(*header.take());
    if version != VERSION {
        return Err(BadManifest::Version { version });
    }
    let layout = u16::from_le_bytes(*header.take());
    let root = RootId(u32::from_le_bytes(*header.take()));
    let salt = SaltId(u32::from_le_bytes(*header.take()));
    let image_bytes = u64::from_le_bytes(*header.take());
    let image = ImageId::from_bytes(*header.take());
    let slot_count = u32::from_le_bytes(*header.take());
    let config_bytes = u32::from_le_bytes(*header.take());
    let id_bytes = u16::from_le_bytes(*header.take());
    let key_bytes = u16::from_le_bytes(*header.take());

    if image_bytes > MAX_IMAGE_BYTES {
        return Err(BadManifest::TooLarge { what: "the image", size: image_bytes, limit: MAX_IMAGE_BYTES });
    }
    limited("the number of slots", slot_count.into(), slots_of(image_bytes).into())?;
    limited("the configuration", config_bytes.into(), MAX_CONFIG_BYTES.into())?;
    for part in [id_bytes, key_bytes] {
        limited("the wrapped key", part.into(), MAX_WRAPPING_BYTES as u64)?;
    }
    // All are limited by now: nothing overflows, and nothing is read or reserved that is not there.
    let slots_bytes = SLOT_BYTES * slot_count as usize;
    let secret_bytes = KEY_BYTES * slot_count as usize + config_bytes as usize;
    let wrapping_bytes = usize::from(id_bytes) + usize::from(key_bytes);
    let sealed_at = HEADER_BYTES + wrapping_bytes + slots_bytes;
    let expected = sealed_at + secret_bytes + TAG_BYTES;
    if bytes.len() != expected {
        let (expected_bytes, found_bytes) = (expected as u64, bytes.len() as u64);
        return Err(BadManifest::Length { expected_bytes, found_bytes });
    }
    let (key_id, rest) = rest.split_at(id_bytes.into());
    let (wrapped, rest) = rest.split_at(key_bytes.into());
    let key_id = std::str::from_utf8(key_id).map_err(|_| BadManifest::KeyId)?.to_owned();
    let wrapped = WrappedKey { key_id, bytes: wrapped.to_vec() };
    let (listed, _) = rest[..slots_bytes].as_chunks::<SLOT_BYTES>();
    let slots = listed.iter().map(slot).collect::<Vec<_>>();
    check_slots(&slots, image_bytes)?;
    Ok(Manifest { image, layout, root, salt, image_bytes, slots, wrapped, bytes, sealed_at })
}

fn slot(bytes: &[u8; SLOT_BYTES]) -> Slot {
    let mut fields = Fields(bytes);
    let index = u32::from_le_bytes(*fields.take());
    let stored_bytes = u32::from_le_bytes(*fields.take());
    Slot { index, chunk: ChunkRef { id: ChunkId::from_bytes(*fields.take()), stored_bytes } }
}

fn check_slots(slots: &[Slot], image_bytes: u64) -> Result<(), BadManifest> {
    let mut next = 0;
    for Slot { index, chunk } in slots {
        if u64::from(*index) < next {
            return Err(BadManifest::Order { index: *index });
        }
        next = u64::from(*index) + 1;
        let end = u64::from(*index) * u64::from(CHUNK_BYTES) + u64::from(chunk.stored_bytes);
        if !(1..=CHUNK_BYTES).contains(&chunk.stored_bytes) || end > image_bytes {
            return Err(BadManifest::Chunk { index: *index, stored_bytes: chunk.stored_bytes });
        }
    }
    Ok(())
}

fn limited(what: &'static str, size: u64, limit: u64) -> Result<u32, BadManifest> {
    match u32::try_from(size) {
        Ok(fits) if size <= limit => Ok(fits),
        _ => Err(BadManifest::TooLarge { what, size, limit }),
    }
}

/// What is left of a part whose length is known.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> &'a [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("the fields of a part add up to its length");
        self.0 = rest;
        taken
    }
}
