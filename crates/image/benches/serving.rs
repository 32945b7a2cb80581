//! What a read of a mounted image costs, when its chunks are in memory.
//!
//! ```text
//! cargo bench -p firesteel-image --bench serving [-- ROUNDS]          as root, with mkfs.erofs; under `taskset -c 0` for one processor
//! ```
//!
//! Cold: a page that nobody has read so far, at a random place of a large file. Warm: one that is in the page cache. Beside
//! them the same file as it is on disk, and the bytes without a kernel in between.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that prints figures")]

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use firesteel_image::chunk::{
    CHUNK_BYTES, ChunkId, ChunkKey, ChunkRef, ChunkSource, Domain, FetchError, Salt, VerifiedChunk, seal,
};
use firesteel_image::serve::{BlockFile, Mounts, ServingPath, SlotTable};
use rustix::fs::Advice;
use tempfile::TempDir;

const FILE_BYTES: usize = 256 << 20;
const PAGE: usize = 4096;
/// Reads that are timed one by one.
const READS: usize = 10_000;

#[derive(Debug)]
struct Image {
    image_bytes: u64,
    slots: Vec<Option<(ChunkRef, ChunkKey)>>,
    chunks: HashMap<ChunkId, VerifiedChunk>,
}

impl SlotTable for Image {
    fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    fn slot(&self, index: u32) -> Option<(ChunkRef, &ChunkKey)> {
        self.slots[index as usize].as_ref().map(|(reference, key)| (*reference, key))
    }
}

#[async_trait]
impl ChunkSource for Image {
    async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
        self.chunks.get(&chunk.id).cloned().ok_or(FetchError::Missing { id: chunk.id })
    }
}

fn main() {
    // `cargo bench` adds words of its own.
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(3);
    let folder = TempDir::new_in(".").unwrap();
    let original = folder.path().join("original");
    std::fs::create_dir(&original).unwrap();
    let mut bytes = vec![0; FILE_BYTES];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    std::fs::write(original.join("file"), bytes).unwrap();
    let image = image(&folder.path().join("image"), &original);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    println!("{:<28} {:>9} {:>9} {:>9} {:>9}", "µs", "p50", "p90", "p99", "mean");
    for _ in 0..rounds {
        let file = file(&image);
        let read = |offset: u64, page: &mut [u8]| {
            let bytes = runtime.block_on(file.read(offset, page.len())).unwrap();
            page.copy_from_slice(&bytes);
        };
        timed("blocks, no kernel", 0, read);
        let native = original.join("file");
        evict(&native);
        timed("disk, cold", 1, reader(&native));
        timed("disk, warm", 1, reader(&native));
        evict(&native);
        sequential("disk, cold", &native);
        sequential("disk, warm", &native);
        for (name, path) in [("erofs", ServingPath::Erofs), ("fuse", ServingPath::Fuse)] {
            let place = folder.path().join("images");
            let mounts = Mounts::open(&place, path, runtime.handle().clone()).unwrap();
            let began = Instant::now();
            let mount = || runtime.block_on(mounts.mount("image", || crate::file(&image))).unwrap();
            let mounted = mount();
            println!("{:<28} {:>9.0}", format!("{name}, mounting"), micros(began.elapsed()));
            let file = mounted.root().join("file");
            timed(&format!("{name}, cold"), 1, reader(&file));
            timed(&format!("{name}, warm"), 1, reader(&file));
            drop(mounted);
            mounts.wait_for_unmounts();
            let mounted = mount();
            let file = mounted.root().join("file");
            sequential(&format!("{name}, cold"), &file);
            println!("{:<28} {:?}", "", mounted.statistics());
            sequential(&format!("{name}, warm"), &file);
            drop(mounted);
            let began = Instant::now();
            mounts.wait_for_unmounts();
            println!("{:<28} {:>9.0}", format!("{name}, unmounting"), micros(began.elapsed()));
        }
        println!();
    }
}

/// Made by `mkfs.erofs`.
fn image(path: &Path, original: &Path) -> Arc<Image> {
    let made = Command::new("mkfs.erofs").arg("--quiet").arg(path).arg(original).status().unwrap();
    assert!(made.success());
    let bytes = std::fs::read(path).unwrap();
    std::fs::remove_file(path).unwrap();
    let (mut slots, mut chunks) = (Vec::new(), HashMap::new());
    for slot in bytes.chunks(CHUNK_BYTES as usize) {
        slots.push(seal(slot, &Salt::from_bytes([1; 32]), &Domain::Deployment).map(|sealed| {
            let reference = sealed.chunk.reference();
            chunks.insert(reference.id, sealed.chunk);
            (reference, sealed.key)
        }));
    }
    Arc::new(Image { image_bytes: bytes.len() as u64, slots, chunks })
}

fn file(image: &Arc<Image>) -> BlockFile {
    let slots: Arc<dyn SlotTable> = Arc::<Image>::clone(image);
    BlockFile::new(slots, Arc::<Image>::clone(image), Duration::from_secs(10), Arc::new(|_| {}))
}

fn reader(path: &Path) -> impl FnMut(u64, &mut [u8]) + use<> {
    let file = File::open(path).unwrap();
    rustix::fs::fadvise(&file, 0, None, Advice::Random).unwrap();
    move |offset, page| file.read_exact_at(page, offset).unwrap()
}

fn evict(path: &Path) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

/// Every page once, in an order that nobody can guess; the same order for the same seed.
fn timed(name: &str, seed: u64, mut read: impl FnMut(u64, &mut [u8])) {
    let mut pages: Vec<usize> = (0..FILE_BYTES / PAGE).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut pages);
    let mut page = [0; PAGE];
    let mut times = Vec::with_capacity(READS);
    for number in pages.into_iter().take(READS) {
        let began = Instant::now();
        read((number * PAGE) as u64, &mut page);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let at = |thousandths: usize| micros(times[READS * thousandths / 1000]);
    let mean = micros(times.iter().sum::<Duration>()) / READS as f64;
    println!(
        "{:<28} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
        format!("{name}, 4 KiB"),
        at(500),
        at(900),
        at(990),
        mean
    );
}

fn sequential(name: &str, path: &Path) {
    let file = File::open(path).unwrap();
    let mut piece = vec![0; 1 << 20];
    let began = Instant::now();
    for offset in (0..FILE_BYTES).step_by(piece.len()) {
        file.read_exact_at(&mut piece, offset as u64).unwrap();
    }
    let megabytes_per_second = FILE_BYTES as f64 / 1e6 / began.elapsed().as_secs_f64();
    println!("{:<28} {megabytes_per_second:>9.0} MB/s", format!("{name}, in order"));
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
