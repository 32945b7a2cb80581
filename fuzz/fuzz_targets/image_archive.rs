//! A file that calls itself an archive of an image: what is in it is found, or an error.
#![no_main]
#![forbid(unsafe_code)]

use std::sync::Arc;

use firesteel_fuzz::{fix_checksums, scratch, wait};
use firesteel_image::oci::{ImageSources, OciLimits, Platform, Reference, RegistrySettings};
use firesteel_image::{FlattenLimits, flatten};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut archive = data.to_vec();
    fix_checksums(&mut archive);
    let folder = scratch();
    let file = folder.path().join("image.tar");
    std::fs::write(&file, archive).unwrap();
    let limits = OciLimits {
        unpacked_bytes: 1 << 20,
        expansion_ratio: 50,
        expansion_free_bytes: 1 << 14,
        ..OciLimits::default()
    };
    let sources =
        ImageSources::open(&folder.path().join("sources"), limits, RegistrySettings::default()).unwrap();
    let reference = Reference::Archive { file, name: None };
    if let Ok(image) = wait(sources.fetch(&reference, &Platform::new("amd64"), Arc::new(()))) {
        let _ = flatten(&image.layers, &FlattenLimits { content_bytes: 1 << 20, ..FlattenLimits::default() });
    }
});
