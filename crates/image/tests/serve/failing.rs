//! Chunks that do not come, and chunks that are not what they should be.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use firesteel_image::serve::ServingPath;

use crate::corpus::{BIG, assert_same, describe, everything};
use crate::image::{Behaviour, Image};
use crate::{DEADLINE, Server, Test};

pub(crate) const TESTS: &[Test] = &[
    ("a chunk that does not come ends in EIO, and holds up nobody else", stuck),
    ("a damaged chunk is EIO, and no wrong byte", damaged),
    ("what could not be had is there once it can", recovered),
    ("a source that is stuck from the start is no mount", stuck_from_the_start),
];

#[track_caller]
fn assert_input_output_error(read: std::io::Result<Vec<u8>>) {
    let refused = read.unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()), "{refused}");
}

fn stuck(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let source = Image::of(original.path(), &[]);
    let image = server.mount_with(&source, Duration::from_secs(2), Arc::new(|_| {}));
    let small = image.root().join("small");
    let expected = fs::read(&small).unwrap();
    source.behave(Behaviour::Stuck);
    let big = image.root().join(BIG);
    let reader = std::thread::spawn(move || fs::read(big));
    server.runtime.block_on(source.until_stuck());
    // While the other waits: from the cache, and anew.
    assert!(fs::read(&small).unwrap() == expected);
    describe_names(&image);
    assert_input_output_error(reader.join().unwrap());
    assert!(image.statistics().timed_out_reads > 0);
    drop(image);
    server.assert_over();
}

/// Of what has been fetched with the first file: numbers and names of all others.
fn describe_names(image: &firesteel_image::serve::MountedImage) {
    assert!(fs::read_dir(image.root()).unwrap().count() > 10);
}

fn damaged(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let source = Image::of(original.path(), &[]);
    let image = server.mount(&source);
    source.behave(Behaviour::Damaged);
    assert_input_output_error(fs::read(image.root().join(BIG)));
    assert!(image.statistics().failed_reads > 0);
    drop(image);
    server.assert_over();
}

fn recovered(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let source = Image::of(original.path(), &[]);
    let image = server.mount_with(&source, DEADLINE, Arc::new(|_| {}));
    source.behave(Behaviour::Damaged);
    let _ = fs::read(image.root().join(BIG));
    source.behave(Behaviour::Answers);
    assert_same(&describe(image.root(), false), &describe(original.path(), false));
    drop(image);
    server.assert_over();
}

fn stuck_from_the_start(path: ServingPath) {
    let (server, original) = (Server::new(path), everything());
    let source = Image::of(original.path(), &[]);
    source.behave(Behaviour::Stuck);
    let file = || source.file(Duration::from_millis(100), Arc::new(|_| {}));
    server.runtime.block_on(server.mounts.mount("image", file)).unwrap_err();
    server.assert_over();
}
