//! What layers over layers make.

use crate::archives::Tar;
use crate::{Kind, files, flat, paths};

fn content(tars: Vec<Vec<u8>>, path: &str) -> Vec<u8> {
    match &files(tars)[path.as_bytes()].kind {
        Kind::File(content) => content.clone(),
        kind => panic!("{path} is {kind:?}"),
    }
}

#[test]
fn no_layers_are_an_empty_root() {
    assert_eq!(paths(Vec::new()), [""; 0]);
    assert_eq!(paths(vec![Vec::new()]), [""; 0]);
    assert_eq!(paths(vec![Tar::new().finish()]), [""; 0]);
}

#[test]
fn the_last_entry_of_a_path_counts() {
    let tar = Tar::new().file("a", "first").directory("b").file("b/c", "").file("a", "second").file("b", "");
    assert_eq!(content(vec![tar.clone().finish()], "a"), b"second");
    assert_eq!(paths(vec![tar.finish()]), ["a", "b"]);
    let tar = Tar::new().file("a", "").file("a/b", "x");
    assert_eq!(paths(vec![tar.finish()]), ["a", "a/b"]);
}

#[test]
fn a_directory_may_come_after_what_is_in_it() {
    let tar = Tar::new().file("a/b", "").mode(0o700).owner(1, 2).mtime(3).directory("./a/").finish();
    let seen = &files(vec![tar])[&b"a"[..]];
    assert_eq!((seen.permissions, seen.uid, seen.gid, seen.mtime), (0o700, 1, 2, (3, 0)));
}

#[test]
fn missing_directories_are_made() {
    let seen = &files(vec![Tar::new().owner(5, 5).file("a/b/c", "").finish()])[&b"a/b"[..]];
    assert_eq!((seen.permissions, seen.uid, seen.gid, seen.mtime), (0o755, 0, 0, (0, 0)));
}

#[test]
fn the_root_is_described_by_an_entry_of_its_own() {
    for name in ["./", "/", "."] {
        let tar = Tar::new().mode(0o711).owner(7, 8).directory(name).finish();
        let root = &files(vec![tar])[&b""[..]];
        assert_eq!((root.permissions, root.uid, root.gid, root.links), (0o711, 7, 8, 2), "{name}");
    }
}

#[test]
fn a_directory_over_a_directory_keeps_what_is_in_it_and_changes_what_it_is() {
    let below = Tar::new().mode(0o700).directory("a").file("a/x", "1").finish();
    let described = Tar::new().mode(0o711).directory("a").file("a/y", "2").finish();
    let implied = Tar::new().file("a/y", "2").finish();
    for (above, mode) in [(described, 0o711), (implied, 0o700)] {
        let files = files(vec![below.clone(), above]);
        assert_eq!(files[&b"a"[..]].permissions, mode);
        assert_eq!(files.len(), 4);
    }
}

#[test]
fn files_and_directories_take_each_others_place() {
    let file = Tar::new().file("a", "").finish();
    let directory = Tar::new().file("a/b", "").finish();
    assert_eq!(paths(vec![file.clone(), directory.clone()]), ["a", "a/b"]);
    assert_eq!(paths(vec![directory.clone(), file.clone()]), ["a"]);
    assert_eq!(paths(vec![directory.clone(), file, directory]), ["a", "a/b"]);
}

#[test]
fn whiteouts_are_of_lower_layers_only() {
    let below = Tar::new().file("a/x", "").file("a/y/z", "").file("b", "").finish();
    let cases: [(Tar, &[&str]); 8] = [
        (Tar::new().file("a/.wh.x", ""), &["a", "a/y", "a/y/z", "b"]),
        (Tar::new().file("a/.wh.y", ""), &["a", "a/x", "b"]),
        (Tar::new().file(".wh.a", ""), &["b"]),
        (Tar::new().file(".wh.a", "").file("a/n", ""), &["a", "a/n", "b"]),
        (Tar::new().file("a/n", "").file(".wh.a", ""), &["a", "a/n", "b"]),
        (Tar::new().file("b", "").file(".wh.b", ""), &["a", "a/x", "a/y", "a/y/z", "b"]),
        (Tar::new().file(".wh.nothing", ""), &["a", "a/x", "a/y", "a/y/z", "b"]),
        (
            Tar::new().file(".wh..wh.plnk/1.2", "").file(".wh..wh.aufs", ""),
            &["a", "a/x", "a/y", "a/y/z", "b"],
        ),
    ];
    for (above, expected) in cases {
        assert_eq!(paths(vec![below.clone(), above.finish()]), expected);
    }
}

#[test]
fn opaque_directories_hide_what_lower_layers_have_in_them() {
    let below =
        Tar::new().mode(0o700).directory("a").file("a/x", "").file("a/y/z", "").file("b", "").finish();
    for above in [
        Tar::new().file("a/n", "").file("a/.wh..wh..opq", ""),
        Tar::new().file("a/.wh..wh..opq", "").file("a/n", ""),
    ] {
        let files = files(vec![below.clone(), above.finish()]);
        assert_eq!(files.keys().skip(1).collect::<Vec<_>>(), [&b"a"[..], b"a/n", b"b"]);
        assert_eq!(files[&b"a"[..]].permissions, 0o700);
    }
    let root = Tar::new().file(".wh..wh..opq", "").file("n", "").finish();
    assert_eq!(paths(vec![below.clone(), root.clone()]), ["n"]);
    let back = Tar::new().file("a/m", "").finish();
    assert_eq!(paths(vec![below, root, back]), ["a", "a/m", "n"]);
}

#[test]
fn hard_links_are_one_file_across_layers() {
    let below = Tar::new().file("a/x", "one").finish();
    let above = Tar::new().hard_link("b", "./a/x").hard_link("c", "/b").hard_link("b", "b").finish();
    let seen = files(vec![below.clone(), above.clone()]);
    assert!([&b"a/x"[..], b"b", b"c"].iter().all(|path| seen[*path].links == 3));
    // The target is found as it was below, whether or not this layer deletes it.
    let moved = Tar::new().file(".wh.a", "").hard_link("b", "a/x").finish();
    let seen = files(vec![below.clone(), moved]);
    assert_eq!(seen[&b"b"[..]].links, 1);
    assert_eq!(seen[&b"b"[..]].kind, Kind::File(b"one".to_vec()));
    // A later layer replaces one name of several.
    let replaced = Tar::new().file("b", "two").finish();
    let seen = files(vec![below, above, replaced]);
    assert_eq!((seen[&b"c"[..]].links, seen[&b"b"[..]].links), (2, 1));
}

#[test]
fn a_hard_link_may_come_before_its_target() {
    let tar = Tar::new().hard_link("a", "b").file("b", "x").finish();
    assert_eq!(files(vec![tar])[&b"a"[..]].links, 2);
    let overwritten = Tar::new().hard_link("a", "b").file("b", "x").file("a", "y").finish();
    assert_eq!(content(vec![overwritten], "a"), b"y");
}

#[test]
fn hard_links_to_symbolic_links_are_links() {
    let seen = files(vec![Tar::new().symlink("a", "x").hard_link("b", "a").finish()]);
    assert_eq!((seen[&b"b"[..]].links, &seen[&b"b"[..]].kind), (2, &Kind::Symlink(b"x".to_vec())));
}

#[test]
fn paths_lead_through_symbolic_links_within_the_image() {
    let base = Tar::new().file("usr/lib/x", "").symlink("lib", "usr/lib").symlink("l2", "/lib").finish();
    for above in ["lib/y", "l2/y"] {
        let files = files(vec![base.clone(), Tar::new().file(above, "new").finish()]);
        assert_eq!(files[&b"usr/lib/y"[..]].kind, Kind::File(b"new".to_vec()), "{above}");
        assert_eq!(files[&b"lib"[..]].kind, Kind::Symlink(b"usr/lib".to_vec()));
    }
    let within_a_layer = Tar::new().symlink("s", "a/../../../b/.").file("s/x", "").finish();
    assert_eq!(paths(vec![within_a_layer]), ["a", "b", "b/x", "s"]);
    // A layer that says that it is a directory makes it one.
    let described = Tar::new().directory("lib").file("lib/y", "").finish();
    assert_eq!(paths(vec![base.clone(), described]), ["l2", "lib", "lib/y", "usr", "usr/lib", "usr/lib/x"]);
    let deleting = Tar::new().file("lib/.wh.x", "").finish();
    assert_eq!(paths(vec![base, deleting]), ["l2", "lib", "usr", "usr/lib"]);
}

#[test]
fn links_in_links_of_nested_directories_are_followed() {
    let base = Tar::new().symlink("a/b", "/c").symlink("c/d", "../e").file("e/f/x", "").finish();
    let above = Tar::new().file("a/b/d/f/y", "").file("a/b/z", "").finish();
    assert_eq!(paths(vec![base, above]), ["a", "a/b", "c", "c/d", "c/z", "e", "e/f", "e/f/x", "e/f/y"]);
}

#[test]
fn devices_are_left_out_and_hide_what_is_below() {
    let below = Tar::new().file("dev/a", "").file("dev/b", "").finish();
    let above = Tar::new()
        .entry(b'3', b"dev/a", b"", b"")
        .entry(b'4', b"dev/c", b"", b"")
        .hard_link("dev/d", "dev/c")
        .entry(b'6', b"dev/fifo", b"", b"")
        .finish();
    let files = files(vec![below, above]);
    assert_eq!(files.keys().collect::<Vec<_>>(), [&b""[..], b"dev", b"dev/b", b"dev/fifo"]);
    assert_eq!(files[&b"dev/fifo"[..]].kind, Kind::Fifo);
}

#[test]
fn the_order_of_entries_does_not_matter_where_they_are_of_different_paths() {
    let one = Tar::new().mode(0o700).directory("a").file("a/b", "x").file("a/c", "y").symlink("d", "a");
    let other = Tar::new().symlink("d", "a").file("a/c", "y").file("./a/b", "x").mode(0o700).directory("a/");
    assert_eq!(flat(vec![one.finish()]), flat(vec![other.finish()]));
}
