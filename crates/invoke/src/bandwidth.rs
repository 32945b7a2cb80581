//! How fast a streamed response may leave: a burst at full speed, then a steady rate.
//!
//! A token bucket as AWS's: full at first, refilled eight times a second, never fuller than its burst. [`TokenBucket`]
//! is arithmetic over moments it is given; [`ResponseStream`](crate::ResponseStream) does the waiting.

use std::time::Duration;

use tokio::time::Instant;

/// Between two refills.
const REFILL_INTERVAL: Duration = Duration::from_millis(125);
const REFILLS_PER_S: u64 = 8;

/// How fast a streamed response may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// What may leave at once.
    pub burst_bytes: u64,
    /// What may leave from then on.
    pub bytes_per_s: u64,
}

impl Bandwidth {
    /// 6 MiB at once, then 2 MiB a second.
    pub const AWS: Bandwidth = Bandwidth { burst_bytes: 6 * 1024 * 1024, bytes_per_s: 2 * 1024 * 1024 };
}

/// What is left of a stream's bandwidth.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    bandwidth: Bandwidth,
    left_bytes: u64,
    refilled: Instant,
}

/// The answer of a bucket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Grant {
    /// So many bytes may leave now.
    Bytes(usize),
    /// None before this moment.
    NotBefore(Instant),
}

impl TokenBucket {
    pub(crate) fn full(bandwidth: Bandwidth, now: Instant) -> Self {
        TokenBucket { bandwidth, left_bytes: bandwidth.burst_bytes, refilled: now }
    }

    /// As much of `wanted_bytes` as may leave now.
    pub(crate) fn take(&mut self, wanted_bytes: usize, now: Instant) -> Grant {
        self.refill(now);
        let wanted = u64::try_from(wanted_bytes).unwrap_or(u64::MAX);
        let granted = wanted.min(self.left_bytes);
        if granted == 0 && wanted > 0 {
            return Grant::NotBefore(self.refilled + REFILL_INTERVAL);
        }
        self.left_bytes -= granted;
        // As granted is at most what was wanted, it fits.
        Grant::Bytes(usize::try_from(granted).unwrap_or(wanted_bytes))
    }

    fn refill(&mut self, now: Instant) {
        let intervals = now.saturating_duration_since(self.refilled).as_nanos() / REFILL_INTERVAL.as_nanos();
        let intervals = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.refilled += REFILL_INTERVAL * intervals;
        // A rate of less than a byte per refill must still move.
        let bytes_per_refill = (self.bandwidth.bytes_per_s / REFILLS_PER_S).max(1);
        let refill = bytes_per_refill.saturating_mul(u64::from(intervals));
        self.left_bytes = self.left_bytes.saturating_add(refill).min(self.bandwidth.burst_bytes.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Bandwidth = Bandwidth { burst_bytes: 100, bytes_per_s: 80 };

    #[test]
    fn a_burst_leaves_at_once_and_the_rest_with_the_refills() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(SLOW, start);
        assert_eq!(bucket.take(60, start), Grant::Bytes(60));
        assert_eq!(bucket.take(60, start), Grant::Bytes(40));
        let refill = start + Duration::from_millis(125);
        assert_eq!(bucket.take(1, start), Grant::NotBefore(refill));
        assert_eq!(bucket.take(1, refill - Duration::from_nanos(1)), Grant::NotBefore(refill));
        assert_eq!(bucket.take(60, refill), Grant::Bytes(10));
        assert_eq!(bucket.take(60, refill), Grant::NotBefore(start + Duration::from_millis(250)));
        assert_eq!(bucket.take(60, start + Duration::from_millis(400)), Grant::Bytes(20));
        // The third refill came at 375 ms, and the next is counted from there.
        assert_eq!(
            bucket.take(60, start + Duration::from_millis(400)),
            Grant::NotBefore(start + Duration::from_millis(500))
        );
    }

    #[test]
    fn a_pause_fills_the_bucket_and_no_more() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(SLOW, start);
        assert_eq!(bucket.take(100, start), Grant::Bytes(100));
        assert_eq!(bucket.take(1000, start + Duration::from_secs(3600)), Grant::Bytes(100));
    }

    #[test]
    fn nothing_takes_nothing() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(SLOW, start);
        assert_eq!(bucket.take(100, start), Grant::Bytes(100));
        assert_eq!(bucket.take(0, start), Grant::Bytes(0));
    }

    #[test]
    fn over_a_long_time_awss_rate_is_two_mebibytes_a_second() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(Bandwidth::AWS, start);
        let mut now = start;
        let mut sent = 0;
        while now < start + Duration::from_secs(60) {
            match bucket.take(1_000_003, now) {
                Grant::Bytes(bytes) => sent += bytes,
                Grant::NotBefore(moment) => now = moment,
            }
        }
        // The burst, and all refills before the last second is over.
        assert_eq!(sent, 6 * 1024 * 1024 + (60 * 8 - 1) * 256 * 1024);
    }
}
