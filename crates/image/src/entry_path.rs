//! A path inside a package, once it is known to stay there.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// Longest single name a file system takes.
const NAME_BYTES: usize = 255;

/// A relative path without `.`, `..` or doubled slashes. The empty one is the package's root.
///
/// Ordered by components, so everything beneath a folder directly follows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPath(PathBuf);

/// Why an entry's name is no path inside a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Nothing left once `.` and slashes are taken away.
    #[error("it is empty")]
    Empty,
    /// No file can be called so.
    #[error("it contains a NUL byte")]
    Nul,
    /// Some tools on Windows write these; whether a file name or a folder is meant cannot be known.
    #[error("it contains a backslash; folders are separated by `/` in a zip archive")]
    Backslash,
    /// Begins with `/`.
    #[error("it is absolute")]
    Absolute,
    /// Contains `..`, even where it would stay inside: no archiver writes that in good faith.
    #[error("it contains `..`")]
    Parent,
    /// See [`Limits::path_bytes`](crate::Limits::path_bytes).
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// One part between slashes is longer than 255 bytes.
    #[error("a part of it is longer than {NAME_BYTES} bytes")]
    PartTooLong,
}

impl EntryPath {
    /// The package's own folder.
    pub(crate) fn root() -> Self {
        EntryPath(PathBuf::new())
    }

    /// Reads the name of an archive's entry. A trailing slash is dropped.
    pub(crate) fn parse(name: &str, limit: usize) -> Result<Self, BadPath> {
        if name.is_empty() {
            return Err(BadPath::Empty);
        }
        if name.contains('\0') {
            return Err(BadPath::Nul);
        }
        if name.contains('\\') {
            return Err(BadPath::Backslash);
        }
        if name.starts_with('/') {
            return Err(BadPath::Absolute);
        }
        let mut path = EntryPath::root();
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => return Err(BadPath::Parent),
                part => path = path.join(OsStr::new(part), limit)?,
            }
        }
        Ok(path)
    }

    /// The path one name deeper. `name` is a single name: no separator, not `.` or `..`.
    pub(crate) fn join(&self, name: &OsStr, limit: usize) -> Result<Self, BadPath> {
        if name.len() > NAME_BYTES {
            return Err(BadPath::PartTooLong);
        }
        let path = self.0.join(name);
        if path.as_os_str().len() > limit {
            return Err(BadPath::TooLong { limit });
        }
        Ok(EntryPath(path))
    }

    /// The path made of these single names.
    pub(crate) fn from_names(names: &[OsString]) -> Self {
        EntryPath(names.iter().collect())
    }

    pub(crate) fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    /// The folders above, from the outermost down, without the root and without itself.
    pub(crate) fn folders_above(&self) -> Vec<EntryPath> {
        let mut above: Vec<_> = self.0.ancestors().skip(1).map(|path| EntryPath(path.to_owned())).collect();
        above.pop_if(|outermost| outermost.is_root());
        above.reverse();
        above
    }

    pub(crate) fn is_beneath(&self, folder: &EntryPath) -> bool {
        self != folder && self.0.starts_with(&folder.0)
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }
}

/// Escaped: it is printed to a terminal, and a package's author chose it.
impl fmt::Display for EntryPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string_lossy().escape_debug().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        for (name, expected) in [
            ("a", Ok("a")),
            ("a/b.py", Ok("a/b.py")),
            ("./a//b/", Ok("a/b")),
            ("./", Ok("")),
            ("...", Ok("...")),
            ("a..b", Ok("a..b")),
            ("", Err(BadPath::Empty)),
            ("a\0", Err(BadPath::Nul)),
            ("a\\b", Err(BadPath::Backslash)),
            ("/etc/passwd", Err(BadPath::Absolute)),
            ("../a", Err(BadPath::Parent)),
            ("a/../b", Err(BadPath::Parent)),
            ("a/..", Err(BadPath::Parent)),
        ] {
            let parsed = EntryPath::parse(name, 1024);
            assert_eq!(
                parsed.as_ref().map(|path| path.as_path().to_str().unwrap()),
                expected.as_ref().copied()
            );
        }
    }

    #[test]
    fn lengths_are_limited_per_part_and_in_all() {
        assert!(EntryPath::parse(&"a".repeat(255), 1024).is_ok());
        assert_eq!(EntryPath::parse(&"a".repeat(256), 1024), Err(BadPath::PartTooLong));
        assert!(EntryPath::parse("ab/cd", 5).is_ok());
        assert_eq!(EntryPath::parse("ab/cde", 5), Err(BadPath::TooLong { limit: 5 }));
    }

    #[test]
    fn folders_above_go_from_the_outside_in() {
        let above = |name: &str| -> Vec<String> {
            let path = EntryPath::parse(name, 1024).unwrap();
            path.folders_above().iter().map(ToString::to_string).collect()
        };
        assert_eq!(above("a/b/c"), ["a", "a/b"]);
        assert!(above("a").is_empty());
        assert!(above("./").is_empty());
    }
}
