//! What a driver does when the rules ask for it.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::Delivery;
use firesteel_sandbox as sandbox;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Cause, Current, Driver, ENDING_LIMIT, GUEST_QUEUE, Init, MEMORY_SAMPLING, RUNTIME, Runtime};
use crate::billing::{self, Usage};
use crate::lifecycle::{Effect, Event, Failure, Finish, InitResult, State};
use crate::logs::capture::Capture;
use crate::logs::platform_event::{Phase, PlatformEvent, Report, RuntimeDone, Status};
use crate::outcome::{Account, Answer};
use crate::variables;

/// How old the memory figure of a REPORT may be. A reading is a tenth of what a warm invocation costs, so those that
/// follow each other within this time share one. Since no process can take and give back more than some
/// 20 MiB in it, and a peak is kept, what one REPORT may miss is little, and the next one has it.
const MEMORY_AGE: Duration = Duration::from_millis(5);

impl Driver {
    pub(super) fn perform(&mut self, effect: Effect) {
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
        self.sample_at = Some(now + MEMORY_SAMPLING);
        self.log.platform(&PlatformEvent::InitStart { phase: self.init.phase });
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
                availability_zone_id: self.spec.availability_zone_id(),
            },
            runtime_api::Surface::default(),
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
        self.log.platform(&PlatformEvent::InitReport { phase: self.init.phase, status, duration });
        self.log.close_subscriptions();
        // An init inside an invocation comes before the START of that invocation.
        if self.current.as_ref().is_some_and(|current| current.began.is_some() && !current.started) {
            self.write_start();
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
        self.sample_at = Some(now + MEMORY_SAMPLING);
        if !current.suppressed_init {
            self.write_start();
        }
    }

    fn write_start(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.started = true;
        let invocation = &current.admitted.order.invocation;
        self.log.begin_invocation();
        self.log.platform(&PlatformEvent::Start {
            request_id: invocation.request_id,
            function_arn: invocation.function_arn.clone(),
            trace: invocation.trace.clone(),
        });
    }

    fn deliver(&mut self) {
        let Some(current) = &self.current else { return };
        let invocation = &current.admitted.order.invocation;
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
        if let Some(caller) = current.admitted.order.answer.take() {
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
            && current.admitted.order.answer.is_none()
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
            self.account = current.admitted.order.account.take().map(|observer| (observer, account));
        }
        self.lease = Some(current.admitted.lease);
    }

    fn write_report(&mut self, current: &Current, began: Instant) -> Account {
        let request_id = current.admitted.order.invocation.request_id;
        let duration = began.elapsed();
        let init_duration = self.init.unreported.take();
        let capped_at =
            (current.suppressed_init && current.status == Status::Timeout).then_some(self.spec.timeout);
        let memory = self.sandbox.memory_within(MEMORY_AGE);
        let trace = &current.admitted.order.invocation.trace;
        let report = Report {
            request_id,
            status: current.status.clone(),
            duration,
            billed_ms: billing::billed_ms(Usage { duration, init: init_duration, capped_at }),
            memory_mib: self.spec.memory_mib,
            max_memory_used_mib: memory.peak_bytes.div_ceil(1024 * 1024),
            init_duration,
            restore: None,
            spans: vec![],
            trace: trace.clone(),
        };
        if let Some(error) = &current.failure {
            self.log.platform(&PlatformEvent::Failure { request_id, error: error.clone() });
        }
        self.log.platform(&PlatformEvent::RuntimeDone(RuntimeDone {
            request_id,
            status: current.status.clone(),
            duration,
            produced_bytes: None,
            spans: vec![],
            trace: trace.clone(),
        }));
        let billed_ms = report.billed_ms;
        let max_memory_used_mib = report.max_memory_used_mib;
        self.log.platform(&PlatformEvent::Report(report));
        Account { duration, billed_ms, max_memory_used_mib, init_duration, log_tail: self.log.tail() }
    }
}

fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
