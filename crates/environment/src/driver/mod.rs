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
//! carries out the effects and owns what is not a rule: bodies, times, processes, pipes. What the guest calls is in
//! `calls`, what the rules ask for in `effects`, an invocation's own times and figures in `current`, the processes
//! of one init in `generation`, the words of failures in `failures`.
//!
//! Which goes first: a deadline that has passed, then commands, the guest's calls (an answer that was posted before
//! the process ended counts), the sandbox, the logs. A guest that calls without pause cannot hold off its deadline,
//! which is looked at before every event, nor its end.

mod calls;
mod current;
mod effects;
mod failures;
mod generation;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{Delivery, ExtensionEvent, Reply};
use firesteel_sandbox as sandbox;
use firesteel_sandbox::Sandbox;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use uuid::Uuid;

use self::current::{Current, Posted};
use self::failures::Cause;
use self::generation::{Generation, RUNTIME, extension_of};
use crate::environment::{Command, Published};
use crate::failure::{self, PlatformError};
use crate::lifecycle::ending::Budget;
use crate::lifecycle::{self, Event, Phase, Refusal, State};
use crate::logs::Log;
use crate::logs::platform_event::RestoreDurations;
use crate::outcome::Account;
use crate::pool::lease::Lease;
use crate::spec::Spec;

/// How long the kernel may take to end killed processes before the sandbox counts as broken.
const ENDING_LIMIT: Duration = Duration::from_secs(10);

/// How often memory is looked at while something runs. A child that lives for less is missed if its parent
/// lives on; more often would be felt.
const MEMORY_SAMPLING: Duration = Duration::from_millis(20);

/// How long an environment may run on after it came to rest. Long enough that one which is invoked again and again
/// is never stopped and continued in between, which would be felt; short enough for nobody to get work done.
const FREEZE_AFTER: Duration = Duration::from_millis(10);

/// Everything one environment holds.
#[derive(Debug)]
pub(crate) struct Driver {
    spec: Arc<Spec>,
    state: State,
    published: Arc<Published>,
    /// `None` once the environment is to end: nothing can be asked of it any more.
    commands: Option<mpsc::Receiver<Command>>,
    sandbox: Sandbox,
    sandbox_events: sandbox::Events,
    /// Where the layers are, as the processes see it.
    opt: PathBuf,
    log: Log,
    metadata_token: String,
    /// The processes that run now; a new init gets new sockets and pipes, so that nothing an old one sent can be
    /// taken for it.
    generation: Option<Generation>,
    parked: Parked,
    /// The invocation that was accepted and is not over.
    current: Option<Current>,
    /// What the runtime posted, between the end of its body and the rules' leave to pass it on.
    posted: Option<Posted>,
    /// Why the last failure happened, in words; set before the event that reports it.
    cause: Cause,
    init: Init,
    /// The time for an end that is under way.
    ending: Option<EndingClock>,
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

/// Calls of the guest that wait.
#[derive(Debug, Default)]
struct Parked {
    /// More than one only when a runtime lost its connection and asked again.
    next: Vec<Reply<Delivery>>,
    restore: Vec<Reply<()>>,
    /// By the extension's index.
    extensions: Vec<Option<Reply<ExtensionEvent>>>,
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

#[derive(Debug)]
struct Init {
    began: Instant,
    phase: crate::logs::platform_event::Phase,
    runtime_started: bool,
    /// The runtime's own part is over and told of.
    runtime_done: bool,
    restore_began: Option<Instant>,
    /// A finished init phase, until the first invocation reports it.
    unreported: Option<Duration>,
    /// Likewise.
    unreported_restore: Option<RestoreDurations>,
}

#[derive(Debug)]
struct EndingClock {
    budget: Budget,
    deadline: Instant,
    deadline_ms: u64,
}

/// What a driver is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) spec: Arc<Spec>,
    pub(crate) published: Arc<Published>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) sandbox: Sandbox,
    pub(crate) sandbox_events: sandbox::Events,
    pub(crate) opt: PathBuf,
    pub(crate) log: Log,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { spec, published, commands, sandbox, sandbox_events, opt, log } = parts;
        let files = spec.extensions.iter().map(|name| Arc::from(name.as_str())).collect();
        Driver {
            state: State::new(files),
            spec,
            published,
            commands: Some(commands),
            sandbox,
            sandbox_events,
            opt,
            log,
            metadata_token: Uuid::new_v4().to_string(),
            generation: None,
            parked: Parked::default(),
            current: None,
            posted: None,
            cause: Cause::default(),
            init: Init::begin(true),
            ending: None,
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
        let sleep = tokio::time::sleep_until(Instant::now());
        tokio::pin!(sleep);
        while self.state.phase != Phase::Terminated {
            let wake_at = self.wake_at();
            if let Some(at) = wake_at {
                // Moving the sleep costs; one that fires early is only looked at again.
                if sleep.is_elapsed() || sleep.deadline() > at {
                    sleep.as_mut().reset(at);
                }
                let now = Instant::now();
                if now >= at {
                    self.time_passed(now);
                    continue;
                }
            }
            let (calls, outputs) = match &mut self.generation {
                Some(generation) => {
                    let (calls, outputs) = generation.split();
                    (Some(calls), Some(outputs))
                }
                None => (None, None),
            };
            tokio::select! {
                biased;
                command = or_never(self.commands.as_mut().map(mpsc::Receiver::recv)) => self.commanded(command),
                call = or_never(calls.map(mpsc::Receiver::recv)) => self.guest_called(call),
                event = self.sandbox_events.recv() => self.sandbox_changed(event),
                index = or_never(outputs.map(generation::readable)) => {
                    if self.read_output(index) {
                        // A pipe that is never empty would keep this task, and with it the server's thread, for ever.
                        tokio::task::yield_now().await;
                    }
                }
                () = &mut sleep, if wake_at.is_some() => {}
            }
        }
        self.close().await;
    }

    async fn close(self) {
        drop(self.generation);
        self.sandbox.close().await;
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
            if event == Event::SandboxLost {
                tracing::error!(function = %self.spec.function_name, state = ?self.state, "a sandbox is given up");
            }
            self.apply(event);
        } else if matches!(self.rest, Rest::Dozing { until } if now >= until) {
            self.freeze();
        } else {
            // The sandbox keeps the peak. What takes long for many processes may take a tenth of the time.
            let _ = self.sandbox.memory();
            self.sample_at = Some(Instant::now() + MEMORY_SAMPLING.max(now.elapsed() * 9));
        }
    }

    fn freeze(&mut self) {
        self.rest = Rest::Frozen;
        // Nobody can take what is sent from here on, and it must not be sent in vain.
        self.log.pause_subscribers();
        if let Err(error) = self.sandbox.freeze() {
            // It runs on, which is a shortfall and no danger; its end will be noticed as any other.
            tracing::warn!(%error, "an idle environment could not be frozen");
        }
    }

    fn thaw(&mut self) {
        if let Rest::Frozen = std::mem::replace(&mut self.rest, Rest::Awake) {
            if let Err(error) = self.sandbox.thaw() {
                tracing::warn!(%error, "a frozen environment could not be woken");
            }
            self.log.resume_subscribers();
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
        self.published.publish(&self.state);
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
        Ok(())
    }

    fn commanded(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Invoke(admitted)) => {
                let id = admitted.order.invocation.request_id;
                if self.current.is_none() && self.state.takes_invocation() {
                    self.current = Some(Current::new(admitted));
                    self.apply(Event::Invoke(id));
                } else {
                    // The environment went down between the lease and now. Its end tells the caller.
                    tracing::warn!(request_id = %id, state = ?self.state, "an environment was handed an invocation it cannot take");
                }
            }
            // No handle is left: nobody can want it any more.
            Some(Command::Shutdown) | None => {
                self.commands = None;
                self.apply(Event::Shutdown);
            }
        }
    }

    fn sandbox_changed(&mut self, event: Option<sandbox::Event>) {
        match event {
            Some(sandbox::Event::Exited { name, status }) => {
                // What it wrote last explains why it went.
                self.drain_output();
                if name == RUNTIME {
                    self.cause.exit = Some(status);
                    self.apply(Event::RuntimeExited);
                } else if let Some(index) = self.extension_index(&name) {
                    self.cause.extension = Some(failure::extension_exit_text(status));
                    self.apply(Event::ExtensionExited(index));
                }
            }
            Some(sandbox::Event::SpawnFailed { name, errno, message }) => {
                let reason = failure::exec_error_text(errno, &message);
                if name == RUNTIME {
                    self.cause.launch = Some(PlatformError::launch(&self.spec.entrypoint.program, &reason));
                    self.apply(Event::LaunchFailed);
                } else if let Some(index) = self.extension_index(&name) {
                    self.cause.extension = Some(reason);
                    self.apply(Event::ExtensionLaunchFailed(index));
                }
            }
            Some(sandbox::Event::Emptied) => {
                self.drain_output();
                self.generation = None;
                self.parked = Parked::default();
                self.ending = None;
                self.log.end_subscribers();
                self.apply(Event::Emptied);
            }
            Some(sandbox::Event::Started { .. }) => {}
            Some(sandbox::Event::Lost) | None => {
                self.apply(Event::SandboxLost);
            }
        }
    }

    fn extension_index(&self, process: &str) -> Option<usize> {
        let name = extension_of(process)?;
        self.state.extensions.members().iter().position(|known| &*known.name == name)
    }

    fn read_output(&mut self, index: usize) -> bool {
        let Driver { generation, log, .. } = self;
        generation.as_mut().is_some_and(|generation| generation.read(index, log))
    }

    fn drain_output(&mut self) {
        let Driver { generation, log, .. } = self;
        if let Some(generation) = generation {
            generation.drain(log);
        }
    }
}

impl Init {
    fn begin(limited: bool) -> Self {
        use crate::logs::platform_event::Phase;
        Init {
            began: Instant::now(),
            phase: if limited { Phase::Init } else { Phase::Invoke },
            runtime_started: false,
            runtime_done: false,
            restore_began: None,
            unreported: None,
            unreported_restore: None,
        }
    }
}

/// A branch that is there only sometimes.
async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
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
