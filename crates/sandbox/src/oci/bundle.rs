//! What a runtime is given of one container: a folder with `config.json` and `rootfs`.
//!
//! `rootfs` is a skeleton: links, small files, and empty files and folders to be mounted on. Each container has its own, as
//! what is only there to be mounted on can be seen by others too, and tells names.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use firesteel_sandbox_init::layout;

use super::config::{Config, INIT, TREE};
use crate::system;

/// Removed when dropped.
#[derive(Debug)]
pub(super) struct Bundle {
    folder: PathBuf,
}

impl Bundle {
    /// Makes `folder`, about a millisecond.
    pub(super) fn make(folder: PathBuf, config: &Config<'_>, resolv_conf: &str) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        let bundle = Bundle { folder };
        let rootfs = bundle.folder.join("rootfs");
        bundle.make_rootfs(&rootfs, config, resolv_conf)?;
        // Whatever the mask of this process is: the guest is another user.
        fs::set_permissions(&rootfs, fs::Permissions::from_mode(0o755))?;
        fs::write(bundle.folder.join("config.json"), serde_json::to_vec(&config.json(&system::shown())?)?)?;
        Ok(bundle)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn make_rootfs(&self, rootfs: &Path, config: &Config<'_>, resolv_conf: &str) -> io::Result<()> {
        for folder in layout::FOLDERS {
            make_folder(rootfs, Path::new(folder))?;
        }
        for path in system::shown() {
            let Ok(found) = fs::symlink_metadata(&path) else { continue };
            if found.is_symlink() {
                let place = make_parent(rootfs, &path)?;
                symlink(fs::read_link(&path)?, place)?;
            } else {
                make_place(rootfs, &path, &found)?;
            }
        }
        for (path, content) in system::files(config.guest, resolv_conf) {
            let place = make_parent(rootfs, &path)?;
            fs::write(&place, content)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?;
        }
        make_folder(rootfs, Path::new(layout::PROCESSORS))?;
        File::create(make_parent(rootfs, Path::new(INIT))?)?;
        if config.tree.is_some() {
            make_folder(rootfs, Path::new(TREE))?;
            make_folder(rootfs, Path::new(layout::WORKSPACE))?;
        }
        for place in config.places {
            let made = fs::metadata(&place.from).and_then(|found| make_place(rootfs, &place.at, &found));
            made.map_err(|error| {
                let (from, at) = (place.from.display(), place.at.display());
                io::Error::new(error.kind(), format!("{from} cannot be put at {at}: {error}"))
            })?;
        }
        Ok(())
    }
}

/// What the same kind of thing can be mounted on.
fn make_place(rootfs: &Path, at: &Path, found: &fs::Metadata) -> io::Result<()> {
    if found.is_dir() {
        return make_folder(rootfs, at);
    }
    File::options().create(true).append(true).open(make_parent(rootfs, at)?).map(drop)
}

/// The place in `rootfs`, whose parent exists.
fn make_parent(rootfs: &Path, at: &Path) -> io::Result<PathBuf> {
    let at = at.strip_prefix("/").unwrap_or(at);
    make_folder(rootfs, at.parent().unwrap_or(Path::new("")))?;
    Ok(rootfs.join(at))
}

/// Folder by folder, as none may be followed that is a link: `rootfs` is not the root yet.
fn make_folder(rootfs: &Path, at: &Path) -> io::Result<()> {
    fs::create_dir_all(rootfs)?;
    let mut path = rootfs.to_owned();
    for part in at.strip_prefix("/").unwrap_or(at) {
        path.push(part);
        match fs::create_dir(&path) {
            Ok(()) => fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(&path)?.is_dir() {
                    return Err(io::Error::new(
                        io::ErrorKind::NotADirectory,
                        format!("/{} is no folder in a sandbox", at.display()),
                    ));
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Drop for Bundle {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "the folder of a container stays");
        }
    }
}
