//! Any bytes are an image, or none: never a panic, never without end, and no more bytes than were asked for.
#![no_main]
#![forbid(unsafe_code)]

use firesteel_fuzz::{serve::walk, wait};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Where superblocks begin, so that not all inputs begin with 1024 zeros.
    let Some((jump, image)) = data.split_first_chunk::<8>() else { return };
    let jump = u64::from_le_bytes(*jump);
    let image = [&[0; 1024][..], image].concat();
    let _ = wait(walk(&image, &[jump, jump.wrapping_neg()]));
});
