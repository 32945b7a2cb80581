//! What waits for one subscriber: which events make a batch, when it is due, and what is dropped.
//!
//! ```text
//!  offer ─► waiting ── next: timeout, bytes, items or a flush ──► on its way ── finish ─► gone
//!     └──► dropped: no room. Counted, and told in the stream at the very place where the events are missing
//! ```
//!
//! Arithmetic only: no lock, clock or I/O. `delivery` asks it what is next and tells it what became of that. It
//! never reorders and never waits; what does not fit is dropped.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Buffering, Dropped};

/// How many full batches are held for a subscriber, the one on its way included: that one, one that fills, and as
/// much again for a listener that pauses. More would take the host's memory for a listener that never reads: ten
/// extensions with the largest batches hold 40 MiB as it is.
const HELD_BATCHES: usize = 4;

/// Kept free for the event that tells of a loss, which is about half of this.
const LOSS_EVENT_BYTES: usize = 256;

/// Events on their way to one subscriber.
#[derive(Debug)]
pub(super) struct Backlog {
    buffering: Buffering,
    /// Makes the event that tells of a loss.
    loss_event: fn(Dropped) -> Bytes,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// The batch that [`Backlog::next`] gave out and that is not finished.
    on_its_way: usize,
    on_its_way_bytes: usize,
    /// Lost, and not yet told in the stream.
    untold: Dropped,
    /// Lost, and not yet asked for by [`Backlog::take_dropped`].
    dropped: Dropped,
    /// How many events were ever put in line, and how many of those are gone.
    accepted: u64,
    finished: u64,
    /// The events up to here do not wait for a batch to fill.
    flush_until: u64,
}

#[derive(Debug)]
struct Waiting {
    event: Bytes,
    since: Instant,
}

/// What is to be done for a subscriber.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, until there are events.
    Idle,
    /// Nothing, until then or until a batch is full.
    At(Instant),
    /// Send these.
    Batch(Vec<Bytes>),
}

impl Backlog {
    pub(super) fn new(buffering: Buffering, loss_event: fn(Dropped) -> Bytes) -> Self {
        Backlog {
            buffering,
            loss_event,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            on_its_way: 0,
            on_its_way_bytes: 0,
            untold: Dropped::default(),
            dropped: Dropped::default(),
            accepted: 0,
            finished: 0,
            flush_until: 0,
        }
    }

    /// Puts an event in line, or drops it. True when whoever waits for [`Backlog::next`] should look again.
    pub(super) fn offer(&mut self, event: Bytes, now: Instant) -> bool {
        let (was_idle, was_full) = (self.waiting.is_empty(), self.is_full());
        self.tell_loss(now);
        // While a loss is untold nothing gets past it, or the report would stand at the wrong place.
        if self.untold.records == 0 && self.has_room(event.len()) {
            self.push(event, now);
        } else {
            let bytes = u64::try_from(event.len()).unwrap_or(u64::MAX);
            for count in [&mut self.untold, &mut self.dropped] {
                count.records += 1;
                count.bytes = count.bytes.saturating_add(bytes);
            }
        }
        (was_idle && !self.waiting.is_empty()) || (!was_full && self.is_full())
    }

    /// What to do now. A batch that is given out is to be finished before the next is asked for.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let Some(oldest) = self.waiting.front() else { return Next::Idle };
        let due = oldest.since + self.buffering.timeout;
        if now >= due || self.is_full() || self.flush_until > self.finished {
            Next::Batch(self.take_batch())
        } else {
            Next::At(due)
        }
    }

    /// The batch is delivered or given up. Returns how many events are gone in all.
    pub(super) fn finish(&mut self, now: Instant) -> u64 {
        self.finished += u64::try_from(self.on_its_way).unwrap_or(u64::MAX);
        (self.on_its_way, self.on_its_way_bytes) = (0, 0);
        self.tell_loss(now);
        self.finished
    }

    /// Lets nothing that is in line wait any longer. Returns how many events will be gone when all of it is.
    pub(super) fn flush(&mut self) -> u64 {
        self.flush_until = self.accepted;
        self.accepted
    }

    /// What was lost since this was last asked.
    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        let dropped = std::mem::take(&mut self.dropped);
        (dropped.records > 0).then_some(dropped)
    }

    fn is_full(&self) -> bool {
        self.waiting_bytes >= self.buffering.max_bytes || self.waiting.len() >= self.buffering.max_items
    }

    /// An empty backlog has room for anything: an event larger than all the room would never come through.
    fn has_room(&self, bytes: usize) -> bool {
        let held = self.waiting_bytes + self.on_its_way_bytes;
        held == 0 || held + bytes <= HELD_BATCHES * self.buffering.max_bytes
    }

    fn tell_loss(&mut self, now: Instant) {
        if self.untold.records > 0 && self.has_room(LOSS_EVENT_BYTES) {
            let event = (self.loss_event)(std::mem::take(&mut self.untold));
            self.push(event, now);
        }
    }

    fn push(&mut self, event: Bytes, now: Instant) {
        self.waiting_bytes += event.len();
        self.accepted += 1;
        self.waiting.push_back(Waiting { event, since: now });
    }

    /// The oldest events, within the bounds of a batch; at least one.
    fn take_batch(&mut self) -> Vec<Bytes> {
        let mut bytes = 0;
        let fitting = self.waiting.iter().take(self.buffering.max_items).take_while(|waiting| {
            bytes += waiting.event.len();
            bytes <= self.buffering.max_bytes
        });
        let count = fitting.count().max(1);
        let batch: Vec<Bytes> = self.waiting.drain(..count).map(|waiting| waiting.event).collect();
        self.on_its_way = batch.len();
        self.on_its_way_bytes = batch.iter().map(Bytes::len).sum();
        self.waiting_bytes -= self.on_its_way_bytes;
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use proptest::prelude::*;

    const BUFFERING: Buffering =
        Buffering { timeout: Duration::from_millis(100), max_bytes: 1000, max_items: 5 };

    fn loss_event(dropped: Dropped) -> Bytes {
        format!("lost {} {}", dropped.records, dropped.bytes).into()
    }

    fn backlog() -> Backlog {
        Backlog::new(BUFFERING, loss_event)
    }

    /// An event that says its number and has a length.
    fn event(number: usize, bytes: usize) -> Bytes {
        format!("{number:<bytes$}").into()
    }

    fn number(event: &Bytes) -> usize {
        std::str::from_utf8(event).unwrap().trim_end().parse().unwrap()
    }

    fn batch(backlog: &mut Backlog, now: Instant) -> Vec<Bytes> {
        match backlog.next(now) {
            Next::Batch(batch) => batch,
            other => panic!("no batch but {other:?}"),
        }
    }

    #[test]
    fn a_batch_is_due_at_the_first_of_timeout_bytes_and_items() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut waits = backlog();
        assert_eq!(waits.next(start), Next::Idle);
        assert!(waits.offer(event(0, 10), start), "the first sets the clock");
        assert!(!waits.offer(event(1, 10), at(50)), "the second changes nothing");
        assert_eq!(waits.next(at(99)), Next::At(at(100)));
        assert_eq!(batch(&mut waits, at(100)).len(), 2);

        let mut items = backlog();
        assert_eq!((0..5).filter(|number| items.offer(event(*number, 1), start)).count(), 2);
        assert_eq!(batch(&mut items, start).len(), 5);

        let mut bytes = backlog();
        bytes.offer(event(0, 600), start);
        assert!(bytes.offer(event(1, 600), start));
        assert_eq!(batch(&mut bytes, start).len(), 1, "two would be too much");
        bytes.finish(start);
        assert_eq!(bytes.next(start), Next::At(at(100)));
    }

    #[test]
    fn a_flush_lets_go_what_was_there_and_not_what_comes_later() {
        let start = Instant::now();
        let mut backlog = backlog();
        backlog.offer(event(0, 10), start);
        assert_eq!(backlog.flush(), 1);
        assert_eq!(batch(&mut backlog, start).len(), 1);
        backlog.offer(event(1, 10), start);
        assert_eq!(backlog.finish(start), 1);
        assert!(matches!(backlog.next(start), Next::At(_)));
    }

    #[test]
    fn a_loss_is_told_where_the_events_are_missing() {
        let start = Instant::now();
        let mut backlog = backlog();
        for number in 0..10 {
            backlog.offer(event(number, 500), start);
        }
        // Eight of 500 bytes are held; 8 and 9 are gone.
        assert_eq!(backlog.take_dropped(), Some(Dropped { records: 2, bytes: 1000 }));
        assert_eq!(backlog.take_dropped(), None);
        assert_eq!(batch(&mut backlog, start).len(), 2);
        // On its way is not gone: there is no room yet, not even for little.
        backlog.offer(event(10, 2), start);
        backlog.finish(start);
        backlog.offer(event(11, 500), start);
        let mut rest = Vec::new();
        while let Next::Batch(batch) = backlog.next(start + BUFFERING.timeout) {
            rest.extend(batch.iter().map(|event| String::from_utf8_lossy(event).trim_end().to_owned()));
            backlog.finish(start);
        }
        assert_eq!(rest, ["2", "3", "4", "5", "6", "7", "lost 3 1002", "11"]);
        assert_eq!(backlog.take_dropped(), Some(Dropped { records: 1, bytes: 2 }));
    }

    #[test]
    fn an_event_larger_than_all_the_room_comes_through_when_nothing_waits() {
        let start = Instant::now();
        let mut backlog = backlog();
        backlog.offer(event(0, 10_000), start);
        assert_eq!(batch(&mut backlog, start).len(), 1);
        assert_eq!(backlog.take_dropped(), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Offer(usize),
        Wait(u64),
        Deliver,
        Finish,
        Flush,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (4usize..600).prop_map(Step::Offer),
            2 => (0u64..150).prop_map(Step::Wait),
            3 => Just(Step::Deliver),
            3 => Just(Step::Finish),
            1 => Just(Step::Flush),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn every_event_is_delivered_in_order_or_told_of(steps in steps()) {
            let mut backlog = backlog();
            let mut now = Instant::now();
            let mut offered = 0;
            let mut delivered: Vec<Bytes> = Vec::new();
            let mut on_its_way = false;
            let mut asked = Dropped::default();
            let drain = [Step::Finish, Step::Flush, Step::Deliver].iter().cycle().take(400);
            for step in steps.iter().chain(drain) {
                match step {
                    Step::Offer(bytes) => {
                        backlog.offer(event(offered, *bytes), now);
                        offered += 1;
                    }
                    Step::Wait(ms) => now += Duration::from_millis(*ms),
                    Step::Deliver if !on_its_way => match backlog.next(now) {
                        Next::Batch(batch) => {
                            prop_assert!(!batch.is_empty() && batch.len() <= BUFFERING.max_items);
                            let bytes: usize = batch.iter().map(Bytes::len).sum();
                            prop_assert!(bytes <= BUFFERING.max_bytes || batch.len() == 1);
                            on_its_way = true;
                            delivered.extend(batch);
                        }
                        Next::At(due) => {
                            prop_assert!(due > now && due <= now + BUFFERING.timeout);
                            prop_assert!(backlog.waiting.len() < BUFFERING.max_items);
                        }
                        Next::Idle => prop_assert!(backlog.waiting.is_empty()),
                    },
                    Step::Finish => {
                        backlog.finish(now);
                        on_its_way = false;
                    }
                    Step::Flush => {
                        let until = backlog.flush();
                        prop_assert_eq!(
                            until,
                            backlog.finished + (backlog.waiting.len() + backlog.on_its_way) as u64
                        );
                    }
                    Step::Deliver => {}
                }
                let held: usize = backlog.waiting.iter().map(|waiting| waiting.event.len()).sum();
                prop_assert_eq!(held, backlog.waiting_bytes);
                prop_assert!(held + backlog.on_its_way_bytes <= HELD_BATCHES * BUFFERING.max_bytes);
                if let Some(dropped) = backlog.take_dropped() {
                    asked.records += dropped.records;
                    asked.bytes += dropped.bytes;
                }
            }
            // What is missing is exactly what was told of, at its place.
            let mut expected = 0;
            let mut told = Dropped::default();
            for event in &delivered {
                let text = std::str::from_utf8(event).unwrap();
                if let Some(loss) = text.strip_prefix("lost ") {
                    let (records, bytes) = loss.split_once(' ').unwrap();
                    let records: usize = records.parse().unwrap();
                    prop_assert!(records > 0);
                    expected += records;
                    told.records += records as u64;
                    told.bytes += bytes.parse::<u64>().unwrap();
                } else {
                    prop_assert_eq!(number(event), expected);
                    expected += 1;
                }
            }
            prop_assert_eq!(expected, offered);
            prop_assert_eq!(told, asked);
        }

        #[test]
        fn nothing_is_lost_below_the_bound(sizes in prop::collection::vec(4usize..400, 0..10)) {
            let mut backlog = backlog();
            for (number, bytes) in sizes.iter().enumerate() {
                backlog.offer(event(number, *bytes), Instant::now());
            }
            prop_assert_eq!(backlog.take_dropped(), None);
        }
    }
}
