use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;

use firesteel_image::{Limits, UnpackError, Unpacked};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::crafted::{Entry, archive};
use crate::{Workshop, assert_listing};

#[track_caller]
fn check(entries: &[Entry], expected: &[(&str, &str)]) {
    let workshop = Workshop::new();
    assert_listing(&workshop.outcome(&archive(entries)).unwrap(), expected);
    workshop.assert_only(&["code", "code.zip", "neighbour"]);
}

#[track_caller]
fn check_refused(entries: &[Entry], expected: &str) {
    let error = Workshop::new().outcome(&archive(entries)).unwrap_err();
    assert!(error.contains(expected), "{error}");
}

/// Written by the zip crate, with `deflate`.
fn deflated(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, mode) in entries {
        writer.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn modes_come_from_the_archive() {
    check(
        &[
            Entry::file("bootstrap", "x").mode(0o100_755),
            Entry::file("data", "x").mode(0o100_640),
            Entry::folder("private/").mode(0o040_711),
            Entry::file("private/a", "x"),
        ],
        &[("bootstrap", "755 x"), ("data", "640 x"), ("private", "711 /"), ("private/a", "644 x")],
    );
}

#[test]
fn without_modes_files_are_not_executable() {
    check(
        &[
            Entry::file("bootstrap", "x").mode(0),
            Entry::folder("d/").mode(0),
            Entry::file("e/f", "x").mode(0o100_000),
        ],
        &[("bootstrap", "644 x"), ("d", "755 /"), ("e", "755 /"), ("e/f", "644 x")],
    );
}

#[test]
fn no_special_bits_survive_and_folders_stay_removable() {
    check(
        &[
            Entry::file("suid", "x").mode(0o106_755),
            Entry::folder("d/").mode(0o041_777),
            Entry::folder("locked/").mode(0o040_000 | 0o005),
        ],
        &[("d", "777 /"), ("locked", "705 /"), ("suid", "755 x")],
    );
}

#[test]
fn type_bits_may_be_missing_or_the_name_may_lack_its_slash() {
    check(
        &[Entry::file("a", "x").mode(0o600), Entry::folder("d"), Entry::file("e/", "").mode(0o100_755)],
        &[("a", "600 x"), ("d", "755 /"), ("e", "755 /")],
    );
}

#[test]
fn deflated_entries_and_odd_but_harmless_names_are_read() {
    let workshop = Workshop::new();
    let long = "text ".repeat(100_000);
    let bytes = deflated(&[("./a//b.py", long.as_bytes(), 0o644), ("ünï", b"x", 0o755)]);
    let listing = workshop.outcome(&bytes).unwrap();
    assert_listing(&listing, &[("a", "755 /"), ("a/b.py", &format!("644 {long}")), ("ünï", "755 x")]);
}

#[test]
fn an_archive_may_be_empty_or_hold_only_its_root() {
    check(&[], &[]);
    check(&[Entry::folder("./"), Entry::file("a", "")], &[("a", "644 ")]);
}

#[test]
fn bytes_before_an_archive_do_no_harm() {
    let workshop = Workshop::new();
    let bytes = [b"#!/usr/bin/env python3\n".as_slice(), &archive(&[Entry::file("a", "x")])].concat();
    assert_listing(&workshop.outcome(&bytes).unwrap(), &[("a", "644 x")]);
}

#[test]
fn the_folder_made_is_open_to_all_and_may_have_existed_empty() {
    let workshop = Workshop::new();
    fs::create_dir(workshop.path("code")).unwrap();
    let size = workshop.unpack(&archive(&[Entry::file("a/b", "four")]), Limits::default()).unwrap();
    assert_eq!(size, Unpacked { bytes: 4, entries: 2 });
    let mode = fs::metadata(workshop.path("code")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    // Now that it is not empty any more:
    let again = workshop.unpack(&archive(&[]), Limits::default());
    assert!(matches!(again, Err(UnpackError::Occupied { .. })));
    assert!(workshop.path("code/a/b").exists());
}

#[test]
fn the_later_of_two_files_with_one_path_wins() {
    check(&[Entry::file("a", "1"), Entry::file("a", "2")], &[("a", "644 2")]);
    check(&[Entry::file("a", "1"), Entry::file("./a", "2").mode(0o755)], &[("a", "755 2")]);
    check(&[Entry::link("a", "b"), Entry::file("./a", "2")], &[("a", "644 2")]);
    check(&[Entry::file("./a", "2"), Entry::link("a", "b")], &[("a", "-> b")]);
    check(
        &[Entry::file("d/a", "1"), Entry::folder("d/").mode(0o040_700), Entry::folder("./d/")],
        &[("d", "755 /"), ("d/a", "644 1")],
    );
}

#[test]
fn a_path_is_not_a_folder_and_something_else() {
    check_refused(&[Entry::file("a", "1"), Entry::file("a/b", "2")], "entry `a/b` needs `a` to be a folder");
    check_refused(&[Entry::file("a/b", "1"), Entry::file("a", "2")], "`a`");
    check_refused(&[Entry::folder("a/"), Entry::link("a", "b")], "`a`");
    // The classic: a link first, then a file through it.
    check_refused(&[Entry::link("a", "."), Entry::file("a/b", "2")], "entry `a/b` needs `a` to be a folder");
}

#[test]
fn names_that_lead_out_are_refused() {
    for (name, reason) in [
        ("../evil", "contains `..`"),
        ("a/../../evil", "contains `..`"),
        ("/etc/evil", "is absolute"),
        ("..\\evil", "backslash"),
        ("a\0b", "NUL"),
        ("", "is empty"),
        ("./", "is empty"),
    ] {
        let entry = if name == "./" { Entry::link(name, "x") } else { Entry::file(name, "x") };
        check_refused(&[Entry::file("ok", "x"), entry], reason);
    }
    check_refused(&[Entry::file("a".repeat(300), "")], "part of it is longer than 255 bytes");
    check_refused(&[Entry::file("abc/".repeat(300), "")], "longer than 1024 bytes");
}

#[test]
fn control_characters_in_names_do_not_reach_the_terminal() {
    for entries in [
        vec![Entry::file("/\x1b[31m", "")],
        vec![Entry::link("\x1b[31m", "/\x1b")],
        vec![Entry::file("\x1b[31m", ""), Entry::folder("\x1b[31m/")],
    ] {
        let error = Workshop::new().outcome(&archive(&entries)).unwrap_err();
        assert!(!error.contains('\x1b') && error.contains("\\u{1b}"), "{error:?}");
    }
}

#[test]
fn links_that_stay_inside_are_made() {
    check(
        &[
            Entry::link("current", "releases/2"),
            Entry::file("releases/2/app.py", "x"),
            Entry::link("releases/2/up", "../../current/app.py"),
            Entry::link("dangling", "nowhere"),
        ],
        &[
            ("current", "-> releases/2"),
            ("dangling", "-> nowhere"),
            ("releases", "755 /"),
            ("releases/2", "755 /"),
            ("releases/2/app.py", "644 x"),
            ("releases/2/up", "-> ../../current/app.py"),
        ],
    );
}

#[test]
fn links_that_lead_out_are_refused() {
    for target in ["/etc/passwd", "../neighbour", "sub/../../neighbour", "", "a\0b"] {
        check_refused(&[Entry::link("a", target)], "symbolic link `a`");
    }
    // Each stays inside when read by itself.
    let through = [Entry::folder("x/"), Entry::link("x/up", ".."), Entry::link("out", "x/up/../neighbour")];
    check_refused(
        &through,
        "symbolic link `out` to `x/up/../neighbour` cannot be used: the target lies outside",
    );
    // The one that is needed comes after the one that uses it.
    let [folder, up, out] = through;
    check_refused(&[folder, out, up], "symbolic link `out`");
    check_refused(&[Entry::link("a", "b"), Entry::link("b", "a")], "too many links");
}

#[test]
fn devices_pipes_and_sockets_are_refused() {
    for (mode, kind) in [
        (0o010_644, "named pipe"),
        (0o020_644, "character device"),
        (0o060_644, "block device"),
        (0o140_644, "socket"),
    ] {
        check_refused(&[Entry::file("a", "").mode(mode)], &format!("entry `a` is a {kind}"));
    }
}

#[test]
fn encrypted_and_exotically_compressed_entries_are_refused_by_name() {
    check_refused(&[Entry::file("a", "x").encrypted()], "entry `a` is encrypted");
    for (method, name) in
        [(9, "deflate64"), (12, "bzip2"), (14, "lzma"), (93, "zstd"), (95, "xz"), (77, "77")]
    {
        check_refused(&[Entry::file("a", "x").method(method)], name);
    }
}

#[test]
fn damaged_entries_are_refused() {
    check_refused(&[Entry::file("a", "x").claiming_checksum(1)], "reading entry `a`: ");
    check_refused(&[Entry::file("a", "xyz").claiming_size(1)], "reading entry `a`: ");
    check_refused(&[Entry::file("a", "\x07garbage").method(8)], "reading entry `a`: ");
}

#[test]
fn every_truncation_is_refused() {
    let whole = archive(&[Entry::file("a/b", "content"), Entry::link("c", "a/b")]);
    let workshop = Workshop::new();
    for length in 0..whole.len() {
        let error = workshop.outcome(&whole[..length]).unwrap_err();
        assert!(error.starts_with("not a readable zip archive: "), "{length}: {error}");
    }
}

#[test]
fn bytes_are_counted_as_they_are_written() {
    let limits = Limits { unpacked_bytes: 10, ..Limits::default() };
    let unpack = |entries: &[Entry], limits| {
        let workshop = Workshop::new();
        let result = workshop.unpack(&archive(entries), limits);
        workshop.assert_only(if result.is_ok() {
            &["code", "code.zip", "neighbour"]
        } else {
            &["code.zip", "neighbour"]
        });
        result
    };
    assert_eq!(unpack(&[Entry::file("a", "12345"), Entry::file("b", "12345")], limits).unwrap().bytes, 10);
    match unpack(&[Entry::file("a", "12345"), Entry::file("b", "123456")], limits).unwrap_err() {
        UnpackError::TooLarge { entry, .. } => assert_eq!(entry, "b"),
        other => panic!("{other:?}"),
    }
    // The function before it used up some.
    let after = limits.after(Unpacked { bytes: 6, entries: 1 });
    let error = unpack(&[Entry::file("a", "12345")], after).unwrap_err();
    assert_eq!(error.to_string(), "function and layers unpack to more than 10 bytes, reached at entry `a`");
    // The same path twice counts twice, as it is written twice.
    let twice = [Entry::file("a", "123456"), Entry::file("./a", "123456")];
    assert!(matches!(unpack(&twice, limits), Err(UnpackError::TooLarge { .. })));
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 40 << 20];
    let bomb = deflated(&[("bomb", &zeros, 0o644)]);
    assert!(bomb.len() < 100_000);
    let workshop = Workshop::new();
    let limits = Limits { unpacked_bytes: 1 << 20, ..Limits::default() };
    assert!(matches!(workshop.unpack(&bomb, limits), Err(UnpackError::TooLarge { .. })));
    workshop.assert_only(&["code.zip", "neighbour"]);

    // One that lies about its size gets no further either.
    let mut lying = bomb;
    let size = u32::try_from(zeros.len()).unwrap().to_le_bytes();
    let places: Vec<_> = (0..lying.len() - 4).filter(|at| lying[*at..*at + 4] == size).collect();
    assert_eq!(places.len(), 2, "local header and directory");
    for place in places {
        lying[place..place + 4].copy_from_slice(&5u32.to_le_bytes());
    }
    assert!(matches!(workshop.unpack(&lying, limits), Err(UnpackError::Read { .. })));
    workshop.assert_only(&["code.zip", "neighbour"]);
}

#[test]
fn entries_are_counted_folders_between_included() {
    let limits = Limits { entries: 3, ..Limits::default() };
    let workshop = Workshop::new();
    let deep = archive(&[Entry::file("a/b/c/d", "")]);
    assert!(matches!(workshop.unpack(&deep, limits), Err(UnpackError::TooMany { limit: 3 })));
    let many: Vec<_> = (0..4).map(|number| Entry::file(format!("{number}"), "")).collect();
    assert!(matches!(workshop.unpack(&archive(&many), limits), Err(UnpackError::TooMany { limit: 3 })));
    assert_eq!(workshop.unpack(&archive(&many[..3]), limits).unwrap().entries, 3);
}

#[test]
fn missing_archives_and_parents_are_named() {
    let workshop = Workshop::new();
    let missing =
        firesteel_image::unpack_zip(&workshop.path("none.zip"), &workshop.path("code"), Limits::default());
    assert!(missing.unwrap_err().to_string().ends_with("none.zip"));
    fs::write(workshop.path("a.zip"), archive(&[])).unwrap();
    let parentless =
        firesteel_image::unpack_zip(&workshop.path("a.zip"), &workshop.path("none/code"), Limits::default());
    assert!(matches!(parentless, Err(UnpackError::Write { .. })));
}
