//! What a driver does when the rules ask for it.

use std::time::Duration;

use firesteel_runtime_api::{ErrorReport, ExtensionEvent};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Driver, MEMORY_SAMPLING, Parked, Rest, Restore};
use crate::billing::{self, Usage};
use crate::current::Current;
use crate::lifecycle::extensions::Index;
use crate::lifecycle::{
    Effect, Event, Failure, Finish, InitResult, InitStage, Initializing, Phase as LifePhase,
};
use crate::logs::platform_event::{Phase, PlatformEvent, Report, RestoreDurations, Status};
use crate::outcome::{Account, Answer};
use crate::processes::EXIT_LIMIT;

/// How long a runtime's hooks after a restore may take (AWS: "snapstart-runtime-hooks").
const RESTORE_LIMIT: Duration = Duration::from_secs(10);

impl Driver {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::BeginInit { limited } => self.begin_init(limited),
            Effect::StartExtensions => self.processes.start_extensions(&self.state.extensions),
            Effect::StartRuntime => self.processes.start_runtime(),
            Effect::RuntimeInitialized => self.processes.runtime_initialized(&Status::Success),
            Effect::InitEnded(result) => self.init_ended(result),
            Effect::ReleaseRestore { limited } => self.release_restore(limited),
            Effect::RestoreEnded(result) => self.restore_ended(result),
            Effect::AwaitExit => {
                let overdue = Instant::now() + EXIT_LIMIT;
                // A deadline that comes first ends it as well.
                if self.timer.as_ref().is_none_or(|(at, _)| overdue < *at) {
                    self.timer = Some((overdue, Event::ExitOverdue));
                }
            }
            Effect::BeginInvocation(_) => self.begin_invocation(),
            Effect::DeliverToExtension(index, _) => self.deliver_to_extension(index),
            Effect::Deliver(_) => self.deliver(),
            // Done when the call came.
            Effect::Park => {}
            Effect::Answer(_) => {
                if let (Some(current), Some(posted)) = (&mut self.current, self.posted.take()) {
                    current.pass_on(posted);
                }
            }
            Effect::Fail(id, failure) => self.fail(id, failure),
            Effect::RuntimeDone(_) => {
                // What it wrote before it asked is this invocation's.
                self.processes.drain_output();
                if let Some(current) = &mut self.current {
                    current.times.runtime_done();
                    let status = current.status.clone();
                    self.tell_runtime_done(status);
                }
            }
            Effect::Finish(_, finish) => self.finish(finish),
            Effect::Rest => {
                self.rest = Rest::Dozing { until: Instant::now() + self.processes.freeze_after() };
            }
            Effect::Wake => self.thaw(),
            Effect::End(action) => {
                // The end has a clock of its own.
                self.timer = None;
                self.processes.end(action, &self.state.extensions);
            }
            Effect::CloseSandbox => {}
        }
    }

    fn begin_init(&mut self, limited: bool) {
        self.processes.begin_init(limited);
        self.restore = Restore::default();
        self.parked = Parked::default();
        let began = self.processes.init.began;
        self.sample_at = self.processes.next_sample(began + MEMORY_SAMPLING);
        if limited {
            self.timer = Some((began + self.processes.spec.init_limit, Event::InitDeadlinePassed));
        }
    }

    fn init_ended(&mut self, result: InitResult) {
        if result == InitResult::Succeeded && self.processes.init.phase == Phase::Init {
            self.timer = None;
        }
        self.processes.init_ended(result, &self.state.extensions);
        // An init inside an invocation comes before the START of that invocation.
        self.write_late_start();
    }

    fn release_restore(&mut self, limited: bool) {
        let now = Instant::now();
        self.restore.began = Some(now);
        // It went into the snapshot, so to speak, and is no part of the invocation that follows.
        self.processes.init.unreported = None;
        if limited {
            self.timer = Some((now + RESTORE_LIMIT, Event::RestoreDeadlinePassed));
        }
        self.processes.log.platform(&PlatformEvent::RestoreStart);
        for reply in self.parked.restore.drain(..) {
            let _ = reply.send(Ok(()));
        }
    }

    fn restore_ended(&mut self, result: InitResult) {
        let duration = self.restore.began.take().map(|began| began.elapsed()).unwrap_or_default();
        self.processes.drain_output();
        let status = match result {
            InitResult::Succeeded => {
                if self.processes.init.phase == Phase::Init {
                    self.timer = None;
                }
                let billed_ms = billing::whole_ms(duration);
                self.restore.unreported = Some(RestoreDurations { duration, billed_ms });
                Status::Success
            }
            InitResult::Failed(failure) => {
                self.processes.init_failure_status(failure, &self.state.extensions)
            }
        };
        self.processes.log.platform(&PlatformEvent::RestoreRuntimeDone { status: status.clone() });
        self.processes.log.platform(&PlatformEvent::RestoreReport { status, duration });
        self.write_late_start();
    }

    fn begin_invocation(&mut self) {
        let Some(current) = &mut self.current else { return };
        let now = Instant::now();
        let deadline = current.begin(now, self.processes.spec.timeout);
        current.suppressed_init = !matches!(self.state.phase, LifePhase::Invoking(_));
        self.timer = Some((deadline, Event::InvokeDeadlinePassed));
        self.sample_at = self.processes.next_sample(now + MEMORY_SAMPLING);
        if !current.suppressed_init {
            self.write_start();
        }
    }

    /// START of an invocation that has an init inside it, once that is over.
    fn write_late_start(&mut self) {
        let restoring = matches!(
            self.state.phase,
            LifePhase::Initializing(Initializing { stage: InitStage::Restoring, .. })
        );
        let is_due = |current: &Current| current.began.is_some() && !current.started;
        if !restoring && self.current.as_ref().is_some_and(is_due) {
            self.write_start();
        }
    }

    fn write_start(&mut self) {
        let Some(current) = &mut self.current else { return };
        let start = current.start();
        self.processes.log.begin_invocation();
        self.processes.log.platform(&start);
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
        if let Some(reply) = self.processes.parked_extension(index) {
            let _ = reply.send(Ok(event));
        }
    }

    fn deliver(&mut self) {
        let Some(current) = &mut self.current else { return };
        current.times.delivered();
        for reply in self.parked.next.drain(..) {
            // To every call that waits: of two, one belongs to a connection that was lost, and which one
            // cannot be told.
            let _ = reply.send(Ok(current.delivery()));
        }
    }

    fn fail(&mut self, id: Uuid, failure: Failure) {
        let Some(current) = &mut self.current else { return };
        let extensions = &self.state.extensions;
        let of_restore = failure == Failure::RestoreError
            || (current.began.is_none() && !matches!(failure, Failure::Sandbox | Failure::InitError));
        if !of_restore {
            let verdict = self.processes.verdict(id, failure, extensions);
            current.failure = verdict.error;
            current.answer(verdict.answer, verdict.status);
            return;
        }
        // The invocation never began, because the environment could not be restored for it.
        let timed_out = failure == Failure::TimedOut;
        let error = self.processes.platform_error(failure, extensions).filter(|_| !timed_out);
        let message = match (&self.processes.cause.runtime_report, error) {
            (Some(ErrorReport { body, .. }), _) if failure == Failure::RestoreError => {
                String::from_utf8_lossy(body).into_owned()
            }
            (_, Some(error)) => error.message,
            (_, None) => "the hooks after the restore took more than 10 seconds".to_owned(),
        };
        let status = self.processes.init_failure_status(failure, extensions);
        current.answer(Answer::RestoreFailed { timed_out, message }, status);
    }

    fn tell_runtime_done(&mut self, status: Status) {
        let Some(current) = &self.current else { return };
        if current.started && self.processes.log.tells_runtime_done() {
            let report = current.times.runtime_report(current.invocation(), status);
            self.processes.log.platform(&PlatformEvent::RuntimeDone(report));
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.processes.drain_output();
        let Some(current) = &mut self.current else { return };
        if let Finish::Failed(failure) = finish
            && current.answered()
            && current.failure.is_none()
        {
            // The runtime answered before it failed, or the failure was its answer.
            let error = self.processes.platform_error(failure, &self.state.extensions);
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
        let init_duration = self.processes.init.unreported.take();
        let restore = self.restore.unreported.take();
        let capped_at = (current.suppressed_init && current.status == Status::Timeout)
            .then_some(self.processes.spec.timeout);
        let usage = Usage {
            duration,
            init: init_duration.filter(|_| self.processes.spec.initialization.bills_init()),
            restore_billed_ms: restore.map_or(0, |restore| restore.billed_ms),
            capped_at,
        };
        let has_extensions = !self.state.extensions.members().is_empty();
        let report = Report {
            request_id: invocation.request_id,
            status: current.status.clone(),
            duration,
            billed_ms: billing::billed_ms(usage),
            memory_mib: self.processes.spec.memory_mib,
            max_memory_used_mib: self.processes.max_memory_used_mib(),
            init_duration,
            restore,
            spans: has_extensions.then(|| current.times.extension_overhead()).flatten().into_iter().collect(),
            trace: invocation.trace.clone(),
        };
        if let Some(error) = &current.failure {
            let request_id = invocation.request_id;
            self.processes.log.platform(&PlatformEvent::Failure { request_id, error: error.clone() });
        }
        let (billed_ms, max_memory_used_mib) = (report.billed_ms, report.max_memory_used_mib);
        self.processes.log.platform(&PlatformEvent::Report(report));
        Account {
            duration,
            billed_ms,
            max_memory_used_mib,
            init_duration,
            initialization: self.processes.spec.initialization,
            log_tail: self.processes.log.tail(),
        }
    }
}
