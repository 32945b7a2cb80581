//! Where a symbolic link inside a package leads.
//!
//! The question is answered on the list of what the folder will contain, before any link exists on
//! disk, and in the kernel's manner: a link met on the way is followed before the next part of the
//! path is looked at, so `a -> sub/link`, `link -> ..` and `b -> a/..` are judged together. A link to
//! nothing is allowed as long as the path to it stays inside.

use std::collections::VecDeque;
use std::ffi::OsString;

use crate::entry_path::EntryPath;

/// As many as the kernel follows before it answers `ELOOP`.
const MAX_HOPS: usize = 40;

/// Why a symbolic link is not allowed in a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// No target at all.
    #[error("the target is empty")]
    Empty,
    /// No path can contain one.
    #[error("the target contains a NUL byte")]
    Nul,
    /// Would mean another file on this host than on AWS.
    #[error("the target is absolute")]
    Absolute,
    /// See [`Limits::path_bytes`](crate::Limits::path_bytes).
    #[error("the target is longer than {limit} bytes")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// By itself or through other links.
    #[error("the target lies outside the package")]
    Escapes,
    /// It leads through itself, or through more than 40 other links.
    #[error("the target cannot be reached: too many links on the way")]
    Loop,
}

/// What can be said of a target without knowing the rest of the package.
pub(crate) fn check_target(target: &str, limit: usize) -> Result<(), BadLink> {
    if target.is_empty() {
        return Err(BadLink::Empty);
    }
    if target.contains('\0') {
        return Err(BadLink::Nul);
    }
    if target.starts_with('/') {
        return Err(BadLink::Absolute);
    }
    if target.len() > limit {
        return Err(BadLink::TooLong { limit });
    }
    Ok(())
}

/// Follows `link` to its end. `target_of` tells the target of whatever in the package is a link.
pub(crate) fn check_inside<'a>(
    link: &EntryPath,
    target: &'a str,
    target_of: impl Fn(&EntryPath) -> Option<&'a str>,
) -> Result<(), BadLink> {
    let folder = link.as_path().parent().map(|parent| parent.iter().map(OsString::from).collect());
    let mut place: Vec<OsString> = folder.unwrap_or_default();
    let mut ahead: VecDeque<&str> = target.split('/').collect();
    let mut hops = 0;
    while let Some(part) = ahead.pop_front() {
        match part {
            "" | "." => {}
            ".." => {
                place.pop().ok_or(BadLink::Escapes)?;
            }
            name => {
                place.push(name.into());
                if let Some(target) = target_of(&EntryPath::from_names(&place)) {
                    hops += 1;
                    if hops == MAX_HOPS {
                        return Err(BadLink::Loop);
                    }
                    place.pop();
                    for part in target.rsplit('/') {
                        ahead.push_front(part);
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fate of the first of these links.
    fn fate(links: &[(&str, &'static str)]) -> Result<(), BadLink> {
        let paths: Vec<_> =
            links.iter().map(|(path, target)| (EntryPath::parse(path, 1024).unwrap(), *target)).collect();
        let target_of =
            |place: &EntryPath| paths.iter().find(|(path, _)| path == place).map(|(_, target)| *target);
        check_inside(&paths[0].0, paths[0].1, target_of)
    }

    #[test]
    fn links_may_point_anywhere_inside() {
        for (link, target) in [
            ("a", "b"),
            ("a", "./b/../c"),
            ("lib/libx.so", "libx.so.1"),
            ("lib/libx.so", "../other/missing"),
            ("a/b/c", "../../x"),
            ("a", "."),
        ] {
            assert_eq!(fate(&[(link, target)]), Ok(()), "{link} -> {target}");
        }
    }

    #[test]
    fn links_may_not_point_out() {
        for (link, target) in [("a", ".."), ("a", "../x"), ("a/b", "../../x"), ("a", "b/../../x")] {
            assert_eq!(fate(&[(link, target)]), Err(BadLink::Escapes), "{link} -> {target}");
        }
    }

    #[test]
    fn links_are_followed_through_links() {
        // Lexically `a` stays inside: `deep/up/..` reads as `deep`.
        assert_eq!(fate(&[("a", "deep/up/.."), ("deep/up", "..")]), Err(BadLink::Escapes));
        assert_eq!(fate(&[("a", "deep/up/x"), ("deep/up", "..")]), Ok(()));
        assert_eq!(fate(&[("a", "b/../.."), ("b", "c/d/e")]), Ok(()));
        assert_eq!(fate(&[("a", "b/../../.."), ("b", "c/d")]), Err(BadLink::Escapes));
    }

    #[test]
    fn loops_end() {
        assert_eq!(fate(&[("a", "a")]), Err(BadLink::Loop));
        assert_eq!(fate(&[("a", "b/b/b"), ("b", "a/a/a")]), Err(BadLink::Loop));
    }

    #[test]
    fn targets_are_checked_by_themselves() {
        assert_eq!(check_target("a/b", 5), Ok(()));
        assert_eq!(check_target("", 5), Err(BadLink::Empty));
        assert_eq!(check_target("/a", 5), Err(BadLink::Absolute));
        assert_eq!(check_target("a\0", 5), Err(BadLink::Nul));
        assert_eq!(check_target("abcdef", 5), Err(BadLink::TooLong { limit: 5 }));
    }
}
