//! Who is told what happens, beside the log itself: extensions that subscribed, and those that still may.
//!
//! ```text
//!  what happens ─┬─► each subscriber, in the form of its API and schema ─► delivery
//!                └─► kept, while init lasts ─► replayed to whoever subscribes later
//! ```
//!
//! The log asks [`Audience::is_empty`] first: for nobody nothing is rendered and nothing is copied.

use std::future::Future;
use std::mem::size_of;

use bytes::Bytes;
use firesteel_runtime_api::telemetry::{Api, Dial, Dropped, Schema, Subscriber, Subscription, Types};
use jiff::Timestamp;

use super::about::About;
use super::platform_event::PlatformEvent;
use super::{Source, record};

/// How much is kept for those who subscribe late: as much as the smallest batch, so that a replay finds room in any
/// subscriber's backlog. The beginning is kept, since nothing else tells of how the init began.
const KEPT_LIMIT_BYTES: usize = 256 * 1024;

/// What `platform.logsDropped` says to one who subscribes when more has happened than is kept.
const TOO_LATE: &str = "more was logged before the subscription than is kept";

/// Something to tell.
#[derive(Debug, Clone, Copy)]
pub(super) enum Happening<'a> {
    Platform(&'a PlatformEvent),
    Line(Source, &'a [u8]),
}

#[derive(Debug, Default)]
pub(super) struct Audience {
    members: Vec<Member>,
    /// While somebody may still subscribe.
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Member {
    name: String,
    api: Api,
    schema: Schema,
    types: Types,
    subscriber: Subscriber,
}

#[derive(Debug, Default)]
struct Kept {
    happenings: Vec<(Timestamp, Owned)>,
    bytes: usize,
    lost: Dropped,
}

#[derive(Debug)]
enum Owned {
    Platform(PlatformEvent),
    Line(Source, Bytes),
}

impl Audience {
    /// From here on everything is kept for those who come later; what was kept before is not.
    pub(super) fn open(&mut self) {
        self.kept = Some(Kept::default());
    }

    pub(super) fn close(&mut self) {
        self.kept = None;
    }

    /// Nobody listens, and nobody will.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.kept.is_none()
    }

    pub(super) fn tell(&mut self, happening: Happening<'_>, time: Timestamp, about: &About) {
        for member in &self.members {
            member.tell(happening, time, about);
        }
        if let Some(kept) = &mut self.kept {
            kept.push(happening, time);
        }
    }

    /// A second subscription of the same extension takes the place of its first.
    pub(super) fn join(&mut self, name: &str, subscription: Subscription, dial: Dial, about: &About) {
        self.members.retain(|member| member.name != name);
        let Subscription { api, schema, types, .. } = subscription;
        let subscriber = Subscriber::start(subscription, dial);
        let member = Member { name: name.to_owned(), api, schema, types, subscriber };
        if let Some(kept) = &self.kept {
            kept.replay(&member, about);
        }
        self.members.push(member);
    }

    pub(super) fn api_of(&self, name: &str) -> Option<Api> {
        self.members.iter().find(|member| member.name == name).map(|member| member.api)
    }

    pub(super) fn leave(&mut self) {
        self.members.clear();
    }

    pub(super) fn set_frozen(&self, frozen: bool) {
        self.members.iter().for_each(|member| member.subscriber.set_frozen(frozen));
    }

    /// What subscribers lost since this was last asked.
    pub(super) fn take_dropped(&self) -> Option<Dropped> {
        self.members.iter().filter_map(|member| member.subscriber.take_dropped()).reduce(|one, other| {
            Dropped { records: one.records + other.records, bytes: one.bytes.saturating_add(other.bytes) }
        })
    }

    pub(super) fn flush(&self) -> impl Future<Output = ()> + Send + 'static {
        // All of them hurry from here on, whichever is waited for first.
        let flushes: Vec<_> = self.members.iter().map(|member| member.subscriber.flush()).collect();
        async move {
            for flush in flushes {
                flush.await;
            }
        }
    }
}

impl Member {
    fn tell(&self, happening: Happening<'_>, time: Timestamp, about: &About) {
        match happening {
            Happening::Platform(event) if self.types.platform && self.may_know(event) => {
                let records = match self.api {
                    Api::Telemetry => record::telemetry(event, about).into_iter().collect(),
                    Api::Logs => record::logs(event, self.schema, about),
                };
                for record in records {
                    self.subscriber.offer(record.to_json(time));
                }
            }
            Happening::Line(source, bytes) if self.wants_lines(source) => {
                self.subscriber.offer(record::line(source, bytes, self.schema, about, time));
            }
            Happening::Platform(_) | Happening::Line(..) => {}
        }
    }

    fn wants_lines(&self, source: Source) -> bool {
        match source {
            Source::Function => self.types.function,
            Source::Extension => self.types.extension,
            // The platform's lines are told as events.
            Source::Platform => false,
        }
    }

    /// The other API's subscriptions are not in this one's schema.
    fn may_know(&self, event: &PlatformEvent) -> bool {
        !matches!(event, PlatformEvent::Subscription { api, .. } if *api != self.api)
    }
}

impl Kept {
    fn push(&mut self, happening: Happening<'_>, time: Timestamp) {
        let length = match happening {
            Happening::Platform(_) => 0,
            Happening::Line(_, bytes) => bytes.len(),
        };
        let size = size_of::<(Timestamp, Owned)>() + length;
        // After a loss nothing is kept any more, so that the loss stands at the end.
        if self.lost.records > 0 || self.bytes + size > KEPT_LIMIT_BYTES {
            self.lost.records += 1;
            self.lost.bytes = self.lost.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            return;
        }
        self.bytes += size;
        let owned = match happening {
            Happening::Platform(event) => Owned::Platform(event.clone()),
            Happening::Line(source, bytes) => Owned::Line(source, Bytes::copy_from_slice(bytes)),
        };
        self.happenings.push((time, owned));
    }

    fn replay(&self, member: &Member, about: &About) {
        for (time, happening) in &self.happenings {
            let happening = match happening {
                Owned::Platform(event) => Happening::Platform(event),
                Owned::Line(source, bytes) => Happening::Line(*source, bytes),
            };
            member.tell(happening, *time, about);
        }
        let Dropped { records, bytes } = self.lost;
        if records > 0 {
            let loss = PlatformEvent::LogsDropped { reason: TOO_LATE, records, bytes };
            member.tell(Happening::Platform(&loss), Timestamp::now(), about);
        }
    }
}
