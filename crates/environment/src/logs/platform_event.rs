//! What the platform has to tell of an environment, before it is a line of text, a line of JSON or an event of the
//! Telemetry API.

use std::time::{Duration, SystemTime};

use firesteel_runtime_api::telemetry::{Api, Types};
use uuid::Uuid;

use super::platform_line::{Phase, Status};
use crate::failure::PlatformError;

/// One thing to tell.
#[derive(Debug, Clone)]
pub(crate) enum PlatformEvent {
    InitStart {
        phase: Phase,
    },
    /// The runtime asked for its first event, or did not.
    InitRuntimeDone {
        phase: Phase,
        status: Status,
    },
    /// All extensions have asked as well.
    InitReport {
        phase: Phase,
        status: Status,
        duration: Duration,
    },
    RestoreStart,
    RestoreRuntimeDone {
        status: Status,
    },
    RestoreReport {
        status: Status,
        duration: Duration,
    },
    /// How far an extension came, told at the end of init.
    Extension {
        name: String,
        state: &'static str,
        events: Vec<&'static str>,
        error_type: Option<String>,
    },
    Subscription {
        api: Api,
        name: String,
        types: Types,
    },
    Start {
        request_id: Uuid,
        function_arn: String,
        trace: String,
    },
    RuntimeDone(RuntimeDone),
    /// Lines between the function's last and END that tell of a failure found by the platform.
    Failure {
        request_id: Uuid,
        error: PlatformError,
    },
    /// END and REPORT.
    Report(Report),
    LogsDropped {
        reason: &'static str,
        records: u64,
        bytes: u64,
    },
}

/// The runtime has asked for the next event, or will not.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeDone {
    pub(crate) request_id: Uuid,
    pub(crate) status: Status,
    /// From the delivery of the event.
    pub(crate) duration: Duration,
    /// Length of the response, if there was one.
    pub(crate) produced_bytes: Option<u64>,
    pub(crate) spans: Vec<Span>,
    pub(crate) trace: String,
}

/// The invocation is over.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) request_id: Uuid,
    pub(crate) status: Status,
    pub(crate) duration: Duration,
    pub(crate) billed_ms: u64,
    pub(crate) memory_mib: u32,
    pub(crate) max_memory_used_mib: u64,
    pub(crate) init_duration: Option<Duration>,
    pub(crate) restore: Option<RestoreDurations>,
    pub(crate) spans: Vec<Span>,
    pub(crate) trace: String,
}

/// What a restore took, and what of it is billed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestoreDurations {
    pub(crate) duration: Duration,
    pub(crate) billed_ms: u64,
}

/// A part of an invocation, by AWS's name for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) name: SpanName,
    pub(crate) start: SystemTime,
    pub(crate) duration: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanName {
    /// Delivery of the event to the first byte of the response.
    ResponseLatency,
    /// First byte to last.
    ResponseDuration,
    /// Last byte to `next`.
    RuntimeOverhead,
    /// The runtime's `next` to the last extension's.
    ExtensionOverhead,
}
