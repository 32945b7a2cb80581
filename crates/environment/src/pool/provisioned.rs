//! Environments that are kept initialised ahead of invocations (provisioned concurrency).
//!
//! ```text
//!  provision ─► keeper ─► room ─► environment ─► open to invocations ─► it ends ─┐
//!                 ▲                                                              │
//!                 └─ at once after a long life, else later and later ────────────┘
//! ```
//!
//! One keeper, a task, for each of them. What invocations find is in the pool's list of provisioned environments; the
//! keeper waits for the end of the driver and makes another. Neither idleness nor others' need of room ends one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::lease::Room;
use super::roster::{Open, Shared};
use super::{Inner, InvokeError, Pool, SpecId};
use crate::environment::Environment;
use crate::spec::Spec;

/// Before another is made for one that ended early. Doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One that has lived for so long did not end because of its init.
const LONG_LIFE: Duration = Duration::from_secs(10);

impl Pool {
    /// Keeps this many environments of a function initialised from here on, until the pool shuts down. Invocations
    /// prefer them, and overflow to others.
    ///
    /// They count as any; that there is room for them is for the caller to see to: [`Capacity::holds`](super::Capacity::holds).
    pub fn provision(&self, spec: &Arc<Spec>, count: usize) {
        let provisioned = Arc::new(spec.provisioned());
        for _ in 0..count {
            let keeper = Keeper {
                inner: Arc::downgrade(&self.inner),
                spec: Arc::clone(spec),
                provisioned: Arc::clone(&provisioned),
            };
            self.inner.tasks.spawn(keeper.keep());
        }
    }
}

impl Inner {
    /// Gives a new environment to the order that has waited longest, or to whoever comes.
    fn open_provisioned(self: &Arc<Self>, id: SpecId, environment: Arc<Environment>) {
        let mut guard = self.lock();
        let shared = &mut *guard;
        if shared.shutting_down {
            // Outside the lock: the end of an environment is no work to be done under it.
            drop(guard);
            return;
        }
        let environments = shared.functions.entry(id).or_default();
        match environments.waiting.pop_front() {
            Some((_, order)) => {
                let lease = self.lease(shared, id, &environment);
                drop(guard);
                lease.invoke(order);
            }
            None => environments.provisioned.push(Open { environment, since: Instant::now() }),
        }
    }
}

struct Keeper {
    inner: Weak<Inner>,
    /// By which invocations come; held so that its address stays its own.
    spec: Arc<Spec>,
    /// By which environments are made.
    provisioned: Arc<Spec>,
}

impl Keeper {
    async fn keep(self) {
        let mut pause = FIRST_PAUSE;
        while let Some(inner) = self.inner.upgrade() {
            let stop = inner.stop.clone();
            let began = Instant::now();
            match self.start(&inner).await {
                Ok(task) => {
                    drop(inner);
                    task.await;
                }
                Err(InvokeError::ShuttingDown) => return,
                Err(InvokeError::AtCapacity(_)) => drop(inner),
                Err(error @ InvokeError::Create(_)) => {
                    tracing::warn!(%error, "a provisioned environment could not be made");
                    drop(inner);
                }
            }
            self.forget_ended();
            if began.elapsed() >= LONG_LIFE {
                pause = FIRST_PAUSE;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Makes one and opens it to invocations. Its task ends with it.
    async fn start(
        &self,
        inner: &Arc<Inner>,
    ) -> Result<impl Future<Output = ()> + Send + 'static, InvokeError> {
        let room = Room::take(inner, &self.provisioned)?;
        let (environment, task) = Environment::start(
            Arc::clone(&self.provisioned),
            inner.site(),
            inner.output.clone(),
            room,
            &inner.said_shortfall,
        )
        .await?;
        let environment = Arc::new(environment);
        inner.open_provisioned(SpecId::of(&self.spec), environment);
        Ok(task)
    }

    /// Takes those out of the pool that can take nothing any more, so that their room is free for what replaces them.
    fn forget_ended(&self) {
        let Some(inner) = self.inner.upgrade() else { return };
        let mut shared = inner.lock();
        let Shared { functions, taken, .. } = &mut *shared;
        let Some(environments) = functions.get_mut(&SpecId::of(&self.spec)) else { return };
        let ended: Vec<_> =
            environments.provisioned.extract_if(.., |open| !open.environment.takes_invocation()).collect();
        for open in &ended {
            open.environment.room().give_back(taken);
        }
        drop(shared);
        drop(ended);
    }
}
