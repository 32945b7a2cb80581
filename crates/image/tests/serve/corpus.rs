//! Trees to make images of, and how they are compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use tempfile::TempDir;

/// Where its bytes are in several chunks, and of no other file.
pub(crate) const BIG: &str = "big";
pub(crate) const BIG_BYTES: usize = 3 << 20;

/// A bit of everything that can be in an image.
pub(crate) fn everything() -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    plain(root);
    let node = |name: &str, kind, device| {
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    };
    node("pipe", FileType::Fifo, 0);
    node("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    std::os::unix::fs::lchown(root.join("tail"), Some(1000), Some(70_000)).unwrap();
    std::os::unix::fs::lchown(root.join("folder/link"), Some(12), Some(13)).unwrap();
    set_attribute(&root.join("block"), "trusted.own", b"");
    folder
}

/// What everybody can make.
pub(crate) fn plain(root: &Path) {
    let mut random = fastrand::Rng::with_seed(5);
    let mut bytes = |length: usize| {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes);
        bytes
    };
    for (name, length) in [
        ("empty", 0),
        ("one", 1),
        ("small", 100),
        ("block", 4096),
        ("block and one", 4097),
        ("tail", 3 * 4096 + 3900),
        (BIG, BIG_BYTES),
    ] {
        fs::write(root.join(name), bytes(length)).unwrap();
    }
    fs::write(root.join("zeros"), vec![0; 1 << 20]).unwrap();
    fs::create_dir_all(root.join("folder/within/another")).unwrap();
    fs::create_dir(root.join("nothing in it")).unwrap();
    fs::create_dir(root.join("many")).unwrap();
    // Several blocks of entries, with names of all lengths.
    for number in 0..700_usize {
        let name = format!("{}-{number}", "n".repeat(number % 200));
        fs::write(root.join("many").join(name), number.to_string()).unwrap();
    }
    symlink("../small", root.join("folder/link")).unwrap();
    symlink("t".repeat(4000), root.join("long link")).unwrap();
    fs::hard_link(root.join("small"), root.join("folder/same")).unwrap();
    for (name, mode) in [("small", 0o4755), ("one", 0o600), ("folder/within", 0o1777), ("many", 0o2750)] {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    // One that several have, which is kept once, and others of its own.
    for name in ["small", "block", "folder", "tail"] {
        set_attribute(&root.join(name), "user.shared", &[b's'; 60]);
    }
    set_attribute(&root.join("block"), "user.own", b"a value");
    let modified = Timespec { tv_sec: 1_234_567_890, tv_nsec: 123_456_789 };
    let times =
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: modified };
    for name in ["small", "folder", "folder/link"] {
        rustix::fs::utimensat(CWD, root.join(name), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

/// All that can be told of a file, but for its number and what is not in images.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Described {
    mode: u32,
    owner: (u32, u32),
    /// Not of folders, for which file systems count as they like.
    size: u64,
    n_links: u64,
    device: u64,
    modified: Option<(i64, i64)>,
    content: Vec<u8>,
    attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Everything below a folder, and the folder.
pub(crate) fn describe(root: &Path, with_times: bool) -> BTreeMap<PathBuf, Described> {
    let mut found = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let content = if metadata.is_file() {
            fs::read(&path).unwrap()
        } else if metadata.is_symlink() {
            fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            Vec::new()
        };
        if metadata.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let described = Described {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: if metadata.is_dir() { 0 } else { metadata.size() },
            n_links: metadata.nlink(),
            device: metadata.rdev(),
            modified: with_times.then(|| (metadata.mtime(), metadata.mtime_nsec())),
            content,
            attributes: attributes(&path),
        };
        found.insert(path.strip_prefix(root).unwrap().to_owned(), described);
    }
    found
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(length);
        value
    };
    names.map(|name| (name.to_vec(), value(name))).collect()
}

#[track_caller]
pub(crate) fn assert_same(found: &BTreeMap<PathBuf, Described>, expected: &BTreeMap<PathBuf, Described>) {
    let names = |of: &BTreeMap<PathBuf, Described>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for (path, described) in expected {
        let found = &found[path];
        // Not printed whole: some are long.
        assert!(found.content == described.content, "{}: other content", path.display());
        assert_eq!(found, described, "{}", path.display());
    }
}
