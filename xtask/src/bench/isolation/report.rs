//! The figures of `bench isolation`, as in `report`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::load::Percentiles;
use super::super::report::{self, Contestant, Failures, Machine, Throughput, Warm};
use super::super::server::Memory;
use super::burst::ENVIRONMENTS;

/// For the floor: a bare process, from spawn to its first `next`. For the emulator: from its start to its answer. For the
/// others: from request to answer.
#[derive(Debug, Serialize)]
pub(crate) struct ColdStart {
    pub(crate) contestant: Contestant,
    pub(crate) latency: Percentiles,
    /// Without the starts beside which another program of the machine ran.
    pub(crate) alone: Option<Percentiles>,
    pub(crate) p50_us_per_round: Vec<f64>,
}

/// Many environments of one function at once, from nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Burst {
    pub(crate) contestant: Contestant,
    /// Environments per second, one figure per turn.
    pub(crate) per_s: Vec<f64>,
    /// In the turn with the fewest of them.
    pub(crate) fewest: usize,
    /// From a caller's request to its function's first bytes.
    pub(crate) first_bytes: Option<Percentiles>,
    /// What callers were told, with how often they were.
    pub(crate) failed: BTreeMap<String, usize>,
}

impl Burst {
    pub(super) fn new(contestant: Contestant) -> Self {
        Self { contestant, per_s: Vec::new(), fewest: usize::MAX, first_bytes: None, failed: BTreeMap::new() }
    }

    /// Callers without an answer, and environments that were missing in the worst turn.
    pub(crate) fn failures(&self) -> usize {
        self.failed.values().sum::<usize>().max(ENVIRONMENTS.saturating_sub(self.fewest))
    }
}

/// Warm invokes with the same pause before each.
#[derive(Debug, Serialize)]
pub(crate) struct Paused {
    pub(crate) contestant: Contestant,
    #[serde(rename = "pause_us", serialize_with = "as_micros")]
    pub(crate) pause: Duration,
    pub(crate) latency: Percentiles,
    pub(crate) p50_us_per_round: Vec<f64>,
    /// How long the environment stood still for each invoke. `None` where the kernel does not count it.
    pub(crate) frozen_us: Option<f64>,
}

/// Environments that stand still.
#[derive(Debug, Serialize)]
pub(crate) struct Idle {
    pub(crate) environments: usize,
    /// All but the first, one after the other.
    pub(crate) made_s: f64,
    /// The end of the server with all of them.
    pub(crate) stopped_s: f64,
    /// With one environment, and with all.
    pub(crate) before: Footprint,
    pub(crate) after: Footprint,
    /// Of their functions' processes, by the kernel.
    pub(crate) frozen: usize,
    /// Functions' processes that were the same when all had answered again.
    pub(crate) same_again: usize,
}

impl Idle {
    /// What one more costs. Memory that was given back meanwhile makes it negative.
    pub(crate) fn each_kib(&self, of: impl Fn(&Footprint) -> u64) -> f64 {
        let more = of(&self.after) as f64 - of(&self.before) as f64;
        more / self.environments.saturating_sub(1).max(1) as f64
    }
}

/// Memory of all that there is.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Footprint {
    pub(crate) server: Memory,
    pub(crate) server_private_kib: u64,
    /// Proportional set size of the spawner, the first processes and their way out, and of all functions.
    pub(crate) first_processes_kib: u64,
    pub(crate) functions_kib: u64,
    /// Of the whole machine; others who run on it are in these two.
    pub(crate) available_kib: u64,
    /// Slabs, page tables, stacks, and what there is for each processor.
    pub(crate) kernel_kib: u64,
}

impl Footprint {
    /// Without the functions' own.
    pub(crate) fn platform_kib(&self) -> u64 {
        self.server.pss_kib + self.first_processes_kib
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) cold: Vec<ColdStart>,
    /// The emulator's cold starts without its own start.
    pub(crate) rie_from_request: Option<Percentiles>,
    pub(crate) burst: Vec<Burst>,
    pub(crate) paused: Vec<Paused>,
    pub(crate) warm: Vec<Warm>,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) idle: Option<Idle>,
    pub(crate) failures: Failures,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            machine: Machine::this(),
            cold: Vec::new(),
            rie_from_request: None,
            burst: Vec::new(),
            paused: Vec::new(),
            warm: Vec::new(),
            throughput: Vec::new(),
            idle: None,
            failures: Failures::default(),
        }
    }

    pub(super) fn cold(&self, who: Contestant) -> Option<&ColdStart> {
        self.cold.iter().find(|row| row.contestant == who)
    }

    pub(super) fn burst(&self, who: Contestant) -> Option<&Burst> {
        self.burst.iter().find(|row| row.contestant == who)
    }

    pub(super) fn paused(&self, who: Contestant, pause: Duration) -> Option<&Paused> {
        self.paused.iter().find(|row| row.contestant == who && row.pause == pause)
    }

    pub(super) fn warm(&self, who: Contestant) -> Option<&Warm> {
        self.warm.iter().find(|row| row.contestant == who)
    }

    pub(super) fn throughput(&self, who: Contestant) -> Option<&Throughput> {
        self.throughput.iter().find(|row| row.contestant == who)
    }

    pub(crate) fn json(&self) -> String {
        report::json(self, super::checks(self))
    }
}

fn as_micros<S: serde::Serializer>(pause: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(pause.as_micros()).unwrap_or(u64::MAX))
}
