//! `firesteel check TARGET`: the conformance suite for runtimes.
//!
//! The report alone goes to stdout. What is run and how it is started is found out as for `invoke`; the platform
//! that it meets is the suite's own.

use std::io::Write;
use std::time::Duration;

use firesteel_check::{Options, RULES, Target};
use firesteel_environment::{Spec, variables_of_runtime};
use firesteel_runtimes::Layout;
use tokio_util::sync::CancellationToken;

use crate::cli::{CheckArguments, HandlerLanguage, ReportFormat};
use crate::data_folder::DataFolder;
use crate::door::Outside;
use crate::exit::{Exit, Failure};
use crate::function::{self, Workshop};
use crate::images::FunctionImages;
use crate::kept;
use crate::notice::tell;

/// On AWS its date and id are those of an environment; no rule looks at them.
const LOG_STREAM: &str = "2026/01/01/[$LATEST]00000000000000000000000000000000";

pub(crate) async fn run(arguments: CheckArguments) -> Result<Exit, Failure> {
    if let Some(language) = arguments.print_handler {
        print(handler(language))?;
        return Ok(Exit::Success);
    }
    if let Some(unknown) = arguments.rule.iter().find(|id| RULES.iter().all(|rule| rule.id != id.as_str())) {
        let known: Vec<_> = RULES.iter().map(|rule| rule.id).collect();
        return Err(Failure::usage(format!("there is no rule `{unknown}`"))
            .try_next(format!("--rule with one of {}", known.join(", "))));
    }
    let given =
        arguments.target.as_deref().expect("clap asks for a target, unless a handler is to be printed");
    let data = DataFolder::open(arguments.server.data.as_deref())?;
    // The suite's platform has no root of its own to give.
    let host = super::serve::host(&data, Layout::Host, &arguments.function.mount)?;
    let store = kept::in_memory(kept::account(&arguments.server))?;
    let outside = Outside::new(arguments.server.aws_endpoint.as_deref(), &arguments.server.region);
    let images = FunctionImages::new(&arguments.server.images, outside, &data).images();
    let workshop = Workshop {
        data: &data,
        host: &host,
        images: &images,
        store: &store,
        server: &arguments.server,
        arguments: &arguments.function,
        max_concurrency: None,
    };
    let prepared = workshop.prepare(function::name_of(None, given)?, given).await?;
    tell(format_args!("firesteel: {}", prepared.why));

    let target = target(&prepared.spec, data.subfolder("environments")?);
    let options = Options {
        answer_limit: Duration::from_secs(arguments.function.timeout.into()),
        hold: Duration::from_millis(arguments.hold_ms.into()),
        invocations: arguments.invocations,
        only: arguments.rule,
        // Most of a rule is waiting.
        at_a_time: 2 * std::thread::available_parallelism().map_or(1, usize::from),
    };
    let stop = CancellationToken::new();
    let suite = firesteel_check::run(&target, &options, &stop);
    tokio::pin!(suite);
    let (result, interrupted) = tokio::select! {
        result = &mut suite => (result, None),
        exit = super::invoke::interrupted() => {
            stop.cancel();
            (suite.await, Some(exit))
        }
    };
    let report = result.map_err(|error| Failure::from_error(Exit::Platform, &error))?;
    print(&match arguments.format {
        ReportFormat::Table => report.table(),
        ReportFormat::Json => report.json(given) + "\n",
        ReportFormat::Junit => report.junit(given, arguments.strict),
    })?;
    let exit = if report.is_failure(arguments.strict) { Exit::FunctionFailed } else { Exit::Success };
    Ok(interrupted.unwrap_or(exit))
}

fn target(spec: &Spec, folder: std::path::PathBuf) -> Target {
    let read_only = spec.places.iter().map(|place| place.on_host.clone()).collect();
    Target {
        program: spec.entrypoint.program.clone(),
        arguments: spec.entrypoint.arguments.clone(),
        working_dir: spec.task_root.clone(),
        variables: variables_of_runtime(spec, "", LOG_STREAM),
        read_only,
        folder,
        function_arn: spec.function_arn.clone(),
    }
}

fn handler(language: HandlerLanguage) -> &'static str {
    match language {
        HandlerLanguage::Bash => include_str!("../../../../conformance/runtimes/handlers/bash/function.sh"),
        HandlerLanguage::Node => include_str!("../../../../conformance/runtimes/handlers/nodejs/index.mjs"),
        HandlerLanguage::Python => {
            include_str!("../../../../conformance/runtimes/handlers/python/lambda_function.py")
        }
        HandlerLanguage::Rust => include_str!("../../../../conformance/runtimes/handlers/rust/src/main.rs"),
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::platform("the report could not be written to stdout").because(&error)),
    }
}
