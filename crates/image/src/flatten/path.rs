//! Paths in an image, and the names by which layers mark deletions.

use super::error::{BadEntry, Refusal};
use super::limits::FlattenLimit;

/// Longest name that a file system takes.
pub(super) const NAME_BYTES: usize = 255;

/// A path from the image's root without empty parts, `.` and `..`, as bytes: most are UTF-8, none need be. Leading
/// slashes are dropped as container tools do, for an archive's root is the image's. The empty path is the root itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ImagePath(Vec<u8>);

impl ImagePath {
    pub(super) fn parse(raw: &[u8], limit: usize) -> Result<Self, Refusal> {
        if raw.contains(&0) {
            return Err(BadEntry::Nul.into());
        }
        let mut path = Vec::with_capacity(raw.len());
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return Err(BadEntry::Parent.into()),
                _ if part.len() > NAME_BYTES => return Err(BadEntry::NameTooLong.into()),
                _ => {}
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        if path.len() > limit {
            return Err(FlattenLimit::PathBytes(limit).into());
        }
        Ok(ImagePath(path))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Parent and name; `None` for the root.
    pub(super) fn split(&self) -> Option<(&[u8], &[u8])> {
        if self.0.is_empty() {
            return None;
        }
        Some(match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        })
    }

    pub(super) fn mark(&self) -> Result<Mark<'_>, BadEntry> {
        let Some((parent, name)) = self.split() else { return Ok(Mark::None) };
        for part in parent.split(|byte| *byte == b'/') {
            if part.starts_with(AUFS) {
                return Ok(Mark::Bookkeeping);
            }
            if part.starts_with(WHITEOUT) {
                return Err(BadEntry::Whiteout);
            }
        }
        if name == OPAQUE {
            return Ok(Mark::Opaque { directory: parent });
        }
        if name.starts_with(AUFS) {
            return Ok(Mark::Bookkeeping);
        }
        match name.strip_prefix(WHITEOUT) {
            None => Ok(Mark::None),
            Some(b"" | b"." | b"..") => Err(BadEntry::Whiteout),
            Some(name) => Ok(Mark::Whiteout { directory: parent, name }),
        }
    }
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// AUFS, from which the marks come, kept its own records under such names.
const AUFS: &[u8] = b".wh..wh.";

/// What an entry's name means beside naming it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark<'a> {
    /// Nothing: it is a file as any other.
    None,
    /// What layers below have of this name is not there any more.
    Whiteout { directory: &'a [u8], name: &'a [u8] },
    /// Nor is anything that layers below have in this directory.
    Opaque { directory: &'a [u8] },
    /// Of a file system that once held the layer, and no content.
    Bookkeeping,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<ImagePath, Refusal> {
        ImagePath::parse(raw.as_bytes(), 20)
    }

    #[test]
    fn a_path_is_kept_without_what_says_nothing() {
        for (raw, path) in [
            ("a", "a"),
            ("./a/b/", "a/b"),
            ("/a//b/.", "a/b"),
            ("./", ""),
            ("/", ""),
            ("", ""),
            (".a/..b", ".a/..b"),
        ] {
            assert_eq!(parse(raw).unwrap().as_bytes(), path.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        let long = "x".repeat(256);
        for (raw, refusal) in [
            ("a/../b", Refusal::Bad(BadEntry::Parent)),
            ("..", Refusal::Bad(BadEntry::Parent)),
            ("/../etc", Refusal::Bad(BadEntry::Parent)),
            ("a\0b", Refusal::Bad(BadEntry::Nul)),
            (long.as_str(), Refusal::Bad(BadEntry::NameTooLong)),
            ("0123456789/0123456789", Refusal::Limit(FlattenLimit::PathBytes(20))),
        ] {
            assert_eq!(parse(raw).unwrap_err(), refusal, "{raw:?}");
        }
    }

    #[test]
    fn names_that_mark_deletions_are_told_apart() {
        for (raw, mark) in [
            ("a/b", Ok(Mark::None)),
            ("a/b.wh.", Ok(Mark::None)),
            ("a/.wh.b", Ok(Mark::Whiteout { directory: b"a", name: b"b" })),
            (".wh.b", Ok(Mark::Whiteout { directory: b"", name: b"b" })),
            ("a/.wh..wh..opq", Ok(Mark::Opaque { directory: b"a" })),
            (".wh..wh.plnk/7.8", Ok(Mark::Bookkeeping)),
            (".wh..wh.aufs", Ok(Mark::Bookkeeping)),
            ("a/.wh.", Err(BadEntry::Whiteout)),
            ("a/.wh...", Err(BadEntry::Whiteout)),
            ("a/.wh.b/c", Err(BadEntry::Whiteout)),
        ] {
            assert_eq!(parse(raw).unwrap().mark(), mark, "{raw}");
        }
    }
}
