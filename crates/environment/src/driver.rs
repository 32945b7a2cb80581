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

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::{AnswerBody, Call, Delivery, ErrorReport, Reply, ResponseMode};
use firesteel_sandbox as sandbox;
use firesteel_sandbox::{Exit, Sandbox};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::billing::{self, Usage};
use crate::environment::{Admitted, Command};
use crate::failure::{self, PlatformError};
use crate::lifecycle::{self, Effect, Event, Failure, Finish, InitResult, Refusal, State};
use crate::logs::capture::Capture;
use crate::logs::platform_line::{self, Phase, Report, Status};
use crate::logs::{Log, Source};
use crate::outcome::{Account, Answer};
use crate::pool::Lease;
use crate::spec::Spec;
use crate::variables;

/// The runtime's process, as the sandbox and `ps` know it.
const RUNTIME: &str = "runtime";

/// How long the kernel may take to end killed processes before the sandbox counts as broken.
const ENDING_LIMIT: Duration = Duration::from_secs(10);

/// Calls of the guest that wait to be judged; a guest that has more under way waits in its socket.
const GUEST_QUEUE: usize = 16;

/// Everything one environment holds.
#[derive(Debug)]
pub(crate) struct Driver {
    spec: Arc<Spec>,
    state: State,
    published: watch::Sender<State>,
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

#[derive(Debug, Default)]
struct Cause {
    exit: Option<Exit>,
    launch: Option<PlatformError>,
    init_error: Option<ErrorReport>,
}

/// What a driver is made from.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) spec: Arc<Spec>,
    pub(crate) published: watch::Sender<State>,
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
            if let Some((at, _)) = self.timer {
                // Moving the sleep costs; one that fires early is only looked at again.
                if sleep.is_elapsed() || sleep.deadline() > at {
                    sleep.as_mut().reset(at);
                }
                if Instant::now() >= at {
                    self.timer_fired();
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
                () = &mut sleep, if self.timer.is_some() => {}
            }
        }
        self.close().await;
    }

    async fn close(self) {
        drop(self.runtime);
        self.sandbox.close().await;
    }

    /// Judges an event and carries out what follows. False if it was refused.
    fn apply(&mut self, event: Event) -> bool {
        self.judge(event).is_ok()
    }

    fn judge(&mut self, event: Event) -> Result<(), Refusal> {
        let (next, effects) = lifecycle::step(&self.state, event)?;
        self.state = next;
        for effect in effects {
            self.perform(effect);
        }
        self.published.send_replace(self.state);
        if matches!(self.state, State::Idle | State::Cold | State::Terminated) {
            self.timer = None;
            // After the state was published: whoever gets the lease finds the environment ready.
            self.lease = None;
        }
        if let Some((observer, account)) = self.account.take() {
            // A caller who waited for the log and comes again finds the environment idle.
            drop(observer.send(account));
        }
        Ok(())
    }

    fn timer_fired(&mut self) {
        if let Some((_, event)) = self.timer.take() {
            if event == Event::SandboxLost {
                tracing::error!(function = %self.spec.function_name, "killed processes do not end; giving their sandbox up");
            }
            self.apply(event);
        }
    }

    // What arrives ------------------------------------------------------------------------------------

    fn guest_called(&mut self, call: Option<Call>) {
        match call {
            Some(Call::Next { reply }) => {
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
                    self.posted = Some(self.platform_failure(PlatformError::invalid_response_mode()));
                    self.apply(Event::AnswerEnded(id));
                    let _ = reply.send(Err(runtime_api::Refusal::InvalidResponseMode));
                } else if let (Err(Ok(())), Some(id)) = (reply.send(verdict), id) {
                    // The guest is gone, and with it the body that was asked for.
                    self.posted = Some(self.platform_failure(PlatformError::truncated_response()));
                    self.apply(Event::AnswerEnded(id));
                }
            }
            Some(Call::AnswerEnded { request_id, body, reply }) => {
                self.answer_ended(&request_id, body, reply)
            }
            Some(Call::InitError { report, reply }) => {
                self.cause.init_error = Some(report);
                let verdict = self.judge(Event::InitErrorPosted).map_err(rendered);
                let _ = reply.send(verdict);
            }
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
                self.platform_failure(PlatformError::response_too_large()),
                Err(runtime_api::Refusal::TooLarge),
            ),
            AnswerBody::Truncated => (
                self.platform_failure(PlatformError::truncated_response()),
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
                let id = admitted.invocation.request_id;
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

    // What follows ------------------------------------------------------------------------------------

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::StartRuntime { limited } => self.start_runtime(limited),
            Effect::InitEnded(result) => self.init_ended(result),
            Effect::BeginInvocation(_) => self.begin_invocation(),
            Effect::Deliver(_) => self.deliver(),
            // Done when the call came.
            Effect::Park => {}
            Effect::Answer(_) => {
                if let Some((answer, status)) = self.posted.take() {
                    self.answer(answer, status);
                }
            }
            Effect::Fail(id, failure) => {
                let (answer, status) = self.failure_answer(id, failure);
                self.answer(answer, status);
            }
            Effect::Finish(_, finish) => self.finish(finish),
            Effect::EndProcesses => {
                self.timer = Some((Instant::now() + ENDING_LIMIT, Event::SandboxLost));
                if let Err(error) = self.sandbox.end_all() {
                    // The timer, or the event that the sandbox is lost, goes on from here.
                    tracing::warn!(%error, "the processes of an environment could not be ended in order");
                }
            }
            Effect::CloseSandbox => {}
        }
    }

    fn start_runtime(&mut self, limited: bool) {
        let now = Instant::now();
        self.init =
            Init { began: now, phase: if limited { Phase::Init } else { Phase::Invoke }, unreported: None };
        self.cause = Cause::default();
        self.log.write(
            Source::Platform,
            platform_line::init_start(&self.spec, self.log.stream(), self.init.phase).as_bytes(),
        );
        if limited {
            self.timer = Some((now + self.spec.init_limit, Event::InitDeadlinePassed));
        }
        if let Err(error) = self.launch_runtime() {
            tracing::error!(%error, function = %self.spec.function_name, "a runtime could not be given its sockets and pipes");
            // Judged when the present step is over.
            self.timer = Some((now, Event::SandboxLost));
        }
    }

    fn launch_runtime(&mut self) -> std::io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let runtime_api = listener.local_addr()?.to_string();
        let (capture, writers) = Capture::new()?;
        let variables = variables::of_runtime(
            &self.spec,
            &variables::Local {
                runtime_api: &runtime_api,
                metadata_token: &self.metadata_token,
                log_stream: self.log.stream(),
            },
        );
        let (calls_sender, calls) = mpsc::channel(GUEST_QUEUE);
        let shutdown = CancellationToken::new();
        tokio::spawn(runtime_api::serve(
            tokio::net::TcpListener::from_std(listener)?,
            calls_sender,
            runtime_api::Metadata {
                token: self.metadata_token.clone(),
                availability_zone_id: availability_zone_id(&self.spec.region),
            },
            shutdown.clone(),
        ));
        let process = sandbox::Process {
            program: sandbox::Program {
                name: RUNTIME.into(),
                program: self.spec.entrypoint.program.clone(),
                arguments: self.spec.entrypoint.arguments.clone(),
                variables,
                working_dir: self.spec.task_root.clone(),
            },
            stdout: writers.stdout,
            stderr: writers.stderr,
        };
        self.sandbox.spawn(process).map_err(std::io::Error::other)?;
        self.runtime = Some(Runtime { calls, capture, _server: shutdown.drop_guard() });
        Ok(())
    }

    fn init_ended(&mut self, result: InitResult) {
        let duration = self.init.began.elapsed();
        let status = match result {
            InitResult::Succeeded => {
                if self.init.phase == Phase::Init {
                    self.timer = None;
                    self.init.unreported = Some(duration);
                }
                Status::Success
            }
            InitResult::Failed(failure) => {
                self.drain_output();
                self.init_failure_status(failure)
            }
        };
        if let Some(line) = platform_line::init_report(&self.spec, self.init.phase, duration, &status) {
            self.log.write(Source::Platform, line.as_bytes());
        }
        // An init inside an invocation comes before the START of that invocation.
        if self.current.as_ref().is_some_and(|current| current.began.is_some() && !current.started) {
            self.write_start();
        }
    }

    fn init_failure_status(&self, failure: Failure) -> Status {
        match (failure, &self.cause.init_error) {
            (Failure::InitError, Some(report)) => Status::Error(report.error_type.clone()),
            (Failure::TimedOut, _) => Status::Timeout,
            _ => match self.platform_error(failure) {
                Some(error) => Status::Error(error.error_type.into()),
                None => Status::Error("Sandbox.Failure".into()),
            },
        }
    }

    fn begin_invocation(&mut self) {
        let Some(current) = &mut self.current else { return };
        let now = Instant::now();
        // The one place where an invocation's deadline is taken; the guest's and ours are the same moment.
        current.began = Some(now);
        current.deadline_ms = epoch_ms(SystemTime::now() + self.spec.timeout);
        current.suppressed_init = !matches!(self.state, State::Invoking(_));
        self.timer = Some((now + self.spec.timeout, Event::InvokeDeadlinePassed));
        if !current.suppressed_init {
            self.write_start();
        }
    }

    fn write_start(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.started = true;
        let invocation = &current.admitted.invocation;
        let line = platform_line::start(&self.spec, invocation.request_id, &invocation.trace);
        self.log.begin_invocation();
        self.log.write(Source::Platform, line.as_bytes());
    }

    fn deliver(&mut self) {
        let Some(current) = &self.current else { return };
        let invocation = &current.admitted.invocation;
        for reply in self.parked.drain(..) {
            // To every call that waits: of two, one belongs to a connection that was lost, and which one
            // cannot be told.
            let _ = reply.send(Ok(Delivery {
                request_id: invocation.request_id.to_string(),
                invocation_id: None,
                deadline_ms: current.deadline_ms,
                function_arn: invocation.function_arn.clone(),
                trace_id: Some(invocation.trace.clone()),
                client_context: invocation.client_context.clone(),
                cognito_identity: None,
                tenant_id: None,
                content_type: invocation.content_type.clone(),
                payload: invocation.payload.clone(),
            }));
        }
    }

    fn answer(&mut self, answer: Answer, status: Status) {
        let Some(current) = &mut self.current else { return };
        current.status = status;
        current.admitted.lease.answered();
        if let Some(caller) = current.admitted.answer.take() {
            // A caller that went away does not end the invocation.
            drop(caller.send(answer));
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.drain_output();
        let Some(mut current) = self.current.take() else {
            return;
        };
        if let Finish::Failed(failure) = finish
            && current.admitted.answer.is_none()
            && current.failure.is_none()
        {
            // The runtime answered before it failed, or the failure was its answer.
            current.failure = self.platform_error(failure);
            current.status = match (failure, &current.failure) {
                (Failure::TimedOut, _) => Status::Timeout,
                (_, Some(error)) => Status::Error(error.error_type.into()),
                (_, None) => current.status,
            };
        }
        if let (true, Some(began)) = (current.started, current.began) {
            let account = self.write_report(&current, began);
            self.account = current.admitted.account.take().map(|observer| (observer, account));
        }
        self.lease = Some(current.admitted.lease);
    }

    fn write_report(&mut self, current: &Current, began: Instant) -> Account {
        let request_id = current.admitted.invocation.request_id;
        let duration = began.elapsed();
        let init_duration = self.init.unreported.take();
        let capped_at =
            (current.suppressed_init && current.status == Status::Timeout).then_some(self.spec.timeout);
        let memory = self.sandbox.memory();
        let report = Report {
            request_id,
            duration,
            billed_ms: billing::billed_ms(Usage { duration, init: init_duration, capped_at }),
            memory_mib: self.spec.memory_mib,
            max_memory_used_mib: memory.peak_bytes.div_ceil(1024 * 1024),
            init_duration,
            status: current.status.clone(),
        };
        if let Some(failure) = &current.failure {
            for line in platform_line::failure(&self.spec, request_id, failure) {
                self.log.write(Source::Platform, line.as_bytes());
            }
        }
        if let Some(line) = platform_line::end(&self.spec, &report) {
            self.log.write(Source::Platform, line.as_bytes());
        }
        self.log.write(Source::Platform, platform_line::report(&self.spec, &report).as_bytes());
        Account {
            duration,
            billed_ms: report.billed_ms,
            max_memory_used_mib: report.max_memory_used_mib,
            init_duration,
            log_tail: self.log.tail(),
        }
    }

    // Failures ----------------------------------------------------------------------------------------

    /// The platform's name and words for a failure; none where the runtime found its own.
    fn platform_error(&self, failure: Failure) -> Option<PlatformError> {
        match failure {
            Failure::Exited => Some(PlatformError::exited(self.cause.exit.unwrap_or(Exit::Code(0)))),
            Failure::Launch => self.cause.launch.clone(),
            Failure::TimedOut => Some(PlatformError::timed_out(self.spec.timeout)),
            Failure::InitError | Failure::Sandbox => None,
        }
    }

    fn failure_answer(&mut self, id: Uuid, failure: Failure) -> (Answer, Status) {
        if let (Failure::InitError, Some(report)) = (failure, self.cause.init_error.take()) {
            let status = Status::Error(report.error_type.clone());
            return (reported(report.error_type, report.content_type, report.body).0, status);
        }
        match self.platform_error(failure) {
            Some(error) => {
                let status = match failure {
                    Failure::TimedOut => Status::Timeout,
                    _ => Status::Error(error.error_type.into()),
                };
                let answer = function_error(error.error_type, error.payload(id));
                if let Some(current) = &mut self.current {
                    current.failure = Some(error);
                }
                (answer, status)
            }
            None => (
                Answer::PlatformFailed { reason: "the execution environment was ended".into() },
                Status::Error("Sandbox.Failure".into()),
            ),
        }
    }

    /// The answer to a post that the platform cannot pass on.
    fn platform_failure(&self, error: PlatformError) -> (Answer, Status) {
        let id = self.current.as_ref().map_or(Uuid::nil(), |current| current.admitted.invocation.request_id);
        (function_error(error.error_type, error.payload(id)), Status::Error(error.error_type.into()))
    }

    // Output ------------------------------------------------------------------------------------------

    fn read_output(&mut self) {
        let Driver { runtime, log, .. } = self;
        if let Some(runtime) = runtime {
            runtime.capture.read(|line| log.write(Source::Function, line));
        }
    }

    fn drain_output(&mut self) {
        let Driver { runtime, log, .. } = self;
        if let Some(runtime) = runtime {
            runtime.capture.drain(|line| log.write(Source::Function, line));
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

fn reported(error_type: String, content_type: String, payload: Bytes) -> (Answer, Status) {
    let content_type = if content_type.is_empty() { "application/json".into() } else { content_type };
    let status = Status::Reported(error_type.clone());
    (Answer::FunctionError { error_type, content_type, payload }, status)
}

fn function_error(error_type: &str, payload: Bytes) -> Answer {
    Answer::FunctionError { error_type: error_type.into(), content_type: "application/json".into(), payload }
}

fn rendered(refusal: Refusal) -> runtime_api::Refusal {
    match refusal {
        Refusal::InvalidRequestId => runtime_api::Refusal::InvalidRequestId,
        Refusal::Transition { from, to } => runtime_api::Refusal::Transition { from, to },
        Refusal::Busy | Refusal::Irrelevant => runtime_api::Refusal::Platform,
    }
}

/// Such as `use1-az1` for `us-east-1`: area and number keep their letters, the direction its first ones.
fn availability_zone_id(region: &str) -> String {
    let mut parts = region.split('-');
    let area = parts.next().unwrap_or_default();
    let direction: String = match parts.next().unwrap_or_default() {
        "northeast" => "ne".into(),
        "northwest" => "nw".into(),
        "southeast" => "se".into(),
        "southwest" => "sw".into(),
        other => other.chars().take(1).collect(),
    };
    format!("{area}{direction}{}-az1", parts.next().unwrap_or_default())
}

fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
