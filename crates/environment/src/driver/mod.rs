//! The one task that drives one execution environment.
//!
//! ```text
//!  guest's calls ──┐
//!  commands ───────┤            ┌─► replies to the guest
//!  sandbox events ─┼─► step() ──┼─► answers and accounts to the caller
//!  log pipes ──────┤  (rules)   ├─► sandbox: spawn, freeze, signal, end
//!  timer ──────────┘            └─► log, telemetry, published state
//! ```
//!
//! Everything that can happen to an environment arrives here and is decided by [`lifecycle::step`]; this module
//! carries out the effects and owns what is not a rule: bodies, times. What the guest calls is in `calls`, what the
//! rules ask for in `effects`; what is the same for every environment, whatever its rules, in
//! [`processes`](crate::processes).

mod calls;
mod effects;

use std::sync::Arc;
use std::time::Duration;

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{Delivery, Reply};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::current::Current;
use crate::environment::{Command, Parts, Published};
use crate::lifecycle::{self, Event, Phase, Refusal, State};
use crate::logs::platform_event::RestoreDurations;
use crate::outcome::Account;
use crate::pool::lease::Lease;
use crate::posted::Posted;
use crate::processes::{Alarm, Change, Happened, Processes};
use crate::spec::InitializationType;

/// How often memory is looked at while something runs. A child that lives for less is missed if its parent
/// lives on; more often would be felt.
const MEMORY_SAMPLING: Duration = Duration::from_millis(20);

/// Everything one environment holds.
#[derive(Debug)]
pub(crate) struct Driver {
    state: State,
    published: Arc<Published>,
    processes: Processes,
    parked: Parked,
    /// The invocation that was accepted and is not over.
    current: Option<Current>,
    /// What the runtime posted, between the end of its body and the rules' leave to pass it on.
    posted: Option<Posted>,
    restore: Restore,
    timer: Option<(Instant, Event)>,
    /// While something runs: when memory is looked at next, for the sake of processes that come and go before
    /// REPORT.
    sample_at: Option<Instant>,
    rest: Rest,
    /// Given back once the environment is at rest.
    lease: Option<Lease>,
    /// For whoever waits for REPORT; sent after the lease is given back.
    account: Option<(oneshot::Sender<Account>, Account)>,
}

/// Calls of the runtime that wait.
#[derive(Debug, Default)]
struct Parked {
    /// More than one only when a runtime lost its connection and asked again.
    next: Vec<Reply<Delivery>>,
    restore: Vec<Reply<()>>,
}

/// Whether the environment's processes run.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Awake,
    /// At rest; to be frozen then.
    Dozing {
        until: Instant,
    },
    Frozen,
}

/// The restore that belongs to the last init.
#[derive(Debug, Default)]
struct Restore {
    began: Option<Instant>,
    /// A finished one, until the first invocation reports it.
    unreported: Option<RestoreDurations>,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let files = parts.spec.extensions.iter().map(|name| Arc::from(name.as_str())).collect();
        Driver {
            state: State::new(files),
            published: Arc::clone(&parts.published),
            processes: Processes::new(parts),
            parked: Parked::default(),
            current: None,
            posted: None,
            restore: Restore::default(),
            timer: None,
            sample_at: None,
            rest: Rest::Awake,
            lease: None,
            account: None,
        }
    }

    /// Runs until the environment is over and all it held is gone.
    pub(crate) async fn run(mut self) {
        self.apply(Event::Start);
        while self.state.phase != Phase::Terminated {
            let wake_at = self.wake_at();
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

    fn wake_at(&self) -> Option<Instant> {
        let timer = self.timer.as_ref().map(|(at, _)| *at);
        let freeze = match self.rest {
            Rest::Dozing { until } => Some(until),
            Rest::Awake | Rest::Frozen => None,
        };
        timer.into_iter().chain(self.sample_at).chain(freeze).min()
    }

    fn time_passed(&mut self, now: Instant) {
        if let Some((_, event)) = self.timer.take_if(|(at, _)| now >= *at) {
            self.apply(event);
        } else if matches!(self.rest, Rest::Dozing { until } if now >= until) {
            self.rest = Rest::Frozen;
            self.processes.freeze();
        } else {
            self.processes.sample_memory();
            // What takes long for many processes may take a tenth of the time.
            self.sample_at = Some(Instant::now() + MEMORY_SAMPLING.max(now.elapsed() * 9));
        }
    }

    fn alarmed(&mut self, alarm: Alarm) {
        match alarm {
            Alarm::EndingTimeUp => self.apply(Event::EndingTimeUp),
            Alarm::SandboxLost => {
                let function = &self.processes.spec.function_name;
                tracing::error!(%function, state = ?self.state, "a sandbox is given up");
                self.apply(Event::SandboxLost);
            }
        }
    }

    fn thaw(&mut self) {
        if let Rest::Frozen = std::mem::replace(&mut self.rest, Rest::Awake) {
            self.processes.thaw();
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
        self.published.publish(self.state.takes_invocation() && !self.is_to_be_replaced());

        if matches!(self.state.phase, Phase::Idle | Phase::Cold | Phase::Terminated) {
            self.timer = None;
            self.sample_at = None;
            // After the state was published: whoever gets the lease finds the environment ready.
            self.lease = None;
        }
        if let Some((observer, account)) = self.account.take() {
            // A caller who waited for the log and comes again finds the environment idle.
            let _ = observer.send(account);
        }
        if self.state.phase == Phase::Cold && self.is_to_be_replaced() {
            self.apply(Event::Shutdown);
        }
        Ok(())
    }

    /// Whether its processes are ending or ended, and it is one of those that are there to be initialised: a reset one is
    /// of no use then.
    fn is_to_be_replaced(&self) -> bool {
        self.processes.spec.initialization == InitializationType::ProvisionedConcurrency
            && matches!(self.state.phase, Phase::Ending(_) | Phase::Cold)
    }

    fn commanded(&mut self, command: Command) {
        match command {
            Command::Invoke(admitted) => {
                let id = admitted.order.invocation.request_id;
                if self.current.is_none() && self.state.takes_invocation() {
                    self.current = Some(Current::new(admitted));
                    self.apply(Event::Invoke(id));
                } else {
                    // The environment went down between the lease and now. Its end tells the caller.
                    tracing::warn!(request_id = %id, state = ?self.state, "an environment was handed an invocation it cannot take");
                }
            }
            Command::Shutdown => self.apply(Event::Shutdown),
        }
    }

    fn changed(&mut self, change: Change) {
        if change == Change::Emptied {
            self.parked = Parked::default();
        }
        self.apply(match change {
            Change::RuntimeExited => Event::RuntimeExited,
            Change::LaunchFailed => Event::LaunchFailed,
            Change::ExtensionExited(index) => Event::ExtensionExited(index),
            Change::ExtensionLaunchFailed(index) => Event::ExtensionLaunchFailed(index),
            Change::Emptied => Event::Emptied,
            Change::SandboxLost => Event::SandboxLost,
        });
    }
}

fn rendered(refusal: Refusal) -> runtime_api::Refusal {
    match refusal {
        Refusal::InvalidRequestId => runtime_api::Refusal::InvalidRequestId,
        Refusal::Transition { from, to } => runtime_api::Refusal::Transition { from, to },
        Refusal::Extension(refusal) => runtime_api::Refusal::Extension(refusal),
        Refusal::Busy | Refusal::Irrelevant => runtime_api::Refusal::Platform,
    }
}
