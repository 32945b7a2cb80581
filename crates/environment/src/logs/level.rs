//! How important the platform's own events are: the table by which a log in JSON leaves out those below the
//! system log level. Text has no levels, and the Telemetry API gets everything.

use super::about::About;
use super::platform_event::{PlatformEvent, Status};
use crate::spec::{InitializationType, LogLevel};

/// The level of an event.
pub(super) fn of(event: &PlatformEvent, about: &About) -> LogLevel {
    let on_demand = about.initialization == InitializationType::OnDemand;
    match event {
        PlatformEvent::InitStart { .. } | PlatformEvent::RestoreStart => match about.runtime() {
            Some(_) => LogLevel::Info,
            None => LogLevel::Debug,
        },
        PlatformEvent::InitRuntimeDone { status, .. } | PlatformEvent::RestoreRuntimeDone { status } => {
            unless_failed(status, LogLevel::Debug)
        }
        PlatformEvent::RuntimeDone(done) => unless_failed(&done.status, LogLevel::Debug),
        PlatformEvent::InitReport { status, .. } if on_demand => unless_failed(status, LogLevel::Debug),
        PlatformEvent::InitReport { status, .. } | PlatformEvent::RestoreReport { status, .. } => {
            unless_failed(status, LogLevel::Info)
        }
        PlatformEvent::Report(report) => unless_failed(&report.status, LogLevel::Info),
        PlatformEvent::Extension { error_type: None, .. }
        | PlatformEvent::Start { .. }
        | PlatformEvent::Subscription { .. } => LogLevel::Info,
        PlatformEvent::Extension { error_type: Some(_), .. }
        | PlatformEvent::Failure { .. }
        | PlatformEvent::ImageNotStarted { .. }
        | PlatformEvent::LogsDropped { .. } => LogLevel::Warn,
    }
}

fn unless_failed(status: &Status, level: LogLevel) -> LogLevel {
    if *status == Status::Success { level } else { LogLevel::Warn }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use firesteel_runtime_api::telemetry::{Api, Types};
    use uuid::Uuid;

    use super::*;
    use crate::logs::about::tests::about;
    use crate::logs::platform_event::{Phase, Report, RuntimeDone};
    use crate::spec::Spec;

    #[track_caller]
    fn check(event: &PlatformEvent, expected: LogLevel) {
        assert_eq!(of(event, &about(InitializationType::OnDemand)), expected, "{event:?}");
    }

    #[test]
    fn every_event_has_awss_level() {
        let outcomes = [
            (Status::Success, true),
            (Status::Reported("Function.Bad".into()), false),
            (Status::Error("Runtime.ExitError".into()), false),
            (Status::Timeout, false),
        ];
        for (status, fine) in outcomes {
            let ok = |level| if fine { level } else { LogLevel::Warn };
            let (phase, duration) = (Phase::Init, Duration::ZERO);
            let init_report = PlatformEvent::InitReport { phase, status: status.clone(), duration };
            check(&init_report, ok(LogLevel::Debug));
            for initialization in [InitializationType::ProvisionedConcurrency, InitializationType::SnapStart]
            {
                assert_eq!(of(&init_report, &about(initialization)), ok(LogLevel::Info));
            }
            check(&PlatformEvent::InitRuntimeDone { phase, status: status.clone() }, ok(LogLevel::Debug));
            check(&PlatformEvent::RestoreRuntimeDone { status: status.clone() }, ok(LogLevel::Debug));
            check(&PlatformEvent::RestoreReport { status: status.clone(), duration }, ok(LogLevel::Info));
            let done = RuntimeDone {
                request_id: Uuid::nil(),
                status: status.clone(),
                duration,
                produced_bytes: None,
                spans: vec![],
                trace: String::new(),
            };
            check(&PlatformEvent::RuntimeDone(done), ok(LogLevel::Debug));
            let report = Report {
                request_id: Uuid::nil(),
                status,
                duration,
                billed_ms: 1,
                memory_mib: 128,
                max_memory_used_mib: 1,
                init_duration: None,
                restore: None,
                spans: vec![],
                trace: String::new(),
            };
            check(&PlatformEvent::Report(report), ok(LogLevel::Info));
        }
        check(&PlatformEvent::InitStart { phase: Phase::Init }, LogLevel::Info);
        check(&PlatformEvent::RestoreStart, LogLevel::Info);
        let start = PlatformEvent::Start {
            request_id: Uuid::nil(),
            function_arn: String::new(),
            trace: String::new(),
        };
        check(&start, LogLevel::Info);
        let extension = |error_type| PlatformEvent::Extension {
            name: "watcher".into(),
            state: "Ready",
            events: vec![],
            error_type,
        };
        check(&extension(None), LogLevel::Info);
        check(&extension(Some("PermissionDenied".into())), LogLevel::Warn);
        for api in [Api::Telemetry, Api::Logs] {
            let types = Types::default();
            check(&PlatformEvent::Subscription { api, name: "watcher".into(), types }, LogLevel::Info);
        }
        check(&PlatformEvent::LogsDropped { reason: "slow", records: 1, bytes: 1 }, LogLevel::Warn);
    }

    #[test]
    fn an_init_without_a_runtime_version_is_a_detail() {
        let mut image = about(InitializationType::OnDemand);
        image.spec = Arc::new(Spec { runtime_version: String::new(), ..(*image.spec).clone() });
        for event in [PlatformEvent::InitStart { phase: Phase::Init }, PlatformEvent::RestoreStart] {
            assert_eq!(of(&event, &image), LogLevel::Debug);
        }
    }
}
