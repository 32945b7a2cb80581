//! The figures of a run: filled by the phases, then only read, by `check` and `table` or as JSON.

use serde::Serialize;

use super::check::{Check, checks};
use super::load::Percentiles;
use super::rie::Pairs;
use super::server::Memory;

/// One of the things compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contestant {
    Floor,
    Ours,
    Rie,
}

impl Contestant {
    pub(crate) const ALL: [Self; 3] = [Self::Floor, Self::Ours, Self::Rie];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "firesteel",
            Self::Rie => "RIE",
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Warm {
    pub(crate) contestant: Contestant,
    pub(crate) latency: Percentiles,
    pub(crate) p50_us_per_round: Vec<f64>,
    /// Memory of the server when it had just started, and after a hundred invokes.
    pub(crate) started: Option<Memory>,
    pub(crate) used: Option<Memory>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Throughput {
    pub(crate) contestant: Contestant,
    /// Invokes per second, one figure per turn.
    pub(crate) per_s: Vec<f64>,
    pub(crate) answered: usize,
    /// Answers 429, after each of which the caller tried again at once. Not among `answered`.
    pub(crate) throttled: usize,
}

/// For the floor: a bare process, from spawn to its first `next`. For the others: from request to answer.
#[derive(Debug, Serialize)]
pub(crate) struct Cold {
    pub(crate) contestant: Contestant,
    pub(crate) latency: Percentiles,
}

/// Where the figures come from; without it they mean nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    /// Processes that wanted a core in the last minute before the run: above a fraction, the figures are noise.
    pub(crate) load_before: String,
}

impl Machine {
    fn this() -> Self {
        let first = |path: &str, prefix: &str, ends: &[char]| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or("unknown");
            line.trim_start_matches([' ', '\t', ':']).split(ends).next().unwrap_or_default().to_owned()
        };
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: first("/proc/cpuinfo", "model name", &[]),
            kernel: first("/proc/sys/kernel/osrelease", "", &[]),
            load_before: first("/proc/loadavg", "", &[' ']),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) warm: Vec<Warm>,
    pub(crate) throughput: Vec<Throughput>,
    pub(crate) cold: Vec<Cold>,
    /// What the emulator answers when two call at once.
    pub(crate) rie_pairs: Option<Pairs>,
    /// What could not run, and why.
    pub(crate) failures: Vec<String>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            warm: Vec::new(),
            throughput: Vec::new(),
            cold: Vec::new(),
            rie_pairs: None,
            failures: Vec::new(),
        }
    }

    pub(crate) fn fail(&mut self, contestant: Contestant, phase: &str, why: &str) {
        self.failures.push(format!("{}, {phase}: {why}", contestant.title()));
    }

    pub(crate) fn warm(&self, who: Contestant) -> Option<&Warm> {
        self.warm.iter().find(|row| row.contestant == who)
    }

    pub(crate) fn throughput(&self, who: Contestant) -> Option<&Throughput> {
        self.throughput.iter().find(|row| row.contestant == who)
    }

    pub(crate) fn cold(&self, who: Contestant) -> Option<&Cold> {
        self.cold.iter().find(|row| row.contestant == who)
    }

    pub(crate) fn json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            report: &'a Report,
            checks: Vec<Check>,
        }
        let whole = Whole { report: self, checks: checks(self) };
        let text = serde_json::to_string_pretty(&whole).expect("names are text and figures numbers");
        text + "\n"
    }
}
