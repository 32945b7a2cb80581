//! By which clock simulated tiers are slow.

use std::time::Duration;

/// Which time passes while a simulated tier takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// tokio's, which tests pause. It counts whole milliseconds, and rounds up.
    #[default]
    Tokio,
    /// The kernel's, to a few microseconds: for benches, where half a millisecond is not one and a half.
    #[cfg(target_os = "linux")]
    Kernel,
}

impl Clock {
    pub(super) async fn wait(self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        match self {
            Clock::Tokio => tokio::time::sleep(duration).await,
            #[cfg(target_os = "linux")]
            Clock::Kernel => {
                if let Err(error) = kernel::wait(duration).await {
                    // Out of descriptors, mostly. What is measured is off, and says so.
                    tracing::warn!(%error, "a simulated tier has no timer, and uses a coarse one");
                    tokio::time::sleep(duration).await;
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    pub(super) async fn wait(duration: Duration) -> io::Result<()> {
        let timer: OwnedFd =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec::try_from(duration).map_err(io::Error::other)?,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
        #[expect(
            deprecated,
            reason = "unsound for what may close its descriptor early, which an `OwnedFd` does not; else `unsafe`"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        timer.readable().await.map(drop)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernels_clock_waits_no_less_than_it_should() {
        for micros in [1, 100, 550, 3700] {
            let (duration, began) = (Duration::from_micros(micros), std::time::Instant::now());
            Clock::Kernel.wait(duration).await;
            let took = began.elapsed();
            println!("{duration:?}: {took:?}");
            assert!(took >= duration);
        }
    }
}
