//! Adds up processes that may share memory with each other.
//!
//! A family is the processes that execute the same file; only within one is anything large shared. What it
//! shares costs a walk of page tables to know, for large processes milliseconds, so the answer is kept until the
//! family has another member or its memory has changed by more than [`TOLERANCE_BYTES`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::Pid;

use super::MemoryReading;
use super::status::{self, Usage};

/// How far a family's resident sets may move before its sharing is looked at again. AWS reports whole
/// megabytes; half of one is lost in rounding.
const TOLERANCE_BYTES: u64 = 512 << 10;

/// Device and inode of the executed file.
type Executed = (u64, u64);

#[derive(Debug, Default)]
pub(crate) struct Families {
    /// What was last found out about each family of more than one.
    known: BTreeMap<Executed, Sharing>,
}

#[derive(Debug)]
struct Sharing {
    members: Vec<Pid>,
    /// The sum of the members' resident sets when it was found out.
    resident: u64,
    /// What that sum counts more than once.
    counted_again: u64,
}

impl Families {
    pub(crate) fn sum(&mut self, processes: &[(Pid, Usage)]) -> MemoryReading {
        let mut families: BTreeMap<Executed, Vec<(Pid, Usage)>> = BTreeMap::new();
        for (pid, usage) in processes {
            families.entry(executed(*pid)).or_default().push((*pid, *usage));
        }
        self.known.retain(|executed, _| families.get(executed).is_some_and(|family| family.len() > 1));
        let mut total = MemoryReading::default();
        for (executed, family) in &families {
            let resident: u64 = family.iter().map(|(_, usage)| usage.resident).sum();
            let peak: u64 = family.iter().map(|(_, usage)| usage.peak).sum();
            let counted_again =
                if family.len() > 1 { self.counted_again(*executed, family, resident) } else { 0 };
            let current_bytes = resident.saturating_sub(counted_again);
            total.current_bytes += current_bytes;
            total.peak_bytes += peak.saturating_sub(counted_again).max(current_bytes);
        }
        total
    }

    fn counted_again(&mut self, executed: Executed, family: &[(Pid, Usage)], resident: u64) -> u64 {
        let members = || family.iter().map(|(pid, _)| *pid);
        match self.known.get(&executed) {
            Some(known)
                if known.resident.abs_diff(resident) <= TOLERANCE_BYTES
                    && members().eq(known.members.iter().copied()) =>
            {
                known.counted_again
            }
            _ => {
                let counted_again = resident.saturating_sub(used_together(family));
                let sharing = Sharing { members: members().collect(), resident, counted_again };
                self.known.insert(executed, sharing);
                counted_again
            }
        }
    }
}

/// Memory that is not a file's by proportional share, pages of files once.
fn used_together(family: &[(Pid, Usage)]) -> u64 {
    let own =
        |(pid, usage): &(Pid, Usage)| proportional_share(*pid).unwrap_or(usage.anonymous + usage.shared);
    family.iter().map(own).sum::<u64>() + family.iter().map(|(_, usage)| usage.file).max().unwrap_or(0)
}

/// Where the kernel does not tell, the process is a family of its own.
fn executed(pid: Pid) -> Executed {
    match fs::metadata(format!("/proc/{}/exe", pid.as_raw_pid())) {
        Ok(file) => (file.dev(), file.ino()),
        Err(_) => (u64::MAX, u64::from(pid.as_raw_pid().unsigned_abs())),
    }
}

/// Of everything but files. Walks the process's page tables.
fn proportional_share(pid: Pid) -> Option<u64> {
    let text = fs::read(format!("/proc/{}/smaps_rollup", pid.as_raw_pid())).ok()?;
    let field = |wanted: &[u8]| {
        status::lines(&text).find(|(name, _)| *name == wanted).and_then(|(_, value)| status::bytes(value))
    };
    Some(field(b"Pss_Anon")? + field(b"Pss_Shmem")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_share() {
        assert!(proportional_share(rustix::process::getpid()).is_some_and(|bytes| bytes > 0));
    }
}
