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
//! Read after every unit of work, so cheap in the usual case: see [`tracking`] for how the tree is followed and
//! [`sharing`] for when rule 3 is evaluated anew.

#[cfg(target_os = "linux")]
mod sharing;
#[cfg(target_os = "linux")]
mod status;
#[cfg(target_os = "linux")]
mod tracking;

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
    live: Live,
    /// The most that any reading, or anything that has ended, came to.
    peak_bytes: u64,
}

impl Meter {
    pub(crate) fn new(first_process: Pid) -> Self {
        Self { state: Mutex::new(State { live: Live::new(first_process), peak_bytes: 0 }) }
    }

    /// Something that has ended had used this much.
    pub(crate) fn peaked(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.peak_bytes = state.peak_bytes.max(bytes);
    }

    pub(crate) fn read(&self) -> MemoryReading {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let live = state.live.read();
        state.peak_bytes = state.peak_bytes.max(live.peak_bytes);
        MemoryReading { current_bytes: live.current_bytes, peak_bytes: state.peak_bytes }
    }
}

/// The processes that live.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Live {
    processes: tracking::Processes,
    families: sharing::Families,
}

#[cfg(target_os = "linux")]
impl Live {
    fn new(first_process: Pid) -> Self {
        Self { processes: tracking::Processes::new(first_process), families: sharing::Families::default() }
    }

    fn read(&mut self) -> MemoryReading {
        match self.processes.read().as_slice() {
            [] => MemoryReading::default(),
            [(_, only)] => MemoryReading { current_bytes: only.resident, peak_bytes: only.peak },
            several => self.families.sum(several),
        }
    }
}

/// Other systems tell too little too dearly.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Live;

#[cfg(not(target_os = "linux"))]
impl Live {
    fn new(_: Pid) -> Self {
        Self
    }

    fn read(&mut self) -> MemoryReading {
        MemoryReading::default()
    }
}
