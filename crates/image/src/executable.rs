//! A single program as a package: the compiled custom runtime straight from its build folder.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::entry_path::EntryPath;
use crate::limits::{Limits, Unpacked};
use crate::staged_folder::{FOLDER_MODE, StagedFolder};
use crate::unpack::UnpackError;

/// Makes a new folder `into` that contains `executable` under the name `bootstrap`.
///
/// The file is shared by a hard link where its mode and the file system allow it, else copied; so a
/// build tool that overwrites it in place instead of replacing it would change the function too.
pub fn package_from_executable(
    executable: &Path,
    into: &Path,
    limits: Limits,
) -> Result<Unpacked, UnpackError> {
    let open = |source| UnpackError::Open { path: executable.to_owned(), source };
    // A hard link to a symbolic link would be a symbolic link.
    let executable = executable.canonicalize().map_err(open)?;
    let metadata = fs::metadata(&executable).map_err(open)?;
    let bootstrap = EntryPath::parse("bootstrap", limits.path_bytes)
        .map_err(|reason| UnpackError::Path { entry: "bootstrap".to_owned(), reason })?;

    let mut staged = StagedFolder::start(into, limits)?;
    // A second name shares the mode, so it must be one the function's user can use, without extras.
    let shareable = metadata.permissions().mode() & 0o7555 == 0o555;
    if !shareable || !staged.add_hard_link(&bootstrap, &executable, metadata.len())? {
        staged.add_file(&bootstrap, FOLDER_MODE, &mut File::open(&executable).map_err(open)?)?;
    }
    staged.finish()
}
