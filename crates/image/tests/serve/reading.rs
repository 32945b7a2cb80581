//! A mounted tree is the tree that the image was made of.

use std::fs;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use firesteel_image::serve::ServingPath;

use crate::corpus::{BIG, assert_same, describe, everything};
use crate::image::Image;
use crate::{DEADLINE, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    ("everything in an image is there", everything_is_there),
    ("an image without times of its own is read as well", without_times),
    ("nothing can be written, and nothing runs with more rights", read_only),
    ("an image is mounted once, whoever asks", mounted_once),
    ("what has been read once is not asked for again", read_once),
    ("an overlay can lie on it", overlaid),
    ("what is no image is refused, and nothing is left", no_image),
    ("this host says by which path it serves", detected),
];

fn everything_is_there(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let image = server.mount(&Image::of(original.path(), &["--preserve-mtime"]));
    let expected = describe(original.path(), true);
    assert_same(&describe(image.root(), true), &expected);
    drop(image);
    server.assert_over();
}

fn without_times(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let image = server.mount(&Image::of(original.path(), &["-T", "1000"]));
    let expected = describe(original.path(), false);
    assert_same(&describe(image.root(), false), &expected);
    assert_eq!(fs::metadata(image.root().join(BIG)).unwrap().modified().unwrap(), epoch_and(1000));
    drop(image);
    server.assert_over();
}

fn epoch_and(seconds: u64) -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}

fn read_only(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let image = server.mount(&Image::of(original.path(), &[]));
    let refused = fs::write(image.root().join("new"), "").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
    let refused = fs::OpenOptions::new().write(true).open(image.root().join(BIG)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
    let refused = fs::File::open(image.root().join("null")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "no devices");
    let [mount] = &server.mounted()[..] else { panic!("{:?}", server.mounted()) };
    assert!(mount.contains(" ro,nosuid,nodev"), "{mount}");
    drop(image);
    server.assert_over();
}

fn mounted_once(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let image = Image::of(original.path(), &[]);
    let mount = || server.mounts.mount("image", || image.file(DEADLINE, Arc::new(|_| {})));
    let (first, second) = server.runtime.block_on(async { tokio::join!(mount(), mount()) });
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(server.mounted().len(), 1);
    assert_eq!(server.mounts.mounted().len(), 1);
    drop(first);
    fs::read(second.root().join(BIG)).unwrap();
    drop(second);
    assert_eq!(server.mounts.mounted().len(), 0);
    // Once more, whether or not the last one is still being unmounted.
    let again = server.mount(&image);
    fs::read(again.root().join(BIG)).unwrap();
    drop(again);
    server.assert_over();
}

fn read_once(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let touched = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&touched);
    let touch = Arc::new(move |slot| told.lock().unwrap().push(slot));
    let image = server.mount_with(&Image::of(original.path(), &[]), DEADLINE, touch);
    assert!(image.statistics().touched_slots < 3, "{:?}", image.statistics());
    describe(image.root(), true);
    let first = image.statistics();
    describe(image.root(), true);
    let second = image.statistics();
    // Extended attributes are asked for each time.
    if path == ServingPath::Erofs {
        assert_eq!(second, first);
    }
    assert_eq!(second.touched_slots, first.touched_slots);
    assert_eq!(second.failed_reads, 0);
    assert_eq!(touched.lock().unwrap().len() as u64, first.touched_slots);
    assert!(first.touched_slots >= 6, "{first:?}");
    drop(image);
    server.assert_over();
}

fn overlaid(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let image = server.mount(&Image::of(original.path(), &[]));
    // Overlays may lie on most file systems, but not every one of them.
    let upper = server.folder.path().join("upper");
    fs::create_dir(&upper).unwrap();
    let no_flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("upper", &upper, "tmpfs", no_flags, c"size=1m").unwrap();
    let [changed, work, merged] = ["changed", "work", "merged"].map(|name| upper.join(name));
    [&changed, &work, &merged].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let shown = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", shown(image.root()), shown(&changed), shown(&work));
    let options = std::ffi::CString::new(options).unwrap();
    rustix::mount::mount("overlay", &merged, "overlay", no_flags, options.as_c_str()).unwrap();
    fs::write(merged.join("one"), "changed").unwrap();
    assert_eq!(fs::read_to_string(merged.join("one")).unwrap(), "changed");
    assert!(fs::read(merged.join(BIG)).unwrap() == fs::read(original.path().join(BIG)).unwrap());
    assert_eq!(fs::read(image.root().join("one")).unwrap().len(), 1);
    rustix::mount::unmount(&merged, rustix::mount::UnmountFlags::empty()).unwrap();
    rustix::mount::unmount(&upper, rustix::mount::UnmountFlags::empty()).unwrap();
    drop(image);
    server.assert_over();
}

fn no_image(path: ServingPath) {
    let server = Server::new(path);
    let mut superblock_cut_off = vec![1; 1030];
    superblock_cut_off[1024..1028].copy_from_slice(&0xE0F5_E1E2_u32.to_le_bytes());
    for bytes in [vec![], vec![1; 100], vec![1; 1 << 20], superblock_cut_off] {
        let image = Image::of_bytes(&bytes);
        let mounting = server.mounts.mount("image", || image.file(DEADLINE, Arc::new(|_| {})));
        let refused = server.runtime.block_on(mounting).unwrap_err();
        assert!(std::error::Error::source(&refused).is_some(), "{refused:?}");
    }
    server.assert_over();
}

fn detected(path: ServingPath) {
    let server = Server::new(path);
    let found = ServingPath::detect(server.folder.path(), server.runtime.handle());
    assert!(found.path.is_some(), "{found:?}");
    assert_eq!(found.why_not_erofs.is_none(), found.path == Some(ServingPath::Erofs), "{found:?}");
    assert_eq!(server.mounted(), Vec::<String>::new());
    server.assert_over();
}
