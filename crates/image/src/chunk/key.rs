//! Keys of chunks, and what they are made from.

use std::fmt;

use aws_lc_rs::cipher::{
    AES_256, AES_CTR_IV_LEN, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext,
    UnboundCipherKey,
};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf;
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Says which derivation a key is of: another one, another text.
const INFO: &[u8] = b"firesteel chunk key 1";

/// Of AES.
const BLOCK_BYTES: u32 = 16;

/// Opens one chunk. Forgotten when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ChunkKey([u8; 32]);

/// A secret of the deployment that goes into every key: without it, nobody can tell from a plaintext what its chunk would
/// be called. When it changes, what was stored before is shared no more with what is stored after, and so is the harm
/// that one bad chunk can do.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Salt([u8; 32]);

/// Who shares chunks with whom. Within a domain, whoever can store an image can find out whether a given plaintext is stored
/// already, by the time that takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Everybody on this deployment.
    Deployment,
    /// Functions of one tenant.
    Tenant(String),
    /// Whoever knows this number, which is drawn for one function.
    Private([u8; 32]),
}

impl ChunkKey {
    /// That of a plaintext.
    pub(super) fn derive(plaintext: &[u8], salt: &Salt, domain: &Domain) -> Self {
        // A tag and no separator: nothing follows the name.
        let (tag, name): (u8, &[u8]) = match domain {
            Domain::Deployment => (0, &[]),
            Domain::Tenant(name) => (1, name.as_bytes()),
            Domain::Private(number) => (2, number),
        };
        // In one piece: as it grew, it would leave the secret behind.
        let salting = Zeroizing::new([&salt.0[..], &[tag], name].concat());
        let content = digest(&SHA256, plaintext);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &salting).extract(content.as_ref());
        let mut key = [0; 32];
        let output = extracted.expand(&[INFO], hkdf::HKDF_SHA256);
        output.and_then(|output| output.fill(&mut key)).expect("one block of SHA-256 is never too long");
        ChunkKey(key)
    }

    /// Reads what [`ChunkKey::as_bytes`] gives.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        ChunkKey(bytes)
    }

    /// For sealing them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In place, from the first byte on.
    pub(super) fn encrypt(&self, bytes: &mut [u8]) {
        let key = EncryptingKey::ctr(self.unbound()).expect("the key is of AES-256");
        // The counter begins at zero for every chunk: no key is ever used for two plaintexts.
        let zero = EncryptionContext::Iv128(FixedLength::from([0; AES_CTR_IV_LEN]));
        key.less_safe_encrypt(bytes, zero).expect("a chunk is far from the end of the counter");
    }

    /// In place: `bytes` are those from `offset` on, which is at the start of a block.
    pub(super) fn decrypt(&self, bytes: &mut [u8], offset: u32) {
        debug_assert!(offset.is_multiple_of(BLOCK_BYTES), "{offset} is inside of a block");
        let counter = u128::from(offset / BLOCK_BYTES).to_be_bytes();
        let context = DecryptionContext::Iv128(FixedLength::from(counter));
        let key = DecryptingKey::ctr(self.unbound()).expect("the key is of AES-256");
        key.decrypt(bytes, context).expect("a chunk is far from the end of the counter");
    }

    /// The last offset at or before this one from which decryption may begin.
    pub(super) const fn start_of_block(offset: u32) -> u32 {
        offset - offset % BLOCK_BYTES
    }

    fn unbound(&self) -> UnboundCipherKey {
        UnboundCipherKey::new(&AES_256, &self.0).expect("32 bytes are a key of AES-256")
    }
}

impl Salt {
    /// Reads what [`Salt::as_bytes`] gives.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Salt(bytes)
    }

    /// For keeping it, where nobody else can read.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ChunkKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ChunkKey")
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Salt")
    }
}
