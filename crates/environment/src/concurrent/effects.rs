//! What a driver does when the rules ask for it.

use tokio::time::Instant;
use uuid::Uuid;

use super::lifecycle::Effect;
use super::{Driver, Over};
use crate::billing;
use crate::current::Current;
use crate::lifecycle::Failure;
use crate::logs::Tail;
use crate::logs::platform_event::{PlatformEvent, Report, Status};
use crate::outcome::Account;
use crate::processes::EXIT_LIMIT;

impl Driver {
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::BeginInit => {
                self.processes.begin_init(true);
                self.init_deadline = Some(self.processes.init.began + self.processes.spec.init_limit);
            }
            Effect::StartExtensions => self.processes.start_extensions(&self.state.extensions),
            Effect::StartRuntime => self.processes.start_runtime(),
            Effect::RuntimeInitialized => self.processes.runtime_initialized(&Status::Success),
            Effect::AwaitExit => {
                let overdue = Instant::now() + EXIT_LIMIT;
                self.init_deadline = self.init_deadline.map(|deadline| deadline.min(overdue));
            }
            Effect::InitEnded(result) => {
                self.init_deadline = None;
                self.processes.init_ended(result, &self.state.extensions);
            }
            Effect::BeginInvocation(id) => self.begin_invocation(id),
            Effect::Deliver(id) => {
                if let (Some(current), Some(reply)) = (self.invocations.get_mut(&id), self.parked.pop_front())
                {
                    current.times.delivered();
                    let _ = reply.send(Ok(current.delivery()));
                }
            }
            // Done when the call came.
            Effect::Park => {}
            Effect::Answer(id) => {
                if let (Some(current), Some(posted)) = (self.invocations.get_mut(&id), self.posted.take()) {
                    current.pass_on(posted);
                }
            }
            Effect::RefuseLateAnswer(_) => self.late = true,
            Effect::Fail(id, failure) => self.fail(id, failure),
            Effect::Finish(id) => self.finish(id),
            // Calls that wait do so until the processes end: refused, a runtime would do something else than end.
            Effect::End(action) => self.processes.end(action, &self.state.extensions),
            Effect::CloseSandbox => {}
        }
    }

    fn begin_invocation(&mut self, id: Uuid) {
        let Some(current) = self.invocations.get_mut(&id) else { return };
        let deadline = current.begin(Instant::now(), self.processes.spec.timeout);
        self.deadlines.insert((deadline, id));
        let start = current.start();
        self.processes.log.platform_of(&mut current.log_tail, &start);
    }

    fn fail(&mut self, id: Uuid, failure: Failure) {
        let Some(current) = self.invocations.get_mut(&id) else { return };
        let verdict = self.processes.verdict(id, failure, &self.state.extensions);
        current.failure = verdict.error;
        current.answer(verdict.answer, verdict.status);
    }

    fn finish(&mut self, id: Uuid) {
        // What was printed before the answer stands before its REPORT.
        self.processes.drain_output();
        let Some(mut current) = self.invocations.remove(&id) else { return };
        let mut account = None;
        if let Some(began) = current.began {
            self.deadlines.remove(&(began + self.processes.spec.timeout, id));
            let report = self.write_report(&mut current, began);
            account = current.admitted.order.account.take().map(|observer| (observer, report));
        }
        self.over.push(Over { lease: current.admitted.lease, account });
    }

    fn write_report(&mut self, current: &mut Current, began: Instant) -> Account {
        let invocation = current.invocation();
        let duration = began.elapsed();
        let max_memory_used_mib = self.processes.max_memory_used_mib();
        let init_duration = self.processes.init.unreported.take();
        let report = Report {
            request_id: invocation.request_id,
            status: current.status.clone(),
            duration,
            billed_ms: billing::whole_ms(duration),
            memory_mib: self.processes.spec.memory_mib,
            max_memory_used_mib,
            init_duration,
            restore: None,
            spans: current.times.response_spans(),
            trace: invocation.trace.clone(),
        };
        let billed_ms = report.billed_ms;
        if let Some(error) = current.failure.take() {
            let request_id = report.request_id;
            let failure = PlatformEvent::Failure { request_id, error };
            self.processes.log.platform_of(&mut current.log_tail, &failure);
        }
        self.processes.log.platform_of(&mut current.log_tail, &PlatformEvent::Report(report));
        let log_tail = current.log_tail.as_ref().map(Tail::to_bytes).unwrap_or_default();
        let initialization = self.processes.spec.initialization;
        Account { duration, billed_ms, max_memory_used_mib, init_duration, initialization, log_tail }
    }
}
