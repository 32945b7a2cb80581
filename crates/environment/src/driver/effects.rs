//! What a driver does when the rules ask for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firesteel_runtime_api::{Delivery, ExtensionEvent};
use firesteel_sandbox as sandbox;
use tokio::time::Instant;

use super::current::Current;
use super::failures::Cause;
use super::generation::{Generation, RUNTIME, process_of};
use super::{Driver, ENDING_LIMIT, EndingClock, FREEZE_AFTER, Init, MEMORY_SAMPLING, Parked, Rest};
use crate::billing::{self, Usage};
use crate::lifecycle::ending::{Action, Budget};
use crate::lifecycle::extensions::{Index, MAX_EXTENSIONS, Stage};
use crate::lifecycle::{Effect, Event, Failure, Finish, InitResult, Phase as LifePhase};
use crate::logs::platform_event::{Phase, PlatformEvent, Report, RestoreDurations, Status};
use crate::outcome::Account;

/// How old the memory figure of a REPORT may be. A reading is a tenth of what a warm invocation costs, so those that
/// follow each other within this time share one. Since no process can take and give back more than some
/// 20 MiB in it, and a peak is kept, what one REPORT may miss is little, and the next one has it.
const MEMORY_AGE: Duration = Duration::from_millis(5);

/// How long a runtime's hooks after a restore may take (AWS: "snapstart-runtime-hooks").
const RESTORE_LIMIT: Duration = Duration::from_secs(10);

/// How long an extension may wait for its SHUTDOWN while telemetry is on its way to it.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

impl Driver {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::BeginInit { limited } => self.begin_init(limited),
            Effect::StartExtensions => self.start_extensions(),
            Effect::StartRuntime => self.start_runtime(),
            Effect::RuntimeInitialized => self.runtime_initialized(&Status::Success),
            Effect::InitEnded(result) => self.init_ended(result),
            Effect::ReleaseRestore { limited } => self.release_restore(limited),
            Effect::RestoreEnded(result) => self.restore_ended(result),
            Effect::BeginInvocation(_) => self.begin_invocation(),
            Effect::DeliverToExtension(index, _) => self.deliver_to_extension(index),
            Effect::Deliver(_) => self.deliver(),
            // Done when the call came.
            Effect::Park => {}
            Effect::Answer(_) => self.pass_on(),
            Effect::Fail(id, failure) => {
                let (answer, status) = self.failure_answer(id, failure);
                self.answer(answer, status);
            }
            Effect::RuntimeDone(_) => {
                // What it wrote before it asked is this invocation's.
                self.drain_output();
                if let Some(current) = &mut self.current {
                    current.times.runtime_done();
                    let status = current.status.clone();
                    self.tell_runtime_done(status);
                }
            }
            Effect::Finish(_, finish) => self.finish(finish),
            Effect::Rest => self.rest = Rest::Dozing { until: Instant::now() + FREEZE_AFTER },
            Effect::Wake => self.thaw(),
            Effect::End(action) => self.end(action),
            Effect::CloseSandbox => {}
        }
    }

    fn begin_init(&mut self, limited: bool) {
        self.init = Init::begin(limited);
        self.cause = Cause::default();
        self.parked = Parked::default();
        self.sample_at = Some(self.init.began + MEMORY_SAMPLING);
        self.log.platform(&PlatformEvent::InitStart { phase: self.init.phase });
        if limited {
            self.timer = Some((self.init.began + self.spec.init_limit, Event::InitDeadlinePassed));
        }
        match Generation::open(&self.spec, &self.metadata_token) {
            Ok(generation) => self.generation = Some(generation),
            Err(error) => self.cannot_start("a port", &error),
        }
    }

    fn start_extensions(&mut self) {
        let Driver { generation, state, sandbox, spec, metadata_token, opt, .. } = self;
        let Some(generation) = generation else { return };
        let mut to_start =
            state.extensions.members().iter().filter(|extension| extension.stage == Stage::Started);
        let started = to_start.try_for_each(|extension| {
            generation.start_extension(sandbox, spec, metadata_token, opt, &extension.name)
        });
        if let Err(error) = started {
            self.cannot_start("an extension", &error);
        }
    }

    fn start_runtime(&mut self) {
        self.init.runtime_started = true;
        let Some(generation) = &mut self.generation else { return };
        let stream = self.log.stream();
        let started = generation.start_runtime(&self.sandbox, &self.spec, &self.metadata_token, stream);
        if let Err(error) = started {
            self.cannot_start("a runtime", &error);
        }
    }

    fn cannot_start(&mut self, what: &str, error: &std::io::Error) {
        tracing::error!(%error, what, function = %self.spec.function_name, "sockets and pipes cannot be had");
        // Judged when the present step is over.
        self.timer = Some((Instant::now(), Event::SandboxLost));
    }

    fn runtime_initialized(&mut self, status: &Status) {
        self.drain_output();
        self.init.runtime_done = true;
        let status = status.clone();
        self.log.platform(&PlatformEvent::InitRuntimeDone { phase: self.init.phase, status });
    }

    fn init_ended(&mut self, result: InitResult) {
        let duration = self.init.began.elapsed();
        self.drain_output();
        let status = match result {
            InitResult::Succeeded => {
                if self.init.phase == Phase::Init {
                    self.timer = None;
                    self.init.unreported = Some(duration);
                }
                Status::Success
            }
            InitResult::Failed(failure) => {
                let status = self.init_failure_status(failure);
                if self.init.runtime_started && !self.init.runtime_done {
                    self.runtime_initialized(&status);
                }
                status
            }
        };
        self.tell_extensions();
        self.log.platform(&PlatformEvent::InitReport { phase: self.init.phase, status, duration });
        self.log.close_subscriptions();
        // An init inside an invocation comes before the START of that invocation.
        self.write_late_start();
    }

    fn tell_extensions(&mut self) {
        for (index, extension) in self.state.extensions.members().iter().enumerate() {
            let error_type = match extension.stage {
                Stage::LaunchError if index >= MAX_EXTENSIONS => Some("TooManyExtensions".to_owned()),
                Stage::LaunchError => Some(match self.cause.extension.as_deref() {
                    Some("permission denied") => "PermissionDenied".to_owned(),
                    _ => "UnknownError".to_owned(),
                }),
                _ => self.cause.extension_errors.get(&index).cloned(),
            };
            // By name, as AWS sorts them.
            let events = [("INVOKE", extension.invoke), ("SHUTDOWN", extension.shutdown)];
            self.log.platform(&PlatformEvent::Extension {
                name: extension.name.to_string(),
                state: extension.stage.name(),
                events: events.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect(),
                error_type,
            });
        }
    }

    fn release_restore(&mut self, limited: bool) {
        let now = Instant::now();
        self.init.restore_began = Some(now);
        // It went into the snapshot, so to speak, and is no part of the invocation that follows.
        self.init.unreported = None;
        if limited {
            self.timer = Some((now + RESTORE_LIMIT, Event::RestoreDeadlinePassed));
        }
        self.log.platform(&PlatformEvent::RestoreStart);
        for reply in self.parked.restore.drain(..) {
            let _ = reply.send(Ok(()));
        }
    }

    fn restore_ended(&mut self, result: InitResult) {
        let duration = self.init.restore_began.take().map(|began| began.elapsed()).unwrap_or_default();
        self.drain_output();
        let status = match result {
            InitResult::Succeeded => {
                if self.init.phase == Phase::Init {
                    self.timer = None;
                }
                let billed_ms = billing::whole_ms(duration);
                self.init.unreported_restore = Some(RestoreDurations { duration, billed_ms });
                Status::Success
            }
            InitResult::Failed(failure) => self.init_failure_status(failure),
        };
        self.log.platform(&PlatformEvent::RestoreRuntimeDone { status: status.clone() });
        self.log.platform(&PlatformEvent::RestoreReport { status, duration });
        self.write_late_start();
    }

    fn begin_invocation(&mut self) {
        let Some(current) = &mut self.current else { return };
        let now = Instant::now();
        // The one place where an invocation's deadline is taken; the guest's and ours are the same moment.
        current.began = Some(now);
        current.deadline_ms = epoch_ms(SystemTime::now() + self.spec.timeout);
        current.suppressed_init = !matches!(self.state.phase, LifePhase::Invoking(_));
        self.timer = Some((now + self.spec.timeout, Event::InvokeDeadlinePassed));
        self.sample_at = Some(now + MEMORY_SAMPLING);
        if !current.suppressed_init {
            self.write_start();
        }
    }

    /// START of an invocation that has an init inside it, once that is over.
    fn write_late_start(&mut self) {
        let restoring = matches!(
            self.state.phase,
            LifePhase::Initializing(crate::lifecycle::Initializing {
                stage: crate::lifecycle::InitStage::Restoring,
                ..
            })
        );
        let is_due = |current: &Current| current.began.is_some() && !current.started;
        if !restoring && self.current.as_ref().is_some_and(is_due) {
            self.write_start();
        }
    }

    fn write_start(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.started = true;
        let invocation = current.invocation();
        let start = PlatformEvent::Start {
            request_id: invocation.request_id,
            function_arn: invocation.function_arn.clone(),
            trace: invocation.trace.clone(),
        };
        self.log.begin_invocation();
        self.log.platform(&start);
    }

    fn deliver_to_extension(&mut self, index: Index) {
        let Some(current) = &self.current else { return };
        let invocation = current.invocation();
        let event = ExtensionEvent::Invoke {
            deadline_ms: current.deadline_ms,
            request_id: invocation.request_id.to_string(),
            function_arn: invocation.function_arn.clone(),
            trace: Some(invocation.trace.clone()),
        };
        if let Some(reply) = self.parked_extension(index) {
            let _ = reply.send(Ok(event));
        }
    }

    fn parked_extension(&mut self, index: Index) -> Option<firesteel_runtime_api::Reply<ExtensionEvent>> {
        self.parked.extensions.get_mut(index)?.take()
    }

    fn deliver(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.times.delivered();
        let invocation = current.invocation();
        for reply in self.parked.next.drain(..) {
            // To every call that waits: of two, one belongs to a connection that was lost, and which one
            // cannot be told.
            let _ = reply.send(Ok(Delivery {
                request_id: invocation.request_id.to_string(),
                invocation_id: Some(current.invocation_id.to_string()),
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

    fn tell_runtime_done(&mut self, status: Status) {
        let Some(current) = &self.current else { return };
        if current.started && self.log.tells_runtime_done() {
            let report = current.times.runtime_report(current.invocation(), status);
            self.log.platform(&PlatformEvent::RuntimeDone(report));
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.drain_output();
        let Some(current) = &mut self.current else { return };
        if let Finish::Failed(failure) = finish
            && current.answered()
            && current.failure.is_none()
        {
            // The runtime answered before it failed, or the failure was its answer.
            let error = self.platform_error(failure);
            if let Some(current) = &mut self.current {
                match (failure, &error) {
                    (Failure::TimedOut, _) => current.status = Status::Timeout,
                    (_, Some(error)) => current.status = Status::Error(error.error_type.into()),
                    (_, None) => {}
                }
                current.failure = error;
            }
        }
        let Some(current) = &self.current else { return };
        if !current.times.runtime_is_done() {
            let status = current.status.clone();
            self.tell_runtime_done(status);
        }
        let Some(mut current) = self.current.take() else { return };
        if let (true, Some(began)) = (current.started, current.began) {
            let account = self.write_report(&current, began);
            self.account = current.admitted.order.account.take().map(|observer| (observer, account));
        }
        self.lease = Some(current.admitted.lease);
    }

    fn write_report(&mut self, current: &Current, began: Instant) -> Account {
        let invocation = current.invocation();
        let duration = began.elapsed();
        let init_duration = self.init.unreported.take();
        let restore = self.init.unreported_restore.take();
        let capped_at =
            (current.suppressed_init && current.status == Status::Timeout).then_some(self.spec.timeout);
        let usage = Usage {
            duration,
            init: init_duration.filter(|_| self.spec.initialization.bills_init()),
            restore_billed_ms: restore.map_or(0, |restore| restore.billed_ms),
            capped_at,
        };
        let memory = self.sandbox.memory_within(MEMORY_AGE);
        let has_extensions = !self.state.extensions.members().is_empty();
        let report = Report {
            request_id: invocation.request_id,
            status: current.status.clone(),
            duration,
            billed_ms: billing::billed_ms(usage),
            memory_mib: self.spec.memory_mib,
            max_memory_used_mib: memory.peak_bytes.div_ceil(1024 * 1024),
            init_duration,
            restore,
            spans: has_extensions.then(|| current.times.extension_overhead()).flatten().into_iter().collect(),
            trace: invocation.trace.clone(),
        };
        if let Some(error) = &current.failure {
            let request_id = invocation.request_id;
            self.log.platform(&PlatformEvent::Failure { request_id, error: error.clone() });
        }
        let (billed_ms, max_memory_used_mib) = (report.billed_ms, report.max_memory_used_mib);
        self.log.platform(&PlatformEvent::Report(report));
        Account { duration, billed_ms, max_memory_used_mib, init_duration, log_tail: self.log.tail() }
    }

    fn end(&mut self, action: Action) {
        let now = Instant::now();
        match action {
            Action::Begin(budget) => {
                let deadline_ms = epoch_ms(SystemTime::now() + budget.total);
                self.ending = Some(EndingClock { budget, deadline: now + budget.total, deadline_ms });
                self.timer = Some((now + budget.runtime, Event::EndingTimeUp));
            }
            Action::TerminateRuntime => self.signal(RUNTIME, sandbox::Signal::Terminate),
            Action::KillRuntime => self.signal(RUNTIME, sandbox::Signal::Kill),
            Action::KillExtension(index) => {
                if let Some(extension) = self.state.extensions.members().get(index) {
                    self.signal(&process_of(&extension.name), sandbox::Signal::Kill);
                }
            }
            Action::AwaitExtensions => {
                if let Some(ending) = &self.ending {
                    self.timer = Some((ending.deadline, Event::EndingTimeUp));
                }
            }
            Action::TellExtension(index) => self.tell_of_shutdown(index),
            Action::KillAll => {
                self.timer = Some((now + ENDING_LIMIT, Event::SandboxLost));
                if let Err(error) = self.sandbox.end_all() {
                    // The timer, or the event that the sandbox is lost, goes on from here.
                    tracing::warn!(%error, "the processes of an environment could not be ended in order");
                }
            }
        }
    }

    /// SHUTDOWN, once the telemetry of what came before it has arrived: an extension may exit at once.
    fn tell_of_shutdown(&mut self, index: Index) {
        let Some(EndingClock { budget: Budget { reason, .. }, deadline_ms, .. }) = &self.ending else {
            return;
        };
        let event = ExtensionEvent::Shutdown { reason: *reason, deadline_ms: *deadline_ms };
        let Some(reply) = self.parked_extension(index) else { return };
        let flushed = self.log.flush_subscribers();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(FLUSH_LIMIT, flushed).await;
            let _ = reply.send(Ok(event));
        });
    }

    fn signal(&self, process: &str, signal: sandbox::Signal) {
        if let Err(error) = self.sandbox.signal(process, signal) {
            // Its time runs out all the same, and then everything is killed.
            tracing::warn!(%error, process, "a process could not be signalled");
        }
    }
}

fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
