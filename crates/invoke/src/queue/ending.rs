//! Who is told of an event's end, and what: pure.
//!
//! A success goes to the on-success destination; every other end to the on-failure destination and, as the event
//! itself, to the dead-letter queue, to both if both are there. A destination that is a function has no delivery: the
//! record becomes an event of that function in the same transaction that ends this one, so that this hop is neither lost
//! nor made twice.

use uuid::Uuid;

use super::event::{Delivery, EVENT_PAYLOAD_LIMIT_BYTES, Event, History, LastError, Message, Task};
use super::executor::Response;
use super::rules::{Condition, EventSettings};
use super::store::Change;
use crate::destinations::record::{self, Record};
use crate::destinations::target::Target;

/// The end of an event.
#[derive(Debug)]
pub(super) struct Ending<'a> {
    pub(super) event: &'a Event,
    /// Runs of the function, the last included.
    pub(super) attempts: u32,
    pub(super) condition: Condition,
    /// Of the last run, if the event ended with it.
    pub(super) response: Option<&'a Response>,
    /// For the dead-letter queue.
    pub(super) last_error: LastError,
    /// With this run's pass through the function.
    pub(super) trace: &'a str,
    pub(super) ended_ms: u64,
}

impl Ending<'_> {
    /// What follows: deliveries, or an event of another function.
    pub(super) fn follow_ups(&self, settings: &EventSettings) -> Vec<Change> {
        let (destination, dead_letter) = match self.condition {
            Condition::Success => (&settings.on_success, &None),
            _ => (&settings.on_failure, &settings.dead_letter),
        };
        let told = destination.iter().map(|target| self.record_for(target));
        let dead = dead_letter.iter().map(|target| {
            self.delivery(target, Message::DeadLetter(self.last_error.clone()), self.event.payload.clone())
        });
        told.chain(dead).map(|task| Change::Add { due_ms: self.ended_ms, task }).collect()
    }

    fn record_for(&self, target: &str) -> Task {
        let success = self.condition == Condition::Success;
        let record = Record {
            event: self.event,
            condition: self.condition,
            attempts: self.attempts,
            response: self.response,
            ended_ms: self.ended_ms,
        };
        let body = record.render();
        let Ok(Target::Function { function_arn, qualifier }) = Target::parse(target) else {
            return self.delivery(target, Message::Record { success }, body);
        };
        let event = Event {
            // Derived, so that the same end, come to twice, makes the same event.
            request_id: Uuid::new_v5(&self.event.request_id, target.as_bytes()),
            function_arn,
            qualifier,
            trace: Some(self.trace.to_owned()),
            client_context: None,
            payload: record::within(&body, EVENT_PAYLOAD_LIMIT_BYTES),
        };
        let history = History { accepted_ms: self.ended_ms, attempts: 0, backoffs: 0 };
        Task::Run { event, history, last_error: None }
    }

    fn delivery(&self, target: &str, message: Message, body: bytes::Bytes) -> Task {
        Task::Deliver(Delivery {
            request_id: self.event.request_id,
            function_arn: self.event.qualified_arn(),
            target: target.to_owned(),
            trace: Some(self.trace.to_owned()),
            message,
            ended_ms: self.ended_ms,
            failures: 0,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:told";
    const DEAD: &str = "arn:aws:sns:eu-west-1:123456789012:dead";
    const NEXT: &str = "arn:aws:lambda:eu-west-1:123456789012:function:next:blue";

    fn event() -> Event {
        Event {
            request_id: Uuid::from_u128(7),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:f".into(),
            qualifier: None,
            trace: None,
            client_context: Some("{}".into()),
            payload: Bytes::from_static(b"{\"a\":1}"),
        }
    }

    fn follow_ups(condition: Condition, settings: &EventSettings) -> Vec<Task> {
        let event = event();
        let response = Response { executed_version: "3".into(), payload: Bytes::from_static(b"true") };
        let ending = Ending {
            event: &event,
            attempts: 1,
            condition,
            response: Some(&response),
            last_error: LastError::new(200, "it broke"),
            trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=0a0a0a0a:1",
            ended_ms: 9,
        };
        let changes = ending.follow_ups(settings).into_iter();
        changes
            .map(|change| match change {
                Change::Add { due_ms: 9, task } => task,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn each_end_has_its_listeners() {
        let settings = EventSettings {
            on_success: Some(NEXT.into()),
            on_failure: Some(QUEUE.into()),
            dead_letter: Some(DEAD.into()),
            ..EventSettings::default()
        };
        let lanes = |condition| -> Vec<String> {
            follow_ups(condition, &settings).iter().map(|task| task.lane().to_owned()).collect()
        };
        assert_eq!(lanes(Condition::Success), ["arn:aws:lambda:eu-west-1:123456789012:function:next"]);
        for failure in
            [Condition::RetriesExhausted, Condition::EventAgeExceeded, Condition::ZeroReservedConcurrency]
        {
            assert_eq!(lanes(failure), [QUEUE, DEAD], "{failure:?}");
        }
        assert!(follow_ups(Condition::RetriesExhausted, &EventSettings::default()).is_empty());
    }

    #[test]
    fn a_dead_letter_is_the_event_and_a_record_tells_of_it() {
        let settings = EventSettings {
            on_failure: Some(QUEUE.into()),
            dead_letter: Some(DEAD.into()),
            ..EventSettings::default()
        };
        let tasks = follow_ups(Condition::RetriesExhausted, &settings);
        let [Task::Deliver(record), Task::Deliver(dead)] = &tasks[..] else { panic!("{tasks:?}") };
        assert_eq!(record.message, Message::Record { success: false });
        assert!(String::from_utf8_lossy(&record.body).contains("RetriesExhausted"));
        assert_eq!(dead.message, Message::DeadLetter(LastError::new(200, "it broke")));
        assert_eq!(dead.body, event().payload);
        assert_eq!(dead.request_id, event().request_id);
    }

    #[test]
    fn a_function_is_told_by_an_event_of_its_own_which_continues_the_trace() {
        let settings = EventSettings { on_success: Some(NEXT.into()), ..EventSettings::default() };
        let tasks = follow_ups(Condition::Success, &settings);
        let [Task::Run { event: next, history, .. }] = &tasks[..] else { panic!("{tasks:?}") };
        assert_eq!(next.function_arn, "arn:aws:lambda:eu-west-1:123456789012:function:next");
        assert_eq!(next.qualifier.as_deref(), Some("blue"));
        assert!(next.trace.as_deref().unwrap().ends_with("Lineage=0a0a0a0a:1"));
        assert_eq!(next.client_context, None);
        assert_eq!(*history, History { accepted_ms: 9, attempts: 0, backoffs: 0 });
        assert_ne!(next.request_id, event().request_id);
        assert_eq!(follow_ups(Condition::Success, &settings), tasks, "the same end makes the same event");
    }
}
