//! How much a server may give to its environments: what this machine really has, unless told otherwise.
//!
//! | | unless chosen | why |
//! |---|---|---|
//! | memory | that of the machine, or of the server's control group if that is less, without a reserve | whoever is given memory may use all of it, and when there is none left the system ends somebody |
//! | processor time | no bound | too little makes functions slower, and frozen ones need none |
//!
//! Read once, at the start. On a system that does not tell how much memory it has there is no bound of it.

use std::fs;

use firesteel_environment::{Capacity, Full};
use firesteel_sandbox::HostGroups;

use crate::cli::ServeArguments;
use crate::commands::serve::Specs;
use crate::exit::Failure;

/// Least part of the memory that is left to the server, to sandboxes that end, and to the rest of the machine.
const LEAST_RESERVE_MIB: u64 = 256;

/// The memory there is, and what is left of it to others than environments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) total_mib: u64,
    pub(crate) reserve_mib: u64,
}

impl Memory {
    /// Of this machine, or of the server's control group if that is less.
    pub(crate) fn of_host() -> Option<Self> {
        let machine = mem_total_mib(&fs::read_to_string("/proc/meminfo").ok()?)?;
        let group = HostGroups::read().ok().and_then(|groups| groups.memory_limit_bytes);
        Some(Self::of(group.map_or(machine, |bytes| machine.min(bytes >> 20))))
    }

    fn of(total_mib: u64) -> Self {
        // Of a very small machine at least half is for environments.
        Memory { total_mib, reserve_mib: (total_mib / 16).max(LEAST_RESERVE_MIB).min(total_mib / 2) }
    }

    pub(crate) fn for_environments_mib(self) -> u64 {
        self.total_mib - self.reserve_mib
    }
}

fn mem_total_mib(meminfo: &str) -> Option<u64> {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(kib.trim().strip_suffix(" kB")?.parse::<u64>().ok()? >> 10)
}

/// As the arguments say, else as this machine is.
pub(crate) fn of_server(arguments: &ServeArguments) -> Capacity {
    let memory_mib = arguments.max_memory.or_else(|| Memory::of_host().map(Memory::for_environments_mib));
    // Bounded by the cores that the server may use, as the functions are.
    let cores = || u64::try_from(std::thread::available_parallelism().map_or(1, usize::from)).unwrap_or(1);
    Capacity {
        max_environments: usize::from(arguments.max_environments),
        max_memory_mib: memory_mib.map(|mib| times(mib, arguments.overcommit_memory)),
        max_cpu_thousandths: arguments.overcommit_cpu.map(|factor| times(1000 * cores(), factor)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "factors are positive, what is too large becomes the largest, and nobody has a mebibyte to the eighth digit"
)]
fn times(amount: u64, factor: f64) -> u64 {
    (amount as f64 * factor) as u64
}

/// A function that nothing could make room for is refused before anybody calls it.
pub(crate) fn check_each(capacity: &Capacity, specs: &Specs) -> Result<(), Failure> {
    let mut specs: Vec<_> = specs.iter().collect();
    specs.sort_by_key(|(name, _)| name.as_str());
    for (name, spec) in specs {
        let Err(full) = capacity.holds([(&**spec, 1)]) else { continue };
        let what = |takes: &str| Failure::usage(format!("one environment of `{name}` takes {takes}"));
        return Err(match full {
            Full::Memory { wanted, max, .. } => {
                what(&format!("{wanted} MB of memory, and there are {max} for all"))
                    .try_next(format!("--max-memory {wanted} or more, or less by --memory"))
            }
            Full::Cpu { .. } | Full::Environments { .. } => what("more processor time than there is for all")
                .try_next("a larger --overcommit-cpu, or less by --memory"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_number_is_read() {
        assert_eq!(mem_total_mib("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), Some(24_105));
        assert_eq!(mem_total_mib("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn a_part_is_left_to_others() {
        let parts = |total| (Memory::of(total).reserve_mib, Memory::of(total).for_environments_mib());
        assert_eq!(parts(24_000), (1_500, 22_500));
        assert_eq!(parts(2_048), (256, 1_792));
        assert_eq!(parts(300), (150, 150));
    }

    #[test]
    fn factors_multiply() {
        assert_eq!((times(1000, 1.0), times(1000, 1.5), times(3, 0.5)), (1000, 1500, 1));
        assert_eq!(times(u64::MAX, 1_000_000.0), u64::MAX);
    }
}
