//! How much memory a tree of processes uses and has used.
//!
//! Rules, in order of how often they apply:
//! 1. One process: what the kernel says, its resident set and that set's peak.
//! 2. Several that execute different files: the sum. They share nothing but pages of libraries.
//! 3. Several that execute the same file, as forked workers do: they share what they have not written
//!    since, so memory that is not a file's counts by proportional share, and pages of files count once
//!    (the largest). What that takes off the sum of the resident sets is taken off the sum of the peaks too.
//! 4. The peak of the tree never decreases. Processes that came and went between two readings count as soon
//!    as they, or the process that waited for them, are reaped by the first process.
//!
//! Read after every unit of work, so cheap in the usual case: descriptors of the processes' status files are
//! kept, and the tree is walked again only if the kernel has given out a process number since the last reading.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

use rustix::process::Pid;

/// Memory of everything in a sandbox, its first process not counted.
///
/// The kernel counts in batches per processor: a reading may be off by some hundred kibibytes. Not seen
/// until its parent ends: the peak of a process that came and went between two readings, waited for
/// by a parent that lives on. Not counted: page cache and shared memory that no process has mapped. Elsewhere than
/// on Linux only processes that have ended are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryReading {
    /// Now.
    pub current_bytes: u64,
    /// At most, as long as the sandbox has existed.
    pub peak_bytes: u64,
}

/// Measures one sandbox.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Held for the length of a reading; nothing waits in it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    first_process: Pid,
    /// Most recent process number the kernel had given out when the tree was last walked; see [`imp`].
    newest: Option<u64>,
    /// `/proc/loadavg`, which tells the above. Opened by the first reading.
    load: Option<File>,
    /// What the last walk found, less what has ended since.
    processes: Vec<imp::Tracked>,
    peak_bytes: u64,
}

impl Meter {
    pub(crate) fn new(first_process: Pid) -> Self {
        let state = State {
            first_process,
            newest: None,
            load: None,
            processes: Vec::new(),
            peak_bytes: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Something that has ended had used this much.
    pub(crate) fn peaked(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.peak_bytes = state.peak_bytes.max(bytes);
    }

    pub(crate) fn read(&self) -> MemoryReading {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let live = imp::read(&mut state);
        state.peak_bytes = state.peak_bytes.max(live.peak_bytes);
        MemoryReading {
            current_bytes: live.current_bytes,
            peak_bytes: state.peak_bytes,
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::os::unix::fs::{FileExt, MetadataExt};

    use firesteel_sandbox_init::tree;
    use rustix::process::Pid;

    use super::{MemoryReading, State};

    /// A process whose status file is held open. The descriptor means this process and no later one of the
    /// same number: once it has ended, reading fails.
    #[derive(Debug)]
    pub(super) struct Tracked {
        pid: Pid,
        status: File,
    }

    /// The fields of a status file that matter here.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    struct Usage {
        resident: u64,
        peak: u64,
        anonymous: u64,
        file: u64,
        shared: u64,
    }

    pub(super) fn read(state: &mut State) -> MemoryReading {
        // Before walking: what is started during the walk has a newer number and is found by the next.
        let newest = newest_pid(state);
        if newest.is_none() || newest != state.newest {
            walk(state);
            state.newest = newest;
        }
        let mut usages = Vec::with_capacity(state.processes.len());
        state.processes.retain(|process| match usage(&process.status) {
            Some(usage) => {
                usages.push((process.pid, usage));
                true
            }
            None => false,
        });
        match usages.as_slice() {
            [(_, only)] => MemoryReading {
                current_bytes: only.resident,
                peak_bytes: only.peak,
            },
            several => sum(several),
        }
    }

    /// The last field of `/proc/loadavg`. Tasks of the whole host count, so it only says when nothing
    /// can have changed.
    fn newest_pid(state: &mut State) -> Option<u64> {
        if state.load.is_none() {
            state.load = File::open("/proc/loadavg").ok();
        }
        let mut text = [0; 128];
        let n = state.load.as_ref()?.read_at(&mut text, 0).ok()?;
        text[..n]
            .trim_ascii_end()
            .rsplit(|&byte| byte == b' ')
            .next()
            .and_then(number)
    }

    fn walk(state: &mut State) {
        let found = tree::below(state.first_process);
        state
            .processes
            .retain(|known| found.iter().any(|one| one.pid == known.pid));
        for descendant in found {
            let pid = descendant.pid;
            // A number used again since the last walk: the descriptor tells.
            let known = state.processes.iter().position(|process| process.pid == pid);
            if known.is_some_and(|index| usage(&state.processes[index].status).is_some()) {
                continue;
            }
            if let Some(index) = known {
                state.processes.swap_remove(index);
            }
            if let Ok(status) = File::open(format!("/proc/{}/status", pid.as_raw_pid())) {
                state.processes.push(Tracked { pid, status });
            }
        }
    }

    fn sum(usages: &[(Pid, Usage)]) -> MemoryReading {
        let mut families: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (pid, usage) in usages {
            families
                .entry(executed_file(*pid))
                .or_default()
                .push((*pid, *usage));
        }
        let mut total = MemoryReading::default();
        for family in families.values() {
            let reading = family_reading(family);
            total.current_bytes += reading.current_bytes;
            total.peak_bytes += reading.peak_bytes;
        }
        total
    }

    /// What several processes that execute the same file use together.
    fn family_reading(family: &[(Pid, Usage)]) -> MemoryReading {
        let each = || family.iter().map(|(_, usage)| usage);
        let resident: u64 = each().map(|usage| usage.resident).sum();
        let peak: u64 = each().map(|usage| usage.peak).sum();
        if family.len() == 1 {
            return MemoryReading {
                current_bytes: resident,
                peak_bytes: peak,
            };
        }
        let proportional: u64 = family
            .iter()
            .map(|(pid, usage)| proportional_share(*pid).unwrap_or(usage.anonymous + usage.shared))
            .sum();
        let current_bytes = proportional + each().map(|usage| usage.file).max().unwrap_or(0);
        let counted_twice = resident.saturating_sub(current_bytes);
        MemoryReading {
            current_bytes,
            peak_bytes: peak.saturating_sub(counted_twice).max(current_bytes),
        }
    }

    /// Device and inode; the process's own number where the kernel does not tell.
    fn executed_file(pid: Pid) -> (u64, u64) {
        match fs::metadata(format!("/proc/{}/exe", pid.as_raw_pid())) {
            Ok(file) => (file.dev(), file.ino()),
            Err(_) => (u64::MAX, u64::from(pid.as_raw_pid().unsigned_abs())),
        }
    }

    /// Walks the process's page tables: dear for large ones, hence only where sharing is likely.
    fn proportional_share(pid: Pid) -> Option<u64> {
        let text = fs::read(format!("/proc/{}/smaps_rollup", pid.as_raw_pid())).ok()?;
        let (mut anonymous, mut shared) = (None, None);
        for (name, bytes) in fields(&text) {
            match name {
                b"Pss_Anon" => anonymous = Some(bytes),
                b"Pss_Shmem" => shared = Some(bytes),
                _ => {}
            }
        }
        Some(anonymous? + shared?)
    }

    /// `None` when the process has ended, reaped or not.
    fn usage(status: &File) -> Option<Usage> {
        // Its size is about 1.5 KB, more only with hundreds of processors or groups, which come after the memory.
        let mut text = [0; 4096];
        let n = status.read_at(&mut text, 0).ok()?;
        parse_status(&text[..n])
    }

    fn parse_status(text: &[u8]) -> Option<Usage> {
        let mut usage = Usage::default();
        let mut found = false;
        for (name, bytes) in fields(text) {
            match name {
                b"VmHWM" => (usage.peak, found) = (bytes, true),
                b"VmRSS" => usage.resident = bytes,
                b"RssAnon" => usage.anonymous = bytes,
                b"RssFile" => usage.file = bytes,
                b"RssShmem" => {
                    usage.shared = bytes;
                    break;
                }
                _ => {}
            }
        }
        found.then_some(usage)
    }

    /// The lines of the form `Name:    123 kB`, in bytes.
    fn fields(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
        text.split(|&byte| byte == b'\n').filter_map(|line| {
            let kib = line.strip_suffix(b" kB")?;
            let colon = kib.iter().position(|&byte| byte == b':')?;
            Some((&kib[..colon], number(kib[colon + 1..].trim_ascii())? * 1024))
        })
    }

    fn number(digits: &[u8]) -> Option<u64> {
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn status_is_read_up_to_the_memory_fields() {
            let text = b"Name:\tkB: 7 kB\nVmPeak:\t  9 kB\nVmHWM:\t  12 kB\nVmRSS:\t  10 kB\n\
                         RssAnon:\t  4 kB\nRssFile:\t  5 kB\nRssShmem:\t  1 kB\nThreads:\t1\n";
            let expected = Usage {
                resident: 10240,
                peak: 12288,
                anonymous: 4096,
                file: 5120,
                shared: 1024,
            };
            assert_eq!(parse_status(text), Some(expected));
            assert_eq!(parse_status(b"Name:\tzombie\nState:\tZ (zombie)\n"), None);
        }

        #[test]
        fn this_process_can_be_read() {
            let usage = usage(&File::open("/proc/self/status").unwrap()).unwrap();
            assert!(usage.peak >= usage.resident && usage.resident > 0);
            assert!(proportional_share(rustix::process::getpid()).is_some_and(|bytes| bytes > 0));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use super::{MemoryReading, State};

    #[derive(Debug)]
    pub(super) struct Tracked;

    pub(super) fn read(_: &mut State) -> MemoryReading {
        MemoryReading::default()
    }
}
