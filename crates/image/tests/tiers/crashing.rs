//! Killed at any moment, a worker leaves a cache of which every file that is read is what it should be.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use firesteel_image::tiers::simulated::{Latency, SimulatedStore};
use firesteel_image::tiers::{DiskOptions, LocalCache, LocalOptions};

use crate::{chunk_of, fetch_all, folder};

/// Tells the process that is killed where to write.
const FOLDER: &str = "FIRESTEEL_TEST_VICTIM_FOLDER";
const CHUNKS: u64 = 40;
const ROUNDS: u64 = 12;

fn open(folder: &Path) -> std::sync::Arc<LocalCache> {
    // Room for half of them, so that files are removed as well as written.
    let disk = Some(DiskOptions { folder: folder.to_owned(), bytes: CHUNKS / 2 * 256 * 1024 });
    LocalCache::open(&LocalOptions { memory_bytes: 0, disk, ..LocalOptions::default() }).unwrap()
}

fn store() -> (std::sync::Arc<SimulatedStore>, Vec<firesteel_image::chunk::ChunkRef>) {
    let store = SimulatedStore::new(Latency::ZERO, 1);
    let chunks = (0..CHUNKS).map(|number| store.add(chunk_of(number, 256 * 1024))).collect();
    (std::sync::Arc::new(store), chunks)
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "is started by another test, and killed"]
async fn victim() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (store, chunks) = store();
    let source = open(Path::new(&folder)).over(store);
    println!("\nready");
    loop {
        fetch_all(&source, &chunks).await.unwrap();
    }
}

#[tokio::test]
async fn killed_while_writing_it_is_whole_afterwards() {
    let folder = folder();
    let mut random = fastrand::Rng::with_seed(3);
    let mut met_half_done = 0;
    for _ in 0..ROUNDS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crashing::victim", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(victim.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap() == "ready"));
        let moment = std::time::Duration::from_micros(random.u64(1000..30_000));
        tokio::time::sleep(moment).await;
        victim.kill().unwrap();
        victim.wait().unwrap();
        met_half_done += fs::read_dir(folder.path().join("incoming")).unwrap().count();
        let (store, chunks) = store();
        let cache = open(folder.path());
        assert_eq!(fs::read_dir(folder.path().join("incoming")).unwrap().count(), 0);
        fetch_all(&cache.over(store), &chunks).await.unwrap();
        assert_eq!(cache.report().files.unwrap().damaged, 0);
    }
    println!("{met_half_done} of {ROUNDS} were killed within a file");
}
