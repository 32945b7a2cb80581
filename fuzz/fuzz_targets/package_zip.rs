//! A zip becomes a folder within its limits, or nothing; nothing appears beside it.
#![no_main]
#![forbid(unsafe_code)]

use std::fs;

use firesteel_fuzz::scratch;
use firesteel_image::{Limits, unpack_zip};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = scratch();
    let (archive, into) = (folder.path().join("archive.zip"), folder.path().join("into"));
    fs::write(&archive, data).unwrap();
    let limits = Limits { unpacked_bytes: 1 << 20, used_bytes: 0, entries: 200, path_bytes: 1024 };
    let unpacked = unpack_zip(&archive, &into, limits);
    assert_eq!(into.exists(), unpacked.is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1 + usize::from(unpacked.is_ok()));
    if let Ok(unpacked) = unpacked {
        assert!(unpacked.bytes <= limits.unpacked_bytes && unpacked.entries <= limits.entries);
        firesteel_image::measure(&into, limits).expect("what was unpacked is a package");
    }
});
