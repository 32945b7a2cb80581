//! Bounds, and what they are for: a store that is asked for more than it can do, by workers whose caches are empty.

use std::sync::Arc;
use std::time::Duration;

use firesteel_image::chunk::FetchError;
use firesteel_image::tiers::simulated::{Fault, Latency, SimulatedStore};
use firesteel_image::tiers::{
    AdmissionOptions, LocalCache, LocalOptions, OriginLimits, OriginOptions, StartAdmission,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{chunk_of, store_of, until};

const OPTIONS: OriginOptions = OriginOptions {
    reads: 8,
    reads_of_tenant: 5,
    waiting_of_tenant: 10,
    wait: Duration::from_secs(1),
    deadline: Duration::from_secs(2),
};

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_of_the_store_than_may_be() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..15);
    let limits = OriginLimits::new(OPTIONS);
    let mut reads = JoinSet::new();
    for tenant in ["one", "two", "three"] {
        for chunk in &chunks {
            let (source, chunk) = (limits.over(tenant, store.clone()), *chunk);
            reads.spawn(async move { source.fetch(chunk).await.unwrap() });
        }
    }
    reads.join_all().await;
    assert_eq!(store.most_reading(), 8);
    assert_eq!(limits.report().hits, 45);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_waits_for_himself_and_not_others_for_him() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..16);
    let limits = OriginLimits::new(OPTIONS);
    let busy = limits.over("busy", store.clone());
    let mut reads = JoinSet::new();
    for chunk in &chunks {
        let (busy, chunk) = (busy.clone(), *chunk);
        reads.spawn(async move { busy.fetch(chunk).await });
    }
    until("he reads as much as he may", || store.most_reading() == 5).await;
    let began = Instant::now();
    limits.over("other", store.clone()).fetch(chunks[0]).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(200));
    let answers = reads.join_all().await;
    // Five read and ten wait; there is no place for the sixteenth.
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!(matches!(refused[..], [FetchError::Busy { .. }]), "{refused:?}");
    assert_eq!(store.most_reading(), 6);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_so() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..6);
    store.set_fault(Fault::Stalled);
    let source = OriginLimits::new(OPTIONS).over("one", store.clone());
    let began = Instant::now();
    let answers = futures_util::future::join_all(chunks.iter().map(|chunk| source.fetch(*chunk))).await;
    let count = |wanted: fn(&FetchError) -> bool| {
        answers.iter().filter(|answer| answer.as_ref().is_err_and(wanted)).count()
    };
    assert_eq!(count(|error| matches!(error, FetchError::TimedOut { .. })), 5);
    assert_eq!(count(|error| matches!(error, FetchError::Busy { .. })), 1);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn another_tenants_limit_is_not_told_to_who_has_joined_his_fetch() {
    let (store, chunks) = store_of(Latency::ORIGIN, 0..7);
    store.set_fault(Fault::Stalled);
    let limits = OriginLimits::new(OriginOptions { deadline: Duration::from_secs(100), ..OPTIONS });
    let cache = LocalCache::open(&LocalOptions::default()).unwrap();
    let sources = ["one", "two"].map(|tenant| cache.over(limits.over(tenant, store.clone())));
    let mut reads = JoinSet::new();
    for chunk in chunks[..6].iter().copied() {
        let source = sources[0].clone();
        reads.spawn(async move { source.fetch(chunk).await.map(drop) });
    }
    until("all are under way", || cache.report().under_way == 6).await;
    store.set_fault(Fault::None);
    // The sixth is the one that waits for a permit of his tenant, who gets none.
    let joined = sources[1].fetch(chunks[5]).await;
    assert_eq!(joined.unwrap().reference(), chunks[5]);
    reads.abort_all();
}

/// Twice as many starts as the store can feed, with empty caches.
///
/// Each of 1500 images has chunks of its own and shares others; a start reads 40, one after another. The store does what
/// stores do: beyond 64 reads at a time it gets slower, in proportion, for all.
#[tokio::test(start_paused = true)]
async fn empty_caches_at_twice_the_load_fill_by_themselves() {
    const IMAGES: u64 = 1500;
    const CHUNKS_OF_START: u64 = 40;
    const LIMIT: usize = 48;
    let store = SimulatedStore::new(Latency::ORIGIN, 7).with_capacity(64);
    // A third of an image's chunks is of a base that five share.
    let number = |image: u64, index: u64| {
        if index.is_multiple_of(3) { 1_000_000 + image % 12 * 1000 + index } else { image * 1000 + index }
    };
    let images: Vec<Vec<_>> = (0..IMAGES)
        .map(|image| {
            (0..CHUNKS_OF_START).map(|index| store.add(chunk_of(number(image, index), 64))).collect()
        })
        .collect();
    let store = Arc::new(store);
    let limits = OriginLimits::new(OriginOptions {
        reads: LIMIT,
        reads_of_tenant: LIMIT,
        waiting_of_tenant: 400,
        wait: Duration::from_millis(500),
        deadline: Duration::from_secs(5),
    });
    let cache = LocalCache::open(&LocalOptions::default()).unwrap();
    let source = cache.over(limits.over("all", store.clone()));
    let admission = StartAdmission::new(AdmissionOptions { max: 64, min: 4, slow: Duration::from_secs(4) });

    // The store gives 48 per 41 ms: 1170 a second. Once the shared ones are there, 90 starts want 27 each: 2430.
    let (per_second, seconds) = (90, 60);
    let mut arrivals = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut random = fastrand::Rng::with_seed(11);
    let mut starts = JoinSet::new();
    for second in 0..seconds {
        for _ in 0..per_second {
            arrivals.tick().await;
            let image = images[random.usize(..images.len())].clone();
            let (source, admission) = (source.clone(), admission.clone());
            starts.spawn(async move {
                let Ok(_permit) = admission.admit() else { return (second, false) };
                for chunk in image {
                    if source.fetch(chunk).await.is_err() {
                        return (second, false);
                    }
                }
                (second, true)
            });
        }
    }
    let mut good = vec![0_u32; seconds];
    for (second, went_well) in starts.join_all().await {
        good[second] += u32::from(went_well);
    }
    println!("goodput by second, of {per_second}: {good:?}");
    assert!(store.most_reading() <= LIMIT, "{}", store.most_reading());
    let last: u32 = good[seconds - 10..].iter().sum();
    assert!(last >= 10 * per_second * 9 / 10, "{last} in the last ten seconds");
    // While they fill, the store's whole share is of use: starts that were let in come to their end.
    assert!(good[5..20].iter().all(|good| *good >= 10), "{good:?}");
}
