//! How many starts are under way at a time: fewer, when they get slow.
//!
//! A start that is refused costs nothing and may be tried elsewhere. One that waits for others holds memory, grows old, and is given
//! up by its caller when its turn comes; a queue of such is work that is of no use to anybody. So there is no queue here.
//!
//! | a start | the bound |
//! |---|---|
//! | ended within [`AdmissionOptions::slow`], with at least half as many as may be | grows by one, for as many such starts as it allows |
//! | took longer | is halved, at most once in [`AdmissionOptions::slow`] |
//!
//! It never falls below [`AdmissionOptions::min`]: the starts that are still let in find out when it goes better.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// What a start is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionOptions {
    /// Starts at a time, when they are fast.
    pub max: u32,
    /// Starts at a time, however slow they are; one at least.
    pub min: u32,
    /// What a start may take.
    pub slow: Duration,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        AdmissionOptions { max: 64, min: 4, slow: Duration::from_secs(5) }
    }
}

/// Lets starts in, or refuses them.
#[derive(Clone)]
pub struct StartAdmission {
    rules: Arc<Mutex<Rules>>,
}

/// No start at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{under_way} starts are under way, and as they are slow, no more than {bound} may be")]
pub struct StartRefused {
    /// How many there are.
    pub under_way: u32,
    /// How many there may be.
    pub bound: u32,
}

/// How it stands with starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AdmissionReport {
    /// Starts that have not ended.
    pub under_way: u32,
    /// How many there may be.
    pub bound: u32,
    /// Starts that were let in.
    pub admitted: u64,
    /// Starts that were not.
    pub refused: u64,
}

/// One start that was let in. Dropped when it has ended, in whichever way.
#[derive(Debug)]
pub struct StartPermit {
    admission: StartAdmission,
    began: Instant,
}

impl StartAdmission {
    /// With nothing under way.
    pub fn new(options: AdmissionOptions) -> Self {
        let min = options.min.max(1);
        let options = AdmissionOptions { min, max: options.max.max(min), ..options };
        StartAdmission { rules: Arc::new(Mutex::new(Rules::new(options))) }
    }

    /// For one start.
    ///
    /// # Errors
    ///
    /// There are as many as may be.
    pub fn admit(&self) -> Result<StartPermit, StartRefused> {
        self.with(Rules::begin)?;
        Ok(StartPermit { admission: self.clone(), began: Instant::now() })
    }

    /// At this moment.
    pub fn report(&self) -> AdmissionReport {
        self.with(|rules| AdmissionReport {
            under_way: rules.under_way,
            bound: rules.bound(),
            admitted: rules.admitted,
            refused: rules.refused,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        act(&mut self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for StartAdmission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.report(), formatter)
    }
}

impl Drop for StartPermit {
    fn drop(&mut self) {
        let (took, now) = (self.began.elapsed(), Instant::now());
        self.admission.with(|rules| rules.end(took, now));
    }
}

/// Without a clock of their own.
#[derive(Debug)]
struct Rules {
    options: AdmissionOptions,
    /// Not whole: it grows by parts.
    bound: f64,
    under_way: u32,
    halved: Option<Instant>,
    admitted: u64,
    refused: u64,
}

impl Rules {
    fn new(options: AdmissionOptions) -> Self {
        Rules { options, bound: options.max.into(), under_way: 0, halved: None, admitted: 0, refused: 0 }
    }

    fn begin(&mut self) -> Result<(), StartRefused> {
        let (under_way, bound) = (self.under_way, self.bound());
        if under_way >= bound {
            self.refused += 1;
            return Err(StartRefused { under_way, bound });
        }
        self.under_way += 1;
        self.admitted += 1;
        Ok(())
    }

    fn end(&mut self, took: Duration, now: Instant) {
        let in_use = 2 * self.under_way >= self.bound();
        self.under_way -= 1;
        if took > self.options.slow {
            // Those that began together get slow together: that is one piece of news.
            if self.halved.is_none_or(|halved| now.duration_since(halved) > self.options.slow) {
                self.bound = (self.bound / 2.0).max(self.options.min.into());
                self.halved = Some(now);
            }
        } else if in_use {
            self.bound = (self.bound + 1.0 / self.bound).min(self.options.max.into());
        }
    }

    fn bound(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between min and max, which fit"
        )]
        let whole = self.bound as u32;
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: AdmissionOptions = AdmissionOptions { max: 16, min: 2, slow: Duration::from_secs(1) };

    async fn starts(admission: &StartAdmission, take: Duration) -> usize {
        let permits: Vec<_> = std::iter::from_fn(|| admission.admit().ok()).take(100).collect();
        tokio::time::advance(take).await;
        permits.len()
    }

    #[tokio::test(start_paused = true)]
    async fn slow_starts_lower_the_bound_and_fast_ones_raise_it_again() {
        let admission = StartAdmission::new(OPTIONS);
        let mut let_in = Vec::new();
        for _ in 0..6 {
            let_in.push(starts(&admission, Duration::from_secs(2)).await);
        }
        assert_eq!(let_in, [16, 8, 4, 2, 2, 2]);
        for _ in 0..100 {
            starts(&admission, Duration::from_millis(100)).await;
        }
        let report = admission.report();
        assert_eq!((report.under_way, report.bound), (0, 16));
        assert!(report.refused > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_is_told_why() {
        let admission = StartAdmission::new(AdmissionOptions { max: 0, min: 0, ..OPTIONS });
        let first = admission.admit().unwrap();
        let refused = admission.admit().unwrap_err();
        assert_eq!(refused, StartRefused { under_way: 1, bound: 1 });
        drop(first);
        admission.admit().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn starts_that_are_few_say_nothing_of_many() {
        let admission = StartAdmission::new(OPTIONS);
        starts(&admission, Duration::from_secs(2)).await;
        for _ in 0..100 {
            drop(admission.admit().unwrap());
        }
        assert_eq!(admission.report().bound, 8);
    }
}
