//! The server that is killed: a queue in a file, a dispatcher, and functions that only say that they ran.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_invoke::queue::rules::{EventSettings, TimeScale};
use firesteel_invoke::queue::{
    Delivery, DeliveryError, Dispatcher, Event, Executor, Queue, Response, RunResult, Slots,
};
use tokio::task::JoinSet;
use uuid::Uuid;

const SLOTS: Slots = Slots { runs: 8, deliveries: 4 };
/// What may be done twice after a kill.
pub(super) const IN_FLIGHT: u64 = 12;
const PUSHERS: usize = 16;
const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:f";
const NEXT: &str = "arn:aws:lambda:eu-west-1:123456789012:function:next";
const TOLD: &str = "arn:aws:sqs:eu-west-1:123456789012:told";

/// What each event leads to, and how often.
pub(super) fn expected(number: u64) -> Vec<(&'static str, u64)> {
    match number % 5 {
        0 => vec![("ran", 3), ("told", 1)],
        1 => vec![("ran", 1), ("hopped", 1)],
        _ => vec![("ran", 1)],
    }
}

/// Accepts these, if any, and runs until it is killed; with none, until nothing is left.
pub(super) fn main(folder: &Path, numbers: Range<u64>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let queue = Queue::open(Some(&folder.join("queue.sqlite")), SLOTS).unwrap();
        // A minute is 30 ms.
        let scale = TimeScale::new(0.0005).unwrap();
        let dispatcher = Dispatcher::start(queue.clone(), Arc::new(Functions), scale);
        if numbers.is_empty() {
            queue.kept().wait_for(|kept| *kept == 0).await.unwrap();
            dispatcher.shutdown().await;
            return ExitCode::SUCCESS;
        }
        let mut pushers = JoinSet::new();
        for pusher in 0..PUSHERS {
            let (queue, numbers) = (queue.clone(), numbers.clone());
            pushers.spawn(async move {
                for number in numbers.skip(pusher).step_by(PUSHERS) {
                    queue.push(event(number)).await.unwrap();
                    say("accepted", number);
                }
            });
        }
        pushers.join_all().await;
        std::future::pending().await
    })
}

fn event(number: u64) -> Event {
    Event {
        request_id: Uuid::from_u128(number.into()),
        function_arn: FUNCTION.into(),
        qualifier: Some((number % 5).to_string()),
        trace: None,
        client_context: None,
        payload: Bytes::from(number.to_string()),
    }
}

fn say(what: &str, number: u64) {
    // One write, so that a kill cuts no line in two.
    std::io::stdout().write_all(format!("{what} {number}\n").as_bytes()).unwrap();
}

struct Functions;

impl Executor for Functions {
    async fn settings(&self, event: &Event) -> Option<EventSettings> {
        let (mut on_success, mut on_failure) = (None, None);
        match event.qualifier.as_deref() {
            Some("0") => on_failure = Some(TOLD.into()),
            Some("1") => on_success = Some(NEXT.into()),
            _ => {}
        }
        Some(EventSettings { on_success, on_failure, ..EventSettings::default() })
    }

    async fn run(&self, event: Event) -> RunResult {
        if event.function_arn == NEXT {
            say("hopped", number_of_record(&event.payload));
        } else {
            say("ran", std::str::from_utf8(&event.payload).unwrap().parse().unwrap());
        }
        let response = Response { executed_version: "1".into(), payload: Bytes::from_static(b"null") };
        match event.qualifier.as_deref() {
            Some("0") => RunResult::FunctionError(response),
            _ => RunResult::Success(response),
        }
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), DeliveryError> {
        say("told", number_of_record(&delivery.body));
        Ok(())
    }
}

fn number_of_record(record: &[u8]) -> u64 {
    let record: serde_json::Value = serde_json::from_slice(record).unwrap();
    record["requestPayload"].as_u64().unwrap()
}
