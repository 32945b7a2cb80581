//! `firesteel invoke TARGET [EVENT]`: one invocation, in this process.
//!
//! The response alone goes to stdout, everything else to stderr, so that pipes work.

use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use firesteel_catalog::FunctionReference;
use firesteel_environment::{Capacity, Folder, Limits, Pool};
use firesteel_invoke::queue::{Queue, Slots};
use firesteel_invoke::{
    Admission, Deployments, InvokeError, Invoker, Outcome, Parts, Reply, Request, admission,
};
use firesteel_sandbox::Backend;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::cli::InvokeArguments;
use crate::commands::invoke_endpoint;
use crate::data_folder::DataFolder;
use crate::door::Outside;
use crate::event;
use crate::exit::{Exit, Failure};
use crate::function::{self, Prepared, Workshop};
use crate::images::FunctionImages;
use crate::isolation;
use crate::kept;
use crate::notice::tell;

pub(crate) async fn run(arguments: InvokeArguments) -> Result<Exit, Failure> {
    let event = event::read(&arguments.event)?;
    let client_context = arguments.client_context.as_deref().map(client_context).transpose()?;
    if let Some(endpoint) = &arguments.endpoint {
        return invoke_endpoint::run(endpoint, &arguments, event, client_context).await;
    }

    let data = DataFolder::open(arguments.server.data.as_deref())?;
    let backend = isolation::open(&arguments.server, &data, 0).await?;
    let result = invoke(arguments, event, client_context, &data, &backend).await;
    backend.close().await;
    result
}

async fn invoke(
    arguments: InvokeArguments,
    event: Bytes,
    client_context: Option<String>,
    data: &DataFolder,
    backend: &Backend,
) -> Result<Exit, Failure> {
    let host = super::serve::host(data, super::serve::layout(backend), &arguments.function.mount)?;
    let store = Arc::new(kept::in_memory(kept::account(&arguments.server))?);
    let outside = Outside::new(arguments.server.aws_endpoint.as_deref(), &arguments.server.region);
    let function_images = FunctionImages::new(&arguments.server.images, outside, data);
    let images = function_images.images();
    let workshop = Workshop {
        data,
        host: &host,
        images: &images,
        store: &store,
        server: &arguments.server,
        arguments: &arguments.function,
        max_concurrency: None,
    };
    let name = function::name_of(arguments.function_name.as_deref(), &arguments.target)?;
    let mut interrupted = pin!(interrupted());
    let prepared = tokio::select! {
        // An image may be long on its way.
        exit = &mut interrupted => return Ok(exit),
        prepared = workshop.prepare(name, &arguments.target) => prepared?,
    };
    tell(format_args!("firesteel: {}", prepared.why));

    let logs = super::start_logs(data, &arguments.server)?;
    let limits = Limits {
        // However large: who asks for one invocation is not served by a refusal.
        capacity: Capacity::of_environments(1),
        idle_timeout: Duration::from_secs(3600),
        max_wait: Duration::ZERO,
    };
    let folder = Folder { parent: data.subfolder("environments")? };
    let Prepared { version, spec, .. } = prepared;
    let pool = Pool::new(limits, folder, backend.clone(), logs.output(Some(version.name())));
    let reference = FunctionReference { name: version.name().clone(), qualifier: None };
    let deployments = Deployments::new(Arc::clone(&store), None, None, host, pool.clone());
    deployments.insert(&version, spec);
    let queue =
        Queue::open(None, Slots::default()).map_err(|error| Failure::from_error(Exit::Platform, &error))?;
    let admission = Admission::new(admission::Limits::AWS);
    let invoker = Invoker::new(Parts { store, deployments, pool, admission, queue, stream_bandwidth: None });

    let request = Request {
        reference,
        request_id: Uuid::new_v4(),
        payload: event,
        client_context,
        trace: arguments.trace_id,
        // Not for the tail itself: REPORT is to be on the terminal before this ends.
        log_tail: true,
    };
    let ended = tokio::select! {
        result = invoker.synchronous(request) => Ended::Invoked(result),
        exit = interrupted => Ended::Interrupted(exit),
    };
    function_images.started().await;
    invoker.shutdown(Duration::ZERO).await;
    drop(logs);
    match ended {
        Ended::Invoked(Ok(reply)) => print(&reply.outcome),
        Ended::Invoked(Err(error @ InvokeError::RestoreFailed { .. })) => {
            Err(Failure::from_error(Exit::FunctionFailed, &error))
        }
        Ended::Invoked(Err(error)) => Err(Failure::from_error(Exit::Platform, &error)),
        Ended::Interrupted(exit) => Ok(exit),
    }
}

enum Ended {
    Invoked(Result<Reply, InvokeError>),
    Interrupted(Exit),
}

/// Writes the payload, and a newline where it has none.
pub(super) fn print(outcome: &Outcome) -> Result<Exit, Failure> {
    let (payload, exit) = match outcome {
        Outcome::Success(payload) => (payload, Exit::Success),
        Outcome::FunctionError(payload) => (payload, Exit::FunctionFailed),
    };
    let mut stdout = std::io::stdout().lock();
    let newline: &[u8] = if payload.ends_with(b"\n") { b"" } else { b"\n" };
    match stdout.write_all(payload).and_then(|()| stdout.write_all(newline)).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(exit),
        // Whoever reads has seen enough, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(exit),
        Err(error) => Err(Failure::platform("the response could not be written to stdout").because(&error)),
    }
}

/// Resolves when the user or the system wants an end.
pub(super) async fn interrupted() -> Exit {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Exit::Interrupted,
        _ = terminate.recv() => Exit::Terminated,
    }
}

fn client_context(json: &str) -> Result<String, Failure> {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json) {
        // One line, since it travels in a header.
        Ok(object) => Ok(serde_json::Value::Object(object).to_string()),
        Err(error) => Err(Failure::usage("the client context is not a JSON object")
            .because(&error)
            .try_next("--client-context '{\"custom\": {\"key\": \"value\"}}'")),
    }
}
