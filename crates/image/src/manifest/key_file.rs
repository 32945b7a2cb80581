//! A key in a file: 64 hexadecimal digits and a line feed, mode 0600.

use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::key_vault::{DataKey, VaultError, random};

/// A key that wraps, and its name.
pub(super) struct MasterKey {
    pub(super) id: String,
    pub(super) key: DataKey,
}

impl MasterKey {
    /// The name is made from the key: a file that was swapped for another one is found out.
    fn new(bytes: [u8; 32]) -> Self {
        let id = blake3::Hasher::new_derive_key("firesteel key id 1").update(&bytes).finalize();
        MasterKey { id: id.to_hex()[..32].to_owned(), key: DataKey::from_bytes(bytes) }
    }
}

pub(super) fn read(path: &Path) -> Result<MasterKey, VaultError> {
    match found(path)? {
        Some(key) => Ok(key),
        None => Err(VaultError::NoKey { path: path.to_owned() }),
    }
}

/// Appears whole, by one link. Where two make it at once, both have the first one.
pub(super) fn read_or_make(path: &Path) -> Result<MasterKey, VaultError> {
    if let Some(key) = found(path)? {
        return Ok(key);
    }
    let folder = path.parent().expect("a key file is in a folder");
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at("making", folder))?;
    // Made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(at("writing in", folder))?;
    let key = Zeroizing::new(random::<32>());
    let digits = Zeroizing::new(blake3::Hash::from_bytes(*key).to_hex().to_string());
    writeln!(file, "{}", *digits).and_then(|()| file.as_file().sync_all()).map_err(at("writing", path))?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(lost) => return Err(at("making", path)(lost.error)),
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(at("writing in", folder))?;
    read(path)
}

fn found(path: &Path) -> Result<Option<MasterKey>, VaultError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at("opening", path)(error)),
    };
    let mode = file.metadata().map_err(at("reading", path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(VaultError::Exposed { path: path.to_owned(), mode });
    }
    let text = Zeroizing::new(io::read_to_string(file).map_err(at("reading", path))?);
    let digits = text.strip_suffix('\n').unwrap_or(&text);
    match blake3::Hash::from_hex(digits) {
        Ok(bytes) => Ok(Some(MasterKey::new(*bytes.as_bytes()))),
        Err(_) => Err(VaultError::NotAKey { path: path.to_owned() }),
    }
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VaultError {
    let path = path.to_owned();
    move |source| VaultError::Disk { action, path, source }
}
