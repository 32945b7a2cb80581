//! What several targets need: images as files, folders that vanish, and a runtime.
#![forbid(unsafe_code)]

pub mod serve;

use std::cell::OnceCell;

use firesteel_image::chunk::CHUNK_BYTES;
use firesteel_image::{FlatImage, FlattenError};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Runs what a target awaits, on its own thread: the same input takes the same way.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local!(static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() });
    RUNTIME.with(|runtime| {
        runtime.get_or_init(|| Builder::new_current_thread().enable_all().build().unwrap()).block_on(future)
    })
}

/// A folder in memory, for one input.
pub fn scratch() -> TempDir {
    TempDir::with_prefix_in("firesteel-fuzz-", "/dev/shm").unwrap()
}

/// Up to `count` parts with zero bytes between them; the last has all that is left. Absent ones are empty.
pub fn parts(data: &[u8], count: usize) -> Vec<&[u8]> {
    let mut parts: Vec<_> = data.splitn(count, |byte| *byte == 0).collect();
    parts.resize(count, &[]);
    parts
}

/// Puts the right checksum into all that looks like a header of a tar file: hardly any mutation would get past it.
pub fn fix_checksums(tar: &mut [u8]) {
    for block in tar.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            let said: [u8; 8] = block[148..156].try_into().unwrap();
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            let digits = std::str::from_utf8(&said).unwrap_or_default().trim_matches(['\0', ' ']);
            // One that is right stays as it is: the tar may be a layer within another, which is known by its digest.
            let is_right = u32::from_str_radix(digits, 8) == Ok(sum);
            let sum = format!("{sum:06o}\0 ");
            block[148..156].copy_from_slice(if is_right { &said } else { sum.as_bytes() });
        }
    }
}

/// All of an image that is small.
pub fn whole(image: &FlatImage) -> Result<Vec<u8>, FlattenError> {
    let mut bytes = Vec::new();
    let mut slot = Box::new([0; CHUNK_BYTES as usize]);
    for index in 0..image.slots() {
        image.read_slot(index, &mut slot)?;
        bytes.extend_from_slice(&*slot);
    }
    bytes.truncate(usize::try_from(image.image_bytes()).unwrap());
    Ok(bytes)
}
