//! The log as its driver uses it: what is written, and what subscribers receive.

use std::sync::Mutex;
use std::time::Duration;

use firesteel_runtime_api::telemetry::{Api, Buffering, Destination, Dial, Schema, Types};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::platform_event::{Phase, Report, RuntimeDone, Status};
use super::*;
use crate::spec::LogFormat;
use crate::spec::tests::spec;

const ID: Uuid = Uuid::from_u128(7);
const ALL: Types = Types { platform: true, function: true, extension: true };

/// A log, and what it has written.
struct Watched {
    log: Log,
    lines: Arc<Mutex<Vec<(Source, String)>>>,
}

impl Watched {
    fn new(change: impl FnOnce(&mut Spec)) -> Self {
        let mut spec = spec();
        change(&mut spec);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&lines);
        let output = Output::new(move |line| {
            assert_eq!((line.function, line.stream), ("hello", "a stream"));
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            written.lock().unwrap().push((line.source, text));
        });
        let log = Log::new(output, Arc::new(spec), "a stream".into(), InitializationType::OnDemand);
        Watched { log, lines }
    }

    fn json(level: Option<LogLevel>) -> Self {
        Watched::new(|spec| {
            spec.log_format = Some(LogFormat::Json);
            spec.system_log_level = level;
        })
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().iter().map(|(_, line)| line.clone()).collect()
    }

    /// The types of the events written in JSON.
    fn types(&self) -> Vec<String> {
        let type_of =
            |line: &String| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned();
        self.lines().iter().map(type_of).collect()
    }

    /// A whole invocation, cold or warm.
    fn invocation(&mut self, cold: bool, status: &Status) {
        let log = &mut self.log;
        if cold {
            log.platform(&init_start());
            log.platform(&PlatformEvent::InitRuntimeDone { phase: Phase::Init, status: Status::Success });
            log.platform(&PlatformEvent::InitReport {
                phase: Phase::Init,
                status: Status::Success,
                duration: Duration::from_millis(5),
            });
            log.close_subscriptions();
        }
        log.begin_invocation();
        log.platform(&start());
        log.line(Source::Function, b"hello");
        log.platform(&PlatformEvent::RuntimeDone(RuntimeDone {
            request_id: ID,
            status: status.clone(),
            duration: Duration::from_millis(2),
            produced_bytes: None,
            spans: vec![],
            trace: String::new(),
        }));
        log.platform(&PlatformEvent::Report(Report {
            request_id: ID,
            status: status.clone(),
            duration: Duration::from_millis(3),
            billed_ms: 3,
            memory_mib: 128,
            max_memory_used_mib: 36,
            init_duration: None,
            restore: None,
            spans: vec![],
            trace: String::new(),
        }));
    }
}

fn init_start() -> PlatformEvent {
    PlatformEvent::InitStart { phase: Phase::Init }
}

fn start() -> PlatformEvent {
    PlatformEvent::Start { request_id: ID, function_arn: "arn".into(), trace: String::new() }
}

/// Where one subscriber's events arrive.
struct Listener(TcpListener);

impl Listener {
    async fn bind() -> Self {
        Listener(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    fn subscription(&self, api: Api, schema: Schema, types: Types) -> Subscription {
        Subscription {
            api,
            schema,
            types,
            destination: Destination::Tcp { port: self.0.local_addr().unwrap().port() },
            buffering: Buffering { timeout: Duration::from_secs(30), max_bytes: 262_144, max_items: 10_000 },
        }
    }

    /// All that the log has told, once it is flushed and its subscribers have gone.
    async fn received(self, log: &mut Log) -> Vec<Value> {
        tokio::time::timeout(Duration::from_secs(60), log.flush_subscribers()).await.unwrap();
        log.end_subscribers();
        let (stream, _) = self.0.accept().await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let mut events = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            events.push(serde_json::from_str(&line).unwrap());
        }
        events
    }
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[test]
fn text_goes_to_the_output_and_the_invocations_part_to_its_tail() {
    let mut written = Watched::new(|_| {});
    written.log.platform(&init_start());
    written.log.line(Source::Function, b"during init");
    written.log.begin_invocation();
    written.log.platform(&start());
    written.log.line(Source::Extension, b"in passing");
    let lines = written.lines.lock().unwrap();
    assert_eq!(
        lines[1..],
        [
            (Source::Function, "during init".into()),
            (Source::Platform, format!("START RequestId: {ID} Version: $LATEST")),
            (Source::Extension, "in passing".into()),
        ]
    );
    let tail = written.log.tail();
    assert_eq!(tail, format!("START RequestId: {ID} Version: $LATEST\nin passing\n"));
}

#[test]
fn json_lines_are_telemetry_events_at_level_info() {
    let mut warm = Watched::json(None);
    warm.invocation(false, &Status::Success);
    let lines = warm.lines();
    assert_eq!(lines[1], "hello");
    let written: Vec<Value> =
        [&lines[0], &lines[2]].into_iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(types(&written), ["platform.start", "platform.report"]);
    assert_eq!(
        written[1]["record"]["metrics"],
        json!({"durationMs": 3.0, "billedDurationMs": 3, "memorySizeMB": 128, "maxMemoryUsedMB": 36})
    );
    let time = written[0]["time"].as_str().unwrap();
    assert!(time.len() == "2026-10-08T06:53:45.183Z".len() && time.ends_with('Z'), "{time}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_system_level_says_what_is_written() {
    let written = |level, cold, status: &Status| {
        let mut written = Watched::json(level);
        written.log.application_level = Some(LogLevel::Fatal);
        written.invocation(cold, status);
        written.lines.lock().unwrap().retain(|(source, _)| *source == Source::Platform);
        written.types()
    };
    let ok = Status::Success;
    let crash = Status::Error("Runtime.ExitError".into());
    let cold = ["platform.initStart", "platform.start", "platform.report"];
    assert_eq!(written(None, true, &ok), cold);
    assert_eq!(written(Some(LogLevel::Info), true, &ok), cold);
    assert_eq!(
        written(Some(LogLevel::Debug), true, &ok),
        [
            "platform.initStart",
            "platform.initRuntimeDone",
            "platform.initReport",
            "platform.start",
            "platform.runtimeDone",
            "platform.report"
        ]
    );
    assert_eq!(written(None, false, &crash), ["platform.start", "platform.runtimeDone", "platform.report"]);
    assert_eq!(written(Some(LogLevel::Warn), true, &ok), [""; 0]);
    assert_eq!(written(Some(LogLevel::Warn), true, &crash), ["platform.runtimeDone", "platform.report"]);
}

#[test]
fn the_functions_lines_are_filtered_in_json_only() {
    let low = br#"{"level":"DEBUG","timestamp":"2026-10-08T06:53:45Z"}"#;
    let mut json = Watched::json(None);
    json.log.line(Source::Function, low);
    assert_eq!(json.lines(), [""; 0]);
    json.log.line(Source::Extension, low);
    json.log.line(Source::Function, b"{}");
    let lines = json.lines();
    assert_eq!(lines[0].as_bytes(), low);
    assert!(lines[1].starts_with(r#"{"timestamp":""#), "{lines:?}");
    let mut text = Watched::new(|_| {});
    text.log.line(Source::Function, low);
    assert_eq!(text.lines()[0].as_bytes(), low);
}

#[tokio::test]
async fn a_late_subscriber_is_told_everything_since_the_init_began() {
    let listener = Listener::bind().await;
    let mut written = Watched::new(|_| {});
    let log = &mut written.log;
    log.platform(&init_start());
    log.line(Source::Function, b"from an init that failed");
    log.platform(&init_start());
    log.line(Source::Function, b"early");
    log.subscribe(
        "watcher",
        listener.subscription(Api::Telemetry, Schema::V20221213, ALL),
        Dial::this_machine(),
    );
    log.line(Source::Extension, b"late");
    log.close_subscriptions();
    written.invocation(false, &Status::Success);
    let events = listener.received(&mut written.log).await;
    assert_eq!(
        types(&events),
        [
            "platform.initStart",
            "function",
            "platform.telemetrySubscription",
            "extension",
            "platform.start",
            "function",
            "platform.runtimeDone",
            "platform.report"
        ]
    );
    assert_eq!(events[1]["record"], "early");
    assert_eq!(events[2]["record"]["name"], "watcher");
    assert!(written.lines().contains(
        &"TELEMETRY\tName: watcher\tState: Subscribed\tTypes: [Platform, Function, Extension]".into()
    ));
}

#[tokio::test]
async fn subscribers_get_what_they_asked_for_in_their_own_form() {
    let (functions, logs) = (Listener::bind().await, Listener::bind().await);
    let mut written = Watched::json(None);
    let log = &mut written.log;
    log.platform(&init_start());
    let only_functions = Types { function: true, ..Types::default() };
    log.subscribe(
        "one",
        functions.subscription(Api::Telemetry, Schema::V20250129, only_functions),
        Dial::this_machine(),
    );
    let only_platform = Types { platform: true, ..Types::default() };
    log.subscribe(
        "two",
        logs.subscription(Api::Logs, Schema::V20200815, only_platform),
        Dial::this_machine(),
    );
    log.close_subscriptions();
    // Below the level of the log, which is no matter to subscribers.
    log.line(Source::Function, br#"{"level":"TRACE"}"#);
    log.line(Source::Extension, b"not asked for");
    written.invocation(false, &Status::Success);
    let flush = written.log.flush_subscribers();
    tokio::time::timeout(Duration::from_secs(60), flush).await.unwrap();
    let of_logs = logs.received(&mut written.log).await;
    assert_eq!(
        types(&of_logs),
        ["platform.logsSubscription", "platform.start", "platform.end", "platform.report"]
    );
    let of_functions = functions.received(&mut written.log).await;
    assert_eq!(types(&of_functions), ["function", "function"]);
    assert_eq!(of_functions[0]["record"], json!({ "level": "TRACE" }));
    assert_eq!(of_functions[1]["record"], "hello");
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_the_rest_is_told_of() {
    let listener = Listener::bind().await;
    let mut written = Watched::new(|_| {});
    written.log.platform(&init_start());
    let line = vec![b'x'; 100 * 1024];
    for _ in 0..5 {
        written.log.line(Source::Function, &line);
    }
    // Small enough to fit, but after the loss.
    written.log.line(Source::Function, b"small");
    let subscription = listener.subscription(Api::Telemetry, Schema::V20221213, ALL);
    written.log.subscribe("watcher", subscription, Dial::this_machine());
    let events = listener.received(&mut written.log).await;
    assert_eq!(
        types(&events),
        [
            "platform.initStart",
            "function",
            "function",
            "platform.logsDropped",
            "platform.telemetrySubscription"
        ]
    );
    assert_eq!(
        events[3]["record"],
        json!({
            "reason": "more was logged before the subscription than is kept",
            "droppedRecords": 4,
            "droppedBytes": 3 * 100 * 1024 + 5,
        })
    );
}

#[tokio::test]
async fn a_second_subscription_of_an_extension_replaces_its_first() {
    let (first, second) = (Listener::bind().await, Listener::bind().await);
    let mut written = Watched::new(|_| {});
    let log = &mut written.log;
    log.platform(&init_start());
    log.subscribe(
        "watcher",
        first.subscription(Api::Telemetry, Schema::V20221213, ALL),
        Dial::this_machine(),
    );
    log.subscribe(
        "watcher",
        second.subscription(Api::Telemetry, Schema::V20221213, ALL),
        Dial::this_machine(),
    );
    assert_eq!(
        types(&second.received(log).await),
        ["platform.initStart", "platform.telemetrySubscription", "platform.telemetrySubscription"]
    );
}

#[tokio::test]
async fn a_loss_is_written_at_the_next_opportunity() {
    let nobody = Listener::bind().await;
    let mut written = Watched::json(None);
    written.log.platform(&init_start());
    let only_functions = Types { function: true, ..Types::default() };
    let subscription = nobody.subscription(Api::Telemetry, Schema::V20221213, only_functions);
    written.log.subscribe("watcher", subscription, Dial::this_machine());
    written.log.close_subscriptions();
    // Nothing else runs in this test until it waits: nobody takes these. Each is 46 bytes longer as an event.
    let line = vec![b'x'; 300_000];
    (0..4).for_each(|_| written.log.line(Source::Function, &line));
    written.lines.lock().unwrap().retain(|(source, _)| *source == Source::Platform);
    written.log.platform(&start());
    assert_eq!(
        written.types(),
        ["platform.initStart", "platform.telemetrySubscription", "platform.logsDropped", "platform.start"]
    );
    let dropped: Value = serde_json::from_str(&written.lines()[2]).unwrap();
    assert_eq!(
        dropped["record"],
        json!({
            "reason": "the subscriber takes its events too slowly",
            "droppedRecords": 1,
            "droppedBytes": 300_000 + r#"{"time":"2026-10-08T06:53:45.183Z","type":"function","record":""}"#.len(),
        })
    );
}

#[test]
fn for_nobody_nothing_is_kept() {
    let mut written = Watched::new(|_| {});
    assert!(written.log.audience.is_empty());
    written.log.platform(&init_start());
    assert!(!written.log.audience.is_empty());
    written.log.close_subscriptions();
    assert!(written.log.audience.is_empty());
}
