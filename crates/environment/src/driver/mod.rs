//! The one task that drives one execution environment.
//!
//! ```text
//!  guest's calls ──┐
//!  commands ───────┤            ┌─► replies to the guest
//!  sandbox events ─┼─► step() ──┼─► answers and accounts to the caller
//!  log pipes ──────┤  (rules)   ├─► sandbox: spawn, end
//!  timer ──────────┘            └─► log lines, published state
//! ```
//!
//! Everything that can happen to an environment arrives here and is decided by [`lifecycle::step`]; this file
//! carries out the effects and owns what is not a rule: bodies, times, processes, pipes.
//!
//! Which goes first: a deadline that has passed, then the guest's calls (an answer that was posted before the
//! process ended counts), then commands, the sandbox, the logs. A guest that calls without pause cannot hold
//! its deadline off, because the deadline is looked at before every event.

mod effects;
mod failures;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{AnswerBody, Call, Delivery, Intake, Reply, ResponseMode};
use firesteel_sandbox as sandbox;
use firesteel_sandbox::Sandbox;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;
use uuid::Uuid;

use self::failures::{Cause, function_error, reported};
use crate::environment::{Command, Published};
use crate::failure::{self, PlatformError};
use crate::invocation::Admitted;
use crate::lifecycle::{self, Event, Refusal, State};
use crate::logs::capture::Capture;
use crate::logs::platform_event::{Phase, Status};
use crate::logs::{Log, Source};
use crate::outcome::{Account, Answer};
use crate::pool::lease::Lease;
use crate::spec::Spec;

/// The runtime's process, as the sandbox and `ps` know it.
const RUNTIME: &str = "runtime";

/// How long the kernel may take to end killed processes before the sandbox counts as broken.
const ENDING_LIMIT: Duration = Duration::from_secs(10);

/// How often memory is looked at while something runs. A child that lives for less is missed if its parent
/// lives on; more often would be felt.
const MEMORY_SAMPLING: Duration = Duration::from_millis(20);

/// Calls of the guest that wait to be judged; a guest that has more under way waits in its socket.
const GUEST_QUEUE: usize = 16;

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
    log: Log,
    metadata_token: String,
    /// The runtime that is running now; a new one gets new sockets and pipes, so that nothing an old one sent
    /// can be taken for it.
    runtime: Option<Runtime>,
    /// The `next` calls that wait. More than one only when a runtime lost its connection and asked again.
    parked: Vec<Reply<Delivery>>,
    /// The invocation that was accepted and is not over.
    current: Option<Current>,
    /// What the runtime posted, between the end of its body and [`Effect::Answer`].
    posted: Option<(Answer, Status)>,
    /// Why the last failure happened, in words; set before the event that reports it.
    cause: Cause,
    init: Init,
    timer: Option<(Instant, Event)>,
    /// While something runs: when memory is looked at next, for the sake of processes that come and go before
    /// REPORT.
    sample_at: Option<Instant>,
    /// Given back once the environment is at rest.
    lease: Option<Lease>,
    /// For whoever waits for REPORT; sent after the lease is given back.
    account: Option<(oneshot::Sender<Account>, Account)>,
}

/// One run of the runtime's process.
#[derive(Debug)]
struct Runtime {
    calls: mpsc::Receiver<Call>,
    capture: Capture,
    /// Ends the server of its Runtime API.
    _server: DropGuard,
}

#[derive(Debug)]
struct Current {
    admitted: Box<Admitted>,
    /// When its clock started.
    began: Option<Instant>,
    deadline_ms: u64,
    /// START was written.
    started: bool,
    /// An init ran inside it.
    suppressed_init: bool,
    /// What the runtime or the platform said of its end.
    status: Status,
    /// A failure found by the platform, told in the log before END.
    failure: Option<PlatformError>,
}

#[derive(Debug)]
struct Init {
    began: Instant,
    phase: Phase,
    /// A finished init phase, until the first invocation reports it.
    unreported: Option<Duration>,
}

/// What a driver is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) spec: Arc<Spec>,
    pub(crate) published: Arc<Published>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) sandbox: Sandbox,
    pub(crate) sandbox_events: sandbox::Events,
    pub(crate) log: Log,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { spec, published, commands, sandbox, sandbox_events, log } = parts;
        Driver {
            spec,
            state: State::New,
            published,
            commands: Some(commands),
            sandbox,
            sandbox_events,
            log,
            metadata_token: Uuid::new_v4().to_string(),
            runtime: None,
            parked: Vec::new(),
            current: None,
            posted: None,
            cause: Cause::default(),
            init: Init { began: Instant::now(), phase: Phase::Init, unreported: None },
            timer: None,
            sample_at: None,
            lease: None,
            account: None,
        }
    }

    /// Runs until the environment is over and all it held is gone.
    pub(crate) async fn run(mut self) {
        self.apply(Event::Start);
        let sleep = tokio::time::sleep_until(Instant::now());
        tokio::pin!(sleep);
        while self.state != State::Terminated {
            let timer = self.timer.map(|(at, _)| at);
            let wake_at = timer.into_iter().chain(self.sample_at).min();
            if let Some(at) = wake_at {
                // Moving the sleep costs; one that fires early is only looked at again.
                if sleep.is_elapsed() || sleep.deadline() > at {
                    sleep.as_mut().reset(at);
                }
                let now = Instant::now();
                if now >= at {
                    if timer.is_some_and(|at| now >= at) {
                        self.timer_fired();
                    } else {
                        self.sample_memory(now);
                    }
                    continue;
                }
            }
            let (calls, capture) = match &mut self.runtime {
                Some(runtime) => (Some(&mut runtime.calls), Some(&runtime.capture)),
                None => (None, None),
            };
            tokio::select! {
                biased;
                call = next_call(calls) => self.guest_called(call),
                command = next_command(self.commands.as_mut()) => self.commanded(command),
                event = self.sandbox_events.recv() => self.sandbox_changed(event),
                () = output_readable(capture) => self.read_output(),
                () = &mut sleep, if wake_at.is_some() => {}
            }
        }
        self.close().await;
    }

    async fn close(self) {
        drop(self.runtime);
        self.sandbox.close().await;
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
        if matches!(self.state, State::Idle | State::Cold | State::Terminated) {
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

    fn sample_memory(&mut self, now: Instant) {
        // The sandbox keeps the peak.
        let _ = self.sandbox.memory();
        self.sample_at = Some(now + MEMORY_SAMPLING);
    }

    fn timer_fired(&mut self) {
        if let Some((_, event)) = self.timer.take() {
            if event == Event::SandboxLost {
                tracing::error!(function = %self.spec.function_name, state = ?self.state, "a sandbox is given up");
            }
            self.apply(event);
        }
    }

    fn guest_called(&mut self, call: Option<Call>) {
        match call {
            Some(Call::Next { reply }) => {
                // A runtime that asks, goes away and asks again must not pile up calls that nobody waits for.
                self.parked.retain(|parked| !parked.is_closed());
                // In its place before the verdict, which may deliver to it.
                self.parked.push(reply);
                if let Err(refusal) = self.judge(Event::NextCalled)
                    && let Some(reply) = self.parked.pop()
                {
                    let _ = reply.send(Err(rendered(refusal)));
                }
            }
            Some(Call::AnswerBegun { answer, reply }) => {
                let id = Uuid::try_parse(&answer.request_id).ok();
                let kind = match answer.kind {
                    runtime_api::AnswerKind::Response { .. } => lifecycle::AnswerKind::Response,
                    runtime_api::AnswerKind::Error { .. } => lifecycle::AnswerKind::Error,
                };
                let verdict = self.judge(Event::AnswerBegun(id, kind)).map_err(rendered);
                let unknown_mode =
                    kind == lifecycle::AnswerKind::Response && answer.mode == ResponseMode::Unknown;
                if let (Ok(()), true, Some(id)) = (&verdict, unknown_mode, id) {
                    // Type in the log, nothing for the caller, as on AWS.
                    let (_, status) = self.platform_failure(&PlatformError::invalid_response_mode());
                    self.posted =
                        Some((function_error("Runtime.InvalidResponseModeHeader", Bytes::new()), status));
                    self.apply(Event::AnswerEnded(id));
                    let _ = reply.send(Err(runtime_api::Refusal::InvalidResponseMode));
                } else if let (Err(Ok(_)), Some(id)) = (reply.send(verdict.map(|()| Intake::Collect)), id) {
                    // The guest is gone, and with it the body that was asked for.
                    self.posted = Some(self.platform_failure(&PlatformError::truncated_response()));
                    self.apply(Event::AnswerEnded(id));
                }
            }
            Some(Call::AnswerEnded { request_id, body, reply }) => {
                self.answer_ended(&request_id, body, reply);
            }
            Some(Call::InitError { report, reply }) => {
                self.cause.init_error = Some(report);
                let verdict = self.judge(Event::InitErrorPosted).map_err(rendered);
                let _ = reply.send(verdict);
            }
            Some(
                Call::RestoreNext { .. }
                | Call::RestoreError { .. }
                | Call::Register { .. }
                | Call::ExtensionNext { .. }
                | Call::ExtensionError { .. }
                | Call::Subscribe { .. },
            ) => {}
            // Its server ended: it does so only with the runtime.
            None => self.runtime = None,
        }
    }

    fn answer_ended(&mut self, request_id: &str, body: AnswerBody, reply: Reply<()>) {
        let (posted, on_success) = match body {
            AnswerBody::Response { content_type, body, stream_error: None } => {
                ((Answer::Response { content_type, payload: body }, Status::Success), Ok(()))
            }
            // A caller that does not stream gets a stream's late failure instead of what came before it.
            AnswerBody::Response { stream_error: Some(error), .. } => {
                (reported(error.error_type, "application/json".into(), error.error_body), Ok(()))
            }
            AnswerBody::Error(report) => {
                (reported(report.error_type, report.content_type, report.body), Ok(()))
            }
            AnswerBody::TooLarge { .. } => (
                self.platform_failure(&PlatformError::response_too_large()),
                Err(runtime_api::Refusal::TooLarge),
            ),
            AnswerBody::Forwarded { .. } | AnswerBody::Truncated => (
                self.platform_failure(&PlatformError::truncated_response()),
                Err(runtime_api::Refusal::Truncated),
            ),
        };
        let verdict = match Uuid::try_parse(request_id) {
            Ok(id) => {
                self.posted = Some(posted);
                self.judge(Event::AnswerEnded(id)).map_err(rendered).and(on_success)
            }
            Err(_) => Err(runtime_api::Refusal::InvalidRequestId),
        };
        self.posted = None;
        let _ = reply.send(verdict);
    }

    fn commanded(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Invoke(admitted)) => {
                let id = admitted.order.invocation.request_id;
                if self.current.is_none() && self.state.takes_invocation() {
                    self.current = Some(Current {
                        admitted,
                        began: None,
                        deadline_ms: 0,
                        started: false,
                        suppressed_init: false,
                        status: Status::Success,
                        failure: None,
                    });
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
            Some(sandbox::Event::Exited { name, status }) if name == RUNTIME => {
                self.cause.exit = Some(status);
                // What it wrote last explains why it went.
                self.drain_output();
                self.apply(Event::RuntimeExited);
            }
            Some(sandbox::Event::SpawnFailed { name, errno, message }) if name == RUNTIME => {
                let reason = failure::exec_error_text(errno, &message);
                self.cause.launch = Some(PlatformError::launch(&self.spec.entrypoint.program, &reason));
                self.apply(Event::LaunchFailed);
            }
            Some(sandbox::Event::Emptied) => {
                self.drain_output();
                self.runtime = None;
                self.parked.clear();
                self.apply(Event::Emptied);
            }
            Some(
                sandbox::Event::Started { .. }
                | sandbox::Event::Exited { .. }
                | sandbox::Event::SpawnFailed { .. },
            ) => {}
            Some(sandbox::Event::Lost) | None => {
                self.apply(Event::SandboxLost);
            }
        }
    }

    fn read_output(&mut self) {
        let Driver { runtime, log, .. } = self;
        if let Some(runtime) = runtime {
            runtime.capture.read(|line| log.line(Source::Function, line));
        }
    }

    fn drain_output(&mut self) {
        let Driver { runtime, log, .. } = self;
        if let Some(runtime) = runtime {
            runtime.capture.drain(|line| log.line(Source::Function, line));
        }
    }
}

async fn next_call(calls: Option<&mut mpsc::Receiver<Call>>) -> Option<Call> {
    match calls {
        Some(calls) => calls.recv().await,
        None => std::future::pending().await,
    }
}

async fn next_command(commands: Option<&mut mpsc::Receiver<Command>>) -> Option<Command> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

async fn output_readable(capture: Option<&Capture>) {
    match capture {
        Some(capture) => capture.readable().await,
        None => std::future::pending().await,
    }
}

fn rendered(refusal: Refusal) -> runtime_api::Refusal {
    match refusal {
        Refusal::InvalidRequestId => runtime_api::Refusal::InvalidRequestId,
        Refusal::Transition { from, to } => runtime_api::Refusal::Transition { from, to },
        Refusal::Busy | Refusal::Irrelevant => runtime_api::Refusal::Platform,
    }
}
