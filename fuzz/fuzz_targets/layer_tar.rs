//! Two layers become an image that can be read, always the same one, or an error.
#![no_main]
#![forbid(unsafe_code)]

use std::sync::Arc;

use firesteel_fuzz::{fix_checksums, serve::walk, wait, whole};
use firesteel_image::{FlattenLimits, Layer, flatten};
use libfuzzer_sys::fuzz_target;

const LIMITS: FlattenLimits = FlattenLimits {
    content_bytes: 1 << 20,
    inodes: 500,
    path_bytes: 4095,
    entries: 500,
    metadata_bytes: 1 << 18,
};

fuzz_target!(|data: &[u8]| {
    let Some((&[flags, split], tars)) = data.split_first_chunk() else { return };
    let (lower, upper) = tars.split_at(tars.len().min(usize::from(split) * 512));
    let layers = [lower, upper].map(|tar| {
        let mut tar = tar.to_vec();
        if flags & 1 == 0 {
            fix_checksums(&mut tar);
        }
        if flags & 2 == 0 {
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        Layer { digest: "sha256:0".to_owned(), tar: Arc::new(tar) }
    });
    let image = || flatten(&layers, &LIMITS).and_then(|image| whole(&image));
    if let Ok(bytes) = image() {
        assert!(bytes.len() < 16 << 20, "an image of {} bytes", bytes.len());
        wait(walk(&bytes, &[])).expect("what is written can be read");
        assert!(image().unwrap() == bytes, "the same layers gave two images");
    }
});
