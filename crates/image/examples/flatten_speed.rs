//! How fast layers are flattened, and in how much memory.
//!
//! ```text
//! cargo run --release -p firesteel-image --example flatten_speed -- TAR…            layers from disk
//! cargo run --release -p firesteel-image --example flatten_speed -- FILES BYTES     one made up, of equal files
//! ```
//!
//! The made-up one is computed as it is read, so that neither a disk nor its own memory counts.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program to measure with")]

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use firesteel_image::{FlattenLimits, Layer, ReadAt, flatten};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut tar_bytes = 0;
    let layers: Vec<Layer> = match arguments.as_slice() {
        [files, bytes] if files.parse::<u64>().is_ok() => {
            let tar = Synthetic::new(files.parse().unwrap(), bytes.parse().unwrap());
            tar_bytes = tar.files * tar.entry_bytes();
            vec![Layer { digest: "synthetic".to_owned(), tar: Arc::new(tar) }]
        }
        paths => {
            let open = |path: &String| {
                let file = File::open(path).unwrap();
                tar_bytes += file.metadata().unwrap().len();
                Layer { digest: path.clone(), tar: Arc::new(file) }
            };
            paths.iter().map(open).collect()
        }
    };
    let started = Instant::now();
    let image = flatten(&layers, &FlattenLimits::default()).unwrap();
    let flattened = started.elapsed();
    let mut slot_bytes: Box<[u8; 512 * 1024]> = vec![0; 512 * 1024].try_into().unwrap();
    for slot in 0..image.slots() {
        image.read_slot(slot, &mut slot_bytes).unwrap();
    }
    let all = started.elapsed();
    let mib = |bytes: u64| bytes >> 20;
    println!("image: {} MiB in {} slots", mib(image.image_bytes()), image.slots());
    println!("metadata: {} KiB", image.metadata_bytes() >> 10);
    println!("flatten: {} ms", flattened.as_millis());
    println!("flatten and read all slots: {} ms", all.as_millis());
    let per_second = u128::from(mib(tar_bytes)) * 1000 / all.as_millis().max(1);
    println!("rate: {per_second} MiB of tar a second");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("peak memory: {}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap());
}

/// A tar of files of one size.
struct Synthetic {
    files: u64,
    bytes: u64,
    noise: Vec<u8>,
}

impl Synthetic {
    fn new(files: u64, bytes: u64) -> Self {
        let mut noise = vec![0; 1 << 20];
        fastrand::Rng::with_seed(1).fill(&mut noise);
        Synthetic { files, bytes, noise }
    }

    fn entry_bytes(&self) -> u64 {
        512 + self.bytes.next_multiple_of(512)
    }

    fn header(&self, index: u64) -> [u8; 512] {
        let mut header = tar::Header::new_gnu();
        let (package, module) = (index / 40, index % 40);
        header.set_path(format!("usr/lib/python3/packages/package-{package:06}/module-{module}.py")).unwrap();
        header.set_size(self.bytes);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000 + index);
        header.set_cksum();
        *header.as_bytes()
    }
}

impl ReadAt for Synthetic {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let entry_bytes = self.entry_bytes();
        let (index, within) = (offset / entry_bytes, offset % entry_bytes);
        if index >= self.files || buf.is_empty() {
            return Ok(0);
        }
        let header;
        let source = if within < 512 {
            header = self.header(index);
            &header[usize::try_from(within).unwrap()..]
        } else {
            let start = usize::try_from((offset * 7) % (1 << 19)).unwrap();
            let left = usize::try_from(entry_bytes - within).unwrap();
            &self.noise[start..][..left.min(1 << 19)]
        };
        let bytes = source.len().min(buf.len());
        buf[..bytes].copy_from_slice(&source[..bytes]);
        Ok(bytes)
    }
}
