//! The worker's own cache.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use firesteel_image::chunk::{ChunkRef, ChunkSource, FetchError};
use firesteel_image::tiers::simulated::{Fault, Latency, SimulatedStore};
use firesteel_image::tiers::{DiskOptions, LocalCache, LocalOptions, ShelfError};

use crate::{chunk, chunk_of, fetch_all, folder, store_of, until};

/// In memory, nothing: so that the disk is asked.
fn on_disk(folder: &Path) -> Arc<LocalCache> {
    with_disk(folder, 0, 1 << 30)
}

fn with_disk(folder: &Path, memory_bytes: u64, bytes: u64) -> Arc<LocalCache> {
    let disk = Some(DiskOptions { folder: folder.to_owned(), bytes });
    LocalCache::open(&LocalOptions { memory_bytes, disk, ..LocalOptions::default() }).unwrap()
}

fn in_memory(memory_bytes: u64) -> Arc<LocalCache> {
    LocalCache::open(&LocalOptions { memory_bytes, ..LocalOptions::default() }).unwrap()
}

fn over(cache: &Arc<LocalCache>, store: &Arc<SimulatedStore>) -> Arc<dyn ChunkSource> {
    cache.over(Arc::clone(store) as Arc<dyn ChunkSource>)
}

fn file_of(folder: &Path, chunk: ChunkRef) -> PathBuf {
    let name = chunk.id.to_string();
    folder.join(&name[..2]).join(name)
}

async fn until_written(cache: &LocalCache, files: u64) {
    until("files are written", || cache.report().files.unwrap().written == files).await;
}

/// A cache that has all chunks of a store on disk.
async fn filled(folder: &Path, chunks: u64) -> (Arc<LocalCache>, Arc<SimulatedStore>, Vec<ChunkRef>) {
    let (store, all) = store_of(Latency::ZERO, 0..chunks);
    let cache = on_disk(folder);
    fetch_all(&over(&cache, &store), &all).await.unwrap();
    until_written(&cache, chunks).await;
    (cache, store, all)
}

#[tokio::test(start_paused = true)]
async fn what_has_been_fetched_is_in_memory() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..20);
    let cache = in_memory(1 << 20);
    let source = over(&cache, &store);
    for _ in 0..3 {
        fetch_all(&source, &chunks).await.unwrap();
    }
    assert_eq!(store.reads(), 20);
    let report = cache.report();
    assert_eq!((report.memory.hits, report.memory.misses), (40, 20));
    assert_eq!((report.memory_chunks, report.memory_bytes), (20, 20 * 4096));
    assert!(chunks.iter().all(|chunk| cache.at_hand(*chunk).is_some()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_want_the_same_chunk_cost_one_read() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..5);
    let cache = in_memory(1 << 20);
    let mut waiting = tokio::task::JoinSet::new();
    for index in 0..1000 {
        // Of different images and tenants, all with the same chunks.
        let source = over(&cache, &store);
        let chunk = chunks[index % 5];
        waiting.spawn(async move { source.fetch(chunk).await.unwrap().reference() == chunk });
    }
    assert!(waiting.join_all().await.into_iter().all(|right| right));
    assert_eq!(store.reads(), 5);
    let report = cache.report();
    assert_eq!((report.joined, report.under_way), (995, 0));
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_takes_nothing_from_those_who_wait_with_him() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..1);
    let cache = in_memory(1 << 20);
    let source = over(&cache, &store);
    let mut waiting: Vec<_> = (0..10)
        .map(|_| {
            let (source, chunk) = (Arc::clone(&source), chunks[0]);
            tokio::spawn(async move { source.fetch(chunk).await })
        })
        .collect();
    until("all wait", || cache.report().joined == 9).await;
    // The first of them began the fetch.
    for gone in waiting.drain(..9) {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    assert_eq!(waiting.remove(0).await.unwrap().unwrap().reference(), chunks[0]);
    assert_eq!(store.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn when_all_have_gone_the_fetch_ends_and_the_next_begins_anew() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..1);
    store.set_fault(Fault::Stalled);
    let cache = in_memory(1 << 20);
    let source = over(&cache, &store);
    let fetching = source.fetch(chunks[0]);
    assert!(tokio::time::timeout(Duration::from_secs(1), fetching).await.is_err());
    assert_eq!(cache.report().under_way, 0);
    store.set_fault(Fault::None);
    source.fetch(chunks[0]).await.unwrap();
    assert_eq!(store.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_an_error_in_the_end() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..1);
    store.set_fault(Fault::Stalled);
    let refused = over(&in_memory(1 << 20), &store).fetch(chunks[0]).await.unwrap_err();
    assert!(matches!(refused, FetchError::TimedOut { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_all_who_wait_and_is_not_kept() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..1);
    store.set_fault(Fault::Gone);
    let source = over(&in_memory(1 << 20), &store);
    let all = futures_util::future::join_all((0..10).map(|_| source.fetch(chunks[0]))).await;
    assert!(all.iter().all(|one| matches!(one, Err(FetchError::Unreachable { .. }))));
    assert_eq!(store.reads(), 1);
    store.set_fault(Fault::None);
    source.fetch(chunks[0]).await.unwrap();
}

#[tokio::test]
async fn a_wrong_length_is_refused_whatever_is_in_memory() {
    let (store, chunks) = store_of(Latency::ZERO, 0..1);
    let source = over(&in_memory(1 << 20), &store);
    source.fetch(chunks[0]).await.unwrap();
    let wrong = ChunkRef { stored_bytes: 100, ..chunks[0] };
    assert!(matches!(source.fetch(wrong).await, Err(FetchError::Corrupt { .. })));
    source.fetch(chunks[0]).await.unwrap();
    assert_eq!(store.reads(), 2);
}

#[tokio::test]
async fn what_is_on_disk_is_there_after_a_restart() {
    let folder = folder();
    let (cache, store, chunks) = filled(folder.path(), 20).await;
    drop(cache);
    store.set_fault(Fault::Gone);
    let cache = on_disk(folder.path());
    fetch_all(&over(&cache, &store), &chunks).await.unwrap();
    assert_eq!(store.reads(), 20);
    assert_eq!(cache.report().disk.unwrap().hits, 20);
    assert_eq!(cache.report().files.unwrap().files, 20);
}

#[tokio::test]
async fn a_smaller_room_after_a_restart_is_kept_to() {
    let folder = folder();
    let (cache, _, chunks) = filled(folder.path(), 20).await;
    drop(cache);
    let cache = with_disk(folder.path(), 0, 5 * 4096);
    let report = cache.report().files.unwrap();
    assert_eq!((report.files, report.bytes), (5, 5 * 4096));
    let left = chunks.iter().filter(|chunk| file_of(folder.path(), **chunk).exists()).count();
    assert_eq!(left, 5);
}

#[tokio::test]
async fn files_go_when_there_is_no_room_for_others() {
    let folder = folder();
    let (store, chunks) = store_of(Latency::ZERO, 0..60);
    let cache = with_disk(folder.path(), 0, 10 * 4096);
    let source = over(&cache, &store);
    for (number, chunk) in (1..).zip(&chunks) {
        source.fetch(*chunk).await.unwrap();
        until_written(&cache, number).await;
    }
    until("files are removed", || {
        chunks.iter().filter(|chunk| file_of(folder.path(), **chunk).exists()).count() == 10
    })
    .await;
    assert_eq!(cache.report().files.unwrap().bytes, 10 * 4096);
}

#[tokio::test]
async fn a_folder_has_one_user() {
    let folder = folder();
    let cache = on_disk(folder.path());
    let disk = Some(DiskOptions { folder: folder.path().to_owned(), bytes: 1 });
    let refused = LocalCache::open(&LocalOptions { disk, ..LocalOptions::default() }).unwrap_err();
    assert!(matches!(refused, ShelfError::InUse(_)), "{refused}");
    drop(cache);
    on_disk(folder.path());
}

#[tokio::test]
async fn what_is_not_a_chunk_is_left_alone() {
    let folder = folder();
    let (store, chunks) = store_of(Latency::ZERO, 0..1);
    drop(on_disk(folder.path()));
    let elsewhere = folder.path().join("zz");
    fs::create_dir(&elsewhere).unwrap();
    let foreign =
        [folder.path().join("notes"), elsewhere.join("zzz"), elsewhere.join(chunks[0].id.to_string())];
    foreign.iter().for_each(|path| fs::write(path, "mine").unwrap());
    fs::write(folder.path().join("incoming/.tmpx"), "half").unwrap();
    let cache = on_disk(folder.path());
    assert_eq!(cache.report().files.unwrap().files, 0);
    assert!(foreign.iter().all(|path| path.exists()));
    assert!(!folder.path().join("incoming/.tmpx").exists());
    over(&cache, &store).fetch(chunks[0]).await.unwrap();
}

/// What can happen to a file; beside it is that of another chunk.
type Damage = (&'static str, fn(&Path, &Path));

const DAMAGES: &[Damage] = &[
    ("a flipped bit at the begin", |file, _| flip(file, 0)),
    ("a flipped bit at the end", |file, _| flip(file, 4095)),
    ("cut off", |file, _| fs::File::options().write(true).open(file).unwrap().set_len(4000).unwrap()),
    ("nothing in it", |file, _| fs::write(file, "").unwrap()),
    ("longer", |file, _| fs::write(file, [fs::read(file).unwrap(), vec![0; 10]].concat()).unwrap()),
    ("very much longer", |file, _| {
        fs::File::options().write(true).open(file).unwrap().set_len(1 << 32).unwrap();
    }),
    ("that of another chunk", |file, other| {
        fs::copy(other, file).unwrap();
    }),
    ("a folder", |file, _| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    }),
    ("removed", |file, _| fs::remove_file(file).unwrap()),
];

fn flip(file: &Path, offset: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[offset] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_found_out_and_replaced() {
    for (what, damage) in DAMAGES {
        let folder = folder();
        let (mut cache, store, chunks) = filled(folder.path(), 2).await;
        for reopened in [false, true] {
            damage(&file_of(folder.path(), chunks[0]), &file_of(folder.path(), chunks[1]));
            if reopened {
                drop(cache);
                cache = on_disk(folder.path());
            }
            let (reads, written) = (store.reads(), cache.report().files.unwrap().written);
            let got = over(&cache, &store).fetch(chunks[0]).await.unwrap();
            assert_eq!(got, chunk(0), "{what}");
            assert_eq!(store.reads(), reads + 1, "{what}");
            if *what == "a folder" {
                // Not ours: it stays, and the chunk is not kept.
                until("a write has failed", || cache.report().files.unwrap().failed_writes > 0).await;
                break;
            }
            until_written(&cache, written + 1).await;
            over(&cache, &store).fetch(chunks[0]).await.unwrap();
            assert_eq!(store.reads(), reads + 1, "{what}");
        }
    }
}

#[tokio::test]
async fn swapped_files_are_found_out() {
    let folder = folder();
    let (cache, store, chunks) = filled(folder.path(), 2).await;
    let [first, second] = [0, 1].map(|index| file_of(folder.path(), chunks[index]));
    let aside = folder.path().join("aside");
    fs::rename(&first, &aside).unwrap();
    fs::rename(&second, &first).unwrap();
    fs::rename(&aside, &second).unwrap();
    for number in 0..2 {
        assert_eq!(
            over(&cache, &store).fetch(chunks[usize::try_from(number).unwrap()]).await.unwrap(),
            chunk(number)
        );
    }
    assert_eq!(store.reads(), 4);
    assert_eq!(cache.report().files.unwrap().damaged, 2);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_is_still_read() {
    let folder = folder();
    let (store, chunks) = store_of(Latency::ZERO, 0..10);
    let cache = on_disk(folder.path());
    let source = over(&cache, &store);
    fetch_all(&source, &chunks[..5]).await.unwrap();
    until_written(&cache, 5).await;
    // There is no folder to write into any more.
    fs::remove_dir(folder.path().join("incoming")).unwrap();
    source.fetch(chunks[5]).await.unwrap();
    until("a write has failed", || cache.report().files.unwrap().failed_writes == 1).await;
    fs::create_dir(folder.path().join("incoming")).unwrap();
    fetch_all(&source, &chunks[6..]).await.unwrap();
    let report = cache.report().files.unwrap();
    assert_eq!((report.dropped, report.failed_writes, report.written), (4, 1, 5));
    let reads = store.reads();
    fetch_all(&source, &chunks[..5]).await.unwrap();
    assert_eq!(store.reads(), reads);
    // After a while it is tried again.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    source.fetch(chunks[9]).await.unwrap();
    until_written(&cache, 6).await;
}

/// A file system of a size; gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(size: &str) -> Option<Self> {
        let folder = folder();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "firesteel-test"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(
            std::thread::panicking() || unmounted.is_ok_and(|status| status.success()),
            "{} is still mounted",
            self.0.path().display()
        );
    }
}

#[tokio::test]
async fn a_full_disk_is_still_read() {
    let Some(disk) = SmallDisk::new("2m") else {
        // Past the harness, which shows nothing of what passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED a_full_disk_is_still_read: nothing can be mounted here");
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "nothing may be skipped");
        return;
    };
    let folder = disk.0.path().join("cache");
    let store = Arc::new(SimulatedStore::new(Latency::ZERO, 1));
    let chunks: Vec<_> = (0..8).map(|number| store.add(chunk_of(number, 512 * 1024))).collect();
    let cache = on_disk(&folder);
    let source = over(&cache, &store);
    for chunk in &chunks {
        source.fetch(*chunk).await.unwrap();
        let settled = |report: &firesteel_image::tiers::DiskReport| {
            report.written + report.failed_writes + report.dropped
        };
        let wanted = 1 + chunks.iter().position(|other| other == chunk).unwrap() as u64;
        until("it is written, or not", || settled(&cache.report().files.unwrap()) == wanted).await;
    }
    let report = cache.report().files.unwrap();
    assert!(report.written >= 2 && report.failed_writes == 1 && report.dropped >= 3, "{report:?}");
    assert_eq!(fs::read_dir(folder.join("incoming")).unwrap().count(), 0, "half a file was left");
    let reads = store.reads();
    let on_it = usize::try_from(report.written).unwrap();
    fetch_all(&source, &chunks[..on_it]).await.unwrap();
    assert_eq!(store.reads(), reads);
    drop((source, cache));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_get_what_they_ask_for_while_room_is_short() {
    let folder = folder();
    let (store, chunks) = store_of(Latency::ZERO, 0..100);
    let cache = with_disk(folder.path(), 20 * 4096, 40 * 4096);
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..16 {
        let (source, chunks) = (over(&cache, &store), chunks.clone());
        tasks.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..500 {
                let number = random.usize(..100);
                let got = source.fetch(chunks[number]).await.unwrap();
                assert_eq!(got.reference(), chunks[number]);
            }
        });
    }
    tasks.join_all().await;
    let report = cache.report();
    assert_eq!(report.under_way, 0);
    assert!(report.memory_bytes <= 20 * 4096 && report.files.unwrap().bytes <= 40 * 4096);
}

#[tokio::test]
#[ignore = "prints figures, on a machine that is quiet"]
async fn what_a_read_takes() {
    let folder = folder();
    let store = Arc::new(SimulatedStore::new(Latency::ZERO, 1));
    let chunks: Vec<_> = (0..64).map(|number| store.add(chunk_of(number, 512 * 1024))).collect();
    for (what, memory_bytes) in [("from memory", 1 << 30), ("from disk", 0)] {
        let cache = with_disk(folder.path(), memory_bytes, 1 << 30);
        let source = over(&cache, &store);
        fetch_all(&source, &chunks).await.unwrap();
        until("all are written", || cache.report().files.unwrap().files == 64).await;
        for _ in 0..20 {
            fetch_all(&source, &chunks).await.unwrap();
        }
        let report = cache.report();
        let tier = if memory_bytes > 0 { report.memory } else { report.disk.unwrap() };
        println!("512 KiB {what}: p50 {} µs, p99 {} µs", tier.p50_micros, tier.p99_micros);
    }
}
