//! What a tier has done, in numbers: counted while it works, by whoever does the work, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

/// Buckets per doubling: a quantile is told at most a quarter too high.
const STEPS: u64 = 4;
/// From a microsecond to more than an hour.
const BUCKETS: usize = 128;

/// One tier's counts.
#[derive(Debug, Default)]
pub(super) struct Meter {
    hits: AtomicU64,
    misses: AtomicU64,
    failures: AtomicU64,
    hit_bytes: AtomicU64,
    latency: Histogram,
}

/// The same at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TierReport {
    /// Chunks that it had.
    pub hits: u64,
    /// Chunks that it had not.
    pub misses: u64,
    /// Chunks of which it could not say, or which it had no room to look for.
    pub failures: u64,
    /// Bytes of the hits, as stored.
    pub hit_bytes: u64,
    /// How long a hit took: half of them no longer than this.
    pub p50_micros: u64,
    /// Of a hundred, 99.
    pub p99_micros: u64,
    /// Of a thousand, 999.
    pub p999_micros: u64,
}

impl Meter {
    pub(super) fn hit(&self, bytes: u32, took: Duration) {
        self.hits.fetch_add(1, Relaxed);
        self.hit_bytes.fetch_add(bytes.into(), Relaxed);
        self.latency.record(took);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    pub(super) fn failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    pub(super) fn report(&self) -> TierReport {
        TierReport {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            failures: self.failures.load(Relaxed),
            hit_bytes: self.hit_bytes.load(Relaxed),
            p50_micros: self.latency.quantile_micros(500),
            p99_micros: self.latency.quantile_micros(990),
            p999_micros: self.latency.quantile_micros(999),
        }
    }
}

/// Durations in buckets that grow with them.
#[derive(Debug)]
struct Histogram([AtomicU64; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket(micros)].fetch_add(1, Relaxed);
    }

    /// The end of the bucket in which so many of a thousand have been reached; 0 if there are none.
    fn quantile_micros(&self, per_mille: u64) -> u64 {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let wanted = (counts.iter().sum::<u64>() * per_mille).div_ceil(1000);
        let mut sum = 0;
        let reached = counts.iter().position(|count| {
            sum += count;
            sum >= wanted && sum > 0
        });
        reached.map_or(0, bucket_end)
    }
}

/// The first four are of one microsecond each; from there on, four for each doubling.
fn bucket(micros: u64) -> usize {
    let index = if micros < STEPS {
        micros
    } else {
        let doublings = u64::from(micros.ilog2()) - 2;
        STEPS * doublings + (micros >> doublings)
    };
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The longest duration that falls into it.
fn bucket_end(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let doublings = index / STEPS - 1;
    ((STEPS + index % STEPS + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Histogram::default().quantile_micros(500), 0);
    }

    proptest! {
        #[test]
        fn quantiles_are_at_most_a_quarter_too_high(mut micros in proptest::collection::vec(0..10_000_000_u64, 1..200)) {
            let histogram = Histogram::default();
            micros.iter().for_each(|micros| histogram.record(Duration::from_micros(*micros)));
            micros.sort_unstable();
            for per_mille in [500_u16, 990, 999] {
                let rank = (micros.len() * usize::from(per_mille)).div_ceil(1000);
                let exact = micros[rank - 1];
                let told = histogram.quantile_micros(per_mille.into());
                prop_assert!(told >= exact && told <= exact + exact / 4, "{told} for {exact}");
            }
        }
    }
}
