//! What nobody refers to goes, and what somebody holds stays.

use std::collections::HashSet;
use std::fs;
use std::io::Read;

use firesteel_image::{ReadError, Swept};

use crate::{Shop, Test, assert_files, package};

pub(crate) const TESTS: &[Test] = &[
    ("a tree that is held outlives its package", a_tree_that_is_held_outlives_its_package),
    ("an archive that is being read outlives its name", an_archive_that_is_being_read_outlives_its_name),
    ("what was removed can be stored again while it is held", what_was_removed_can_be_stored_again),
    ("what is claimed stays until the claim is dropped", what_is_claimed_stays),
    ("what has come to be needed under a claim stays", what_has_come_to_be_needed_stays),
    ("a stack goes with any of its layers", a_stack_goes_with_any_of_its_layers),
    ("a sweep leaves what is referred to", a_sweep_leaves_what_is_referred_to),
    ("trees without an archive go at the start", trees_without_an_archive_go_at_the_start),
];

fn a_tree_that_is_held_outlives_its_package() {
    let shop = Shop::new();
    let sha256 = shop.store.put_bytes(&package("x = 1")).unwrap().sha256;
    let (tree, another) = (shop.store.tree(sha256).unwrap(), shop.store.tree(sha256).unwrap());
    assert!(shop.store.remove(sha256).unwrap());
    assert!(matches!(shop.store.tree(sha256), Err(ReadError::Unknown { .. })));
    assert_eq!((shop.names("packages").len(), shop.store.packages_bytes()), (0, 0));
    drop(another);
    assert_files(&tree, &[("index.py", "x = 1")]);
    let path = tree.path().to_owned();
    drop(tree);
    assert!(!path.exists());
    assert_eq!(shop.names("trees"), [""; 0]);
    shop.await_removals();
}

fn an_archive_that_is_being_read_outlives_its_name() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let sha256 = shop.store.put_bytes(&bytes).unwrap().sha256;
    let mut zip = shop.store.zip(sha256).unwrap();
    shop.store.remove(sha256).unwrap();
    let mut found = Vec::new();
    zip.read_to_end(&mut found).unwrap();
    assert_eq!(found, bytes);
}

fn what_was_removed_can_be_stored_again() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let sha256 = shop.store.put_bytes(&bytes).unwrap().sha256;
    let old = shop.store.tree(sha256).unwrap();
    shop.store.remove(sha256).unwrap();
    shop.store.put_bytes(&bytes).unwrap();
    let new = shop.store.tree(sha256).unwrap();
    drop(old);
    assert_files(&new, &[("index.py", "x = 1")]);
    assert_files(&shop.store.tree(sha256).unwrap(), &[("index.py", "x = 1")]);
}

fn what_is_claimed_stays() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let (stored, first) = shop.store.put_bytes_claimed(&bytes).unwrap();
    let (again, second) = shop.store.put_bytes_claimed(&bytes).unwrap();
    assert_eq!(again, stored);
    for claim in [first, second] {
        assert!(!shop.store.remove(stored.sha256).unwrap());
        drop(claim);
    }
    assert!(shop.store.remove(stored.sha256).unwrap());
    // What could not be stored leaves no claim behind.
    shop.store.put_bytes_claimed(b"no archive").unwrap_err();
    assert_eq!(shop.store.packages_bytes(), 0);
}

/// The order in which a removal overlooked nothing, however late it came: stored, referred to, and the claim dropped,
/// between the removal's being asked for and its being done.
fn what_has_come_to_be_needed_stays() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let (stored, claim) = shop.store.put_bytes_claimed(&bytes).unwrap();
    let mut asked = false;
    let removed = shop.store.remove_unless(stored.sha256, || {
        asked = true;
        false
    });
    assert!(!removed.unwrap() && !asked, "a claim is enough");
    drop(claim);
    assert!(!shop.store.remove_unless(stored.sha256, || true).unwrap());
    assert!(shop.store.zip(stored.sha256).is_ok());
    assert!(shop.store.remove_unless(stored.sha256, || false).unwrap());
}

fn a_stack_goes_with_any_of_its_layers() {
    let shop = Shop::new();
    let layers = ["1", "2"].map(|content| shop.store.put_bytes(&package(content)).unwrap().sha256);
    let held = shop.store.layers(&layers).unwrap();
    shop.store.remove(layers[0]).unwrap();
    assert!(matches!(shop.store.layers(&layers), Err(ReadError::Unknown { .. })));
    assert_files(&held, &[("index.py", "2")]);
    drop(held);
    assert_eq!(shop.names("stacks"), [""; 0]);
    assert_files(&shop.store.tree(layers[1]).unwrap(), &[("index.py", "2")]);
}

fn a_sweep_leaves_what_is_referred_to() {
    let shop = Shop::new();
    let stored = ["1", "2", "3"].map(|content| shop.store.put_bytes(&package(content)).unwrap());
    let shop = shop.reopened();
    let swept = shop.store.sweep(&HashSet::from([stored[1].sha256])).unwrap();
    assert_eq!(swept, Swept { packages: 2, size_bytes: stored[0].size_bytes + stored[2].size_bytes });
    assert_eq!(shop.names("packages"), [format!("{}.zip", stored[1].sha256)]);
    assert_eq!(shop.names("trees").len(), 1);
    assert_files(&shop.store.tree(stored[1].sha256).unwrap(), &[("index.py", "2")]);
    assert!(shop.store.tree(stored[0].sha256).is_err());
}

fn trees_without_an_archive_go_at_the_start() {
    let shop = Shop::new();
    let stored = ["1", "2"].map(|content| shop.store.put_bytes(&package(content)).unwrap().sha256);
    fs::remove_file(shop.path(&format!("packages/{}.zip", stored[0]))).unwrap();
    fs::create_dir(shop.path("trees/nonsense")).unwrap();
    // As if it had been on its way out: it may be either that stays.
    fs::create_dir(shop.path(&format!("trees/{}-another", stored[1]))).unwrap();
    let shop = shop.reopened();
    assert_eq!(shop.names("trees").len(), 1);
    shop.await_removals();
    assert!(shop.store.tree(stored[0]).is_err());
    assert_files(&shop.store.tree(stored[1]).unwrap(), &[("index.py", "2")]);
}
