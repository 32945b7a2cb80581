//! A folder as a zip archive, as the API takes code.
//!
//! Deterministic: names in order, one date for all, modes kept; so the same folder has the same digest, and deploying
//! it twice is no change.

use std::fs;
use std::io::{self, Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(crate) fn of_folder(folder: &Path) -> io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    add(&mut archive, folder, "")?;
    Ok(archive.finish()?.into_inner())
}

fn add(archive: &mut ZipWriter<Cursor<Vec<u8>>>, folder: &Path, prefix: &str) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            let text = format!("{} has a name that is not UTF-8", entry.path().display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        };
        let name = format!("{prefix}{name}");
        let metadata = fs::symlink_metadata(entry.path())?;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(metadata.permissions().mode() & 0o777);
        if metadata.is_symlink() {
            let target = fs::read_link(entry.path())?;
            archive.add_symlink(name, target.to_string_lossy(), options)?;
        } else if metadata.is_dir() {
            archive.add_directory(format!("{name}/"), options)?;
            add(archive, &entry.path(), &format!("{name}/"))?;
        } else if metadata.is_file() {
            archive.start_file(name, options)?;
            archive.write_all(&fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_image::{Limits, unpack_zip};

    #[test]
    fn what_is_packed_is_unpacked_the_same_and_twice_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let code = folder.path().join("code");
        fs::create_dir_all(code.join("lib/empty")).unwrap();
        fs::write(code.join("bootstrap"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(code.join("bootstrap"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(code.join("lib/a.txt"), "a".repeat(10_000)).unwrap();
        std::os::unix::fs::symlink("lib/a.txt", code.join("link")).unwrap();

        let archive = of_folder(&code).unwrap();
        assert_eq!(archive, of_folder(&code).unwrap());
        let path = folder.path().join("code.zip");
        fs::write(&path, &archive).unwrap();
        let unpacked = folder.path().join("unpacked");
        unpack_zip(&path, &unpacked, Limits::default()).unwrap();
        assert_eq!(fs::read(unpacked.join("lib/a.txt")).unwrap().len(), 10_000);
        assert_eq!(fs::read_link(unpacked.join("link")).unwrap(), Path::new("lib/a.txt"));
        assert!(unpacked.join("lib/empty").is_dir());
        assert_eq!(fs::metadata(unpacked.join("bootstrap")).unwrap().permissions().mode() & 0o777, 0o755);
    }
}
