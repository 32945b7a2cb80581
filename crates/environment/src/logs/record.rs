//! Events in the form of the Telemetry API, which JSON log lines have too, and in that of the Logs API before it.
//!
//! Every figure that is known is in them; what a local environment cannot know (span ids) is left out.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use firesteel_runtime_api::telemetry::{Api, Schema, Types};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Source;
use super::about::About;
use super::platform_event::{PlatformEvent, Report, RuntimeDone, Span, Status};
use crate::spec::InitializationType;

/// What AWS gives as the error of an init or a restore that ran out of time.
const TIMED_OUT: &str = "Runtime.Unknown";

/// An event without its time.
#[derive(Debug)]
pub(super) struct Record {
    name: &'static str,
    record: Value,
}

impl Record {
    /// The complete event.
    pub(super) fn to_json(&self, time: Timestamp) -> Bytes {
        envelope(time, self.name, &self.record)
    }
}

/// The event of the Telemetry API, and of the log in JSON. A failure has none of its own: it is a status.
pub(super) fn telemetry(event: &PlatformEvent, about: &About) -> Option<Record> {
    let spec = &about.spec;
    let (name, record) = match event {
        PlatformEvent::InitStart { phase } => {
            let mut record = init(about, phase.name());
            record.extend(instance(about));
            ("platform.initStart", record)
        }
        PlatformEvent::InitRuntimeDone { phase, status } => {
            let mut record = init(about, phase.name());
            record.extend(runtime_ended(status));
            ("platform.initRuntimeDone", record)
        }
        PlatformEvent::InitReport { phase, status, duration } => {
            let mut record = init(about, phase.name());
            record.extend(ended(status));
            record.insert("metrics".into(), json!({ "durationMs": ms(*duration) }));
            ("platform.initReport", record)
        }
        PlatformEvent::RestoreStart => ("platform.restoreStart", instance(about)),
        PlatformEvent::RestoreRuntimeDone { status } => {
            ("platform.restoreRuntimeDone", runtime_ended(status))
        }
        PlatformEvent::RestoreReport { status, duration } => {
            let mut record = ended(status);
            record.insert("metrics".into(), json!({ "durationMs": ms(*duration) }));
            ("platform.restoreReport", record)
        }
        PlatformEvent::Extension { name, state, events, error_type } => {
            let mut record = members(json!({ "name": name, "state": state, "events": events }));
            if let Some(error_type) = error_type {
                record.insert("errorType".into(), json!(error_type));
            }
            ("platform.extension", record)
        }
        PlatformEvent::Subscription { api, name, types } => {
            let event = match api {
                Api::Telemetry => "platform.telemetrySubscription",
                Api::Logs => "platform.logsSubscription",
            };
            (event, members(json!({ "name": name, "state": "Subscribed", "types": names(*types) })))
        }
        PlatformEvent::Start { request_id, function_arn, trace } => {
            let mut record = members(json!({
                "requestId": request_id,
                "functionArn": function_arn,
                "version": spec.version,
            }));
            trace_to(trace, &mut record);
            ("platform.start", record)
        }
        PlatformEvent::RuntimeDone(_) if managed_instance(about) => return None,
        PlatformEvent::RuntimeDone(done) => ("platform.runtimeDone", runtime_done(done)),
        PlatformEvent::Failure { .. } | PlatformEvent::ImageNotStarted { .. } => return None,
        PlatformEvent::Report(report) => ("platform.report", report_record(report, about)),
        PlatformEvent::LogsDropped { reason, records, bytes } => (
            "platform.logsDropped",
            members(json!({ "reason": reason, "droppedRecords": records, "droppedBytes": bytes })),
        ),
    };
    Some(Record { name, record: Value::Object(record) })
}

/// The events of the Logs API. It is older than events of init and restore, and its readers need not know them.
pub(super) fn logs(event: &PlatformEvent, schema: Schema, about: &About) -> Vec<Record> {
    match event {
        PlatformEvent::Report(report) => {
            let end = Record { name: "platform.end", record: json!({ "requestId": report.request_id }) };
            [end].into_iter().chain(telemetry(event, about)).collect()
        }
        PlatformEvent::Failure { request_id, error } => {
            let text = format!("{}\n{}", error.text(*request_id), error.error_type);
            vec![Record { name: "platform.fault", record: text.into() }]
        }
        PlatformEvent::RuntimeDone(_) if schema < Schema::V20210318 => vec![],
        PlatformEvent::Extension { .. }
        | PlatformEvent::Subscription { .. }
        | PlatformEvent::Start { .. }
        | PlatformEvent::RuntimeDone(_)
        | PlatformEvent::LogsDropped { .. } => telemetry(event, about).into_iter().collect(),
        PlatformEvent::ImageNotStarted { .. }
        | PlatformEvent::InitStart { .. }
        | PlatformEvent::InitRuntimeDone { .. }
        | PlatformEvent::InitReport { .. }
        | PlatformEvent::RestoreStart
        | PlatformEvent::RestoreRuntimeDone { .. }
        | PlatformEvent::RestoreReport { .. } => vec![],
    }
}

/// A line of the function or of an extension, whatever its bytes. It stays a string unless logs are in JSON, the
/// line is a JSON object, and the schema is one that allows for it.
pub(super) fn line(source: Source, bytes: &[u8], schema: Schema, about: &About, time: Timestamp) -> Bytes {
    let name = match source {
        Source::Function => "function",
        Source::Extension => "extension",
        Source::Platform => "platform",
    };
    if about.is_json()
        && schema >= Schema::V20221213
        && bytes.trim_ascii_start().starts_with(b"{")
        && let Ok(object) = serde_json::from_slice::<&RawValue>(bytes)
    {
        return envelope(time, name, object);
    }
    envelope(time, name, &String::from_utf8_lossy(bytes))
}

fn envelope<R: Serialize + ?Sized>(time: Timestamp, name: &str, record: &R) -> Bytes {
    #[derive(Serialize)]
    struct Envelope<'a, R: ?Sized> {
        time: String,
        #[serde(rename = "type")]
        name: &'a str,
        record: &'a R,
    }
    serde_json::to_vec(&Envelope { time: text(time), name, record })
        .expect("values, raw values and strings always serialize")
        .into()
}

fn init(about: &About, phase: &str) -> Map<String, Value> {
    members(json!({ "initializationType": about.initialization.name(), "phase": phase }))
}

/// What begins: a version of a function on a runtime, in an instance.
fn instance(about: &About) -> Map<String, Value> {
    let spec = &about.spec;
    let mut record = Map::new();
    if let Some((version, arn)) = about.runtime() {
        record.insert("runtimeVersion".into(), json!(version));
        record.insert("runtimeVersionArn".into(), json!(arn));
    }
    record.extend(members(json!({
        "functionName": spec.function_name,
        "functionVersion": spec.version,
        "instanceId": about.stream,
        // In bytes, as AWS really sends it.
        "instanceMaxMemory": u64::from(spec.memory_mib) * 1024 * 1024,
    })));
    record
}

fn runtime_done(done: &RuntimeDone) -> Map<String, Value> {
    let mut record = members(json!({ "requestId": done.request_id }));
    record.extend(ended(&done.status));
    let mut metrics = members(json!({ "durationMs": ms(done.duration) }));
    if let Some(bytes) = done.produced_bytes {
        metrics.insert("producedBytes".into(), json!(bytes));
    }
    record.insert("metrics".into(), Value::Object(metrics));
    spans_to(&done.spans, &mut record);
    trace_to(&done.trace, &mut record);
    record
}

fn report_record(report: &Report, about: &About) -> Map<String, Value> {
    let mut metrics = members(json!({ "durationMs": ms(report.duration) }));
    if !managed_instance(about) {
        metrics.extend(members(json!({
            "billedDurationMs": report.billed_ms,
            "memorySizeMB": report.memory_mib,
            "maxMemoryUsedMB": report.max_memory_used_mib,
        })));
        if let Some(init) = report.init_duration {
            metrics.insert("initDurationMs".into(), ms(init));
        }
        if let Some(restore) = report.restore {
            metrics.insert("restoreDurationMs".into(), ms(restore.duration));
            metrics.insert("billedRestoreDurationMs".into(), json!(restore.billed_ms));
        }
    }
    let mut record = members(json!({ "requestId": report.request_id, "metrics": metrics }));
    record.extend(ended(&report.status));
    spans_to(&report.spans, &mut record);
    trace_to(&report.trace, &mut record);
    record
}

fn managed_instance(about: &About) -> bool {
    about.initialization == InitializationType::ManagedInstances
}

fn ended(status: &Status) -> Map<String, Value> {
    let mut record = members(json!({ "status": status.name() }));
    if let Some(error_type) = status.error_type() {
        record.insert("errorType".into(), json!(error_type));
    }
    record
}

/// How the runtime's part of an init or a restore ended.
fn runtime_ended(status: &Status) -> Map<String, Value> {
    let mut record = ended(status);
    if *status == Status::Timeout {
        record.insert("errorType".into(), json!(TIMED_OUT));
    }
    record
}

fn spans_to(spans: &[Span], record: &mut Map<String, Value>) {
    if spans.is_empty() {
        return;
    }
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            json!({ "name": span.name.name(), "start": system_text(span.start), "durationMs": ms(span.duration) })
        })
        .collect();
    record.insert("spans".into(), json!(spans));
}

fn trace_to(trace: &str, record: &mut Map<String, Value>) {
    if !trace.is_empty() {
        record.insert("tracing".into(), json!({ "type": "X-Amzn-Trace-Id", "value": trace }));
    }
}

fn names(types: Types) -> Vec<&'static str> {
    let names = [(types.platform, "platform"), (types.function, "function"), (types.extension, "extension")];
    names.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect()
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// UTC with milliseconds, as every time in a log is.
fn text(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn system_text(time: SystemTime) -> String {
    // Beyond the year 9999 the clock is what is wrong.
    text(Timestamp::try_from(time).unwrap_or(Timestamp::MAX))
}

/// Three decimals, as JSON prints durations.
fn ms(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 1_000_000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests;
