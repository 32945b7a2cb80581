//! The platform's own log lines in text, laid out as CloudWatch shows them: tabs between columns.
//!
//! Not every event has a line: what a successful on-demand init took is told by the next REPORT, and the end of a
//! runtime's work by END.

use std::time::Duration;

use firesteel_runtime_api::telemetry::{Api, Types};
use jiff::Timestamp;

use super::about::About;
use super::platform_event::{PlatformEvent, Report, Status};
use crate::spec::InitializationType;

/// Writes the lines of an event, each without its newline.
pub(super) fn write(event: &PlatformEvent, time: Timestamp, about: &About, write: &mut dyn FnMut(&str)) {
    match event {
        PlatformEvent::InitStart { .. } => runtime(about, "INIT_START", write),
        PlatformEvent::InitReport { phase, status, duration } => {
            let always = matches!(
                about.initialization,
                InitializationType::ProvisionedConcurrency | InitializationType::SnapStart
            );
            if always || *status != Status::Success {
                write(&format!(
                    "INIT_REPORT Init Duration: {}\tPhase: {}{}",
                    ms(*duration),
                    phase.name(),
                    failed(status)
                ));
            }
        }
        PlatformEvent::RestoreStart => runtime(about, "RESTORE_START", write),
        PlatformEvent::RestoreReport { status, duration } => {
            write(&format!("RESTORE_REPORT Restore Duration: {}{}", ms(*duration), failed(status)));
        }
        PlatformEvent::Extension { name, state, events, error_type } => {
            let mut line =
                format!("EXTENSION\tName: {name}\tState: {state}\tEvents: [{}]", events.join(", "));
            if let Some(error_type) = error_type {
                line.push_str("\tError Type: ");
                line.push_str(error_type);
            }
            write(&line);
        }
        PlatformEvent::Subscription { api, name, types } => {
            let heading = match api {
                Api::Telemetry => "TELEMETRY",
                Api::Logs => "LOGS",
            };
            write(&format!("{heading}\tName: {name}\tState: Subscribed\tTypes: [{}]", capitalised(*types)));
        }
        PlatformEvent::Start { request_id, .. } => {
            write(&format!("START RequestId: {request_id} Version: {}", about.spec.version));
        }
        PlatformEvent::Failure { request_id, error } if error.error_type == "Sandbox.Timedout" => {
            write(&format!("{time:.3} {request_id} {}", error.message));
            write("");
        }
        PlatformEvent::Failure { request_id, error } => {
            write(&error.text(*request_id));
            write(error.error_type);
        }
        PlatformEvent::ImageNotStarted { error } => {
            if let Some(image) = &about.spec.image {
                write(&format!(
                    "IMAGE\tLaunch error: {}\tEntrypoint: [{}]\tCmd: [{}]\tWorkingDir: [{}]",
                    error.message,
                    image.entrypoint.join(","),
                    image.command.join(","),
                    image.working_dir.display()
                ));
            }
        }
        PlatformEvent::Report(report) => {
            write(&format!("END RequestId: {}", report.request_id));
            write(&report_line(report));
            if let Some(line) = xray(&report.trace) {
                write(&line);
            }
        }
        PlatformEvent::InitRuntimeDone { .. }
        | PlatformEvent::RestoreRuntimeDone { .. }
        | PlatformEvent::RuntimeDone(_)
        | PlatformEvent::LogsDropped { .. } => {}
    }
}

fn runtime(about: &About, heading: &str, write: &mut dyn FnMut(&str)) {
    if let Some((version, arn)) = about.runtime() {
        write(&format!("{heading} Runtime Version: {version}\tRuntime Version ARN: {arn}"));
    }
}

fn report_line(report: &Report) -> String {
    let mut line = format!(
        "REPORT RequestId: {}\tDuration: {}\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
        report.request_id,
        ms(report.duration),
        report.billed_ms,
        report.memory_mib,
        report.max_memory_used_mib,
    );
    if let Some(init) = report.init_duration {
        line.push_str(&format!("Init Duration: {}\t", ms(init)));
    }
    if let Some(restore) = report.restore {
        line.push_str(&format!(
            "Restore Duration: {}\tBilled Restore Duration: {} ms\t",
            ms(restore.duration),
            restore.billed_ms
        ));
    }
    if !matches!(report.status, Status::Reported(_)) {
        line.push_str(failed(&report.status).trim_start());
    }
    line
}

/// The columns of a failure, each after a tab.
fn failed(status: &Status) -> String {
    match status {
        Status::Success => String::new(),
        Status::Reported(error_type) | Status::Error(error_type) => {
            format!("\tStatus: {}\tError Type: {error_type}", status.name())
        }
        Status::Timeout => format!("\tStatus: {}", status.name()),
    }
}

/// The line below REPORT of an invocation that is traced. There is no segment of our own: the caller's stands for it.
fn xray(trace: &str) -> Option<String> {
    let field = |name| trace.split(';').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    let (root, parent) = (field("Root")?, field("Parent")?);
    (field("Sampled") == Some("1"))
        .then(|| format!("XRAY TraceId: {root}\tSegmentId: {parent}\tSampled: true"))
}

fn capitalised(types: Types) -> String {
    let names = [(types.platform, "Platform"), (types.function, "Function"), (types.extension, "Extension")];
    let wanted: Vec<&str> = names.into_iter().filter_map(|(wanted, name)| wanted.then_some(name)).collect();
    wanted.join(", ")
}

/// Two decimals, as text prints durations.
fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use firesteel_sandbox::Exit;
    use uuid::Uuid;

    use super::*;
    use crate::failure::PlatformError;
    use crate::logs::about::tests::about;
    use crate::logs::platform_event::{Phase, RestoreDurations, RuntimeDone};
    use crate::spec::Spec;

    const ID: Uuid = Uuid::from_u128(7);

    fn time() -> Timestamp {
        "2024-03-04T17:22:38.033999Z".parse().unwrap()
    }

    fn lines_of(event: &PlatformEvent, initialization: InitializationType) -> Vec<String> {
        let mut lines = Vec::new();
        write(event, time(), &about(initialization), &mut |line| lines.push(line.to_owned()));
        lines
    }

    fn lines(event: &PlatformEvent) -> Vec<String> {
        lines_of(event, InitializationType::OnDemand)
    }

    fn warm() -> Report {
        Report {
            request_id: ID,
            status: Status::Success,
            duration: Duration::from_micros(3010),
            billed_ms: 4,
            memory_mib: 128,
            max_memory_used_mib: 36,
            init_duration: None,
            restore: None,
            spans: vec![],
            trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0".into(),
        }
    }

    /// The REPORT line.
    fn report(report: Report) -> String {
        lines(&PlatformEvent::Report(report)).swap_remove(1)
    }

    #[test]
    fn text_lines_are_laid_out_as_cloudwatch_shows_them() {
        let start = PlatformEvent::Start {
            request_id: ID,
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:hello".into(),
            trace: String::new(),
        };
        assert_eq!(lines(&start), ["START RequestId: 00000000-0000-0000-0000-000000000007 Version: $LATEST"]);
        assert_eq!(
            lines(&PlatformEvent::Report(warm())),
            [
                "END RequestId: 00000000-0000-0000-0000-000000000007",
                "REPORT RequestId: 00000000-0000-0000-0000-000000000007\tDuration: 3.01 ms\tBilled Duration: 4 ms\t\
                 Memory Size: 128 MB\tMax Memory Used: 36 MB\t",
            ]
        );
        let cold = Report { init_duration: Some(Duration::from_micros(110_100)), ..warm() };
        assert!(report(cold).ends_with("Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t"));
        let crashed = Report { status: Status::Error("Runtime.ExitError".into()), ..warm() };
        assert!(report(crashed).ends_with("36 MB\tStatus: error\tError Type: Runtime.ExitError"));
        let timed_out = Report { status: Status::Timeout, ..warm() };
        assert!(report(timed_out).ends_with("36 MB\tStatus: timeout"));
        let reported = Report { status: Status::Reported("Runtime.Unknown".into()), ..warm() };
        assert_eq!(report(reported), report(warm()));
    }

    #[test]
    fn a_restored_environment_reports_its_restore() {
        let durations = RestoreDurations { duration: Duration::from_micros(511_250), billed_ms: 303 };
        let restored = Report { restore: Some(durations), ..warm() };
        assert!(
            report(restored)
                .ends_with("36 MB\tRestore Duration: 511.25 ms\tBilled Restore Duration: 303 ms\t")
        );
        let start = lines_of(&PlatformEvent::RestoreStart, InitializationType::SnapStart);
        assert_eq!(start.len(), 1);
        assert!(
            start[0].starts_with("RESTORE_START Runtime Version: provided:al2023\tRuntime Version ARN: arn:")
        );
        let report =
            |status| PlatformEvent::RestoreReport { status, duration: Duration::from_micros(1_236_040) };
        assert_eq!(lines(&report(Status::Success)), ["RESTORE_REPORT Restore Duration: 1236.04 ms"]);
        assert_eq!(
            lines(&report(Status::Error("Runtime.RestoreError".into()))),
            ["RESTORE_REPORT Restore Duration: 1236.04 ms\tStatus: error\tError Type: Runtime.RestoreError"]
        );
        assert_eq!(
            lines(&report(Status::Timeout)),
            ["RESTORE_REPORT Restore Duration: 1236.04 ms\tStatus: timeout"]
        );
    }

    #[test]
    fn a_traced_invocation_has_a_second_line() {
        let traced = |trace: &str| {
            lines(&PlatformEvent::Report(Report { trace: trace.into(), ..warm() })).split_off(2)
        };
        assert_eq!(
            traced("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0"),
            ["XRAY TraceId: 1-5759e988-bd862e3fe1be46a994272793\tSegmentId: 53995c3f42cd8ad8\tSampled: true"]
        );
        for silent in
            ["", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "Sampled=1", "Root=1;Parent=2"]
        {
            assert!(traced(silent).is_empty(), "{silent}");
        }
    }

    #[test]
    fn an_image_that_does_not_start_is_told_of_with_all_that_it_is_started_by() {
        let image = crate::Image {
            tree: "/images/1".into(),
            entrypoint: vec!["python".into(), "-m".into()],
            command: vec!["app.handler".into()],
            working_dir: "/app".into(),
        };
        let mut about = about(InitializationType::OnDemand);
        about.spec = std::sync::Arc::new(crate::Spec { image: Some(image), ..crate::spec::tests::spec() });
        let error = PlatformError::no_entrypoint(std::path::Path::new("python"));
        let mut lines = Vec::new();
        write(&PlatformEvent::ImageNotStarted { error }, Timestamp::UNIX_EPOCH, &about, &mut |line| {
            lines.push(line.to_owned());
        });
        assert_eq!(
            lines,
            ["IMAGE\tLaunch error: Couldn't find valid bootstrap(s): [python]\tEntrypoint: [python,-m]\t\
              Cmd: [app.handler]\tWorkingDir: [/app]"]
        );
    }

    #[test]
    fn a_failure_found_by_the_platform_has_two_lines() {
        let failure = |error| lines(&PlatformEvent::Failure { request_id: ID, error });
        assert_eq!(
            failure(PlatformError::exited(Exit::Code(1), false)),
            [
                "RequestId: 00000000-0000-0000-0000-000000000007 Error: Runtime exited with error: exit status 1",
                "Runtime.ExitError",
            ]
        );
        assert_eq!(
            failure(PlatformError::timed_out(Duration::from_secs(3))),
            [
                "2024-03-04T17:22:38.033Z 00000000-0000-0000-0000-000000000007 Task timed out after 3.00 seconds",
                "",
            ]
        );
    }

    #[test]
    fn an_init_is_reported_when_it_failed_or_nobody_waits_for_it() {
        let report = |status| PlatformEvent::InitReport {
            phase: Phase::Init,
            status,
            duration: Duration::from_micros(10_009_130),
        };
        let on_demand = InitializationType::OnDemand;
        assert!(lines_of(&report(Status::Success), on_demand).is_empty());
        assert_eq!(
            lines_of(&report(Status::Timeout), on_demand),
            ["INIT_REPORT Init Duration: 10009.13 ms\tPhase: init\tStatus: timeout"]
        );
        let failed = PlatformEvent::InitReport {
            phase: Phase::Invoke,
            status: Status::Error("Runtime.ExitError".into()),
            duration: Duration::from_millis(1),
        };
        assert_eq!(
            lines_of(&failed, on_demand),
            [
                "INIT_REPORT Init Duration: 1.00 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError"
            ]
        );
        for initialization in [InitializationType::ProvisionedConcurrency, InitializationType::SnapStart] {
            assert_eq!(
                lines_of(&report(Status::Success), initialization),
                ["INIT_REPORT Init Duration: 10009.13 ms\tPhase: init"]
            );
        }
    }

    #[test]
    fn an_init_starts_with_the_runtimes_version() {
        let start = PlatformEvent::InitStart { phase: Phase::Init };
        let line = lines(&start).remove(0);
        let arn = "INIT_START Runtime Version: provided:al2023\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:";
        let digest = line.strip_prefix(arn).unwrap();
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");

        let image = about(InitializationType::OnDemand);
        let image = About {
            spec: Arc::new(Spec { runtime_version: String::new(), ..(*image.spec).clone() }),
            ..image
        };
        write(&start, time(), &image, &mut |line| panic!("an image has no runtime version: {line}"));
    }

    #[test]
    fn extensions_and_their_subscriptions_have_lines() {
        let extension = |state, events, error_type: Option<&str>| PlatformEvent::Extension {
            name: "watcher".into(),
            state,
            events,
            error_type: error_type.map(str::to_owned),
        };
        assert_eq!(
            lines(&extension("Ready", vec!["INVOKE", "SHUTDOWN"], None)),
            ["EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]"]
        );
        assert_eq!(
            lines(&extension("LaunchError", vec![], Some("PermissionDenied"))),
            ["EXTENSION\tName: watcher\tState: LaunchError\tEvents: []\tError Type: PermissionDenied"]
        );
        let subscription = |api, types| PlatformEvent::Subscription { api, name: "watcher".into(), types };
        let all = Types { platform: true, function: true, extension: true };
        assert_eq!(
            lines(&subscription(Api::Telemetry, all)),
            ["TELEMETRY\tName: watcher\tState: Subscribed\tTypes: [Platform, Function, Extension]"]
        );
        assert_eq!(
            lines(&subscription(Api::Logs, Types { function: true, ..Types::default() })),
            ["LOGS\tName: watcher\tState: Subscribed\tTypes: [Function]"]
        );
    }

    #[test]
    fn what_text_does_not_tell_has_no_line() {
        let done = RuntimeDone {
            request_id: ID,
            status: Status::Timeout,
            duration: Duration::ZERO,
            produced_bytes: None,
            spans: vec![],
            trace: String::new(),
        };
        for silent in [
            PlatformEvent::InitRuntimeDone { phase: Phase::Init, status: Status::Timeout },
            PlatformEvent::RestoreRuntimeDone { status: Status::Timeout },
            PlatformEvent::RuntimeDone(done),
            PlatformEvent::LogsDropped { reason: "slow", records: 1, bytes: 2 },
        ] {
            assert!(lines(&silent).is_empty(), "{silent:?}");
        }
    }
}
