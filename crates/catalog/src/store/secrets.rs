//! Environment variables at rest: AES-256-GCM under a key of this data folder.
//!
//! ```text
//! sealed value:  format (1 byte, 1) · nonce (12) · ciphertext · tag (16)
//! ```
//!
//! Nonces are random: with one key, 2³² values can be sealed before two equal ones become likely enough to
//! matter, which is more writes than the file will see. The name of the function is authenticated, so that
//! a value moved to another function's row does not open.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;

use super::open::OpenError;

pub(super) const KEY_FILE: &str = "catalog.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const FORMAT: u8 = 1;

/// The key of one data folder. Says nothing of itself when printed.
pub(super) struct Key(RandomizedNonceKey);

/// A sealed value was not made with this key and for this owner, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed with another key, or damaged")]
pub(super) struct Unsealable;

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

impl Key {
    /// A key that no file holds, for a store that leaves nothing behind.
    pub(super) fn ephemeral() -> Self {
        Key::new(&random_bytes())
    }

    fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Key(RandomizedNonceKey::new(&AES_256_GCM, bytes).expect("the key has the algorithm's length"))
    }

    /// The key of a folder, made when there is none.
    ///
    /// `needed` says that something was sealed with it already: then a missing one is an error, for a new
    /// one would open none of it.
    pub(super) fn of_folder(folder: &Path, needed: bool) -> Result<Self, OpenError> {
        let path = folder.join(KEY_FILE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match needed {
                    true => Err(OpenError::KeyMissing { path }),
                    false => Key::create(folder, &path).map_err(|source| OpenError::Key { path, source }),
                };
            }
            Err(source) => return Err(OpenError::Key { path, source }),
        };
        let mut text = Vec::new();
        let read = file.metadata().and_then(|metadata| {
            file.read_to_end(&mut text)?;
            Ok(metadata.permissions().mode())
        });
        match read {
            Err(source) => Err(OpenError::Key { path, source }),
            Ok(mode) if mode & 0o077 != 0 => Err(OpenError::KeyExposed { path, mode: mode & 0o777 }),
            Ok(_) => match text.as_slice().try_into() {
                Ok(bytes) => Ok(Key::new(bytes)),
                Err(_) => Err(OpenError::KeyLength { path, bytes: text.len() }),
            },
        }
    }

    /// Written aside, synced and renamed: after a crash there is a whole key or none.
    fn create(folder: &Path, path: &Path) -> io::Result<Self> {
        let bytes = random_bytes();
        let aside = path.with_extension("key.new");
        if let Err(error) = fs::remove_file(&aside)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        File::open(folder)?.sync_all()?;
        Ok(Key::new(&bytes))
    }

    /// `owner` has to be given again to open the value.
    pub(super) fn seal(&self, owner: &str, plain: &[u8]) -> Vec<u8> {
        let mut text = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(owner), &mut text)
            .expect("a value of some kilobytes can always be sealed");
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + text.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        sealed
    }

    /// The value that was sealed for `owner`.
    pub(super) fn open(&self, owner: &str, sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let (&format, rest) = sealed.split_first().ok_or(Unsealable)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Unsealable)?;
        if format != FORMAT {
            return Err(Unsealable);
        }
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain_bytes =
            self.0.open_in_place(nonce, Aad::from(owner), &mut text).map_err(|_| Unsealable)?.len();
        text.truncate(plain_bytes);
        Ok(text)
    }
}

fn random_bytes() -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    rand::fill(&mut bytes).expect("the system has a source of randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_with_the_same_key_for_the_same_owner_only() {
        let key = Key::ephemeral();
        let sealed = key.seal("f", b"secret");
        assert_eq!(key.open("f", &sealed).unwrap(), b"secret");
        assert_eq!(key.open("g", &sealed), Err(Unsealable));
        assert_eq!(Key::ephemeral().open("f", &sealed), Err(Unsealable));
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, key.seal("f", b"secret"), "a nonce is used once");
    }

    #[test]
    fn no_changed_or_shortened_value_opens() {
        let key = Key::ephemeral();
        let sealed = key.seal("f", b"secret");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key.open("f", &changed), Err(Unsealable), "byte {index}");
            assert_eq!(key.open("f", &sealed[..index]), Err(Unsealable), "first {index} bytes");
        }
    }

    #[test]
    fn a_folder_keeps_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = Key::of_folder(folder.path(), false).unwrap().seal("f", b"x");
        assert_eq!(Key::of_folder(folder.path(), true).unwrap().open("f", &sealed).unwrap(), b"x");
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_gone_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Key::of_folder(folder.path(), true).unwrap_err();
        assert!(matches!(missing, OpenError::KeyMissing { .. }), "{missing}");
        Key::of_folder(folder.path(), false).unwrap();
        let path = folder.path().join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let exposed = Key::of_folder(folder.path(), true).unwrap_err();
        assert!(matches!(exposed, OpenError::KeyExposed { mode: 0o640, .. }), "{exposed}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        let short = Key::of_folder(folder.path(), true).unwrap_err();
        assert!(matches!(short, OpenError::KeyLength { bytes: 5, .. }), "{short}");
    }
}
