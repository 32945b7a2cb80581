//! Tars as different archivers write them.

use crate::archives::Tar;
use crate::{Kind, files, paths};

#[test]
fn long_names_are_read_in_both_dialects() {
    let (name, target) = ("n".repeat(255), "t".repeat(300));
    let path = format!("{name}/{name}/{name}");
    let gnu = Tar::new().symlink(&path, &target).finish();
    let pax = Tar::new().pax("path", &path).pax("linkpath", &target).symlink("short", "short").finish();
    for tar in [gnu, pax] {
        let files = files(vec![tar]);
        assert_eq!(files[path.as_bytes()].kind, Kind::Symlink(target.clone().into_bytes()));
    }
}

#[test]
fn names_need_not_be_utf_8() {
    let name = [0xff, b'a', 0x80, b'\n', b'\\'];
    let files = files(vec![Tar::new().file(name, "").pax("path", [0xfe_u8]).file("x", "").finish()]);
    assert_eq!(files.keys().collect::<Vec<_>>(), [&b""[..], &[0xfe], &name]);
}

#[test]
fn pax_records_overrule_the_header() {
    let tar = Tar::new()
        .owner(1, 2)
        .mtime(3)
        .pax("uid", "4000000000")
        .pax("gid", "5")
        .pax("mtime", "1700000000.123456789")
        .pax("comment", "none")
        .pax("SCHILY.xattr.user.a", "1\n2\0")
        .pax("SCHILY.xattr.security.capability", [1_u8, 0, 0, 2])
        .pax("SCHILY.xattr.trusted.overlay.opaque", "y")
        .pax("SCHILY.xattr.system.unknown", "y")
        .pax("SCHILY.xattr.user.a", "last")
        .file("a", "")
        .file("b", "")
        .finish();
    let files = files(vec![tar]);
    let seen = &files[&b"a"[..]];
    assert_eq!((seen.uid, seen.gid, seen.mtime), (4_000_000_000, 5, (1_700_000_000, 123_456_789)));
    let xattrs: Vec<_> =
        seen.xattrs.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
    assert_eq!(xattrs, [(&b"security.capability"[..], &[1, 0, 0, 2][..]), (b"user.a", b"last")]);
    // They are of one entry.
    assert_eq!((files[&b"b"[..]].uid, files[&b"b"[..]].xattrs.len()), (0, 0));
}

#[test]
fn times_before_1970_are_kept() {
    let files = files(vec![Tar::new().pax("mtime", "-1.25").file("a", "").finish()]);
    assert_eq!(files[&b"a"[..]].mtime, (-2, 750_000_000));
}

#[test]
fn global_headers_are_passed_over() {
    let mut tar = Tar::new();
    tar.raw(b'g', b"pax_global_header", b"", b"19 comment=abcdefgh\n", 20);
    assert_eq!(paths(vec![tar.file("a", "").finish()]), ["a"]);
}

#[test]
fn sizes_of_links_and_directories_are_not_of_content() {
    let mut tar = Tar::new().file("a", "x");
    tar.raw(b'1', b"b", b"a", b"", 4096);
    tar.raw(b'5', b"c", b"", b"", 4096);
    assert_eq!(paths(vec![tar.file("d", "").finish()]), ["a", "b", "c", "d"]);
}

#[test]
fn a_slash_at_the_end_makes_a_directory_of_an_old_archives_file() {
    let files = files(vec![Tar::new().entry(0, b"a/", b"", b"").finish()]);
    assert_eq!(files[&b"a"[..]].kind, Kind::Directory);
}

#[test]
fn an_archive_may_end_with_the_file() {
    assert_eq!(paths(vec![Tar::new().file("a", "x").unfinished()]), ["a"]);
    let mut without_padding = Tar::new().file("a", "x").unfinished();
    without_padding.truncate(513);
    assert_eq!(paths(vec![without_padding]), ["a"]);
}

fn sparse_content() -> Vec<u8> {
    let mut content = vec![0; 10_000];
    content[1024..1536].fill(b'x');
    content[9216..9219].fill(b'y');
    content
}

#[test]
fn sparse_files_are_read_in_three_formats() {
    let pieces = [vec![b'x'; 512], b"yyy".to_vec()].concat();

    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_path("a").unwrap();
    header.set_size(pieces.len() as u64);
    header.set_mode(0o644);
    let fields = header.as_gnu_mut().unwrap();
    fields.set_real_size(10_000);
    for (index, (offset, bytes)) in [(1024, 512), (9216, 3), (10_000, 0)].into_iter().enumerate() {
        fields.sparse[index].set_offset(offset);
        fields.sparse[index].set_length(bytes);
    }
    header.set_cksum();
    let mut old = header.as_bytes().to_vec();
    old.extend_from_slice(&pieces);
    old.resize(old.len().next_multiple_of(512), 0);

    let middle = Tar::new()
        .pax("GNU.sparse.name", "a")
        .pax("GNU.sparse.size", "10000")
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.map", "1024,512,9216,3")
        .file("GNUSparseFile.1/a", &pieces);

    let mut mapped = b"2\n1024\n512\n9216\n3\n".to_vec();
    mapped.resize(512, 0);
    mapped.extend_from_slice(&pieces);
    let new = Tar::new()
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "a")
        .pax("GNU.sparse.realsize", "10000")
        .file("GNUSparseFile.1/a", mapped);

    for tar in [Tar::new().append(&old), middle, new] {
        let files = files(vec![tar.file("b", "next").finish()]);
        assert_eq!(files[&b"a"[..]].kind, Kind::File(sparse_content()));
        assert_eq!(files[&b"b"[..]].kind, Kind::File(b"next".to_vec()));
        assert_eq!(files.len(), 3);
    }
}
