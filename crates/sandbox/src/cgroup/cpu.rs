//! How much processor time a sandbox may have.

/// The kernel takes no quota below a millisecond.
const LEAST_QUOTA_US: u64 = 1_000;

/// Of v1; cgroup2 takes 1.
const LEAST_WEIGHT: u32 = 2;

/// Short, as whoever has used up its quota stands still for the rest of a period.
const PERIOD_US: u64 = 20_000;

/// A part of one processor, or several of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuShare {
    thousandths: u32,
}

/// What the kernel is told: so much time in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bandwidth {
    pub(super) quota_us: u64,
    pub(super) period_us: u64,
}

impl CpuShare {
    /// One processor.
    pub(super) const WHOLE: Self = Self { thousandths: 1000 };

    /// 1000 are one processor. None at all cannot be had: at least one is taken.
    pub fn from_thousandths(thousandths: u32) -> Self {
        Self { thousandths: thousandths.max(1) }
    }

    /// Thousandths of one processor.
    pub fn thousandths(self) -> u32 {
        self.thousandths
    }

    /// Where there is less than all sandboxes of a server may have, each gets a part of it like its share. The kernel weighs
    /// the groups below one against each other, so the numbers mean nothing beyond the server's.
    pub(super) fn weight(self) -> u32 {
        // What cgroup2 takes; v1 takes more.
        self.thousandths.clamp(LEAST_WEIGHT, 10_000)
    }

    /// Exact: small shares get a longer period instead of a quota that is rounded up. The least share
    /// comes to a second, the longest period that the kernel takes.
    pub(super) fn bandwidth(self) -> Bandwidth {
        let quota_us = u64::from(self.thousandths) * PERIOD_US / 1000;
        let periods = LEAST_QUOTA_US.div_ceil(quota_us);
        Bandwidth { quota_us: quota_us * periods, period_us: PERIOD_US * periods }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_exact_and_within_what_the_kernel_takes() {
        for thousandths in (1..=6000).chain([1_000_000, u32::MAX]) {
            let Bandwidth { quota_us, period_us } = CpuShare::from_thousandths(thousandths).bandwidth();
            assert_eq!(quota_us * 1000, period_us * u64::from(thousandths));
            assert!(quota_us >= 1_000 && (1_000..=1_000_000).contains(&period_us), "{thousandths}");
        }
    }

    #[test]
    fn ordinary_shares_have_the_short_period() {
        let bandwidth = |thousandths| CpuShare::from_thousandths(thousandths).bandwidth();
        assert_eq!(bandwidth(1000), Bandwidth { quota_us: 20_000, period_us: 20_000 });
        assert_eq!(bandwidth(72), Bandwidth { quota_us: 1_440, period_us: 20_000 });
        assert_eq!(bandwidth(49), Bandwidth { quota_us: 1_960, period_us: 40_000 });
        assert_eq!(bandwidth(0), bandwidth(1));
    }
}
