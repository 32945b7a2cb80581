//! What is refused, and in which words.

use firesteel_image::{BadEntry, BadTar, FlattenError, FlattenLimit, FlattenLimits, flatten};

use crate::archives::Tar;
use crate::{layers, slot_buffer, told, try_flat};

fn bad_entry(tar: Tar) -> BadEntry {
    match try_flat(vec![Tar::new().file("before", "").finish(), tar.finish()]).unwrap_err() {
        FlattenError::Entry { layer, source, .. } => {
            assert_eq!(layer, "sha256:0001");
            source
        }
        error => panic!("{}", told(&error)),
    }
}

fn bad_tar(tar: Vec<u8>) -> BadTar {
    match try_flat(vec![tar]).unwrap_err() {
        FlattenError::Tar { source, .. } => source,
        error => panic!("{}", told(&error)),
    }
}

#[test]
fn entries_that_have_no_place_in_an_image() {
    let long = "x".repeat(256);
    for (tar, expected) in [
        (Tar::new().file("a/../b", ""), BadEntry::Parent),
        (Tar::new().file("../b", ""), BadEntry::Parent),
        (Tar::new().file("x", "").hard_link("a", "../x"), BadEntry::Parent),
        (Tar::new().pax("path", b"a\0b").file("a", ""), BadEntry::Nul),
        (Tar::new().file(&long, ""), BadEntry::NameTooLong),
        (Tar::new().symlink("a", &long).file("a/b", ""), BadEntry::NameTooLong),
        (Tar::new().file("", ""), BadEntry::Root),
        (Tar::new().symlink("./", "x"), BadEntry::Root),
        (Tar::new().hard_link("/", "x"), BadEntry::Root),
        (Tar::new().file("a/.wh.", ""), BadEntry::Whiteout),
        (Tar::new().file(".wh.a/b", ""), BadEntry::Whiteout),
        (Tar::new().entry(b'V', b"label", b"", b""), BadEntry::Type { code: b'V' }),
        (Tar::new().symlink("a", ""), BadEntry::SymlinkTarget),
        (Tar::new().symlink("a", "x".repeat(4096)), BadEntry::SymlinkTarget),
        (Tar::new().hard_link("a", "nothing"), BadEntry::LinkTarget),
        (Tar::new().directory("d").hard_link("a", "d"), BadEntry::LinkToDirectory),
        (Tar::new().hard_link("a", "/"), BadEntry::LinkToDirectory),
        (Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", ""), BadEntry::Loop),
        (Tar::new().symlink("a", "a/a").file("a/x", ""), BadEntry::Loop),
        (Tar::new().symlink("a", "f").file("f", "").file("a/x", ""), BadEntry::NotADirectory),
        (Tar::new().pax("SCHILY.xattr.user.a\0", "x").file("a", ""), BadEntry::Xattr),
        (Tar::new().pax("SCHILY.xattr.user.a", vec![0; 65536]).file("a", ""), BadEntry::Xattr),
    ] {
        assert_eq!(bad_entry(tar), expected);
    }
    let mut many = Tar::new();
    for index in 0..5 {
        many = many.pax(&format!("SCHILY.xattr.user.{index}"), vec![0; 60_000]);
    }
    assert_eq!(bad_entry(many.file("a", "")), BadEntry::XattrsTooLarge);
}

#[test]
fn links_of_lower_layers_that_lead_nowhere() {
    let below = Tar::new().file("file", "").symlink("a", "file").symlink("b", "b").finish();
    for (above, expected) in [
        (
            "a/x",
            "layer sha256:0001: entry `a`: a symbolic link in its path leads to something that is no directory",
        ),
        ("b/x", "layer sha256:0001: entry `b`: its path leads through too many symbolic links"),
    ] {
        let error = try_flat(vec![below.clone(), Tar::new().file(above, "").finish()]).unwrap_err();
        assert_eq!(told(&error), expected);
    }
}

#[test]
fn what_is_no_tar() {
    let tar = Tar::new().file("a", "content").file("b", "").unfinished();
    assert_eq!(bad_tar(tar[..1100].to_vec()), BadTar::Truncated);
    assert_eq!(bad_tar(tar[..515].to_vec()), BadTar::Truncated);
    assert_eq!(bad_tar(b"hello".to_vec()), BadTar::Truncated);
    assert_eq!(bad_tar(vec![b'x'; 1024]), BadTar::Checksum);
    assert_eq!(bad_tar([vec![0; 512], tar].concat()), BadTar::LoneZeroBlock);

    let mut extension = Tar::new();
    extension.raw(b'x', b"x", b"", b"", 10 << 30);
    assert_eq!(bad_tar(extension.finish()), BadTar::LongExtension { bytes: 10 << 30, limit: 1 << 20 });
    let mut extension = Tar::new();
    extension.raw(b'L', b"x", b"", b"name", 4);
    assert_eq!(bad_tar(extension.finish()), BadTar::Truncated);
    let mut extension = Tar::new();
    extension.raw(b'x', b"x", b"", b"nonsense", 8);
    assert_eq!(bad_tar(extension.finish()), BadTar::Pax);
    assert_eq!(
        bad_tar(Tar::new().pax("size", "-1").file("a", "").finish()),
        BadTar::Number { field: "size" }
    );
    assert_eq!(
        bad_tar(Tar::new().pax("uid", "4294967296").file("a", "").finish()),
        BadTar::Number { field: "uid" }
    );
}

#[test]
fn maps_of_sparse_files_that_make_no_sense() {
    let map = |map: &str, bytes: usize| {
        Tar::new()
            .pax("GNU.sparse.size", "2000")
            .pax("GNU.sparse.map", map)
            .file("a", vec![1; bytes])
            .finish()
    };
    for (text, bytes) in [
        ("0,512,100,512", 1024),
        ("0,512,1800,512", 1024),
        ("0,512", 100),
        ("0,512", 2000),
        ("0,100,200,100", 200),
        ("0,512,600", 512),
        ("18446744073709551615,1", 1),
    ] {
        assert!(matches!(bad_tar(map(text, bytes)), BadTar::SparseMap | BadTar::Number { .. }), "{text}");
    }
    let oldest = Tar::new().pax("GNU.sparse.size", "9").pax("GNU.sparse.offset", "0").file("a", "");
    assert_eq!(bad_tar(oldest.finish()), BadTar::SparseFormat);
    let endless = Tar::new()
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.realsize", "9")
        .file("a", "9\n".repeat(100));
    assert_eq!(bad_tar(endless.finish()), BadTar::SparseMap);
}

#[test]
fn limits_are_named_with_the_entry_that_exceeds_them() {
    let limits =
        FlattenLimits { content_bytes: 1000, inodes: 10, path_bytes: 20, entries: 8, metadata_bytes: 200 };
    let exceeded = |tars: Vec<Tar>| {
        let layers = layers(tars.into_iter().map(Tar::finish).collect());
        match flatten(&layers, &limits).unwrap_err() {
            FlattenError::Limit { layer, entry, limit } => (layer, entry, limit),
            error => panic!("{}", told(&error)),
        }
    };
    let two = |entry: &str, limit| ("sha256:0001".to_owned(), entry.to_owned(), limit);
    let half = Tar::new().file("a", vec![1; 600]);
    assert_eq!(exceeded(vec![half.clone(), half]), two("a", FlattenLimit::ContentBytes(1000)));
    assert_eq!(
        exceeded(vec![Tar::new(), Tar::new().file("1/2/3/4/5/6/7/8/9/0", "")]),
        two("1/2/3/4/5/6/7/8/9/0", FlattenLimit::Inodes(10))
    );
    assert_eq!(
        exceeded(vec![Tar::new(), Tar::new().file("0123456789/0123456789", "")]),
        two("0123456789/0123456789", FlattenLimit::PathBytes(20))
    );
    let mut nine = Tar::new();
    for index in 0..9 {
        nine = nine.directory("a").mode(index);
    }
    assert_eq!(exceeded(vec![Tar::new(), nine]), two("a", FlattenLimit::Entries(8)));
    assert_eq!(
        exceeded(vec![Tar::new(), Tar::new().symlink("a", "x".repeat(300))]),
        two("a", FlattenLimit::MetadataBytes(200))
    );
    // Each path is short, but links lead from one to the other.
    let chained = Tar::new().symlink("s", "aaaaaaaaa/bbbbbbb").file("s/ccc/ddddddd", "");
    assert_eq!(
        exceeded(vec![Tar::new(), chained]),
        two("aaaaaaaaa/bbbbbbb/ccc", FlattenLimit::PathBytes(20))
    );
}

/// It is kept once, but in the image as often.
#[test]
fn a_name_counts_in_every_directory_that_has_it() {
    let limits = FlattenLimits { metadata_bytes: 2000, ..FlattenLimits::default() };
    let name = "x".repeat(90);
    let tar = (0..30)
        .fold(Tar::new().file(&name, ""), |tar, number| tar.hard_link(format!("{number}/{name}"), &name));
    let error = flatten(&layers(vec![tar.finish()]), &limits).unwrap_err();
    assert!(matches!(error, FlattenError::Limit { limit: FlattenLimit::MetadataBytes(2000), .. }), "{error}");
}

#[test]
fn a_huge_sparse_file_is_refused_before_anything_is_made_of_it() {
    let bomb =
        Tar::new().pax("GNU.sparse.size", "9000000000000000000").pax("GNU.sparse.map", "").file("bomb", "");
    let error = try_flat(vec![bomb.finish()]).unwrap_err();
    assert_eq!(
        told(&error),
        "layer sha256:0000: with entry `bomb` the image exceeds its limit of 10737418240 bytes in files"
    );
}

#[test]
fn a_layer_that_is_cut_off_later_is_told() {
    #[derive(Debug)]
    struct Shrinking(Vec<u8>, std::sync::atomic::AtomicU64);
    impl firesteel_image::ReadAt for Shrinking {
        fn read_at(&self, buf: &mut [u8], offset: u64) -> std::io::Result<usize> {
            let end = self.1.load(std::sync::atomic::Ordering::Relaxed);
            let end = usize::try_from(end).unwrap().min(self.0.len());
            firesteel_image::ReadAt::read_at(&self.0[..end].to_vec(), buf, offset)
        }
    }
    let tar = Tar::new().file("a", vec![1; 5000]).finish();
    let shrinking = std::sync::Arc::new(Shrinking(tar, u64::MAX.into()));
    let layer = firesteel_image::Layer { digest: "sha256:0".to_owned(), tar: shrinking.clone() };
    let image = flatten(&[layer], &FlattenLimits::default()).unwrap();
    shrinking.1.store(2000, std::sync::atomic::Ordering::Relaxed);
    let (slots, mut buffer) = (image.slots(), slot_buffer());
    let read = (0..slots).try_for_each(|slot| image.read_slot(slot, &mut buffer));
    assert!(matches!(read, Err(FlattenError::Tar { source: BadTar::Truncated, .. })));
    assert!(matches!(image.read_slot(slots, &mut buffer), Err(FlattenError::Slot { .. })));
}
