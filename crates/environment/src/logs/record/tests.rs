//! Every event, in the form of both APIs, written out.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use firesteel_sandbox::Exit;
use uuid::Uuid;

use super::*;
use crate::failure::PlatformError;
use crate::logs::about::tests::about;
use crate::logs::platform_event::{Phase, RestoreDurations, SpanName};
use crate::spec::{LogFormat, Spec};

const ID: Uuid = Uuid::from_u128(7);
const TRACE: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

fn on_demand() -> About {
    about(InitializationType::OnDemand)
}

fn json() -> About {
    let mut about = on_demand();
    about.spec = Arc::new(Spec { log_format: Some(LogFormat::Json), ..(*about.spec).clone() });
    about
}

fn time() -> Timestamp {
    "2026-10-08T06:53:45.183999Z".parse().unwrap()
}

/// Name and text of an event's record.
fn told(event: &PlatformEvent, about: &About) -> (String, String) {
    let record = telemetry(event, about).unwrap();
    (record.name.to_owned(), record.record.to_string())
}

#[track_caller]
fn check(event: &PlatformEvent, name: &str, record: &str) {
    assert_eq!(told(event, &on_demand()), (name.to_owned(), record.to_owned()));
}

fn events_of_logs(event: &PlatformEvent, schema: Schema) -> Vec<&'static str> {
    logs(event, schema, &on_demand()).iter().map(|record| record.name).collect()
}

fn spans() -> Vec<Span> {
    let start = UNIX_EPOCH + Duration::from_millis(1_791_442_425_183);
    let span = |name, ms| Span { name, start, duration: Duration::from_micros(ms) };
    vec![
        span(SpanName::ResponseLatency, 23_020),
        span(SpanName::ResponseDuration, 20),
        span(SpanName::RuntimeOverhead, 1_000),
        span(SpanName::ExtensionOverhead, 2_000),
    ]
}

fn runtime_done_event() -> RuntimeDone {
    RuntimeDone {
        request_id: ID,
        status: Status::Success,
        duration: Duration::from_micros(3010),
        produced_bytes: None,
        spans: vec![],
        trace: String::new(),
    }
}

fn report_event() -> Report {
    Report {
        request_id: ID,
        status: Status::Success,
        duration: Duration::from_micros(3_923_569),
        billed_ms: 4069,
        memory_mib: 128,
        max_memory_used_mib: 36,
        init_duration: None,
        restore: None,
        spans: vec![],
        trace: String::new(),
    }
}

fn start_event() -> PlatformEvent {
    PlatformEvent::Start {
        request_id: ID,
        function_arn: "arn:aws:lambda:us-east-1:000000000000:function:hello:live".into(),
        trace: TRACE.into(),
    }
}

fn extension_event() -> PlatformEvent {
    PlatformEvent::Extension {
        name: "watcher".into(),
        state: "Ready",
        events: vec!["INVOKE", "SHUTDOWN"],
        error_type: None,
    }
}

#[test]
fn an_event_has_its_time_type_and_record() {
    let event = PlatformEvent::LogsDropped { reason: "slow", records: 3, bytes: 1002 };
    assert_eq!(
        telemetry(&event, &on_demand()).unwrap().to_json(time()),
        r#"{"time":"2026-10-08T06:53:45.183Z","type":"platform.logsDropped","record":{"reason":"slow","droppedRecords":3,"droppedBytes":1002}}"#
    );
}

#[test]
fn an_init_tells_of_version_and_instance() {
    let (name, record) = told(&PlatformEvent::InitStart { phase: Phase::Init }, &on_demand());
    assert_eq!(name, "platform.initStart");
    let mut record: Value = serde_json::from_str(&record).unwrap();
    let arn = record.as_object_mut().unwrap().shift_remove("runtimeVersionArn").unwrap();
    let digest = arn.as_str().unwrap().strip_prefix("arn:aws:lambda:us-east-1::runtime:").unwrap();
    assert_eq!(digest.len(), 64);
    assert_eq!(
        record.to_string(),
        r#"{"initializationType":"on-demand","phase":"init","runtimeVersion":"provided:al2023","functionName":"hello","functionVersion":"$LATEST","instanceId":"2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef","instanceMaxMemory":134217728}"#
    );

    let mut image = about(InitializationType::ProvisionedConcurrency);
    image.spec = Arc::new(Spec { runtime_version: String::new(), ..(*image.spec).clone() });
    let (_, record) = told(&PlatformEvent::InitStart { phase: Phase::Invoke }, &image);
    assert!(
        record.starts_with(
            r#"{"initializationType":"provisioned-concurrency","phase":"invoke","functionName":"hello""#
        ),
        "{record}"
    );
}

#[test]
fn the_end_of_an_init_has_a_status() {
    let done = |status| PlatformEvent::InitRuntimeDone { phase: Phase::Init, status };
    let name = "platform.initRuntimeDone";
    check(
        &done(Status::Success),
        name,
        r#"{"initializationType":"on-demand","phase":"init","status":"success"}"#,
    );
    check(
        &done(Status::Reported("Function.Bad".into())),
        name,
        r#"{"initializationType":"on-demand","phase":"init","status":"error","errorType":"Function.Bad"}"#,
    );
    check(
        &done(Status::Timeout),
        name,
        r#"{"initializationType":"on-demand","phase":"init","status":"timeout","errorType":"Runtime.Unknown"}"#,
    );
    let report = |phase, status| PlatformEvent::InitReport {
        phase,
        status,
        duration: Duration::from_nanos(145_399_400),
    };
    let name = "platform.initReport";
    check(
        &report(Phase::Init, Status::Success),
        name,
        r#"{"initializationType":"on-demand","phase":"init","status":"success","metrics":{"durationMs":145.399}}"#,
    );
    check(
        &report(Phase::Invoke, Status::Error("Runtime.ExitError".into())),
        name,
        r#"{"initializationType":"on-demand","phase":"invoke","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":145.399}}"#,
    );
    check(
        &report(Phase::Init, Status::Timeout),
        name,
        r#"{"initializationType":"on-demand","phase":"init","status":"timeout","metrics":{"durationMs":145.399}}"#,
    );
}

#[test]
fn a_restore_is_told_like_an_init() {
    let (name, record) = told(&PlatformEvent::RestoreStart, &about(InitializationType::SnapStart));
    assert_eq!(name, "platform.restoreStart");
    let record: Value = serde_json::from_str(&record).unwrap();
    let members: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        [
            "runtimeVersion",
            "runtimeVersionArn",
            "functionName",
            "functionVersion",
            "instanceId",
            "instanceMaxMemory"
        ]
    );
    let name = "platform.restoreRuntimeDone";
    check(&PlatformEvent::RestoreRuntimeDone { status: Status::Success }, name, r#"{"status":"success"}"#);
    check(
        &PlatformEvent::RestoreRuntimeDone { status: Status::Timeout },
        name,
        r#"{"status":"timeout","errorType":"Runtime.Unknown"}"#,
    );
    let report = |status| PlatformEvent::RestoreReport { status, duration: Duration::from_micros(1_236_040) };
    let name = "platform.restoreReport";
    check(&report(Status::Success), name, r#"{"status":"success","metrics":{"durationMs":1236.04}}"#);
    check(
        &report(Status::Error("Runtime.RestoreError".into())),
        name,
        r#"{"status":"error","errorType":"Runtime.RestoreError","metrics":{"durationMs":1236.04}}"#,
    );
}

#[test]
fn extensions_and_subscriptions_are_told_by_name() {
    check(
        &extension_event(),
        "platform.extension",
        r#"{"name":"watcher","state":"Ready","events":["INVOKE","SHUTDOWN"]}"#,
    );
    check(
        &PlatformEvent::Extension {
            name: "watcher".into(),
            state: "LaunchError",
            events: vec![],
            error_type: Some("PermissionDenied".into()),
        },
        "platform.extension",
        r#"{"name":"watcher","state":"LaunchError","events":[],"errorType":"PermissionDenied"}"#,
    );
    let subscription = |api, types| PlatformEvent::Subscription { api, name: "watcher".into(), types };
    let all = Types { platform: true, function: true, extension: true };
    check(
        &subscription(Api::Telemetry, all),
        "platform.telemetrySubscription",
        r#"{"name":"watcher","state":"Subscribed","types":["platform","function","extension"]}"#,
    );
    check(
        &subscription(Api::Logs, Types { extension: true, ..Types::default() }),
        "platform.logsSubscription",
        r#"{"name":"watcher","state":"Subscribed","types":["extension"]}"#,
    );
}

#[test]
fn an_invocation_begins_with_its_id_and_trace() {
    check(
        &start_event(),
        "platform.start",
        r#"{"requestId":"00000000-0000-0000-0000-000000000007","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:hello:live","version":"$LATEST","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}}"#,
    );
}

#[test]
fn a_runtime_is_done_with_figures_and_spans() {
    let name = "platform.runtimeDone";
    check(
        &PlatformEvent::RuntimeDone(runtime_done_event()),
        name,
        r#"{"requestId":"00000000-0000-0000-0000-000000000007","status":"success","metrics":{"durationMs":3.01}}"#,
    );
    let full = RuntimeDone {
        status: Status::Error("Runtime.ExitError".into()),
        produced_bytes: Some(16),
        spans: spans(),
        trace: TRACE.into(),
        ..runtime_done_event()
    };
    let full = PlatformEvent::RuntimeDone(full);
    check(
        &full,
        name,
        r#"{"requestId":"00000000-0000-0000-0000-000000000007","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":3.01,"producedBytes":16},"spans":[{"name":"responseLatency","start":"2026-10-08T06:53:45.183Z","durationMs":23.02},{"name":"responseDuration","start":"2026-10-08T06:53:45.183Z","durationMs":0.02},{"name":"runtimeOverhead","start":"2026-10-08T06:53:45.183Z","durationMs":1.0},{"name":"extensionOverhead","start":"2026-10-08T06:53:45.183Z","durationMs":2.0}],"tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"}}"#,
    );
    assert!(telemetry(&full, &about(InitializationType::ManagedInstances)).is_none());
}

#[test]
fn a_report_has_every_figure() {
    let name = "platform.report";
    let cold = Report { init_duration: Some(Duration::from_micros(145_399)), ..report_event() };
    check(
        &PlatformEvent::Report(cold),
        name,
        r#"{"requestId":"00000000-0000-0000-0000-000000000007","metrics":{"durationMs":3923.569,"billedDurationMs":4069,"memorySizeMB":128,"maxMemoryUsedMB":36,"initDurationMs":145.399},"status":"success"}"#,
    );
    let restored = Report {
        restore: Some(RestoreDurations { duration: Duration::from_micros(511_250), billed_ms: 303 }),
        status: Status::Timeout,
        spans: spans().split_off(3),
        trace: "Root=1".into(),
        ..report_event()
    };
    let restored = PlatformEvent::Report(restored);
    check(
        &restored,
        name,
        r#"{"requestId":"00000000-0000-0000-0000-000000000007","metrics":{"durationMs":3923.569,"billedDurationMs":4069,"memorySizeMB":128,"maxMemoryUsedMB":36,"restoreDurationMs":511.25,"billedRestoreDurationMs":303},"status":"timeout","spans":[{"name":"extensionOverhead","start":"2026-10-08T06:53:45.183Z","durationMs":2.0}],"tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}"#,
    );
    let (_, on_managed) = told(&restored, &about(InitializationType::ManagedInstances));
    assert!(on_managed.contains(r#""metrics":{"durationMs":3923.569},"#), "{on_managed}");
}

#[test]
fn the_logs_api_has_its_own_events() {
    let report = PlatformEvent::Report(report_event());
    let done = PlatformEvent::RuntimeDone(runtime_done_event());
    for schema in [Schema::V20200815, Schema::V20210318] {
        assert_eq!(events_of_logs(&start_event(), schema), ["platform.start"]);
        assert_eq!(events_of_logs(&report, schema), ["platform.end", "platform.report"]);
        assert_eq!(events_of_logs(&extension_event(), schema), ["platform.extension"]);
        let dropped = PlatformEvent::LogsDropped { reason: "late", records: 1, bytes: 1 };
        assert_eq!(events_of_logs(&dropped, schema), ["platform.logsDropped"]);
        let status = || Status::Success;
        let (phase, duration) = (Phase::Init, Duration::ZERO);
        for newer in [
            PlatformEvent::InitStart { phase },
            PlatformEvent::InitRuntimeDone { phase, status: status() },
            PlatformEvent::InitReport { phase, status: status(), duration },
            PlatformEvent::RestoreStart,
            PlatformEvent::RestoreRuntimeDone { status: status() },
            PlatformEvent::RestoreReport { status: status(), duration },
        ] {
            assert!(events_of_logs(&newer, schema).is_empty(), "{newer:?}");
        }
    }
    assert!(events_of_logs(&done, Schema::V20200815).is_empty());
    assert_eq!(events_of_logs(&done, Schema::V20210318), ["platform.runtimeDone"]);
    assert_eq!(
        logs(&report, Schema::V20200815, &on_demand())[0].to_json(time()),
        r#"{"time":"2026-10-08T06:53:45.183Z","type":"platform.end","record":{"requestId":"00000000-0000-0000-0000-000000000007"}}"#
    );
}

#[test]
fn a_failure_is_a_fault_in_the_logs_api_and_a_status_in_the_other() {
    let failure =
        PlatformEvent::Failure { request_id: ID, error: PlatformError::exited(Exit::Signal(9), false) };
    assert!(telemetry(&failure, &on_demand()).is_none());
    let faults = logs(&failure, Schema::V20200815, &on_demand());
    assert_eq!(
        faults[0].to_json(time()),
        r#"{"time":"2026-10-08T06:53:45.183Z","type":"platform.fault","record":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Runtime exited with error: signal: killed\nRuntime.ExitError"}"#
    );
    assert_eq!(faults.len(), 1);
}

#[test]
fn lines_are_strings() {
    let of = |source, bytes| line(source, bytes, Schema::V20221213, &on_demand(), time());
    assert_eq!(
        of(Source::Function, b"a \"quoted\"\tline\r"),
        r#"{"time":"2026-10-08T06:53:45.183Z","type":"function","record":"a \"quoted\"\tline\r"}"#
    );
    assert_eq!(
        of(Source::Extension, br#"{"level":"INFO"}"#),
        r#"{"time":"2026-10-08T06:53:45.183Z","type":"extension","record":"{\"level\":\"INFO\"}"}"#
    );
    assert_eq!(
        of(Source::Function, b"cut \xf0\x9f"),
        "{\"time\":\"2026-10-08T06:53:45.183Z\",\"type\":\"function\",\"record\":\"cut \u{fffd}\"}"
    );
}

#[test]
fn lines_of_json_are_objects_where_the_schema_allows_it() {
    let object = br#" {"n":1.10,"n":12345678901234567890123} "#;
    let of = |bytes: &[u8], schema| {
        let event = line(Source::Function, bytes, schema, &json(), time());
        String::from_utf8(event.to_vec()).unwrap()
    };
    for schema in [Schema::V20221213, Schema::V20250129] {
        assert_eq!(
            of(object, schema),
            r#"{"time":"2026-10-08T06:53:45.183Z","type":"function","record":{"n":1.10,"n":12345678901234567890123}}"#
        );
        for text in ["[1]", "12", "{cut", "{} {}", "null", "\"text\""] {
            let event: Value = serde_json::from_str(&of(text.as_bytes(), schema)).unwrap();
            assert_eq!(event["record"], text);
        }
    }
    for schema in [Schema::V20200815, Schema::V20210318, Schema::V20220701] {
        let event: Value = serde_json::from_str(&of(object, schema)).unwrap();
        assert_eq!(event["record"], std::str::from_utf8(object).unwrap());
    }
}

proptest::proptest! {
    #[test]
    fn an_event_is_one_line_of_json_whatever_was_written(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)
    ) {
        // As a capture gives it: a line has no newline.
        let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\n').collect();
        for about in [on_demand(), json()] {
            let event = line(Source::Function, &bytes, Schema::V20221213, &about, time());
            proptest::prop_assert!(!event.contains(&b'\n'));
            let event: Value = serde_json::from_slice(&event).unwrap();
            proptest::prop_assert_eq!(event["record"].as_str().unwrap(), String::from_utf8_lossy(&bytes));
        }
    }
}
