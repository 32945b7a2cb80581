//! What holds on this host, and what does not, in words.

use std::fmt;
use std::fs;

use super::Controller;
use super::groups::Home;
use super::layout::Version;
use super::lock::Held;

/// By what each limit is held, or why it is not. For people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// Memory is limited.
    pub memory: Means,
    /// No memory goes to disk in the place of being limited.
    pub swap: Means,
    /// Processor time is limited.
    pub cpu: Means,
    /// Processes and threads are limited.
    pub processes: Means,
    /// All processes can be made to stand still.
    pub freeze: Means,
    /// The most memory that was used is known.
    pub peak: Means,
    /// What was killed for want of memory is counted.
    pub oom_count: Means,
    /// All processes can be killed at once.
    pub kill: Means,
}

/// How something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// By this file or these files of the kernel.
    By(String),
    /// Not at all.
    Not {
        /// Why.
        reason: String,
    },
}

impl Enforcement {
    /// Each with what it is about, in a good order to read.
    pub fn rows(&self) -> [(&'static str, &Means); 8] {
        [
            ("memory", &self.memory),
            ("swap", &self.swap),
            ("processor time", &self.cpu),
            ("processes", &self.processes),
            ("freezing", &self.freeze),
            ("memory peak", &self.peak),
            ("out-of-memory kills", &self.oom_count),
            ("killing", &self.kill),
        ]
    }
}

impl Means {
    /// Whether it can be done.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::By(_))
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(files) => f.write_str(files),
            Self::Not { reason } => write!(f, "not held: {reason}"),
        }
    }
}

/// What was made and what was not, of which [`Enforcement`] is told.
pub(super) struct Survey<'a> {
    pub(super) held: &'a [(Home, Held)],
    pub(super) refused: &'a [(Controller, String)],
    /// Why there is no group in cgroup2.
    pub(super) unified: Result<(), String>,
}

impl Survey<'_> {
    pub(super) fn enforcement(&self) -> Enforcement {
        use Controller::{Cpu, Memory, Processes};
        Enforcement {
            memory: self.by(Memory, &["memory.limit_in_bytes"], &["memory.max"]),
            swap: self.swap(),
            cpu: self.by(Cpu, &["cpu.cfs_quota_us"], &["cpu.max"]),
            processes: self.by(Processes, &["pids.max"], &["pids.max"]),
            freeze: self.by_unified("cgroup.freeze"),
            peak: self.by(Memory, &["memory.max_usage_in_bytes"], &["memory.peak"]),
            oom_count: self.by(Memory, &["memory.oom_control"], &["memory.events"]),
            kill: match self.by_unified("cgroup.kill") {
                Means::Not { .. } if self.unified.is_ok() => {
                    Means::By("SIGKILL to each in cgroup2".to_owned())
                }
                other => other,
            },
        }
    }

    fn home(&self, controller: Controller) -> Result<&(Home, Held), String> {
        self.held.iter().find(|(home, _)| home.controllers.contains(&controller)).ok_or_else(|| {
            let refused = self.refused.iter().find(|(refused, _)| *refused == controller);
            refused.map_or_else(
                || format!("no hierarchy that is mounted has the controller {}", controller.name()),
                |(_, reason)| reason.clone(),
            )
        })
    }

    fn by(&self, controller: Controller, v1: &[&str], v2: &[&str]) -> Means {
        let (home, held) = match self.home(controller) {
            Ok(found) => found,
            Err(reason) => return Means::Not { reason },
        };
        let (files, version) = match home.version {
            Version::V1 => (v1, "cgroup v1"),
            Version::V2 => (v2, "cgroup2"),
        };
        match files.iter().find(|file| !held.folder.has(file)) {
            Some(file) => Means::Not { reason: format!("this kernel has no {file} in {version}") },
            None => Means::By(format!("{} of {version}", files.join(", "))),
        }
    }

    fn swap(&self) -> Means {
        let exact = self.by(Controller::Memory, &["memory.memsw.limit_in_bytes"], &["memory.swap.max"]);
        let Ok((home, _)) = self.home(Controller::Memory) else { return exact };
        // A system without any swap needs no limit, and a kernel that cannot swap has no file for it.
        let none = fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() <= 1);
        match (exact, home.version) {
            (Means::Not { .. }, _) if none => Means::By("the host, which has no swap".to_owned()),
            (Means::Not { .. }, Version::V1) => {
                let reason =
                    "this kernel does not count swap; memory.swappiness of 0 only makes it rare".to_owned();
                Means::Not { reason }
            }
            (exact, _) => exact,
        }
    }

    fn by_unified(&self, file: &str) -> Means {
        if let Err(reason) = &self.unified {
            return Means::Not { reason: reason.clone() };
        }
        match self.held.iter().find(|(home, _)| home.version == Version::V2) {
            Some((_, held)) if held.folder.has(file) => Means::By(format!("{file} of cgroup2")),
            _ => Means::Not { reason: format!("this kernel has no {file} in cgroup2") },
        }
    }
}
