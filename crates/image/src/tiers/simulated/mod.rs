//! Tiers that are not there: what they answer is real, when they answer is drawn from latencies that were recorded.
//!
//! For tests, in tokio's paused time, and for the bench, in real time. The same seed gives the same latencies in the same order.

mod latency;
mod node;
mod store;

pub use latency::{Latency, Sampler};
pub use node::{SimulatedNode, SingleCopy};
pub use store::SimulatedStore;

/// What a simulated tier does other than answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing else.
    #[default]
    None,
    /// Answers never.
    Stalled,
    /// Says that it has no time.
    Throttling,
    /// Cannot be reached.
    Gone,
    /// Answers with something else. A store does not: what it gives is verified before.
    Lying,
}
