//! What is not stored, in whose words, and that nothing is left of it.

use std::error::Error;

use firesteel_image::{PutError, ReadError, Sha256, StoreLimits};

use crate::{Shop, Test, package, unpacked_bytes, zip};

pub(crate) const TESTS: &[Test] = &[
    ("what is no archive cannot be unzipped", what_is_no_archive_cannot_be_unzipped),
    ("a damaged archive cannot be unzipped", a_damaged_archive_cannot_be_unzipped),
    ("an archive that leads outside cannot be unzipped", an_archive_that_leads_outside_cannot_be_unzipped),
    ("an empty package is told apart", an_empty_package_is_told_apart),
    ("a package unpacks to no more than the limit", a_package_unpacks_to_no_more_than_the_limit),
    ("all packages have one quota", all_packages_have_one_quota),
    ("what was never stored is unknown", what_was_never_stored_is_unknown),
];

/// The error, once it is sure that nothing is left; checking comes to the same.
#[track_caller]
fn refusal(shop: &Shop, bytes: &[u8]) -> PutError {
    let error = shop.store.put_bytes(bytes).unwrap_err();
    assert_eq!(shop.store.check_bytes(bytes).unwrap_err().to_string(), error.to_string());
    for folder in ["packages", "trees", "incoming"] {
        assert_eq!(shop.names(folder), [""; 0], "{folder}");
    }
    assert_eq!(shop.store.packages_bytes(), 0);
    assert!(matches!(shop.store.tree(Sha256::of(bytes)), Err(ReadError::Unknown { .. })));
    error
}

#[track_caller]
fn assert_cannot_be_unzipped(bytes: &[u8], why: &str) {
    let error = refusal(&Shop::new(), bytes);
    let expected = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    assert_eq!(error.to_string(), expected);
    let source = error.source().unwrap().to_string();
    assert!(source.contains(why), "{source}");
}

fn what_is_no_archive_cannot_be_unzipped() {
    assert_cannot_be_unzipped(b"not a zip", "not a readable zip archive");
}

fn a_damaged_archive_cannot_be_unzipped() {
    let bytes = package("x = 1");
    assert_cannot_be_unzipped(&bytes[..bytes.len() - 10], "not a readable zip archive");
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::STORE);
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file("index.py", stored).unwrap();
    std::io::Write::write_all(&mut writer, b"content").unwrap();
    let mut bytes = writer.finish().unwrap().into_inner();
    let at = bytes.windows(7).position(|found| found == b"content").unwrap();
    bytes[at] ^= 1;
    assert_cannot_be_unzipped(&bytes, "index.py");
}

fn an_archive_that_leads_outside_cannot_be_unzipped() {
    assert_cannot_be_unzipped(&zip(&[("../evil", b"x", 0o644)]), "it contains `..`");
}

fn an_empty_package_is_told_apart() {
    for bytes in [Vec::new(), zip(&[])] {
        let error = refusal(&Shop::new(), &bytes);
        assert!(matches!(error, PutError::Empty), "{error:?}");
    }
}

fn a_package_unpacks_to_no_more_than_the_limit() {
    let bytes = package(&"x".repeat(100_000));
    assert!(bytes.len() < 1000, "it is small as it comes");
    let error = refusal(&Shop::with(unpacked_bytes(99_999)), &bytes);
    assert_eq!(error.to_string(), "Unzipped size must be smaller than 99999 bytes");
    Shop::with(unpacked_bytes(100_000)).store.put_bytes(&bytes).unwrap();
}

fn all_packages_have_one_quota() {
    let (first, second) = (package("1"), package("2"));
    let quota = first.len() as u64 + second.len() as u64 - 1;
    let shop = Shop::with(StoreLimits { packages_bytes: quota, ..StoreLimits::default() });
    let stored = shop.store.put_bytes(&first).unwrap();
    let error = shop.store.put_bytes(&second).unwrap_err();
    assert!(matches!(error, PutError::CodeStorageExceeded { limit_bytes } if limit_bytes == quota));
    shop.store.put_bytes(&first).expect("what is there already takes no room");
    // What was refused after it had been given room gives it back.
    shop.store.put_bytes(b"not a zip").unwrap_err();
    assert!(shop.store.remove(stored.sha256).unwrap());
    shop.store.put_bytes(&second).unwrap();
}

fn what_was_never_stored_is_unknown() {
    let shop = Shop::new();
    let (never, stored) = (Sha256::of(b"never"), shop.store.put_bytes(&package("x")).unwrap().sha256);
    assert!(matches!(shop.store.tree(never), Err(ReadError::Unknown { sha256 }) if sha256 == never));
    assert!(matches!(shop.store.zip(never), Err(ReadError::Unknown { sha256 }) if sha256 == never));
    let layers = shop.store.layers(&[stored, never]);
    assert!(matches!(layers, Err(ReadError::Unknown { sha256 }) if sha256 == never));
    assert!(!shop.store.remove(never).unwrap());
}
