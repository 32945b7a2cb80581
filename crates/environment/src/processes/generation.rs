//! The processes of one init: the runtime and the external extensions, with the port they call and the pipes they
//! write to. A new init gets all of it anew.

use std::path::Path;

use firesteel_runtime_api as runtime_api;
use firesteel_runtime_api::Call;
use firesteel_sandbox as sandbox;
use firesteel_sandbox::Sandbox;
use futures_util::future::select_all;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::logs::capture::Capture;
use crate::logs::{Log, Source};
use crate::spec::Spec;
use crate::variables::{self, Local};

/// The runtime's process, as the sandbox and `ps` know it.
pub(super) const RUNTIME: &str = "runtime";

/// Before an extension's name, which might else be the runtime's.
const EXTENSION: &str = "extension ";

/// Calls of the guest that wait to be judged; a guest that has more under way waits in its socket.
const GUEST_QUEUE: usize = 16;

/// The extension of whose name a process is.
pub(super) fn extension_of(process: &str) -> Option<&str> {
    process.strip_prefix(EXTENSION)
}

pub(super) fn process_of(extension: &str) -> String {
    format!("{EXTENSION}{extension}")
}

/// One run of all processes.
#[derive(Debug)]
pub(super) struct Generation {
    calls: mpsc::Receiver<Call>,
    /// `host:port`
    runtime_api: String,
    outputs: Vec<Output>,
    /// By the extension's index: what it was given when it registered.
    pub(super) extension_ids: Vec<Option<Uuid>>,
    /// Ends the server of the port.
    _server: DropGuard,
}

/// What a process writes.
#[derive(Debug)]
pub(super) struct Output {
    source: Source,
    capture: Capture,
}

impl Generation {
    /// Opens the port. No process runs yet.
    pub(super) fn open(sandbox: &Sandbox, spec: &Spec, metadata_token: &str) -> std::io::Result<Self> {
        let listener = sandbox.listen()?;
        listener.set_nonblocking(true)?;
        let runtime_api = listener.local_addr()?.to_string();
        let (calls_sender, calls) = mpsc::channel(GUEST_QUEUE);
        let shutdown = CancellationToken::new();
        tokio::spawn(runtime_api::serve(
            tokio::net::TcpListener::from_std(listener)?,
            calls_sender,
            runtime_api::Metadata {
                token: metadata_token.to_owned(),
                availability_zone_id: spec.availability_zone_id(),
            },
            variables::surface(spec, metadata_token),
            shutdown.clone(),
        ));
        Ok(Generation {
            calls,
            runtime_api,
            outputs: Vec::new(),
            extension_ids: Vec::new(),
            _server: shutdown.drop_guard(),
        })
    }

    pub(super) fn start_runtime(
        &mut self,
        sandbox: &Sandbox,
        spec: &Spec,
        metadata_token: &str,
        log_stream: &str,
    ) -> std::io::Result<()> {
        let local = Local { runtime_api: &self.runtime_api, metadata_token, log_stream };
        let variables = variables::of_runtime(spec, &local);
        let program = sandbox::Program {
            name: RUNTIME.into(),
            program: spec.entrypoint.program.clone(),
            arguments: spec.entrypoint.arguments.clone(),
            variables,
            working_dir: spec.working_dir().to_owned(),
        };
        self.spawn(sandbox, Source::Function, program)
    }

    /// `opt` is where the layers are in the sandbox.
    pub(super) fn start_extension(
        &mut self,
        sandbox: &Sandbox,
        spec: &Spec,
        metadata_token: &str,
        opt: &Path,
        name: &str,
    ) -> std::io::Result<()> {
        // Without the name of a log stream, which is no business of extensions.
        let local = Local { runtime_api: &self.runtime_api, metadata_token, log_stream: "" };
        let program = sandbox::Program {
            name: process_of(name),
            program: opt.join("extensions").join(name),
            arguments: Vec::new(),
            variables: variables::of_extension(spec, &local),
            working_dir: "/".into(),
        };
        self.spawn(sandbox, Source::Extension, program)
    }

    fn spawn(&mut self, sandbox: &Sandbox, source: Source, program: sandbox::Program) -> std::io::Result<()> {
        let (capture, writers) = Capture::new()?;
        let process = sandbox::Process { program, stdout: writers.stdout, stderr: writers.stderr };
        sandbox.spawn(process).map_err(std::io::Error::other)?;
        self.outputs.push(Output { source, capture });
        Ok(())
    }

    /// For waiting on both at a time.
    pub(super) fn split(&mut self) -> (&mut mpsc::Receiver<Call>, &[Output]) {
        (&mut self.calls, &self.outputs)
    }

    /// The index of the extension that calls by this identifier.
    pub(super) fn extension(&self, identifier: Uuid) -> Option<usize> {
        self.extension_ids.iter().position(|known| *known == Some(identifier))
    }

    /// Gives an extension its identifier.
    pub(super) fn identify(&mut self, index: usize) -> Uuid {
        let identifier = Uuid::new_v4();
        if self.extension_ids.len() <= index {
            self.extension_ids.resize(index + 1, None);
        }
        self.extension_ids[index] = Some(identifier);
        identifier
    }

    /// Reads an output, which is the last in line then: a process that floods its own must not keep those of others
    /// from being read. True when there may be more.
    pub(super) fn read(&mut self, index: usize, log: &mut Log) -> bool {
        let Output { source, mut capture } = self.outputs.remove(index);
        let more = capture.read(|line| log.line(source, line));
        self.outputs.push(Output { source, capture });
        more
    }

    pub(super) fn drain(&mut self, log: &mut Log) {
        for Output { source, capture } in &mut self.outputs {
            capture.drain(|line| log.line(*source, line));
        }
    }
}

/// The index of an output that can be read. Never, when there is none.
pub(super) async fn readable(outputs: &[Output]) -> usize {
    match outputs {
        [] => std::future::pending().await,
        // Without an allocation for the many who have no extensions.
        [only] => {
            only.capture.readable().await;
            0
        }
        several => {
            let each = several.iter().map(|output| Box::pin(output.capture.readable()));
            select_all(each).await.1
        }
    }
}
