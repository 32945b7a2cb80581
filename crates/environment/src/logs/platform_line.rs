//! The platform's own log lines, in text and in JSON.
//!
//! Text is laid out as CloudWatch shows it (tabs between columns). In JSON each line is an event of the
//! Telemetry schema, and those below the default system log level INFO are left out: a warm success prints
//! `platform.start` and `platform.report`, a failure `platform.runtimeDone` as well.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::spec::{LogFormat, Spec};

/// How an init or an invocation ended, as the log words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    /// The runtime reported an error: a matter of the function, which text logs do not mention.
    Reported(String),
    /// The platform found an error.
    Error(String),
    Timeout,
}

/// The figures of one REPORT.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) request_id: Uuid,
    pub(crate) duration: Duration,
    pub(crate) billed_ms: u64,
    pub(crate) memory_mib: u32,
    pub(crate) max_memory_used_mib: u64,
    pub(crate) init_duration: Option<Duration>,
    pub(crate) status: Status,
}

/// Which init a line speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Init,
    /// Inside an invocation.
    Invoke,
}

impl Status {
    fn name(&self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Reported(_) | Status::Error(_) => "error",
            Status::Timeout => "timeout",
        }
    }

    fn error_type(&self) -> Option<&str> {
        match self {
            Status::Reported(error_type) | Status::Error(error_type) => Some(error_type),
            Status::Success | Status::Timeout => None,
        }
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Init => "init",
            Phase::Invoke => "invoke",
        }
    }
}

pub(crate) fn init_start(spec: &Spec, log_stream: &str, phase: Phase) -> String {
    match format(spec) {
        LogFormat::Text => {
            format!(
                "INIT_START Runtime Version: {}\tRuntime Version ARN: {}",
                spec.runtime_version,
                runtime_arn(spec)
            )
        }
        LogFormat::Json => event(
            "platform.initStart",
            json!({
                "initializationType": "on-demand",
                "phase": phase.name(),
                "runtimeVersion": spec.runtime_version,
                "runtimeVersionArn": runtime_arn(spec),
                "functionName": spec.function_name,
                "functionVersion": spec.version,
                "instanceId": log_stream,
                "instanceMaxMemory": u64::from(spec.memory_mib) * 1024 * 1024,
            }),
        ),
    }
}

/// An on-demand init is reported only when it failed.
pub(crate) fn init_report(spec: &Spec, phase: Phase, duration: Duration, status: &Status) -> Option<String> {
    if *status == Status::Success {
        return None;
    }
    Some(match format(spec) {
        LogFormat::Text => {
            let mut line = format!(
                "INIT_REPORT Init Duration: {}\tPhase: {}\tStatus: {}",
                ms(duration),
                phase.name(),
                status.name()
            );
            if let Some(error_type) = status.error_type() {
                line.push_str("\tError Type: ");
                line.push_str(error_type);
            }
            line
        }
        LogFormat::Json => {
            let mut record = json!({
                "initializationType": "on-demand",
                "phase": phase.name(),
                "status": status.name(),
                "metrics": { "durationMs": precise_ms(duration) },
            });
            add_error_type(&mut record, status);
            event("platform.initReport", record)
        }
    })
}

pub(crate) fn start(spec: &Spec, request_id: Uuid, trace: &str) -> String {
    match format(spec) {
        LogFormat::Text => format!("START RequestId: {request_id} Version: {}", spec.version),
        LogFormat::Json => event(
            "platform.start",
            json!({
                "requestId": request_id,
                "functionArn": spec.function_arn,
                "version": spec.version,
                "tracing": { "type": "X-Amzn-Trace-Id", "value": trace },
            }),
        ),
    }
}

/// The lines between the function's last and END that tell of a failure found by the platform.
pub(crate) fn failure(spec: &Spec, request_id: Uuid, failure: &crate::failure::PlatformError) -> Vec<String> {
    match format(spec) {
        LogFormat::Text if failure.error_type == "Sandbox.Timedout" => {
            vec![format!("{} {request_id} {}", now(), failure.message), String::new()]
        }
        LogFormat::Text => vec![failure.text(request_id), failure.error_type.to_owned()],
        LogFormat::Json => vec![],
    }
}

/// END, and the runtime's own failure in JSON.
pub(crate) fn end(spec: &Spec, report: &Report) -> Option<String> {
    match format(spec) {
        LogFormat::Text => Some(format!("END RequestId: {}", report.request_id)),
        LogFormat::Json if report.status == Status::Success => None,
        LogFormat::Json => {
            let mut record = json!({
                "requestId": report.request_id,
                "status": report.status.name(),
                "metrics": { "durationMs": precise_ms(report.duration) },
            });
            add_error_type(&mut record, &report.status);
            Some(event("platform.runtimeDone", record))
        }
    }
}

pub(crate) fn report(spec: &Spec, report: &Report) -> String {
    match format(spec) {
        LogFormat::Text => {
            let mut line = format!(
                "REPORT RequestId: {}\tDuration: {}\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
                report.request_id,
                ms(report.duration),
                report.billed_ms,
                report.memory_mib,
                report.max_memory_used_mib,
            );
            if let Some(init) = report.init_duration {
                line.push_str(&format!("Init Duration: {}\t", ms(init)));
            }
            match &report.status {
                Status::Success | Status::Reported(_) => {}
                Status::Error(error_type) => {
                    line.push_str(&format!("Status: error\tError Type: {error_type}"));
                }
                Status::Timeout => line.push_str("Status: timeout"),
            }
            line
        }
        LogFormat::Json => {
            let mut metrics = json!({
                "durationMs": precise_ms(report.duration),
                "billedDurationMs": report.billed_ms,
                "memorySizeMB": report.memory_mib,
                "maxMemoryUsedMB": report.max_memory_used_mib,
            });
            if let (Some(init), Some(metrics)) = (report.init_duration, metrics.as_object_mut()) {
                metrics.insert("initDurationMs".into(), precise_ms(init));
            }
            let mut record = json!({
                "requestId": report.request_id,
                "metrics": metrics,
                "status": report.status.name(),
            });
            add_error_type(&mut record, &report.status);
            event("platform.report", record)
        }
    }
}

fn format(spec: &Spec) -> LogFormat {
    spec.log_format.unwrap_or(LogFormat::Text)
}

/// A runtime version's ARN ends in a digest of the runtime; ours is made of its version, so that the same
/// interpreter has the same ARN everywhere.
fn runtime_arn(spec: &Spec) -> String {
    let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, spec.runtime_version.as_bytes()).simple();
    format!("arn:aws:lambda:{}::runtime:{name}{name}", spec.region)
}

fn event(name: &str, record: Value) -> String {
    let mut all = Map::new();
    all.insert("time".into(), now().into());
    all.insert("type".into(), name.into());
    all.insert("record".into(), record);
    Value::Object(all).to_string()
}

fn add_error_type(record: &mut Value, status: &Status) {
    if let (Some(error_type), Some(record)) = (status.error_type(), record.as_object_mut()) {
        record.insert("errorType".into(), error_type.into());
    }
}

/// UTC with milliseconds, as every time in a log is.
fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

/// Two decimals, as text prints durations.
fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// Three decimals, as JSON prints them.
fn precise_ms(duration: Duration) -> Value {
    json!((duration.as_secs_f64() * 1_000_000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::PlatformError;
    use crate::spec::tests::spec;
    use firesteel_sandbox::Exit;

    const ID: Uuid = Uuid::from_u128(7);

    fn warm() -> Report {
        Report {
            request_id: ID,
            duration: Duration::from_micros(3010),
            billed_ms: 4,
            memory_mib: 128,
            max_memory_used_mib: 36,
            init_duration: None,
            status: Status::Success,
        }
    }

    #[test]
    fn text_lines_are_laid_out_as_cloudwatch_shows_them() {
        let spec = spec();
        assert_eq!(start(&spec, ID, ""), format!("START RequestId: {ID} Version: $LATEST"));
        assert_eq!(end(&spec, &warm()).unwrap(), format!("END RequestId: {ID}"));
        assert_eq!(
            report(&spec, &warm()),
            format!(
                "REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\t"
            )
        );
        let cold = Report { init_duration: Some(Duration::from_micros(110_100)), ..warm() };
        assert!(report(&spec, &cold).ends_with("Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t"));
        let crashed = Report { status: Status::Error("Runtime.ExitError".into()), ..warm() };
        assert!(report(&spec, &crashed).ends_with("36 MB\tStatus: error\tError Type: Runtime.ExitError"));
        let timed_out = Report { status: Status::Timeout, ..warm() };
        assert!(report(&spec, &timed_out).ends_with("36 MB\tStatus: timeout"));
        let reported = Report { status: Status::Reported("Runtime.Unknown".into()), ..warm() };
        assert_eq!(report(&spec, &reported), report(&spec, &warm()));
        assert_eq!(
            init_report(&spec, Phase::Init, Duration::from_micros(10_009_130), &Status::Timeout).unwrap(),
            "INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout"
        );
        assert_eq!(
            failure(&spec, ID, &PlatformError::exited(Exit::Code(1))),
            [
                format!("RequestId: {ID} Error: Runtime exited with error: exit status 1"),
                "Runtime.ExitError".into()
            ]
        );
        let timeout = failure(&spec, ID, &PlatformError::timed_out(Duration::from_secs(3)));
        assert!(timeout[0].ends_with(&format!("Z {ID} Task timed out after 3.00 seconds")), "{timeout:?}");
        assert_eq!(timeout[1], "");
    }

    #[test]
    fn json_lines_are_telemetry_events_at_level_info() {
        let spec = Spec { log_format: Some(LogFormat::Json), ..spec() };
        assert_eq!(end(&spec, &warm()), None);
        let cold = Report { init_duration: Some(Duration::from_micros(145_399)), ..warm() };
        let line: Value = serde_json::from_str(&report(&spec, &cold)).unwrap();
        assert_eq!(line["type"], "platform.report");
        assert_eq!(
            line["record"]["metrics"],
            json!({"durationMs": 3.01, "billedDurationMs": 4, "memorySizeMB": 128, "maxMemoryUsedMB": 36, "initDurationMs": 145.399})
        );
        let failed = Report { status: Status::Error("Runtime.ExitError".into()), ..warm() };
        let line: Value = serde_json::from_str(&end(&spec, &failed).unwrap()).unwrap();
        assert_eq!(line["type"], "platform.runtimeDone");
        assert_eq!(line["record"]["errorType"], "Runtime.ExitError");
        let line: Value = serde_json::from_str(&start(&spec, ID, "Root=1-0-0")).unwrap();
        assert_eq!(line["record"]["tracing"]["value"], "Root=1-0-0");
        let time = line["time"].as_str().unwrap();
        assert!(time.len() == "2026-10-08T06:53:45.183Z".len() && time.ends_with('Z'), "{time}");
    }
}
