//! Unmounting, whoever is still there.

use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use firesteel_image::serve::{MountedImage, ServingPath};

use crate::corpus::{BIG, everything};
use crate::image::{Behaviour, Image};
use crate::{Server, Test};

pub(crate) const TESTS: &[Test] = &[
    ("unmounting waits for no chunk", with_a_stuck_read),
    ("unmounting waits for nobody who has a file open", with_an_open_file),
    ("unmounting needs nothing of the runtime", without_the_runtime),
];

/// Longer than anybody would wait.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// An image, and who reads a file of it of which nothing comes.
fn stuck(server: &Server) -> (Arc<MountedImage>, JoinHandle<io::Result<Vec<u8>>>) {
    let source = Image::of(everything().path(), &[]);
    let image = server.mount_with(&source, FOR_EVER, Arc::new(|_| {}));
    source.behave(Behaviour::Stuck);
    let big = image.root().join(BIG);
    let reader = std::thread::spawn(move || fs::read(big));
    server.runtime.block_on(source.until_stuck());
    (image, reader)
}

fn with_a_stuck_read(path: ServingPath) {
    let server = Server::new(path);
    let (image, reader) = stuck(&server);
    drop(image);
    reader.join().unwrap().unwrap_err();
    server.assert_over();
}

fn with_an_open_file(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let source = Image::of(original.path(), &[]);
    let image = server.mount(&source);
    let mut file = File::open(image.root().join(BIG)).unwrap();
    let mut first = [0; 4096];
    file.read_exact(&mut first).unwrap();
    drop(image);
    server.mounts.wait_for_unmounts();
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).unwrap_err();
    server.assert_over();
}

fn without_the_runtime(path: ServingPath) {
    let server = Server::new(path);
    let (image, reader) = stuck(&server);
    // Its one thread waits for the end.
    let Server { mounts, runtime, folder } = server;
    let mounts = runtime.block_on(runtime.spawn(async move {
        drop(image);
        mounts.wait_for_unmounts();
        mounts
    }));
    reader.join().unwrap().unwrap_err();
    Server { mounts: mounts.unwrap(), runtime, folder }.assert_over();
}
