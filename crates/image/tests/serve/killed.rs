//! A server that is killed, and the next one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use firesteel_image::serve::{Mounts, ServingPath, remove_abandoned};
use tempfile::TempDir;

use crate::corpus::{BIG, everything};
use crate::image::{Behaviour, Image};
use crate::{DEADLINE, Test, mounts_below, runtime};

pub(crate) const TESTS: &[Test] = &[
    ("what a killed server leaves gives errors, and the next one removes it", killed),
    ("there may be nothing to remove", nothing_to_remove),
];

/// First argument of the process that is killed; then by which path, and where.
pub(crate) const VICTIM: &str = "victim";

/// Mounts an image of which the big file cannot be had, says where, and waits for its end.
pub(crate) fn serve(path: ServingPath, folder: &Path) -> ! {
    let (runtime, original) = (runtime(), everything());
    let source = Image::of(original.path(), &[]);
    // Nothing is left of it but what it has mounted.
    drop(original);
    let mounts = Mounts::open(folder, path, runtime.handle().clone()).unwrap();
    let mounting = mounts.mount("image", || source.file(DEADLINE, Arc::new(|_| {})));
    let image = runtime.block_on(mounting).unwrap();
    fs::read(image.root().join("small")).unwrap();
    source.behave(Behaviour::Stuck);
    let mut output = std::io::stdout().lock();
    writeln!(output, "{}", image.root().display()).and_then(|()| output.flush()).unwrap();
    runtime.block_on(source.until_stuck());
    writeln!(output, "stuck").and_then(|()| output.flush()).unwrap();
    loop {
        std::thread::park();
    }
}

/// Killed when dropped.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn killed(path: ServingPath) {
    let folder = TempDir::new().unwrap();
    let images = folder.path().join("images");
    let mut victim = Victim(
        Command::new(std::env::current_exe().unwrap())
            .args([VICTIM, if path == ServingPath::Erofs { "erofs" } else { "fuse" }])
            .arg(&images)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut output = BufReader::new(victim.0.stdout.take().unwrap()).lines();
    let root = output.next().unwrap().unwrap();
    let root = Path::new(&root);
    assert_eq!(mounts_below(folder.path()).len(), 1);
    let mut open = File::open(root.join(BIG)).unwrap();
    let big = root.join(BIG);
    let reader = std::thread::spawn(move || fs::read(big));
    assert_eq!(output.next().unwrap().unwrap(), "stuck");
    drop(victim);

    reader.join().unwrap().unwrap_err();
    fs::read(root.join(BIG)).unwrap_err();
    assert_eq!(mounts_below(folder.path()).len(), 1, "it is in the way");
    assert_eq!(remove_abandoned(&images).unwrap(), 1);
    assert_eq!(mounts_below(folder.path()), Vec::<String>::new());
    assert_eq!(fs::read_dir(&images).unwrap().count(), 0);
    open.read_to_end(&mut Vec::new()).unwrap_err();
    fs::remove_dir(&images).unwrap();
}

fn nothing_to_remove(_path: ServingPath) {
    let folder = TempDir::new().unwrap();
    assert_eq!(remove_abandoned(&folder.path().join("missing")).unwrap(), 0);
    fs::write(folder.path().join("file"), "").unwrap();
    assert_eq!(remove_abandoned(folder.path()).unwrap(), 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
