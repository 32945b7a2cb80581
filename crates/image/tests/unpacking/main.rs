//! Packages, honest and hostile, made into folders.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod crafted;
mod executables;
mod layers;
mod properties;
mod zips;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use firesteel_image::{Limits, UnpackError, Unpacked, unpack_zip};
use tempfile::TempDir;

/// A folder of its own for a test, with a neighbour that nothing may touch.
struct Workshop(TempDir);

impl Workshop {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("neighbour"), "untouched").unwrap();
        Workshop(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn unpack(&self, archive: &[u8], limits: Limits) -> Result<Unpacked, UnpackError> {
        fs::write(self.path("code.zip"), archive).unwrap();
        unpack_zip(&self.path("code.zip"), &self.path("code"), limits)
    }

    /// What [`Workshop::unpack`] made, or the error as text with all its causes.
    fn outcome(&self, archive: &[u8]) -> Result<BTreeMap<String, String>, String> {
        match self.unpack(archive, Limits::default()) {
            Ok(_) => Ok(listing(&self.path("code"))),
            Err(error) => {
                self.assert_only(&["code.zip", "neighbour"]);
                Err(chain(&error))
            }
        }
    }

    /// Nothing else is left lying about: no half-made folder, no file beside it.
    fn assert_only(&self, expected: &[&str]) {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, expected);
        assert_eq!(fs::read_to_string(self.path("neighbour")).unwrap(), "untouched");
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Every path beneath `folder` with `mode content`, `mode /` for folders or `-> target`.
fn listing(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(inner) = ahead.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let what = if metadata.is_dir() {
                ahead.push(path);
                format!("{mode:o} /")
            } else if metadata.is_symlink() {
                format!("-> {}", fs::read_link(&path).unwrap().display())
            } else {
                format!("{mode:o} {}", String::from_utf8_lossy(&fs::read(&path).unwrap()))
            };
            found.insert(name, what);
        }
    }
    found
}

#[track_caller]
fn assert_listing(actual: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    let actual: Vec<_> = actual.iter().map(|(name, what)| (name.as_str(), what.as_str())).collect();
    assert_eq!(actual, expected);
}
