//! Keys that wrap other keys: one per tenant, and one of the deployment.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tokio::task::spawn_blocking;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::key_file::{self, MasterKey};

/// Of AES-GCM.
pub(crate) const TAG_BYTES: usize = 16;

/// Whose key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyOwner<'a> {
    /// The deployment's own, for its state.
    Deployment,
    /// A tenant's: 1 to 64 letters, digits, `-` and `_`.
    Tenant(&'a str),
}

/// A key that seals data, never stored but wrapped. Forgotten when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

/// A data key that only its vault can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// Which of the vault's keys wraps it.
    pub key_id: String,
    /// What the vault makes of it.
    pub bytes: Vec<u8>,
}

/// Wraps and unwraps keys of data. What wraps them never leaves it.
///
/// Its keys are files, `deployment.key` and `tenants/NAME.key`, which only their owner may read. One is made when
/// something is first wrapped with it; without it, all that it wraps is lost. A service that keeps keys can take the place
/// of the files behind [`KeyVault::wrap`] and [`KeyVault::unwrap`], which is why these are asynchronous and name their key.
pub struct KeyVault {
    folder: PathBuf,
    /// Those that were read before.
    keys: Mutex<HashMap<PathBuf, Arc<MasterKey>>>,
}

/// Why a key is not wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Its name cannot be that of a file.
    #[error("`{tenant}` is no name of a tenant: 1 to 64 letters, digits, - and _")]
    Tenant {
        /// As given.
        tenant: String,
    },
    /// It has no key: nothing was ever sealed for it here.
    #[error("there is no key {}", path.display())]
    NoKey {
        /// Where it would be.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("{} can be read by others: its mode is {mode:o}, and should be 600", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is no key.
    #[error("{} is not a key file", path.display())]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// What was wrapped was wrapped with another one.
    #[error("wrapped with key {wrapped_with}, but the vault has {found}")]
    OtherKey {
        /// By its name.
        wrapped_with: String,
        /// The owner's key.
        found: String,
    },
    /// What was wrapped was changed, or is for something else.
    #[error("a key wrapped with {key_id} is not as it was wrapped")]
    NotAuthentic {
        /// Which of the vault's keys.
        key_id: String,
    },
    /// This host would not do it.
    #[error("{action} {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl KeyVault {
    /// With its files in `folder`, which is made when the first of them is.
    pub fn in_folder(folder: &Path) -> Self {
        KeyVault { folder: folder.to_owned(), keys: Mutex::default() }
    }

    /// Wraps a key for an owner. Only with the same `purpose` can it be unwrapped.
    pub async fn wrap(
        &self,
        owner: KeyOwner<'_>,
        purpose: &[u8],
        key: &DataKey,
    ) -> Result<WrappedKey, VaultError> {
        let master = self.key(owner, true).await?;
        let nonce: [u8; NONCE_LEN] = random();
        let sealed = master.key.seal(nonce, purpose, &key.0);
        Ok(WrappedKey { key_id: master.id.clone(), bytes: [&nonce[..], &sealed].concat() })
    }

    /// The key that was wrapped for the owner and the purpose.
    pub async fn unwrap(
        &self,
        owner: KeyOwner<'_>,
        purpose: &[u8],
        wrapped: &WrappedKey,
    ) -> Result<DataKey, VaultError> {
        let master = self.key(owner, false).await?;
        if master.id != wrapped.key_id {
            let found = master.id.clone();
            return Err(VaultError::OtherKey { wrapped_with: wrapped.key_id.clone(), found });
        }
        let opened = wrapped.bytes.split_first_chunk().and_then(|(nonce, sealed)| {
            let opened = master.key.open(*nonce, purpose, sealed)?;
            Some(DataKey(opened.as_slice().try_into().ok()?))
        });
        opened.ok_or_else(|| VaultError::NotAuthentic { key_id: wrapped.key_id.clone() })
    }

    async fn key(&self, owner: KeyOwner<'_>, make: bool) -> Result<Arc<MasterKey>, VaultError> {
        let path = match owner {
            KeyOwner::Deployment => self.folder.join("deployment.key"),
            KeyOwner::Tenant(name) => {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                if !(1..=64).contains(&name.len()) || !name.bytes().all(allowed) {
                    return Err(VaultError::Tenant { tenant: name.to_owned() });
                }
                self.folder.join("tenants").join(format!("{name}.key"))
            }
        };
        if let Some(known) = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(&path) {
            return Ok(Arc::clone(known));
        }
        let wanted = path.clone();
        let read =
            spawn_blocking(
                move || if make { key_file::read_or_make(&wanted) } else { key_file::read(&wanted) },
            );
        let key = Arc::new(read.await.map_err(|ended| VaultError::Disk {
            action: "reading",
            path: path.clone(),
            source: io::Error::other(ended),
        })??);
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(path, Arc::clone(&key));
        Ok(key)
    }
}

impl DataKey {
    /// A new one.
    pub fn draw() -> Self {
        DataKey(random())
    }

    pub(super) const fn from_bytes(bytes: [u8; 32]) -> Self {
        DataKey(bytes)
    }

    /// Ciphertext and tag. The key may never seal anything else: its nonce is zero.
    pub(super) fn seal_once(&self, readable: &[u8], secret: &[u8]) -> Vec<u8> {
        self.seal([0; NONCE_LEN], readable, secret)
    }

    /// What was sealed, if it and what was readable are unchanged.
    pub(super) fn open_once(&self, readable: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.open([0; NONCE_LEN], readable, sealed)
    }

    /// Nonce, ciphertext and tag, for a key that seals more than once.
    pub(crate) fn seal_again(&self, readable: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        [&nonce[..], &self.seal(nonce, readable, secret)].concat()
    }

    /// What [`DataKey::seal_again`] sealed, if it and what was readable are unchanged.
    pub(crate) fn open_again(&self, readable: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        self.open(*nonce, readable, sealed)
    }

    fn seal(&self, nonce: [u8; NONCE_LEN], readable: &[u8], secret: &[u8]) -> Vec<u8> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Encrypted where it is: no plaintext is left behind.
        let mut sealed = Vec::with_capacity(secret.len() + TAG_BYTES);
        sealed.extend_from_slice(secret);
        let done = self.cipher().seal_in_place_append_tag(nonce, Aad::from(readable), &mut sealed);
        done.expect("what is sealed is far shorter than the cipher allows");
        sealed
    }

    fn open(&self, nonce: [u8; NONCE_LEN], readable: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = self.cipher().open_in_place(nonce, Aad::from(readable), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.0).expect("32 bytes are a key of AES-256"))
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

impl fmt::Debug for DataKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DataKey")
    }
}

/// Without keys.
impl fmt::Debug for KeyVault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KeyVault").field("folder", &self.folder).finish_non_exhaustive()
    }
}
