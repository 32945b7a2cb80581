//! How much there is of what environments take up, and whether there is enough for one more.
//!
//! An environment takes up what its function was given, from before it is made until it is given up: also while it is frozen,
//! as what it has written to memory stays there. What it really uses is not asked: it may use all of it at any moment.
//!
//! Values and arithmetic only; counted under the pool's lock (`roster`).

use std::fmt;
use std::ops::{AddAssign, Sub, SubAssign};

use crate::spec::Spec;

/// The most that all environments of a pool take up together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Environments, over all functions.
    pub max_environments: usize,
    /// The sum of their memory sizes. `None`: no bound.
    pub max_memory_mib: Option<u64>,
    /// The sum of their shares of processor time, in thousandths of one processor. `None`: no bound.
    pub max_cpu_thousandths: Option<u64>,
}

/// What environments take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Occupied {
    environments: usize,
    memory_mib: u64,
    cpu_thousandths: u64,
}

/// There is too little of something, whatever idle environment is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Every environment is busy, and there may be no more.
    Environments {
        /// The bound.
        max: usize,
    },
    /// Memory, in MiB.
    Memory {
        /// What cannot be given up now.
        busy: u64,
        /// What one more takes.
        wanted: u64,
        /// The bound.
        max: u64,
    },
    /// Processor time, in thousandths of one processor.
    Cpu {
        /// What cannot be given up now.
        busy: u64,
        /// What one more takes.
        wanted: u64,
        /// The bound.
        max: u64,
    },
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let processors = |thousandths: u64| format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        match *self {
            Full::Environments { max } => write!(f, "all {max} execution environments are busy"),
            Full::Memory { busy, wanted, max } => write!(
                f,
                "busy execution environments have {busy} of {max} MiB of memory, and another takes {wanted}"
            ),
            Full::Cpu { busy, wanted, max } => write!(
                f,
                "busy execution environments have {} of {} processors, and another takes {}",
                processors(busy),
                processors(max),
                processors(wanted)
            ),
        }
    }
}

impl Capacity {
    /// So many environments, however large they are.
    #[must_use]
    pub fn of_environments(max_environments: usize) -> Self {
        Capacity { max_environments, max_memory_mib: None, max_cpu_thousandths: None }
    }

    /// Whether this many environments of each of these functions can be there at the same time, with nothing else.
    ///
    /// # Errors
    /// Which of it there is too little of.
    pub fn holds<'a>(&self, all: impl IntoIterator<Item = (&'a Spec, usize)>) -> Result<(), Full> {
        let mut taken = Occupied::default();
        for (spec, count) in all {
            for _ in 0..count {
                self.check(taken, Occupied::by(spec))?;
                taken += Occupied::by(spec);
            }
        }
        Ok(())
    }

    /// Whether there is room for another beside what is taken.
    pub(super) fn check(&self, taken: Occupied, wanted: Occupied) -> Result<(), Full> {
        let max = self.max_environments;
        if taken.environments + wanted.environments > max {
            return Err(Full::Environments { max });
        }
        let (busy, wants) = (taken.memory_mib, wanted.memory_mib);
        if let Some(max) = self.max_memory_mib.filter(|max| busy + wants > *max) {
            return Err(Full::Memory { busy, wanted: wants, max });
        }
        let (busy, wants) = (taken.cpu_thousandths, wanted.cpu_thousandths);
        if let Some(max) = self.max_cpu_thousandths.filter(|max| busy + wants > *max) {
            return Err(Full::Cpu { busy, wanted: wants, max });
        }
        Ok(())
    }

    /// How many of the idle environments, in this order, have to go so that there is room for another.
    ///
    /// # Errors
    /// When it is of no use to end even all of them.
    pub(super) fn evictions(
        &self,
        mut taken: Occupied,
        wanted: Occupied,
        idle: &[Occupied],
    ) -> Result<usize, Full> {
        for (count, next) in idle.iter().enumerate() {
            if self.check(taken, wanted).is_ok() {
                return Ok(count);
            }
            taken -= *next;
        }
        self.check(taken, wanted).map(|()| idle.len())
    }
}

impl Occupied {
    /// An environment of this function.
    pub(super) fn by(spec: &Spec) -> Self {
        Occupied {
            environments: 1,
            memory_mib: spec.memory_mib.into(),
            cpu_thousandths: spec.cpu().thousandths().into(),
        }
    }

    pub(super) fn environments(self) -> usize {
        self.environments
    }
}

impl AddAssign for Occupied {
    fn add_assign(&mut self, other: Self) {
        self.environments += other.environments;
        self.memory_mib += other.memory_mib;
        self.cpu_thousandths += other.cpu_thousandths;
    }
}

impl SubAssign for Occupied {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sub for Occupied {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Occupied {
            environments: self.environments - other.environments,
            memory_mib: self.memory_mib - other.memory_mib,
            cpu_thousandths: self.cpu_thousandths - other.cpu_thousandths,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::spec::tests::spec;

    fn of(memory_mib: u32) -> Occupied {
        Occupied::by(&Spec { memory_mib, ..spec() })
    }

    fn sum(all: &[Occupied]) -> Occupied {
        all.iter().fold(Occupied::default(), |mut sum, one| {
            sum += *one;
            sum
        })
    }

    const CAPACITY: Capacity =
        Capacity { max_environments: 3, max_memory_mib: Some(1024), max_cpu_thousandths: Some(500) };

    #[test]
    fn each_bound_holds_and_is_named() {
        assert_eq!(CAPACITY.check(sum(&[of(128), of(128)]), of(128)), Ok(()));
        let full = CAPACITY.check(sum(&[of(128), of(128), of(128)]), of(128));
        assert_eq!(full, Err(Full::Environments { max: 3 }));
        assert_eq!(CAPACITY.check(of(512), of(128)), Ok(()), "up to the bound itself");
        let full = CAPACITY.check(of(512), of(513)).unwrap_err();
        assert_eq!(full, Full::Memory { busy: 512, wanted: 513, max: 1024 });
        assert_eq!(
            full.to_string(),
            "busy execution environments have 512 of 1024 MiB of memory, and another takes 513"
        );
        let full = CAPACITY.check(of(512), of(500)).unwrap_err();
        assert_eq!(full, Full::Cpu { busy: 289, wanted: 282, max: 500 });
        assert_eq!(
            full.to_string(),
            "busy execution environments have 0.289 of 0.500 processors, and another takes 0.282"
        );
    }

    #[test]
    fn without_a_bound_only_environments_are_counted() {
        let capacity = Capacity::of_environments(2);
        assert_eq!(capacity.check(of(10_240), of(10_240)), Ok(()));
        assert!(capacity.check(sum(&[of(1), of(1)]), of(1)).is_err());
    }

    #[test]
    fn what_is_kept_ahead_is_held_together() {
        let (small, large) = (spec(), Spec { memory_mib: 512, ..spec() });
        assert_eq!(CAPACITY.holds([(&small, 2), (&large, 1)]), Ok(()));
        assert_eq!(CAPACITY.holds([(&small, 4)]), Err(Full::Environments { max: 3 }));
        assert!(matches!(CAPACITY.holds([(&large, 2)]), Err(Full::Cpu { .. })));
        assert!(matches!(CAPACITY.holds([(&large, 1), (&large, 2)]), Err(Full::Cpu { .. })));
    }

    proptest! {
        /// As few as possible go, oldest first; and none when it is of no use.
        #[test]
        fn no_more_are_ended_than_have_to_be(
            busy in vec(1u32..2048, 0..4),
            idle in vec(1u32..2048, 0..6),
            wanted in 1u32..2048,
            max_environments in 1usize..8,
            max_memory_mib in proptest::option::of(1u64..8192),
            max_cpu_thousandths in proptest::option::of(1u64..4000),
        ) {
            let capacity = Capacity { max_environments, max_memory_mib, max_cpu_thousandths };
            let all = |sizes: &[u32]| sizes.iter().map(|size| of(*size)).collect::<Vec<_>>();
            let (busy, idle) = (sum(&all(&busy)), all(&idle));
            let fits = |ended: usize| {
                let mut taken = busy;
                taken += sum(&idle[ended..]);
                capacity.check(taken, of(wanted)).is_ok()
            };
            let mut taken = busy;
            taken += sum(&idle);
            match capacity.evictions(taken, of(wanted), &idle) {
                Ok(ended) => prop_assert!(fits(ended) && (ended == 0 || !fits(ended - 1))),
                Err(full) => {
                    prop_assert!((0..=idle.len()).all(|ended| !fits(ended)));
                    prop_assert_eq!(capacity.check(busy, of(wanted)), Err(full));
                }
            }
        }
    }
}
