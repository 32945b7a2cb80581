//! What the platform has to tell of an environment, before it is a line of text, a line of JSON or an event of the
//! Telemetry API.

use std::time::{Duration, SystemTime};

use firesteel_runtime_api::telemetry::{Api, Types};
use uuid::Uuid;

use crate::failure::PlatformError;

/// How an init, a restore or an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    /// The runtime reported an error: a matter of the function, which REPORT does not mention in text.
    Reported(String),
    /// The platform found an error.
    Error(String),
    Timeout,
}

/// Which init is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Init,
    /// Inside an invocation.
    Invoke,
}

impl Status {
    /// As AWS spells it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Reported(_) | Status::Error(_) => "error",
            Status::Timeout => "timeout",
        }
    }

    pub(crate) fn error_type(&self) -> Option<&str> {
        match self {
            Status::Reported(error_type) | Status::Error(error_type) => Some(error_type),
            Status::Success | Status::Timeout => None,
        }
    }
}

impl Phase {
    /// As AWS spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Phase::Init => "init",
            Phase::Invoke => "invoke",
        }
    }
}

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
        /// `Ready`, `Registered`, `Started`, `InitError`, …
        state: &'static str,
        /// Of `INVOKE` and `SHUTDOWN`, in this order.
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
    /// The runtime of an image could not be started.
    ImageNotStarted {
        error: PlatformError,
    },
    /// END and REPORT.
    Report(Report),
    /// Events that subscribers did not get. The subscriber concerned is told by its own delivery.
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

impl SpanName {
    /// As AWS spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            SpanName::ResponseLatency => "responseLatency",
            SpanName::ResponseDuration => "responseDuration",
            SpanName::RuntimeOverhead => "runtimeOverhead",
            SpanName::ExtensionOverhead => "extensionOverhead",
        }
    }
}
