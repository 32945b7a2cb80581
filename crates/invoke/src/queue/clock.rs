//! The time of the queue: milliseconds since 1970, which mean the same after a restart, but go on by tokio's clock, so
//! that tests can pause it and a step of the system's clock moves nothing while the server runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    began: Instant,
    began_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { began: Instant::now(), began_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX) }
    }

    pub(crate) fn now_ms(self) -> u64 {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began_ms.saturating_add(elapsed)
    }

    /// The moment at which it will be so late.
    pub(crate) fn instant(self, at_ms: u64) -> Instant {
        // A day is as good as for ever: whoever waits looks again.
        let ahead = Duration::from_millis(at_ms.saturating_sub(self.began_ms));
        (self.began + ahead.min(self.began.elapsed() + Duration::from_secs(86_400))).max(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_by_tokios_clock() {
        let clock = Clock::start();
        let began_ms = clock.now_ms();
        tokio::time::sleep_until(clock.instant(began_ms + 90_000)).await;
        assert_eq!(clock.now_ms(), began_ms + 90_000);
        assert_eq!(clock.instant(0), Instant::now(), "what is past is now");
        assert_eq!(clock.instant(u64::MAX), Instant::now() + Duration::from_secs(86_400));
    }
}
