//! Manifests: which chunks an image is made of, for everybody who has the store to see, and how to open them, for its
//! tenant.
//!
//! ```text
//! Draft ─ seal(vault) ─► Manifest ─ bytes ─► the store ─ parse ─► Manifest ─┬─ chunks, sizes, salt, root: readable
//!   fresh data key,                                                        └─ open(vault, tenant) ─► OpenImage
//!   wrapped by the tenant's                                                     chunk keys, configuration
//! ```
//!
//! What is readable is enough to count, copy, check and remove chunks: whoever does that needs no key. What opens chunks,
//! and the configuration of the image, which may hold secrets, is sealed with AES-256-GCM, and all that is readable is
//! authenticated by the same tag: [`Manifest::open`] gives an image of which no bit was changed since it was sealed, for the
//! tenant that it was sealed for, or nothing.
//!
//! Manifests are hostile until then. [`Manifest::parse`] takes one sequence of bytes for each manifest: lengths that add up,
//! slots in order and once, chunks inside of the image, nothing after the end.
//!
//! Synchronous but for the [`KeyVault`], which may one day be a service. Called by the store only; whoever serves an image
//! is given an [`OpenImage`].

mod encoding;
mod key_file;
mod key_vault;
mod names;
mod open_image;

use std::collections::HashSet;

use bytes::Bytes;

use crate::chunk::{CHUNK_BYTES, ChunkKey, ChunkRef};

pub use self::encoding::BadManifest;
pub(crate) use self::key_vault::random;
pub use self::key_vault::{DataKey, KeyOwner, KeyVault, VaultError, WrappedKey};
pub use self::names::{BadName, ImageId, ManifestId, RootId, SaltId};
pub use self::open_image::OpenImage;

/// An image may not be larger: AWS allows 10 GiB of layers, and the file system around them takes some.
pub const MAX_IMAGE_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// What an image's configuration may take, as JSON. The document of a registry is a few kilobytes.
pub const MAX_CONFIG_BYTES: u32 = 1024 * 1024;

/// Says what a wrapped key is for, so that no key of something else passes for it.
const PURPOSE: &[u8] = b"manifest of ";

/// A slot that is not all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Which: it begins at this many times [`CHUNK_BYTES`].
    pub index: u32,
    /// What is in it.
    pub chunk: ChunkRef,
}

/// What a manifest is made of.
#[derive(Debug)]
pub struct Draft {
    /// Whose it is.
    pub image: ImageId,
    /// In which order and where the image has its files: two layouts of the same files share little.
    pub layout: u16,
    /// Where its chunks were stored first.
    pub root: RootId,
    /// What went into their keys.
    pub salt: SaltId,
    /// Of the flat image.
    pub image_bytes: u64,
    /// Ascending, each with what opens it.
    pub slots: Vec<(Slot, ChunkKey)>,
    /// JSON, which means something to who has written it.
    pub config: String,
}

/// An image's chunks and sealed keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    image: ImageId,
    layout: u16,
    root: RootId,
    salt: SaltId,
    image_bytes: u64,
    slots: Vec<Slot>,
    wrapped: WrappedKey,
    /// As it is stored; the sealed part begins at `sealed_at`.
    bytes: Bytes,
    sealed_at: usize,
}

/// Why there is no manifest of a draft.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It could not be read again.
    #[error("the image cannot be described")]
    Draft(#[source] BadManifest),
    /// There is no key.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Why a manifest is not opened.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// It was changed, or is another image's.
    #[error("the manifest of image {image} is not as it was sealed")]
    NotAuthentic {
        /// Which was asked for.
        image: ImageId,
    },
    /// There is no key, or it is another one's.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Manifest {
    /// Seals a draft for a tenant, under a key that is used for nothing else.
    pub async fn seal(draft: Draft, vault: &KeyVault, tenant: &str) -> Result<Self, SealError> {
        let key = DataKey::draw();
        let owner = KeyOwner::Tenant(tenant);
        let wrapped = vault.wrap(owner, &purpose(draft.image), &key).await?;
        let bytes = encoding::write(&draft, &wrapped, &key).map_err(SealError::Draft)?;
        Self::parse(bytes).map_err(SealError::Draft)
    }

    /// Reads what anybody may know.
    pub fn parse(bytes: Bytes) -> Result<Self, BadManifest> {
        encoding::parse(bytes)
    }

    /// Opens it with its tenant's key.
    pub async fn open(
        &self,
        image: ImageId,
        vault: &KeyVault,
        tenant: &str,
    ) -> Result<OpenImage, UnsealError> {
        let not_authentic = UnsealError::NotAuthentic { image };
        if self.image != image {
            return Err(not_authentic);
        }
        let key = vault.unwrap(KeyOwner::Tenant(tenant), &purpose(image), &self.wrapped).await?;
        let (readable, sealed) = self.bytes.split_at(self.sealed_at);
        let opened = key.open_once(readable, sealed).ok_or(not_authentic)?;
        let (keys, config) = opened.split_at(32 * self.slots.len());
        let (keys, _) = keys.as_chunks::<32>();
        let slots = self.slots.iter().zip(keys);
        let slots = slots.map(|(slot, key)| (*slot, ChunkKey::from_bytes(*key)));
        let config = String::from_utf8(config.to_vec()).map_err(|_| UnsealError::NotAuthentic { image })?;
        Ok(OpenImage::new(self.image_bytes, slots, config))
    }

    /// Its name: that of its bytes.
    pub fn id(&self) -> ManifestId {
        ManifestId::of(&self.bytes)
    }

    /// As it is stored.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whose it says that it is; [`Manifest::open`] finds out whether that is so.
    pub fn image(&self) -> ImageId {
        self.image
    }

    /// In which order and where the image has its files.
    pub fn layout(&self) -> u16 {
        self.layout
    }

    /// Where the chunks were stored first. They may have been copied to another root since.
    pub fn root(&self) -> RootId {
        self.root
    }

    /// What went into the keys of the chunks.
    pub fn salt(&self) -> SaltId {
        self.salt
    }

    /// Of the flat image.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// All slots that are not zeros, ascending.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Every chunk once, in the order of first use.
    pub fn chunks(&self) -> Vec<ChunkRef> {
        let mut seen = HashSet::with_capacity(self.slots.len());
        self.slots.iter().map(|slot| slot.chunk).filter(|chunk| seen.insert(chunk.id)).collect()
    }
}

/// How many slots an image has, those of zeros included.
pub fn slots_of(image_bytes: u64) -> u32 {
    u32::try_from(image_bytes.div_ceil(u64::from(CHUNK_BYTES))).unwrap_or(u32::MAX)
}

fn purpose(image: ImageId) -> Vec<u8> {
    [PURPOSE, image.as_bytes()].concat()
}

#[cfg(test)]
mod tests;
