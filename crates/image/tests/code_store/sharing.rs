//! One tree for all who ask, and layers over each other.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Barrier;
use std::thread;

use firesteel_image::{PutError, ReadError, Sha256};

use crate::{Shop, Test, assert_files, package, zip};

pub(crate) const TESTS: &[Test] = &[
    ("asked for by many at once, a package is unpacked once", asked_for_by_many_a_package_is_unpacked_once),
    ("sent by many at once, a package is stored once", sent_by_many_a_package_is_stored_once),
    ("sent by many at once, a bad package is refused to each", sent_by_many_a_bad_package_is_refused_to_each),
    ("stored and removed by many, a package is there or it is not", stored_and_removed_by_many),
    ("a later layer replaces what an earlier one brought", a_later_layer_replaces),
    ("the same layers are stacked once", the_same_layers_are_stacked_once),
    ("one layer is its own tree, and none is an empty one", one_layer_is_its_own_tree),
    ("more layers than a function may have are refused", more_layers_than_a_function_may_have),
    ("stacks are made anew by the next server", stacks_are_made_anew_by_the_next_server),
];

const MANY: usize = 8;

/// What `MANY` threads get that begin at the same moment.
fn at_once<T: Send>(ask: impl Fn() -> T + Sync) -> Vec<T> {
    let start = Barrier::new(MANY);
    thread::scope(|scope| {
        let ask = || {
            start.wait();
            ask()
        };
        let threads: Vec<_> = (0..MANY).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn asked_for_by_many_a_package_is_unpacked_once() {
    let shop = Shop::new();
    let sha256 = shop.store.put_bytes(&package("x = 1")).unwrap().sha256;
    fs::remove_dir_all(shop.path("trees")).unwrap();
    let shop = shop.reopened();
    let trees = at_once(|| shop.store.tree(sha256).unwrap());
    let paths: HashSet<_> = trees.iter().map(|tree| tree.path()).collect();
    assert_eq!((paths.len(), shop.names("trees").len()), (1, 1));
}

fn sent_by_many_a_package_is_stored_once() {
    let shop = Shop::new();
    let bytes = package(&"x".repeat(100_000));
    let stored = at_once(|| shop.store.put_bytes(&bytes).unwrap());
    assert!(stored.iter().all(|each| *each == stored[0]));
    assert_eq!(shop.names("trees").len(), 1);
    assert_eq!(shop.store.packages_bytes(), bytes.len() as u64);
}

fn sent_by_many_a_bad_package_is_refused_to_each() {
    let shop = Shop::new();
    let refused = at_once(|| shop.store.put_bytes(&zip(&[("../evil", b"x", 0o644)])).unwrap_err());
    assert!(refused.iter().all(|error| matches!(error, PutError::Unzip(_))), "{refused:?}");
    assert_eq!((shop.store.packages_bytes(), shop.names("packages").len()), (0, 0));
}

fn stored_and_removed_by_many() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let sha256 = Sha256::of(&bytes);
    at_once(|| {
        for _ in 0..20 {
            shop.store.put_bytes(&bytes).unwrap();
            match shop.store.tree(sha256) {
                Ok(tree) => assert_files(&tree, &[("index.py", "x = 1")]),
                Err(ReadError::Unknown { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
            shop.store.remove(sha256).unwrap();
        }
    });
    shop.store.remove(sha256).unwrap();
    assert_eq!((shop.store.packages_bytes(), shop.names("packages").len()), (0, 0));
    assert_eq!(shop.names("trees"), [""; 0]);
}

/// Packages of one file `name` each, which all but the last have in common.
fn layers(shop: &Shop) -> [Sha256; 3] {
    [
        zip(&[("python/a.py", b"1", 0o644), ("python/b.py", b"1", 0o644)]),
        zip(&[("python/b.py", b"2", 0o644), ("bin/tool", b"2", 0o755)]),
        zip(&[("bin/tool", b"3", 0o755)]),
    ]
    .map(|layer| shop.store.put_bytes(&layer).unwrap().sha256)
}

fn a_later_layer_replaces() {
    let shop = Shop::new();
    let layers = layers(&shop);
    let stack = shop.store.layers(&layers).unwrap();
    assert_files(&stack, &[("bin/tool", "3"), ("python/a.py", "1"), ("python/b.py", "2")]);
    assert_eq!(stack.unpacked().bytes, 5, "what was replaced counts too");
    let reversed = shop.store.layers(&[layers[2], layers[1], layers[0]]).unwrap();
    assert_files(&reversed, &[("bin/tool", "2"), ("python/a.py", "1"), ("python/b.py", "1")]);
    let (in_stack, in_layer) =
        (stack.path().join("bin/tool"), shop.store.tree(layers[2]).unwrap().path().join("bin/tool"));
    let inode = |path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(in_stack), inode(in_layer), "the file is shared");
}

fn the_same_layers_are_stacked_once() {
    let shop = Shop::new();
    let layers = layers(&shop);
    let stacks = at_once(|| shop.store.layers(&layers).unwrap());
    let paths: HashSet<_> = stacks.iter().map(|stack| stack.path().to_owned()).collect();
    drop(stacks);
    let again = shop.store.layers(&layers).unwrap();
    assert_eq!(paths, HashSet::from([again.path().to_owned()]));
    assert_eq!(shop.names("stacks").len(), 1);
}

fn one_layer_is_its_own_tree() {
    let shop = Shop::new();
    let [layer, ..] = layers(&shop);
    assert_eq!(shop.store.layers(&[layer]).unwrap().path(), shop.store.tree(layer).unwrap().path());
    assert_files(&shop.store.layers(&[]).unwrap(), &[]);
}

fn more_layers_than_a_function_may_have() {
    let shop = Shop::new();
    let error = shop.store.layers(&[layers(&shop)[0]; 6]).unwrap_err();
    assert_eq!(error.to_string(), "Cannot reference more than 5 layers.");
}

fn stacks_are_made_anew_by_the_next_server() {
    let shop = Shop::new();
    let layers = layers(&shop);
    let before = shop.store.layers(&layers).unwrap().path().to_owned();
    let shop = shop.reopened();
    assert_eq!(shop.names("stacks"), [""; 0]);
    let stack = shop.store.layers(&layers).unwrap();
    assert_ne!(stack.path(), before);
    assert_files(&stack, &[("bin/tool", "3"), ("python/a.py", "1"), ("python/b.py", "2")]);
}
