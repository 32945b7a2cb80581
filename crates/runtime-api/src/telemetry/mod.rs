//! Telemetry API and Logs API: what an extension may subscribe to, and how events reach it.
//!
//! ```text
//!  PUT …/telemetry, …/logs ─► parse ─► Subscription ─► (the lifecycle accepts) ─► Subscriber ─► its listener
//! ```
//!
//! Here is the vocabulary. `subscription` reads a body, `delivery` sends events, in batches that `backlog` cuts, by
//! `http` or `tcp`, on connections that `dial` makes. What an event says is none of this crate's business: it is given complete JSON objects.

mod backlog;
mod delivery;
mod dial;
mod http;
mod subscription;
mod tcp;

use std::time::Duration;

pub use delivery::Subscriber;
pub use dial::Dial;
pub use subscription::{ValidationError, parse};

/// Which of the two APIs a subscription was made through. An extension may use one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `PUT /2022-07-01/telemetry`
    Telemetry,
    /// `PUT /2020-08-15/logs`, its predecessor.
    Logs,
}

/// Versions of the events' schema, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Schema {
    /// `2020-08-15`, Logs API.
    V20200815,
    /// `2021-03-18`, Logs API, with `platform.runtimeDone`.
    V20210318,
    /// `2022-07-01`, Telemetry API.
    V20220701,
    /// `2022-12-13`: records of functions and extensions may be objects.
    V20221213,
    /// `2025-01-29`
    V20250129,
}

/// Which events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Types {
    /// `platform`
    pub platform: bool,
    /// `function`
    pub function: bool,
    /// `extension`
    pub extension: bool,
}

/// Where events go: a listener within the environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A request with a JSON array for each batch.
    Http {
        /// Of the listener.
        port: u16,
        /// With its query, beginning with `/`.
        path: String,
        /// `PUT` instead of `POST`, which the Logs API allows.
        put: bool,
    },
    /// One JSON object a line.
    Tcp {
        /// Of the listener.
        port: u16,
    },
}

/// When a batch is sent: at the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Buffering {
    /// 25 ms to 30 s.
    pub timeout: Duration,
    /// 262 144 to 1 048 576.
    pub max_bytes: usize,
    /// 1 000 to 10 000.
    pub max_items: usize,
}

/// What an extension asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// Through which API.
    pub api: Api,
    /// In which form.
    pub schema: Schema,
    /// Which events.
    pub types: Types,
    /// Where to.
    pub destination: Destination,
    /// When.
    pub buffering: Buffering,
}

/// Events that a subscriber did not get because it was too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dropped {
    /// How many.
    pub records: u64,
    /// Their length.
    pub bytes: u64,
}

impl Dropped {
    /// What `platform.logsDropped` gives as the reason.
    pub const REASON: &str = "the subscriber takes its events too slowly";
}
