//! What a path given as code is.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A path that can be made into a function's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Package {
    /// Code as it lies on disk, used in place.
    Folder(PathBuf),
    /// A zip archive, whatever it is called (`.jar` is one too).
    Zip(PathBuf),
    /// A program to be run as `bootstrap`.
    Executable(PathBuf),
}

/// Why a path is no package. The mistake of whoever gave it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing is there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// Something is there that may not be looked at.
    #[error("reading {}", path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Called `.zip`, but it does not begin as one.
    #[error("{} is not a zip archive, despite its name", path.display())]
    NotAZip {
        /// As given.
        path: PathBuf,
    },
    /// A program that may not be run.
    #[error("{} is a program without the executable bit; set it with `chmod +x`", path.display())]
    NotExecutable {
        /// As given.
        path: PathBuf,
    },
    /// A source file, a text, a device …
    #[error("{} is neither a folder, nor a zip archive, nor a program; for a source file, give its folder", path.display())]
    NotAPackage {
        /// As given.
        path: PathBuf,
    },
}

impl Package {
    /// Tells what `path` is, by its first bytes rather than its name. Links are followed.
    ///
    /// Archives go before programs, so that one on a file system where everything carries the x bit is
    /// still an archive; a program is known by its bytes *and* its x bit.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { path: path.to_owned() },
            _ => unreadable(source),
        })?;
        if metadata.is_dir() {
            fs::read_dir(path).map_err(unreadable)?;
            return Ok(Package::Folder(path.to_owned()));
        }
        // Opening a pipe would wait for its other end.
        if !metadata.is_file() {
            return Err(OpenError::NotAPackage { path: path.to_owned() });
        }
        let mut head = Vec::new();
        File::open(path).and_then(|file| file.take(4).read_to_end(&mut head)).map_err(unreadable)?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        match Magic::of(&head) {
            Magic::Zip => Ok(Package::Zip(path.to_owned())),
            Magic::Program if executable => Ok(Package::Executable(path.to_owned())),
            Magic::Program => Err(OpenError::NotExecutable { path: path.to_owned() }),
            Magic::Other if path.extension().is_some_and(|extension| extension == "zip") => {
                Err(OpenError::NotAZip { path: path.to_owned() })
            }
            Magic::Other => Err(OpenError::NotAPackage { path: path.to_owned() }),
        }
    }
}

#[derive(Debug)]
enum Magic {
    Zip,
    Program,
    Other,
}

impl Magic {
    fn of(head: &[u8]) -> Self {
        match head {
            // A first entry, or the end of an archive without any.
            [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Magic::Zip,
            [0x7f, b'E', b'L', b'F'] | [b'#', b'!', ..] => Magic::Program,
            // Mach-O of either width and byte order, and of several architectures in one.
            [0xcf | 0xce, 0xfa, 0xed, 0xfe] | [0xfe, 0xed, 0xfa, 0xce | 0xcf] | [0xca, 0xfe, 0xba, 0xbe] => {
                Magic::Program
            }
            _ => Magic::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn file(folder: &TempDir, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn packages_are_known_by_their_bytes() {
        let folder = TempDir::new().unwrap();
        assert_eq!(Package::open(folder.path()).unwrap(), Package::Folder(folder.path().into()));
        let zip = file(&folder, "code.bin", b"PK\x03\x04...", 0o777);
        assert_eq!(Package::open(&zip).unwrap(), Package::Zip(zip));
        let empty = file(&folder, "empty", b"PK\x05\x06\0\0", 0o644);
        assert_eq!(Package::open(&empty).unwrap(), Package::Zip(empty));
        let script = file(&folder, "script", b"#!/bin/sh\n", 0o755);
        assert_eq!(Package::open(&script).unwrap(), Package::Executable(script));
        let elf = file(&folder, "program.zip", b"\x7fELF\x02", 0o755);
        assert_eq!(Package::open(&elf).unwrap(), Package::Executable(elf));
    }

    #[test]
    fn what_is_no_package_is_told_apart() {
        let folder = TempDir::new().unwrap();
        let open = |path: &Path| Package::open(path).unwrap_err();
        assert!(matches!(open(&folder.path().join("none")), OpenError::Missing { .. }));
        assert!(matches!(open(Path::new("/dev/null")), OpenError::NotAPackage { .. }));
        assert!(matches!(open(&file(&folder, "a.zip", b"oops", 0o755)), OpenError::NotAZip { .. }));
        assert!(matches!(open(&file(&folder, "a.py", b"x=1\n", 0o755)), OpenError::NotAPackage { .. }));
        assert!(matches!(open(&file(&folder, "e", b"", 0o755)), OpenError::NotAPackage { .. }));
        assert!(matches!(open(&file(&folder, "p", b"#!/bin/sh", 0o644)), OpenError::NotExecutable { .. }));
        let inside_a_file = folder.path().join("p").join("x");
        assert!(matches!(open(&inside_a_file), OpenError::Unreadable { .. }));
    }
}
