use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::rules::{EventSettings, TimeScale};
use super::*;

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";
const OTHER: &str = "arn:aws:lambda:eu-west-1:123456789012:function:other";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:told";
const DEAD: &str = "arn:aws:sns:eu-west-1:123456789012:dead";

fn event(function_arn: &str, number: u128) -> Event {
    Event {
        request_id: Uuid::from_u128(number),
        function_arn: function_arn.into(),
        qualifier: None,
        trace: None,
        client_context: None,
        payload: Bytes::from(format!("{{\"number\":{number}}}")),
    }
}

/// A minute is 60 ms.
fn fast() -> TimeScale {
    TimeScale::new(0.001).unwrap()
}

type Script = Box<dyn Fn(&Event, usize) -> RunResult + Send + Sync>;

/// Plays the invoker: what each run gives is scripted, and everything is written down.
struct Stage {
    settings: HashMap<String, EventSettings>,
    script: Script,
    runs: Mutex<Vec<Event>>,
    deliveries: Mutex<Vec<Delivery>>,
    /// Deliveries that find the destination unreachable, before it is there.
    outage: Mutex<usize>,
    /// Runs pass through here.
    gate: Semaphore,
}

impl Stage {
    fn new(
        settings: EventSettings,
        script: impl Fn(&Event, usize) -> RunResult + Send + Sync + 'static,
    ) -> Self {
        Stage {
            settings: HashMap::from([(FUNCTION.into(), settings.clone()), (OTHER.into(), settings)]),
            script: Box::new(script),
            runs: Mutex::default(),
            deliveries: Mutex::default(),
            outage: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    fn runs_of(&self, number: u128) -> Vec<Event> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|event| event.request_id == Uuid::from_u128(number)).cloned().collect()
    }

    fn records(&self) -> Vec<serde_json::Value> {
        let deliveries = self.deliveries.lock().unwrap();
        deliveries.iter().map(|delivery| serde_json::from_slice(&delivery.body).unwrap()).collect()
    }
}

impl Executor for Stage {
    async fn settings(&self, event: &Event) -> Option<EventSettings> {
        self.settings.get(&event.function_arn).cloned()
    }

    async fn run(&self, event: Event) -> RunResult {
        let before = {
            let mut runs = self.runs.lock().unwrap();
            runs.push(event.clone());
            runs.iter().filter(|earlier| earlier.request_id == event.request_id).count() - 1
        };
        let _through = self.gate.acquire().await.unwrap();
        (self.script)(&event, before)
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        {
            let mut outage = self.outage.lock().unwrap();
            if *outage > 0 {
                *outage -= 1;
                let (target, reason) = (delivery.target, "nobody listens".into());
                return Err(DeliveryError::Unavailable { target, reason });
            }
        }
        if delivery.target == DEAD {
            let (target, reason) = (delivery.target, "no such topic".into());
            return Err(DeliveryError::Refused { target, reason });
        }
        self.deliveries.lock().unwrap().push(delivery);
        Ok(())
    }
}

fn success() -> RunResult {
    RunResult::Success(Response { executed_version: "1".into(), payload: Bytes::from_static(b"true") })
}

fn function_error() -> RunResult {
    let payload = Bytes::from_static(b"{\"errorMessage\":\"it broke\"}");
    RunResult::FunctionError(Response { executed_version: "1".into(), payload })
}

async fn emptied(queue: &Queue) {
    let patience = Duration::from_secs(20);
    let mut kept = queue.kept();
    tokio::time::timeout(patience, kept.wait_for(|kept| *kept == 0)).await.expect("tasks are left").unwrap();
}

/// Pushes these events, runs them all and says what came of it.
async fn play(stage: Stage, events: Vec<Event>) -> (Arc<Stage>, Counts) {
    let queue = Queue::open(None, Slots::default()).unwrap();
    for event in events {
        queue.push(event).await.unwrap();
    }
    let stage = Arc::new(stage);
    let dispatcher = Dispatcher::start(queue.clone(), Arc::clone(&stage), fast());
    emptied(&queue).await;
    let counts = dispatcher.counts();
    dispatcher.shutdown().await;
    (stage, counts)
}

#[tokio::test]
async fn an_event_runs_once_and_is_gone() {
    let (stage, counts) =
        play(Stage::new(EventSettings::default(), |_, _| success()), vec![event(FUNCTION, 1)]).await;
    let runs = stage.runs_of(1);
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].payload, "{\"number\":1}");
    assert_eq!(counts, Counts { runs: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_function_error_is_retried_twice_with_the_same_request_and_trace() {
    let settings = EventSettings { on_failure: Some(QUEUE.into()), ..EventSettings::default() };
    let (stage, counts) = play(Stage::new(settings, |_, _| function_error()), vec![event(FUNCTION, 1)]).await;
    let runs = stage.runs_of(1);
    assert_eq!(runs.len(), 3);
    assert!(runs.iter().all(|run| run.trace == runs[0].trace));
    assert_eq!(trace::passes(runs[0].trace.as_deref().unwrap(), FUNCTION), 1);
    let records = stage.records();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(records[0]["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(records[0]["responsePayload"]["errorMessage"], "it broke");
    assert_eq!(counts.events_dropped, 0);
}

#[tokio::test]
async fn throttles_and_failures_of_the_platform_are_no_attempts() {
    let settings = EventSettings {
        maximum_retry_attempts: 0,
        on_success: Some(QUEUE.into()),
        ..EventSettings::default()
    };
    let stage = Stage::new(settings, |_, before| match before {
        0 => RunResult::Throttled,
        1 => RunResult::PlatformError { status: 500, message: "broken".into() },
        2 => panic!("the invoker has a defect"),
        _ => success(),
    });
    let (stage, counts) = play(stage, vec![event(FUNCTION, 1)]).await;
    assert_eq!(stage.runs_of(1).len(), 4);
    assert_eq!(stage.records()[0]["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(counts.runs, 1);
}

#[tokio::test]
async fn what_is_throttled_for_ever_ends_with_its_age() {
    let settings =
        EventSettings { maximum_event_age_s: 60, on_failure: Some(QUEUE.into()), ..EventSettings::default() };
    let (stage, _) = play(Stage::new(settings, |_, _| RunResult::Throttled), vec![event(FUNCTION, 1)]).await;
    assert!(stage.runs_of(1).len() > 2);
    let record = &stage.records()[0];
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert!(record.get("responseContext").is_none());
}

#[tokio::test]
async fn zero_reserved_concurrency_runs_nothing() {
    let settings = EventSettings {
        zero_reserved_concurrency: true,
        on_failure: Some(QUEUE.into()),
        ..EventSettings::default()
    };
    let (stage, _) = play(Stage::new(settings, |_, _| success()), vec![event(FUNCTION, 1)]).await;
    assert!(stage.runs_of(1).is_empty());
    assert_eq!(stage.records()[0]["requestContext"]["condition"], "ZeroReservedConcurrency");
}

#[tokio::test]
async fn events_of_a_function_that_is_gone_are_dropped() {
    let mut lost = event(FUNCTION, 1);
    lost.function_arn.push_str("-gone");
    let stage = Stage::new(EventSettings::default(), |_, _| RunResult::NotFound);
    let (stage, counts) = play(stage, vec![lost, event(FUNCTION, 2)]).await;
    assert_eq!(stage.runs.lock().unwrap().len(), 1);
    assert_eq!(counts, Counts { events_dropped: 2, ..Counts::default() });
}

#[tokio::test]
async fn a_destination_is_told_when_it_can_be_reached_and_a_refusal_is_counted() {
    let settings = EventSettings {
        maximum_retry_attempts: 0,
        on_failure: Some(QUEUE.into()),
        dead_letter: Some(DEAD.into()),
        ..EventSettings::default()
    };
    let stage = Stage::new(settings, |_, _| function_error());
    *stage.outage.lock().unwrap() = 4;
    let (stage, counts) = play(stage, vec![event(FUNCTION, 1)]).await;
    assert_eq!(stage.records().len(), 1);
    assert_eq!(counts, Counts { runs: 1, dead_letter_errors: 1, ..Counts::default() });
}

#[tokio::test]
async fn a_loop_of_functions_is_stopped_after_sixteen_passes() {
    let next = |own: &str| if own == FUNCTION { OTHER } else { FUNCTION };
    let mut stage = Stage::new(EventSettings::default(), |_, _| success());
    for own in [FUNCTION, OTHER] {
        let settings = EventSettings {
            on_success: Some(next(own).into()),
            on_failure: Some(QUEUE.into()),
            ..EventSettings::default()
        };
        stage.settings.insert(own.into(), settings);
    }
    let (stage, _) = play(stage, vec![event(FUNCTION, 1)]).await;
    let count = |own: &str| stage.runs.lock().unwrap().iter().filter(|run| run.function_arn == own).count();
    assert_eq!((count(FUNCTION), count(OTHER)), (16, 16));
    let records = stage.records();
    assert_eq!(records.len(), 1, "the loop's last event is told to the on-failure destination");
    assert!(records[0].get("responseContext").is_none());
    let runs = stage.runs.lock().unwrap();
    let ids: HashSet<Uuid> = runs.iter().map(|run| run.request_id).collect();
    assert_eq!(ids.len(), 32, "each pass is an event of its own");
}

#[tokio::test]
async fn one_throttled_function_holds_up_no_other() {
    let stage = Stage::new(EventSettings::default(), |event, _| match event.function_arn.as_str() {
        FUNCTION => RunResult::Throttled,
        _ => success(),
    });
    let queue = Queue::open(None, Slots { runs: 4, deliveries: 1 }).unwrap();
    for number in 0..500 {
        queue.push(event(FUNCTION, number)).await.unwrap();
    }
    let stage = Arc::new(stage);
    let dispatcher = Dispatcher::start(queue.clone(), Arc::clone(&stage), TimeScale::REAL);
    for number in 1000..1200 {
        queue.push(event(OTHER, number)).await.unwrap();
    }
    let mut kept = queue.kept();
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, kept.wait_for(|kept| *kept == 500)).await.unwrap().unwrap();
    let tries = stage.runs.lock().unwrap().iter().filter(|run| run.function_arn == FUNCTION).count();
    assert!(tries < 50, "{tries} tries of a throttled function");
    dispatcher.shutdown().await;
}

#[tokio::test]
async fn no_more_run_at_a_time_than_there_are_slots_and_a_shutdown_waits_for_them() {
    let mut stage = Stage::new(EventSettings::default(), |_, _| success());
    stage.gate = Semaphore::new(0);
    let stage = Arc::new(stage);
    let queue = Queue::open(None, Slots { runs: 6, deliveries: 1 }).unwrap();
    for number in 0..20 {
        queue.push(event(FUNCTION, number)).await.unwrap();
        queue.push(event(OTHER, 100 + number)).await.unwrap();
    }
    let dispatcher = Dispatcher::start(queue.clone(), Arc::clone(&stage), fast());
    while stage.runs.lock().unwrap().len() < 6 {
        tokio::task::yield_now().await;
    }
    let shutdown = tokio::spawn(dispatcher.shutdown());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_finished());
    assert_eq!(stage.runs.lock().unwrap().len(), 6);
    stage.gate.add_permits(100);
    shutdown.await.unwrap();
    assert_eq!(stage.runs.lock().unwrap().len(), 6, "nothing new begins in a shutdown");
    assert_eq!(*queue.kept().borrow(), 34);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_server_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let queue = Queue::open(Some(&path), Slots::default()).unwrap();
    for number in 0..10 {
        queue.push(event(FUNCTION, number)).await.unwrap();
    }
    assert!(matches!(
        tokio::task::spawn_blocking({
            let path = path.clone();
            move || Queue::open(Some(&path), Slots::default())
        })
        .await
        .unwrap(),
        Err(OpenError::InUse { .. })
    ));
    drop(queue);
    let queue = Queue::open(Some(&path), Slots::default()).unwrap();
    assert_eq!(*queue.kept().borrow(), 10);
    let stage = Arc::new(Stage::new(EventSettings::default(), |_, _| success()));
    let dispatcher = Dispatcher::start(queue.clone(), Arc::clone(&stage), fast());
    emptied(&queue).await;
    dispatcher.shutdown().await;
    drop(queue);
    assert_eq!(*Queue::open(Some(&path), Slots::default()).unwrap().kept().borrow(), 0);
    assert_eq!(stage.runs.lock().unwrap().len(), 10);
}

/// A queue whose file misbehaves as this SQL says.
fn faulty(path: Option<&Path>, slots: Slots, fault: &str) -> Queue {
    let writer = Writer::open(path, slots).unwrap();
    writer.connection().execute_batch(fault).unwrap();
    Queue::over(writer).unwrap()
}

/// Every third outcome or so cannot be written: it is tried again, and nothing runs for it.
#[tokio::test]
async fn an_outcome_that_cannot_be_written_is_not_forgotten() {
    let fault = "
        CREATE TEMP TRIGGER fault BEFORE DELETE ON main.tasks WHEN abs(random()) % 3 = 0
        BEGIN SELECT RAISE(ABORT, 'a bad sector'); END;
    ";
    let queue = faulty(None, Slots { runs: 4, deliveries: 1 }, fault);
    for number in 0..60 {
        queue.push(event(FUNCTION, number)).await.unwrap();
    }
    let stage = Arc::new(Stage::new(EventSettings::default(), |_, _| success()));
    let dispatcher = Dispatcher::start(queue.clone(), Arc::clone(&stage), fast());
    emptied(&queue).await;
    assert_eq!(dispatcher.counts().runs, 60);
    dispatcher.shutdown().await;
}

/// The file may grow no further: as on a full disk, some pushes fail, and none of those is there, while all that were
/// accepted are.
#[tokio::test]
async fn on_a_full_disk_what_was_not_accepted_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.sqlite");
    let queue = faulty(Some(&path), Slots::default(), "PRAGMA max_page_count = 200");
    let pushes = (0..2000_u128).map(|number| {
        let queue = queue.clone();
        tokio::spawn(async move { (number, queue.push(event(FUNCTION, number)).await.is_ok()) })
    });
    let mut accepted = HashSet::new();
    for push in pushes.collect::<Vec<_>>() {
        let (number, ok) = push.await.unwrap();
        if ok {
            accepted.insert(Uuid::from_u128(number));
        }
    }
    assert!(!accepted.is_empty() && accepted.len() < 2000, "{} were accepted", accepted.len());
    assert_eq!(*queue.kept().borrow(), accepted.len());
    drop(queue);
    let queue = Queue::open(Some(&path), Slots::default()).unwrap();
    let stage = Arc::new(Stage::new(EventSettings::default(), |_, _| success()));
    let dispatcher = Dispatcher::start(queue.clone(), Arc::clone(&stage), fast());
    emptied(&queue).await;
    dispatcher.shutdown().await;
    let ran: HashSet<Uuid> = stage.runs.lock().unwrap().iter().map(|run| run.request_id).collect();
    assert_eq!(ran, accepted);
}
