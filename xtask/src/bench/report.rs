//! The figures of a run: filled by the phases, then only read, by `check` and `table` or as JSON.

use serde::Serialize;

use super::check::{Check, checks};
use super::load::Percentiles;
use super::rie::Pairs;
use super::server::Memory;

/// One of the things compared. The last three are Firesteel as well, with that isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Contestant {
    Floor,
    Ours,
    Rie,
    Namespace,
    NoBlanks,
    Process,
}

impl Contestant {
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "firesteel",
            Self::Rie => "RIE",
            Self::Namespace => "namespace",
            Self::NoBlanks => "no blanks",
            Self::Process => "process",
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

/// A streamed answer.
#[derive(Debug, Serialize)]
pub(crate) struct Streaming {
    pub(crate) contestant: Contestant,
    /// From a write of the function's to the caller's read.
    pub(crate) latency: Percentiles,
    pub(crate) p50_us_per_round: Vec<f64>,
    /// To a caller that reads as fast as it can, one figure per turn.
    pub(crate) mb_per_s: Vec<f64>,
}

/// Firesteel's own memory while a caller reads slowly what a function writes fast.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SlowReader {
    /// All that the function wrote arrived, or there is no such row.
    pub(crate) bytes: usize,
    pub(crate) took_s: f64,
    pub(crate) start_kib: u64,
    pub(crate) peak_kib: u64,
}

impl SlowReader {
    pub(crate) fn growth_mib(&self) -> f64 {
        self.peak_kib.saturating_sub(self.start_kib) as f64 / 1024.0
    }
}

/// Warm invokes of a function with an extension that subscribed to telemetry.
#[derive(Debug, Serialize)]
pub(crate) struct Subscribed {
    pub(crate) subscriber: Subscriber,
    pub(crate) latency: Percentiles,
    pub(crate) p50_us_per_round: Vec<f64>,
    /// How many events were lost to it, by the server's log.
    pub(crate) lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subscriber {
    /// Takes what it is sent.
    Healthy,
    /// Accepts the connection and reads nothing.
    Silent,
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
    pub(crate) fn this() -> Self {
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
    pub(crate) streaming: Vec<Streaming>,
    pub(crate) slow_reader: Option<SlowReader>,
    pub(crate) subscribed: Vec<Subscribed>,
    /// What the emulator answers when two call at once.
    pub(crate) rie_pairs: Option<Pairs>,
    pub(crate) failures: Failures,
}

/// What could not run, and why.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Failures(pub(crate) Vec<String>);

impl Failures {
    pub(crate) fn add(&mut self, contestant: Contestant, phase: &str, why: &str) {
        self.0.push(format!("{}, {phase}: {why}", contestant.title()));
    }
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::this(),
            warm: Vec::new(),
            throughput: Vec::new(),
            cold: Vec::new(),
            streaming: Vec::new(),
            slow_reader: None,
            subscribed: Vec::new(),
            rie_pairs: None,
            failures: Failures::default(),
        }
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

    pub(crate) fn streaming(&self, who: Contestant) -> Option<&Streaming> {
        self.streaming.iter().find(|row| row.contestant == who)
    }

    pub(crate) fn subscribed(&self, by: Subscriber) -> Option<&Subscribed> {
        self.subscribed.iter().find(|row| row.subscriber == by)
    }

    pub(crate) fn json(&self) -> String {
        json(self, checks(self))
    }
}

/// All figures, and what they are held against.
pub(crate) fn json(figures: &impl Serialize, checks: Vec<Check>) -> String {
    #[derive(Serialize)]
    struct Whole<'a, T: Serialize> {
        #[serde(flatten)]
        figures: &'a T,
        checks: Vec<Check>,
    }
    let text = serde_json::to_string_pretty(&Whole { figures, checks });
    text.expect("names are text and figures numbers") + "\n"
}
