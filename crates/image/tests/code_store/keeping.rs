//! What is stored is there, as it came, and stays.

use std::fs;
use std::io::{Read, Write};

use firesteel_image::{CodeStore, CodeStoreOpenError, Sha256, StoreLimits, Stored};

use crate::{Shop, Test, assert_files, files, package, zip};

pub(crate) const TESTS: &[Test] = &[
    ("a package is named after its bytes and counted", a_package_is_named_after_its_bytes_and_counted),
    ("modes are those of the package", modes_are_those_of_the_package),
    ("an archive is given back byte for byte", an_archive_is_given_back_byte_for_byte),
    ("pieces make the same package", pieces_make_the_same_package),
    ("what is stored twice is stored once", what_is_stored_twice_is_stored_once),
    ("packages outlive the server", packages_outlive_the_server),
    ("a tree that is not whole is made again", a_tree_that_is_not_whole_is_made_again),
    ("a package that was only checked is not there", a_package_that_was_only_checked_is_not_there),
    ("one store at a time has a folder", one_store_at_a_time_has_a_folder),
    ("what is not of the store is left alone", what_is_not_of_the_store_is_left_alone),
];

fn a_package_is_named_after_its_bytes_and_counted() {
    let shop = Shop::new();
    let bytes = zip(&[("a", b"12345", 0o644), ("b/c", b"678", 0o644)]);
    let stored = shop.store.put_bytes(&bytes).unwrap();
    let expected = Stored { sha256: Sha256::of(&bytes), size_bytes: bytes.len() as u64, unzipped_bytes: 8 };
    assert_eq!(stored, expected);
    assert_eq!(shop.store.packages_bytes(), bytes.len() as u64);
    assert_eq!(shop.names("packages"), [format!("{}.zip", stored.sha256)]);
    assert_eq!(shop.store.tree(stored.sha256).unwrap().unpacked().bytes, 8);
}

fn modes_are_those_of_the_package() {
    let shop = Shop::new();
    let bytes = zip(&[("bootstrap", b"#!", 0o755), ("data", b"x", 0o640)]);
    let tree = shop.store.tree(shop.store.put_bytes(&bytes).unwrap().sha256).unwrap();
    let modes: Vec<u32> = files(&tree).into_values().map(|(_, mode)| mode).collect();
    assert_eq!(modes, [0o755, 0o640]);
}

fn an_archive_is_given_back_byte_for_byte() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let sha256 = shop.store.put_bytes(&bytes).unwrap().sha256;
    let mut found = Vec::new();
    shop.store.zip(sha256).unwrap().read_to_end(&mut found).unwrap();
    assert_eq!(found, bytes);
}

fn pieces_make_the_same_package() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let mut incoming = shop.store.receive().unwrap();
    bytes.chunks(7).for_each(|piece| incoming.write_all(piece).unwrap());
    assert_eq!(incoming.size_bytes(), bytes.len() as u64);
    assert_eq!(shop.store.put(incoming).unwrap().sha256, Sha256::of(&bytes));
}

fn what_is_stored_twice_is_stored_once() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let first = shop.store.put_bytes(&bytes).unwrap();
    let tree = shop.store.tree(first.sha256).unwrap();
    assert_eq!(shop.store.put_bytes(&bytes).unwrap(), first);
    assert_eq!(shop.store.tree(first.sha256).unwrap().path(), tree.path());
    assert_eq!(shop.store.packages_bytes(), bytes.len() as u64);
    assert_eq!(shop.names("incoming"), [""; 0]);
}

fn packages_outlive_the_server() {
    let shop = Shop::new();
    let stored = shop.store.put_bytes(&package("x = 1")).unwrap();
    let before = shop.store.tree(stored.sha256).unwrap().path().to_owned();
    let shop = shop.reopened();
    let tree = shop.store.tree(stored.sha256).unwrap();
    assert_files(&tree, &[("index.py", "x = 1")]);
    assert_eq!(tree.path(), before, "it is not unpacked again");
    assert_eq!(tree.unpacked().bytes, stored.unzipped_bytes);
    assert_eq!(shop.store.packages_bytes(), stored.size_bytes);
}

fn a_tree_that_is_not_whole_is_made_again() {
    let mutilations: [fn(&std::path::Path); 5] = [
        |content| fs::write(content.join("index.py"), "").unwrap(),
        |content| fs::remove_file(content.join("index.py")).unwrap(),
        |content| fs::write(content.join("more"), "").unwrap(),
        |content| fs::write(content.with_file_name("size.json"), "{").unwrap(),
        |content| fs::remove_dir_all(content.parent().unwrap()).unwrap(),
    ];
    for mutilate in mutilations {
        let shop = Shop::new();
        let sha256 = shop.store.put_bytes(&package("x = 1")).unwrap().sha256;
        mutilate(shop.store.tree(sha256).unwrap().path());
        let shop = shop.reopened();
        assert_files(&shop.store.tree(sha256).unwrap(), &[("index.py", "x = 1")]);
        assert_eq!(shop.names("trees").len(), 1);
    }
}

fn a_package_that_was_only_checked_is_not_there() {
    let shop = Shop::new();
    let bytes = package("x = 1");
    let checked = shop.store.check_bytes(&bytes).unwrap();
    assert!(shop.store.tree(checked.sha256).is_err());
    for folder in ["packages", "trees", "incoming"] {
        assert_eq!(shop.names(folder), [""; 0], "{folder}");
    }
    assert_eq!(shop.store.put_bytes(&bytes).unwrap(), checked);
}

fn one_store_at_a_time_has_a_folder() {
    let shop = Shop::new();
    let second = CodeStore::open(&shop.path(""), StoreLimits::default());
    assert!(matches!(second.unwrap_err(), CodeStoreOpenError::InUse { .. }));
    // A tree is the store's, whoever holds it.
    let tree = shop.store.tree(shop.store.put_bytes(&package("x")).unwrap().sha256).unwrap();
    let Shop { folder, store } = shop;
    drop(store);
    let code = folder.path().join("code");
    assert!(CodeStore::open(&code, StoreLimits::default()).is_err());
    drop(tree);
    CodeStore::open(&code, StoreLimits::default()).unwrap();
}

fn what_is_not_of_the_store_is_left_alone() {
    let shop = Shop::new();
    fs::write(shop.path("packages/notes.txt"), "mine").unwrap();
    let shop = shop.reopened();
    assert_eq!(shop.names("packages"), ["notes.txt"]);
    assert_eq!(shop.store.packages_bytes(), 0);
}
