//! The kernel, `fsck.erofs` and GNU tar as oracles.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use firesteel_image::{FlatImage, FlattenLimits, Layer, flatten};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::archives::Tar;
use crate::{Files, Kind, SLOT_BYTES, Seen, slot_buffer, try_flat};

/// A host that can mount images.
pub(crate) struct Host;

impl Host {
    /// `None`, said aloud, where it cannot.
    pub(crate) fn find(test: &str) -> Option<Self> {
        let reason = if !rustix::process::geteuid().is_root() {
            "root is needed"
        } else if !std::fs::read_to_string("/proc/filesystems").unwrap().contains("erofs") {
            "the kernel has no EROFS"
        } else if Command::new("fsck.erofs").arg("-V").output().is_err() {
            "there is no fsck.erofs"
        } else {
            return Some(Host);
        };
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{test}: {reason}");
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
        None
    }

    /// Mounts an image, once `fsck.erofs` has found nothing wrong with it.
    pub(crate) fn mount(&self, image: &FlatImage) -> Mounted {
        let folder = temp_dir();
        let file = folder.path().join("image");
        write_sparse(image, &file);
        let fsck = Command::new("fsck.erofs").arg(&file).output().unwrap();
        assert!(fsck.status.success(), "{}", String::from_utf8_lossy(&fsck.stderr));
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
        mount(file.as_path(), root.as_path(), "erofs", flags, c"").unwrap();
        Mounted { root, _folder: folder }
    }
}

/// A mounted image; dropped, it is not mounted any more.
pub(crate) struct Mounted {
    root: PathBuf,
    _folder: TempDir,
}

impl Mounted {
    pub(crate) fn files(&self) -> Files {
        see(&self.root)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(self.root.as_path(), UnmountFlags::DETACH).unwrap();
    }
}

/// On a disk: the kernel mounts no image that lies on a tmpfs.
fn temp_dir() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn write_sparse(image: &FlatImage, path: &Path) {
    static ZEROS: [u8; SLOT_BYTES] = [0; SLOT_BYTES];
    let file = std::fs::File::create(path).unwrap();
    file.set_len(image.image_bytes()).unwrap();
    let mut buffer = slot_buffer();
    for slot in 0..image.slots() {
        image.read_slot(slot, &mut buffer).unwrap();
        if buffer[..] != ZEROS[..] {
            let at = u64::from(slot) * buffer.len() as u64;
            let bytes = (image.image_bytes() - at).min(buffer.len() as u64);
            file.write_all_at(&buffer[..usize::try_from(bytes).unwrap()], at).unwrap();
        }
    }
}

/// Everything beneath a folder.
fn see(root: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let path = root.join(&relative);
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        let file_type = metadata.file_type();
        let kind = if file_type.is_dir() {
            open.extend(
                std::fs::read_dir(&path).unwrap().map(|entry| relative.join(entry.unwrap().file_name())),
            );
            Kind::Directory
        } else if file_type.is_symlink() {
            Kind::Symlink(std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
        } else if file_type.is_file() {
            Kind::File(content(&path, metadata.len()))
        } else {
            Kind::Fifo
        };
        let seen = Seen {
            kind,
            permissions: metadata.permissions().mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: (metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap()),
            links: u32::try_from(metadata.nlink()).unwrap(),
            xattrs: xattrs(&path),
        };
        files.insert(relative.as_os_str().as_bytes().to_vec(), seen);
    }
    files
}

/// Of files that are too large to be held, some places.
fn content(path: &Path, bytes: u64) -> Vec<u8> {
    if bytes < 64 << 20 {
        return std::fs::read(path).unwrap();
    }
    let file = std::fs::File::open(path).unwrap();
    let mut sample = bytes.to_le_bytes().to_vec();
    for eighth in 0..8 {
        let mut piece = vec![0; 1 << 20];
        let at = (bytes / 8 * eighth).next_multiple_of(4096).min(bytes - (1 << 20));
        file.read_exact_at(&mut piece, at).unwrap();
        sample.extend_from_slice(&piece);
    }
    sample
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 64 * 1024];
    let bytes = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    let names = names[..bytes].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 64 * 1024];
        let bytes = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), value.as_mut_slice()).unwrap();
        value.truncate(bytes);
        (name.to_vec(), value)
    };
    names.map(value).collect()
}

fn gnu_tar(arguments: &[&str], folder: &Path, archive: &Path) {
    let tar = Command::new("tar")
        .args(["--numeric-owner", "--same-permissions", "--directory"])
        .arg(folder)
        .arg("--file")
        .arg(archive)
        .args(arguments)
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
}

/// Packs a folder with GNU tar; the image of that is what GNU tar unpacks.
fn compare(host: &Host, folder: &Path, options: &[&str]) {
    let (work, unpacked) = (temp_dir(), temp_dir());
    let archive = work.path().join("tar");
    gnu_tar(&[options, &["--create", "."]].concat(), folder, &archive);
    gnu_tar(&["--xattrs", "--xattrs-include=*", "--extract"], unpacked.path(), &archive);
    let tar = Arc::new(std::fs::File::open(&archive).unwrap());
    let layer = Layer { digest: "sha256:0".to_owned(), tar };
    let mounted = host.mount(&flatten(&[layer], &FlattenLimits::default()).unwrap());
    let (found, expected) = (mounted.files(), see(unpacked.path()));
    for (path, expected) in &expected {
        assert_eq!(found.get(path), Some(expected), "{}", path.escape_ascii());
    }
    assert_eq!(found.len(), expected.len());
}

/// A folder of everything that a file system can be asked for.
fn various(folder: &Path) {
    let owner = |path: &Path, uid, gid| std::os::unix::fs::lchown(path, Some(uid), Some(gid)).unwrap();
    let write = |name: &str, bytes: usize| {
        let content: Vec<u8> = (0..bytes).map(|index| u8::try_from(index * 31 % 251).unwrap()).collect();
        std::fs::write(folder.join(name), content).unwrap();
    };
    for (name, around) in
        [("block", 4096), ("large", 256 * 1024), ("chunk", 512 * 1024), ("two", 1024 * 1024)]
    {
        for bytes in around - 1..=around + 1 {
            write(&format!("{name}-{bytes}"), bytes);
        }
    }
    write("empty", 0);
    write("set-user-id", 10);
    owner(&folder.join("set-user-id"), 70_000, 80_000);
    std::fs::set_permissions(folder.join("set-user-id"), PermissionsExt::from_mode(0o6751)).unwrap();
    for name in ["linked-1", "linked-2"] {
        std::fs::hard_link(folder.join("empty"), folder.join(name)).unwrap();
    }
    for (index, target) in
        ["short", "t".repeat(2040).as_str(), "t".repeat(4000).as_str(), "/absolute/../odd"].iter().enumerate()
    {
        std::os::unix::fs::symlink(target, folder.join(format!("symlink-{index}"))).unwrap();
    }
    owner(&folder.join("symlink-0"), 5, 6);
    let mode = rustix::fs::Mode::from_raw_mode(0o640);
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    std::fs::write(folder.join(OsStr::from_bytes(&[0xff, 0x80, b'\n'])), "not UTF-8").unwrap();
    std::fs::write(folder.join("n".repeat(255)), "long").unwrap();

    let many = folder.join("many");
    std::fs::create_dir(&many).unwrap();
    for index in 0..10_000 {
        std::fs::write(many.join(format!("{index}{}", "-".repeat(index % 200))), "").unwrap();
    }
    std::fs::set_permissions(&many, PermissionsExt::from_mode(0o1777)).unwrap();
    let mut deep = folder.to_path_buf();
    for level in 0..300 {
        deep.push(format!("level-{level}"));
    }
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("bottom"), "x").unwrap();
    for odd in ["!", "+", "-", ".a", "..a", "..."] {
        std::fs::create_dir(folder.join(odd)).unwrap();
        std::fs::write(folder.join(format!("{odd}.file")), odd).unwrap();
    }

    let set = |name: &str, key: &str, value: &[u8]| {
        rustix::fs::lsetxattr(folder.join(name), key, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("empty", "user.small", b"\n\0=");
    set("many", "user.directory", &[7; 300]);
    set("many", "trusted.mine", b"");
    set("set-user-id", "security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for index in 0..6 {
        set("block-4096", &format!("user.many-{index}"), &[index; 500]);
    }
    let times = rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
        last_modification: rustix::fs::Timespec { tv_sec: 1_234_567_890, tv_nsec: 123_456_789 },
    };
    for name in ["many", "symlink-0", "block-4096", "fifo"] {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(rustix::fs::CWD, folder.join(name), &times, flags).unwrap();
    }
}

#[test]
fn an_image_is_what_gnu_tar_unpacks() {
    let Some(host) = Host::find("an_image_is_what_gnu_tar_unpacks") else { return };
    let folder = temp_dir();
    various(folder.path());
    compare(&host, folder.path(), &["--format=pax", "--xattrs"]);
    compare(&host, folder.path(), &["--format=posix", "--xattrs", "--sort=name", "--sparse"]);
    compare(&host, folder.path(), &["--format=gnu"]);
}

#[test]
fn sparse_files_may_be_larger_than_four_gigabytes() {
    let Some(host) = Host::find("sparse_files_may_be_larger_than_four_gigabytes") else { return };
    let folder = temp_dir();
    let file = std::fs::File::create(folder.path().join("sparse")).unwrap();
    file.set_len(5 << 30).unwrap();
    for at in [0, 640 << 20, (4 << 30) + 5000, (5 << 30) - 7] {
        file.write_all_at(b"content", at).unwrap();
    }
    std::fs::write(folder.path().join("after"), "it").unwrap();
    compare(&host, folder.path(), &["--format=gnu", "--sparse"]);
    compare(&host, folder.path(), &["--format=pax", "--sparse"]);
}

#[test]
fn every_name_of_a_large_directory_is_found() {
    let Some(host) = Host::find("every_name_of_a_large_directory_is_found") else { return };
    let mut random = fastrand::Rng::with_seed(5);
    let names: std::collections::BTreeSet<Vec<u8>> = (0..3000)
        .map(|_| {
            (0..random.usize(1..=255)).map(|_| *random.choice(b" !+-./09AZaz~\x80\xff").unwrap()).collect()
        })
        .map(|name: Vec<u8>| name.into_iter().map(|byte| if byte == b'/' { b'_' } else { byte }).collect())
        .filter(|name: &Vec<u8>| name != b"." && name != b".." && !name.starts_with(b".wh."))
        .collect();
    let tar = names.iter().fold(Tar::new(), |tar, name| tar.pax("path", name).file("x", name));
    let mounted = host.mount(&try_flat(vec![tar.finish()]).unwrap());
    let found = mounted.files();
    assert_eq!(found.len(), names.len() + 1);
    for name in names {
        assert_eq!(found[&name].kind, Kind::File(name.clone()));
        let mut missing = name.clone();
        missing.truncate(254);
        missing.push(b'#');
        assert!(!mounted.root.join(OsStr::from_bytes(&missing)).exists());
    }
}
