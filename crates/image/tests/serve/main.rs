//! Images that are mounted, read by the kernel, and by what goes wrong on the way.
//!
//! Needs root, `/dev/fuse` and `mkfs.erofs`, whose images are the ones that are served here. What a host lacks is skipped, aloud;
//! with `FIRESTEEL_REQUIRE_ALL` that is a failure. Without the usual harness: the server that is killed is this program, told so by
//! its first argument.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod corpus;
mod ending;
mod failing;
mod image;
mod killed;
mod reading;
mod rootless;

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use firesteel_image::serve::{MountedImage, Mounts, OnFirstTouch, ServingPath};
use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::image::Image;

/// What is promised, and how it is checked: by each path, for what both promise.
type Test = (&'static str, fn(ServingPath));

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, path, folder] = arguments.as_slice()
        && mode == killed::VICTIM
    {
        killed::serve(
            if path == "erofs" { ServingPath::Erofs } else { ServingPath::Fuse },
            Path::new(folder),
        );
    }
    if let [_, mode, folder, _] = arguments.as_slice()
        && mode == rootless::USER
    {
        rootless::use_as_user(Path::new(folder));
        return ExitCode::SUCCESS;
    }
    let tests = [reading::TESTS, failing::TESTS, ending::TESTS, killed::TESTS].concat();
    let mut trials = Vec::new();
    for (name, path) in [("erofs", ServingPath::Erofs), ("fuse", ServingPath::Fuse)] {
        if let Err(reason) = can(path) {
            skip(tests.len(), name, &reason);
            continue;
        }
        trials.extend(tests.iter().copied().map(|(title, body)| {
            Trial::test(format!("{name}: {title}"), move || {
                body(path);
                Ok(())
            })
        }));
    }
    match can(ServingPath::Fuse).and_then(|()| rootless::can()) {
        Ok(()) => trials.push(Trial::test(rootless::TITLE, || {
            rootless::served();
            Ok(())
        })),
        Err(reason) => skip(1, "fuse without root", &reason),
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn skip(count: usize, of: &str, reason: &str) {
    assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED {count} tests of serving by {of}: {reason}");
}

/// The error is why this host cannot.
fn can(path: ServingPath) -> Result<(), String> {
    if !rustix::process::geteuid().is_root() {
        return Err("not root".into());
    }
    let help = Command::new("mkfs.erofs").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
    help.map_err(|error| format!("mkfs.erofs: {error}"))?;
    let (folder, runtime) = (TempDir::new().unwrap(), runtime());
    let found = ServingPath::detect(folder.path(), runtime.handle());
    match (path, found.path) {
        (ServingPath::Erofs, Some(ServingPath::Erofs)) | (ServingPath::Fuse, Some(_)) => Ok(()),
        (ServingPath::Erofs, _) => Err(found.why_not_erofs.unwrap_or_default()),
        (ServingPath::Fuse, _) => Err(found.why_not_fuse.unwrap_or_default()),
    }
}

/// One worker: what would wait for another of its own would wait for ever.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A server's mounts, in a folder of their own.
struct Server {
    mounts: Mounts,
    runtime: Runtime,
    folder: TempDir,
}

/// Longer than anything here takes that goes well.
const DEADLINE: Duration = Duration::from_secs(60);

impl Server {
    fn new(path: ServingPath) -> Self {
        let (folder, runtime) = (TempDir::new().unwrap(), runtime());
        let mounts = Mounts::open(&folder.path().join("images"), path, runtime.handle().clone()).unwrap();
        Server { mounts, runtime, folder }
    }

    fn mount(&self, image: &Arc<Image>) -> Arc<MountedImage> {
        self.mount_with(image, DEADLINE, Arc::new(|_| {}))
    }

    fn mount_with(&self, image: &Arc<Image>, deadline: Duration, touch: OnFirstTouch) -> Arc<MountedImage> {
        self.runtime.block_on(self.mounts.mount("image", || image.file(deadline, touch))).unwrap()
    }

    /// What is mounted for it.
    fn mounted(&self) -> Vec<String> {
        mounts_below(self.folder.path())
    }

    /// Nothing is left once all images have been dropped.
    #[track_caller]
    fn assert_over(self) {
        self.mounts.wait_for_unmounts();
        assert_eq!(self.mounted(), Vec::<String>::new());
        let images = self.folder.path().join("images");
        assert_eq!(std::fs::read_dir(&images).unwrap().count(), 0, "folders are left");
        drop(self.mounts);
        assert!(!images.exists());
    }
}

/// Lines of the kernel's table of mounts.
fn mounts_below(folder: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let folder = folder.to_str().unwrap();
    table.lines().filter(|line| line.contains(folder)).map(str::to_owned).collect()
}
