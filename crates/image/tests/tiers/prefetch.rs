//! Fetching ahead.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firesteel_image::chunk::{ChunkRef, ChunkSource, FetchError, VerifiedChunk};
use firesteel_image::tiers::simulated::{Fault, Latency};
use firesteel_image::tiers::{LocalCache, LocalOptions, PrefetchOptions, Prefetcher};
use tokio::time::Instant;

use crate::{fetch_all, store_of, until};

fn cache() -> Arc<LocalCache> {
    LocalCache::open(&LocalOptions::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_list_is_fetched_many_at_a_time_and_found_by_the_reader() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..300);
    let source = cache().over(store.clone());
    let prefetcher = Prefetcher::new(PrefetchOptions::default());
    let began = Instant::now();
    prefetcher.begin(chunks.clone(), source.clone()).finished().await;
    let ahead = began.elapsed();
    assert_eq!(prefetcher.report().fetched, 300);
    assert_eq!(store.most_reading(), 32);
    fetch_all(&source, &chunks).await.unwrap();
    assert_eq!(began.elapsed(), ahead);
    assert_eq!(store.reads(), 300);
    // One after another takes 300 times 36 ms.
    assert!(ahead < Duration::from_millis(300 * 36 / 15), "{ahead:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_of_the_list_is_asked_for_first() {
    #[derive(Debug, Default)]
    struct Asked(std::sync::Mutex<Vec<ChunkRef>>);
    #[async_trait]
    impl ChunkSource for Asked {
        async fn fetch(&self, chunk: ChunkRef) -> Result<VerifiedChunk, FetchError> {
            self.0.lock().unwrap().push(chunk);
            tokio::time::sleep(Duration::from_millis(1)).await;
            Err(FetchError::Missing { id: chunk.id })
        }
    }
    let (_, chunks) = store_of(Latency::ZERO, 0..8);
    let asked = Arc::new(Asked::default());
    let options = PrefetchOptions { of_start: 1, of_worker: 4 };
    Prefetcher::new(options).begin(chunks.clone(), asked.clone()).finished().await;
    assert_eq!(*asked.0.lock().unwrap(), chunks);
}

#[tokio::test(start_paused = true)]
async fn dropped_it_stops() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..300);
    let cache = cache();
    let prefetcher = Prefetcher::new(PrefetchOptions::default());
    let prefetch = prefetcher.begin(chunks, cache.over(store.clone()));
    until("some are under way", || cache.report().under_way == 32).await;
    drop(prefetch);
    until("none is under way", || cache.report().under_way == 0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(store.reads(), 32);
}

#[tokio::test(start_paused = true)]
async fn readers_go_before_prefetches_that_wait_for_their_turn() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..400);
    let cache = cache();
    let source = cache.over(store.clone());
    let prefetcher = Prefetcher::new(PrefetchOptions { of_start: 32, of_worker: 40 });
    let lists: Vec<_> =
        chunks.chunks(100).map(|part| prefetcher.begin(part.to_vec(), source.clone())).collect();
    until("as many are under way as may be", || cache.report().under_way == 40).await;
    // The last of a list that has just begun: nobody has asked for it yet, and the reader need not wait until somebody does.
    let began = Instant::now();
    source.fetch(chunks[399]).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
    for list in lists {
        list.finished().await;
    }
    assert_eq!(store.reads(), 400);
    assert!(store.most_reading() <= 41);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_gone_is_not_asked_for_the_whole_list() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..300);
    store.set_fault(Fault::Gone);
    let prefetcher = Prefetcher::new(PrefetchOptions::default());
    prefetcher.begin(chunks, cache().over(store.clone())).finished().await;
    assert!(store.reads() < 50, "{}", store.reads());
    assert_eq!(prefetcher.report().given_up, 1);
}
