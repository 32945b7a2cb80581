//! How long it takes. What has a target is judged; the rest is printed, by
//! `cargo test -p firesteel-image --release --test code_store -- --ignored --nocapture`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use firesteel_image::Sha256;

use crate::{Shop, Test, zip};

pub(crate) const TESTS: &[Test] =
    &[("a tree that was asked for before is there at once", a_tree_asked_for_before_is_there_at_once)];

pub(crate) const PRINTED: &[Test] = &[("how long packages take", how_long_packages_take)];

/// Of a cold start, nobody should see it.
const AT_ONCE: Duration = Duration::from_micros(50);

fn a_tree_asked_for_before_is_there_at_once() {
    let shop = Shop::new();
    let sha256 = shop.store.put_bytes(&noise(200, 1000)).unwrap().sha256;
    let time = median(1001, || drop(shop.store.tree(sha256).unwrap()));
    assert!(time < AT_ONCE, "{time:?}");
}

fn how_long_packages_take() {
    let mut table = String::new();
    for (what, files, bytes) in
        [("3 files", 3, 1000), ("10 MB, 100 files", 100, 100_000), ("50 MB, 5000 files", 5000, 10_000)]
    {
        let (package, layer) = (noise(files, bytes), zip(&[("other", b"x", 0o644)]));
        let shop = Shop::new();
        let sha256 = Sha256::of(&package);
        let check = median(3, || shop.store.check_bytes(&package).map(drop).unwrap());
        let put = once(|| shop.store.put_bytes(&package).map(drop).unwrap());
        let again = median(5, || shop.store.put_bytes(&package).map(drop).unwrap());
        let layers = [sha256, shop.store.put_bytes(&layer).unwrap().sha256];
        let stack = once(|| drop(shop.store.layers(&layers).unwrap()));
        let tree = median(1001, || drop(shop.store.tree(sha256).unwrap()));
        let shop = shop.reopened();
        let first = once(|| drop(shop.store.tree(sha256).unwrap()));
        let row = format!(
            "check {check:?}, put {put:?}, put again {again:?}, stack with another {stack:?}, tree {tree:?}, first tree after a start {first:?}"
        );
        writeln!(table, "{what}: {row}").unwrap();
    }
    std::io::stderr().write_all(table.as_bytes()).unwrap();
}

/// An archive of so many files of bytes that cannot be compressed.
fn noise(files: usize, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let contents: Vec<(String, Vec<u8>)> = (0..files)
        .map(|number| {
            let mut content = vec![0; bytes];
            random.fill(&mut content);
            (format!("folder{}/{number}", number % 50), content)
        })
        .collect();
    let entries: Vec<_> =
        contents.iter().map(|(name, content)| (name.as_str(), content.as_slice(), 0o644)).collect();
    zip(&entries)
}

fn once(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: usize, mut work: impl FnMut()) -> Duration {
    let mut all: Vec<Duration> = (0..times).map(|_| once(&mut work)).collect();
    all.sort();
    all[times / 2]
}
