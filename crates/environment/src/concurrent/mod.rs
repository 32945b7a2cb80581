//! An execution environment that takes several invocations at a time: its rules, and the task that drives it.
//!
//! ```text
//!  guest's calls, commands, processes, time ─► Driver ─► lifecycle::step ─► effects ─► replies, answers, log
//! ```
//!
//! Like `driver` and around the same `processes`, but by other rules and with an invocation
//! for each slot. What the guest calls is in `calls`, what the rules ask for in `effects`.
//!
//! Nothing is frozen here, since an environment with a free slot is not at rest. Whose a line is cannot be told with
//! several invocations under way, so an invocation's log tail is START and REPORT of its own and no line of the
//! function's.

mod calls;
mod effects;
pub mod lifecycle;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{Delivery, Reply};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use self::lifecycle::{Event, Phase, Refusal, State};
use crate::current::Current;
use crate::environment::{Command, Parts, Published};
use crate::outcome::Account;
use crate::pool::lease::Lease;
use crate::posted::Posted;
use crate::processes::{Alarm, Change, Happened, Processes};

/// Everything one environment holds.
#[derive(Debug)]
pub(crate) struct Driver {
    state: State,
    published: Arc<Published>,
    processes: Processes,
    /// The runtime's calls for an event, as many as the rules count until the end; the first waits longest.
    parked: VecDeque<Reply<Delivery>>,
    /// The invocations that were accepted and are not over.
    invocations: HashMap<Uuid, Current>,
    /// When each of those with a running clock runs out of time.
    deadlines: BTreeSet<(Instant, Uuid)>,
    init_deadline: Option<Instant>,
    /// What the runtime posted, between the end of its body and the rules' leave to pass it on.
    posted: Option<Posted>,
    /// The answer that was judged last came too late.
    late: bool,
    /// What ended in the present step: given back and told when the state is published.
    over: Vec<Over>,
}

/// What is left of an invocation that is over.
#[derive(Debug)]
struct Over {
    lease: Lease,
    account: Option<(oneshot::Sender<Account>, Account)>,
}

impl Driver {
    /// For this many invocations at a time.
    pub(crate) fn new(parts: Parts, slots: usize) -> Self {
        let files = parts.spec.extensions.iter().map(|name| Arc::from(name.as_str())).collect();
        Driver {
            state: State::new(slots, files),
            published: Arc::clone(&parts.published),
            processes: Processes::new(parts),
            parked: VecDeque::new(),
            invocations: HashMap::new(),
            deadlines: BTreeSet::new(),
            init_deadline: None,
            posted: None,
            late: false,
            over: Vec::new(),
        }
    }

    /// Runs until the environment is over and all it held is gone.
    pub(crate) async fn run(mut self) {
        self.apply(Event::Start);
        while self.state.phase != Phase::Terminated {
            let deadline = self.deadlines.first().map(|(at, _)| *at);
            let wake_at = deadline.into_iter().chain(self.init_deadline).min();
            match self.processes.next(wake_at, &self.state.extensions).await {
                Happened::Called(call) => self.guest_called(call),
                Happened::Commanded(command) => self.commanded(command),
                Happened::Changed(change) => self.changed(change),
                Happened::Alarm(alarm) => self.alarmed(alarm),
                Happened::TimePassed(now) => self.time_passed(now),
            }
        }
        self.processes.close().await;
    }

    fn time_passed(&mut self, now: Instant) {
        if self.init_deadline.take_if(|at| now >= *at).is_some() {
            self.apply(Event::InitDeadlinePassed);
        }
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(at, _)| now >= *at) {
            self.deadlines.pop_first();
            self.apply(Event::InvokeDeadlinePassed(id));
        }
    }

    fn alarmed(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::EndingTimeUp => self.apply(Event::EndingTimeUp),
            Alarm::SandboxLost => {
                let function = &self.processes.spec.function_name;
                tracing::error!(%function, phase = ?self.state.phase, "a sandbox is given up");
                self.apply(Event::SandboxLost);
            }
        }
    }

    fn commanded(&mut self, command: Command) {
        match command {
            Command::Invoke(admitted) => {
                let id = admitted.order.invocation.request_id;
                self.forget_gone();
                if self.invocations.contains_key(&id) {
                    // Its end tells the caller.
                    tracing::warn!(request_id = %id, "an invocation was handed over twice");
                    return;
                }
                self.invocations.insert(id, Current::new(admitted));
                if self.judge(Event::Invoke(id)).is_err() {
                    // The environment went down between the lease and now. Its end tells the caller.
                    self.invocations.remove(&id);
                    tracing::warn!(request_id = %id, phase = ?self.state.phase, "an environment was handed an invocation it cannot take");
                }
            }
            Command::Shutdown => self.apply(Event::Shutdown),
        }
    }

    fn changed(&mut self, change: Change) {
        self.apply(match change {
            Change::RuntimeExited => Event::RuntimeExited,
            Change::LaunchFailed => Event::LaunchFailed,
            Change::ExtensionExited(index) => Event::ExtensionExited(index),
            Change::ExtensionLaunchFailed(index) => Event::ExtensionLaunchFailed(index),
            Change::Emptied => Event::Emptied,
            Change::SandboxLost => Event::SandboxLost,
        });
    }

    /// Calls whose caller is known to have gone are no slots.
    fn forget_gone(&mut self) {
        let before = self.parked.len();
        self.parked.retain(|parked| !parked.is_closed());
        for _ in self.parked.len()..before {
            self.apply(Event::NextGone);
        }
    }

    /// An event that nobody waits for the verdict on: refused, it came too late to matter.
    fn apply(&mut self, event: Event) {
        let _ = self.judge(event);
    }

    /// Judges an event and carries out what follows.
    fn judge(&mut self, event: Event) -> Result<(), Refusal> {
        let (next, effects) = lifecycle::step(&self.state, event)?;
        self.state = next;
        for effect in effects {
            self.perform(effect);
        }
        self.published.publish(self.state.takes_invocation());
        for Over { lease, account } in self.over.drain(..) {
            // After the state was published: whoever gets the lease finds the environment ready.
            drop(lease);
            if let Some((observer, account)) = account {
                let _ = observer.send(account);
            }
        }
        Ok(())
    }
}

fn rendered(refusal: Refusal) -> runtime_api::Refusal {
    match refusal {
        Refusal::InvalidRequestId => runtime_api::Refusal::InvalidRequestId,
        Refusal::Transition { from, to } => runtime_api::Refusal::Transition { from, to },
        Refusal::Extension(refusal) => runtime_api::Refusal::Extension(refusal),
        Refusal::TooManyIdleRuntimes | Refusal::Busy | Refusal::Irrelevant => runtime_api::Refusal::Platform,
    }
}
