//! Folders given as they are: code used in place, and layers that are copied.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::entry_path::EntryPath;
use crate::limits::{Limits, Unpacked};
use crate::staged_folder::StagedFolder;
use crate::unpack::UnpackError;

/// The size of a folder of code that is used where it lies; an error if AWS would not take it.
///
/// Links are counted by themselves and not followed. Where they lead is not judged: nothing is made of
/// the folder, and whoever wrote it could read their targets anyway.
pub fn measure(folder: &Path, limits: Limits) -> Result<Unpacked, UnpackError> {
    let mut size = Unpacked::default();
    walk(folder, limits, |path, _, metadata| {
        size.entries += 1;
        if size.entries > limits.entries {
            return Err(UnpackError::TooMany { limit: limits.entries });
        }
        if !metadata.is_dir() {
            size.bytes = size.bytes.saturating_add(metadata.len());
        }
        if !limits.allows(size.bytes) {
            return Err(UnpackError::TooLarge { entry: path.to_string(), limits });
        }
        Ok(())
    })?;
    Ok(size)
}

/// What becomes of a folder's files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Files {
    /// They belong to somebody who may change them.
    Copied,
    /// They stay as they are for as long as what is made of them.
    Shared,
}

/// Adds what is in `folder`.
pub(crate) fn add_folder(staged: &mut StagedFolder, folder: &Path, files: Files) -> Result<(), UnpackError> {
    let limits = *staged.limits();
    walk(folder, limits, |path, on_disk, metadata| {
        let read = |source| UnpackError::Read { entry: path.to_string(), source };
        let kind = metadata.file_type();
        let mode = metadata.permissions().mode();
        if kind.is_dir() {
            staged.add_folder(path, mode)
        } else if kind.is_symlink() {
            let target = fs::read_link(on_disk).map_err(read)?;
            let target = target.to_str().ok_or_else(|| read(io::ErrorKind::InvalidData.into()))?;
            staged.add_link(path, target)
        } else if kind.is_file() {
            if files == Files::Shared && staged.add_hard_link(path, on_disk, metadata.len())? {
                return Ok(());
            }
            staged.add_file(path, mode, &mut File::open(on_disk).map_err(read)?)
        } else {
            let kind = match () {
                () if kind.is_fifo() => "named pipe",
                () if kind.is_socket() => "socket",
                () if kind.is_block_device() => "block device",
                () => "character device",
            };
            Err(UnpackError::Special { entry: path.to_string(), kind })
        }
    })
}

/// Calls `visit` for everything beneath `folder`, parents before children, links not followed.
fn walk(
    folder: &Path,
    limits: Limits,
    mut visit: impl FnMut(&EntryPath, &Path, &Metadata) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let mut ahead: Vec<(EntryPath, PathBuf)> = vec![(EntryPath::root(), folder.to_owned())];
    while let Some((within, on_disk)) = ahead.pop() {
        let open = |source| UnpackError::Open { path: on_disk.clone(), source };
        for entry in fs::read_dir(&on_disk).map_err(open)? {
            let entry = entry.map_err(open)?;
            let path = within.join(&entry.file_name(), limits.path_bytes).map_err(|reason| {
                let entry = entry.file_name().to_string_lossy().escape_debug().to_string();
                UnpackError::Path { entry, reason }
            })?;
            let metadata =
                entry.metadata().map_err(|source| UnpackError::Read { entry: path.to_string(), source })?;
            visit(&path, &entry.path(), &metadata)?;
            if metadata.is_dir() {
                ahead.push((path, entry.path()));
            }
        }
    }
    Ok(())
}
