use std::fs;

use firesteel_image::Limits;
use proptest::prelude::*;

use crate::Workshop;
use crate::crafted::{Entry, archive};

/// Names and targets made of the parts that matter, so that they meet each other often.
fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => Just("a"), 4 => Just("b"), 2 => Just(".."), 1 => Just("."), 1 => Just(""), 1 => Just("\\"),
        1 => Just("neighbour"), 1 => Just("\0"),
    ];
    proptest::collection::vec(part, 1..6).prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        3 => (path(), 0u32..0o200_000).prop_map(|(name, mode)| Entry::file(name, "written").mode(mode)),
        3 => path().prop_map(|name| Entry::file(name, "written")),
        1 => path().prop_map(|name| Entry::folder(&name)),
        4 => (path(), path()).prop_map(|(name, target)| Entry::link(&name, &target)),
    ]
}

/// Whatever happened, it happened inside: nothing new beside the folder, and nothing in it is or leads
/// to a place outside.
fn assert_contained(workshop: &Workshop, made: bool) {
    workshop.assert_only(if made { &["code", "code.zip", "neighbour"] } else { &["code.zip", "neighbour"] });
    if !made {
        return;
    }
    let root = workshop.path("code").canonicalize().unwrap();
    let mut ahead = vec![root.clone()];
    while let Some(folder) = ahead.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if let Ok(real) = path.canonicalize() {
                assert!(real.starts_with(&root), "{} leads to {}", path.display(), real.display());
            }
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                ahead.push(path);
            }
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_written_outside(entries in proptest::collection::vec(entry(), 1..8)) {
        let workshop = Workshop::new();
        let made = workshop.unpack(&archive(&entries), Limits::default()).is_ok();
        assert_contained(&workshop, made);
    }

    #[test]
    fn links_that_pass_one_by_one_stay_inside_together(
        links in proptest::collection::vec(("[ab](/[ab]){0,2}", "((\\.\\.|[ab])/){0,3}[ab]"), 1..6),
    ) {
        let workshop = Workshop::new();
        let entries: Vec<_> = links.iter().map(|(name, target)| Entry::link(name, target)).collect();
        let made = workshop.unpack(&archive(&entries), Limits::default()).is_ok();
        assert_contained(&workshop, made);
    }

    #[test]
    fn any_name_at_all_is_contained(name in proptest::collection::vec(any::<u8>(), 0..40)) {
        let workshop = Workshop::new();
        let made = workshop.unpack(&archive(&[Entry::file(name, "written")]), Limits::default()).is_ok();
        assert_contained(&workshop, made);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_folder(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let workshop = Workshop::new();
        let made = workshop.unpack(&bytes, Limits::default()).is_ok();
        assert_contained(&workshop, made);
    }

    #[test]
    fn an_archive_with_changed_bytes_is_an_error_or_a_folder(
        entries in proptest::collection::vec(entry(), 1..4),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let workshop = Workshop::new();
        let mut bytes = archive(&entries);
        for (index, byte) in changes {
            let place = index.index(bytes.len());
            bytes[place] = byte;
        }
        let made = workshop.unpack(&bytes, Limits::default()).is_ok();
        assert_contained(&workshop, made);
    }
}
