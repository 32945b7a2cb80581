//! One task from its turn to its settlement: asked what it is, done, judged by the rules, and written down.
//!
//! A settlement that cannot be written is tried until it can: the outcome is known, and forgetting it would run the event
//! once more. A server that ends meanwhile does just that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ending::Ending;
use super::event::{Delivery, Event, History, LastError, Stage, Task};
use super::executor::{DeliveryError, Executor, RunResult, THROTTLED};
use super::lanes::Passage;
use super::rules::{self, Condition, EventSettings, Fate, TimeScale};
use super::store::Change;
use super::writer::Settlement;
use super::{Message, Queue, QueueError};
use crate::trace;

/// What was lost or done since the start, by the names of AWS's metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs of functions, retries included, that were not throttled.
    pub runs: u64,
    /// `AsyncEventsDropped`: ended without success, and nobody was to be told.
    pub events_dropped: u64,
    /// `DestinationDeliveryFailures`: records that their destination never took.
    pub delivery_failures: u64,
    /// `DeadLetterErrors`: events that their dead-letter queue never took.
    pub dead_letter_errors: u64,
}

#[derive(Debug, Default)]
struct Counters {
    runs: AtomicU64,
    events_dropped: AtomicU64,
    delivery_failures: AtomicU64,
    dead_letter_errors: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What all tasks are done with.
#[derive(Debug)]
pub(super) struct Work<E> {
    queue: Queue,
    executor: Arc<E>,
    scale: TimeScale,
    stop: CancellationToken,
    counters: Counters,
}

impl<E: Executor> Work<E> {
    pub(super) fn new(queue: Queue, executor: Arc<E>, scale: TimeScale, stop: CancellationToken) -> Self {
        Work { queue, executor, scale, stop, counters: Counters::default() }
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { runs, events_dropped, delivery_failures, dead_letter_errors } = &self.counters;
        Counts {
            runs: read(runs),
            events_dropped: read(events_dropped),
            delivery_failures: read(delivery_failures),
            dead_letter_errors: read(dead_letter_errors),
        }
    }

    /// Does it once and settles it.
    pub(super) async fn perform(&self, id: i64, task: Task) {
        let (stage, lane) = (task.stage(), task.lane().to_owned());
        let (change, follow_ups, passage) = match task {
            Task::Run { event, history, last_error } => self.run(id, event, history, last_error).await,
            Task::Deliver(delivery) => self.deliver(id, delivery).await,
        };
        self.settle(Settlement { stage, lane, id, change, follow_ups, passage }).await;
    }

    async fn run(
        &self,
        id: i64,
        event: Event,
        history: History,
        last_error: Option<LastError>,
    ) -> (Change, Vec<Change>, Passage) {
        let gone = (Change::Remove { id }, Vec::new(), Passage::Free);
        let Some(settings) = self.executor.settings(&event).await else {
            self.dropped(&event, "its function is gone");
            return gone;
        };
        let header = trace::continued(event.trace.as_deref());
        let passes = trace::passes(&header, &event.function_arn);
        let trace = trace::passed(&header, &event.function_arn);
        let now_ms = self.queue.clock.now_ms();
        let (fate, result) = match rules::before(&settings, history, passes, now_ms, self.scale) {
            Some(fate) => (fate, None),
            None => {
                let result = self.execute(Event { trace: Some(trace.clone()), ..event.clone() }).await;
                let now_ms = self.queue.clock.now_ms();
                let outcome = result.outcome();
                (rules::after(&settings, history, outcome, now_ms, fastrand::f64(), self.scale), Some(result))
            }
        };
        let response = result.as_ref().and_then(RunResult::response);
        let attempts = history.attempts + u32::from(response.is_some());
        let error = result.as_ref().and_then(RunResult::error);
        let passage = self.passage(result.as_ref().is_some_and(|_| response.is_none()));
        let postponed = |due_ms, history| {
            let task = Task::Run { event: event.clone(), history, last_error: error.clone() };
            Change::Postpone { id, due_ms, task }
        };
        match fate {
            Fate::Retry { due_ms } => {
                (postponed(due_ms, History { attempts, backoffs: 0, ..history }), Vec::new(), passage)
            }
            Fate::BackOff { due_ms } => {
                let history = History { backoffs: history.backoffs.saturating_add(1), ..history };
                (postponed(due_ms, history), Vec::new(), passage)
            }
            Fate::Dropped => {
                self.dropped(&event, "its function is gone");
                gone
            }
            Fate::End(condition) => {
                let last_error = error.or(last_error);
                let ended = Ending {
                    event: &event,
                    attempts,
                    condition,
                    response,
                    last_error: last_error.unwrap_or_else(|| unrun(condition)),
                    trace: &trace,
                    ended_ms: self.queue.clock.now_ms(),
                };
                (Change::Remove { id }, self.follow_ups(&ended, &settings), Passage::Free)
            }
        }
    }

    fn follow_ups(&self, ending: &Ending<'_>, settings: &EventSettings) -> Vec<Change> {
        let follow_ups = ending.follow_ups(settings);
        if ending.condition != Condition::Success && follow_ups.is_empty() {
            self.dropped(ending.event, ending.condition.name());
        }
        follow_ups
    }

    /// A task of its own: what panics in there is a failure of the platform, and the event is tried again.
    async fn execute(&self, event: Event) -> RunResult {
        let executor = Arc::clone(&self.executor);
        let run = tokio::spawn(async move { executor.run(event).await });
        let result = run.await.unwrap_or_else(|error| {
            tracing::error!(%error, "running an asynchronous event panicked");
            RunResult::PlatformError { status: 500, message: "Internal error".into() }
        });
        if result.response().is_some() {
            count(&self.counters.runs);
        }
        result
    }

    async fn deliver(&self, id: i64, delivery: Delivery) -> (Change, Vec<Change>, Passage) {
        let error = match self.executor.deliver(delivery.clone()).await {
            Ok(()) => return (Change::Remove { id }, Vec::new(), Passage::Free),
            Err(error) => error,
        };
        let Delivery { ended_ms, failures, .. } = delivery;
        let unavailable = matches!(error, DeliveryError::Unavailable { .. });
        let now_ms = self.queue.clock.now_ms();
        let again_ms = rules::redelivery_ms(ended_ms, failures, now_ms, fastrand::f64(), self.scale);
        let passage = self.passage(unavailable);
        if let Some(due_ms) = again_ms.filter(|_| unavailable) {
            tracing::debug!(request_id = %delivery.request_id, %error, "a destination was not told yet");
            let task = Task::Deliver(Delivery { failures: failures.saturating_add(1), ..delivery });
            return (Change::Postpone { id, due_ms, task }, Vec::new(), passage);
        }
        tracing::warn!(request_id = %delivery.request_id, %error, "a destination is not told");
        match delivery.message {
            Message::Record { .. } => count(&self.counters.delivery_failures),
            Message::DeadLetter(_) => count(&self.counters.dead_letter_errors),
        }
        (Change::Remove { id }, Vec::new(), passage)
    }

    async fn settle(&self, settlement: Settlement) {
        loop {
            match self.queue.settle(settlement.clone()).await {
                Ok(()) => return,
                Err(QueueError::Closed) => return,
                // The writer has logged why.
                Err(QueueError::Storage(_)) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(rules::rest_ms(self.scale))) => {}
                () = self.stop.cancelled() => {
                    let sort = match settlement.stage { Stage::Run => "event", Stage::Deliver => "delivery" };
                    tracing::error!(id = settlement.id, sort, "an outcome cannot be kept: it will come to pass again");
                    return;
                }
            }
        }
    }

    fn passage(&self, in_vain: bool) -> Passage {
        if in_vain {
            Passage::Throttled { rest_until_ms: self.queue.clock.now_ms() + rules::rest_ms(self.scale) }
        } else {
            Passage::Free
        }
    }

    fn dropped(&self, event: &Event, reason: &str) {
        count(&self.counters.events_dropped);
        tracing::warn!(request_id = %event.request_id, function = %event.function_arn, reason, "an asynchronous event is dropped");
    }
}

/// What a dead-letter queue is told of an event without a try of which it could be told.
fn unrun(condition: Condition) -> LastError {
    match condition {
        Condition::ZeroReservedConcurrency | Condition::EventAgeExceeded => LastError::new(429, THROTTLED),
        Condition::RetriesExhausted | Condition::Success => LastError::new(
            400,
            "The function was stopped: events have passed through it in a loop too many times.",
        ),
    }
}
