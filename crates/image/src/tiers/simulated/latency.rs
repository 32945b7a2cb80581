//! How long things take.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Of a normal distribution: where 99.9 % are below.
const Z_999: f64 = 3.0902;

/// A log-normal distribution, told by two of its quantiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// Half are faster.
    pub median: Duration,
    /// One of a thousand is slower.
    pub p999: Duration,
}

impl Latency {
    /// A read from cache nodes, as a worker sees it.
    pub const CACHE_NODES: Latency =
        Latency { median: Duration::from_micros(550), p999: Duration::from_micros(3700) };
    /// A read from the object store.
    pub const ORIGIN: Latency =
        Latency { median: Duration::from_millis(36), p999: Duration::from_millis(175) };
    /// None.
    pub const ZERO: Latency = Latency { median: Duration::ZERO, p999: Duration::ZERO };
}

/// Draws from a [`Latency`].
#[derive(Debug)]
pub struct Sampler {
    latency: Latency,
    random: Mutex<fastrand::Rng>,
}

impl Sampler {
    /// With this seed.
    pub fn new(latency: Latency, seed: u64) -> Self {
        Sampler { latency, random: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }

    /// The next.
    pub fn draw(&self) -> Duration {
        if self.latency.median.is_zero() {
            return Duration::ZERO;
        }
        let (first, second) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            (random.f64(), random.f64())
        };
        // Box and Muller; the logarithm of zero is avoided.
        let normal = (-2.0 * (1.0 - first).ln()).sqrt() * (std::f64::consts::TAU * second).cos();
        let spread = (self.latency.p999.as_secs_f64() / self.latency.median.as_secs_f64()).ln() / Z_999;
        self.latency.median.mul_f64((spread * normal).exp())
    }
}
