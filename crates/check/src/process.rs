//! The runtime's process, in a sandbox of its own.

use std::collections::VecDeque;
use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use firesteel_sandbox::{self as sandbox, Exit, Sandbox};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::target::Target;
use crate::verdict::HostError;

/// By what the sandbox calls it.
const RUNTIME: &str = "runtime";

/// What is kept of its output.
const OUTPUT_BYTES: usize = 4 * 1024;

/// For the last of it, when nothing writes any more.
const TO_READ_ON: Duration = Duration::from_secs(1);

/// The one place that a function may write to.
const TMP: &str = "/tmp";

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(Exit),
    NotStarted(String),
}

/// To be ended by [`RuntimeProcess::close`].
#[derive(Debug)]
pub(crate) struct RuntimeProcess {
    sandbox: Sandbox,
    events: sandbox::Events,
    output: Arc<Mutex<VecDeque<u8>>>,
    reading: JoinHandle<()>,
    folder: PathBuf,
    ended: Option<Ended>,
}

impl RuntimeProcess {
    /// Starts it with the target's variables, and these over them; `None` takes one away.
    pub(crate) async fn start(
        target: &Target,
        changes: &[(&str, Option<String>)],
    ) -> Result<Self, HostError> {
        let id = Uuid::new_v4().simple().to_string();
        let folder = target.folder.join(&id);
        let tmp = folder.join("tmp");
        std::fs::create_dir_all(&tmp)
            .and_then(|()| std::fs::set_permissions(&tmp, Permissions::from_mode(0o1777)))
            .map_err(HostError::Prepare)?;
        let spec = sandbox::Spec {
            id,
            folder: folder.clone(),
            mounts: mounts(target, tmp),
            limits: sandbox::Limits::default(),
            init: sandbox::InitProgram::default(),
        };
        let (sandbox, events) = Sandbox::create(spec).await?;

        let (reader, writer) = io::pipe().map_err(HostError::Prepare)?;
        let stderr = writer.try_clone().map_err(HostError::Prepare)?;
        let pipe = Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(HostError::Prepare)?;
        let output = Arc::new(Mutex::new(VecDeque::new()));
        let reading = tokio::spawn(keep_last(pipe, Arc::clone(&output)));

        let mut variables = target.variables.clone();
        for (name, value) in changes {
            match value {
                Some(value) => variables.insert((*name).to_owned(), value.clone()),
                None => variables.remove(*name),
            };
        }
        let program = sandbox::Program {
            name: RUNTIME.into(),
            program: target.program.clone(),
            arguments: target.arguments.clone(),
            variables,
            working_dir: target.working_dir.clone(),
        };
        let process = sandbox::Process { program, stdout: writer.into(), stderr: stderr.into() };
        let this = RuntimeProcess { sandbox, events, output, reading, folder, ended: None };
        match this.sandbox.spawn(process) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.close().await;
                Err(error.into())
            }
        }
    }

    /// Resolves when it has ended, at once if it already has. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Result<Ended, HostError> {
        loop {
            if let Some(ended) = &self.ended {
                return Ok(ended.clone());
            }
            self.ended = match self.events.recv().await {
                Some(sandbox::Event::Exited { status, .. }) => Some(Ended::Exited(status)),
                Some(sandbox::Event::SpawnFailed { message, .. }) => Some(Ended::NotStarted(message)),
                Some(sandbox::Event::Started { .. } | sandbox::Event::Emptied) => None,
                Some(sandbox::Event::Lost) | None => return Err(HostError::SandboxLost),
            };
        }
    }

    /// Asks it to end, as AWS does where an extension is registered.
    pub(crate) fn terminate(&self) -> Result<(), HostError> {
        Ok(self.sandbox.signal(RUNTIME, sandbox::Signal::Terminate)?)
    }

    /// Ends all of it. Returns the last lines of its output.
    pub(crate) async fn close(self) -> String {
        self.sandbox.close().await;
        // Every writer of the pipe is gone by now, but for those that the host lets escape.
        let reading = self.reading.abort_handle();
        if tokio::time::timeout(TO_READ_ON, self.reading).await.is_err() {
            reading.abort();
        }
        let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(self.folder)).await;
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = output.iter().copied().collect();
        String::from_utf8_lossy(&bytes).replace('\r', "\n").trim_end().to_owned()
    }
}

/// Reads on, so that a runtime is never stopped by a full pipe.
async fn keep_last(mut pipe: Receiver, output: Arc<Mutex<VecDeque<u8>>>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = pipe.read(&mut bytes).await {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.extend(&bytes[..count]);
        let excess = output.len().saturating_sub(OUTPUT_BYTES);
        output.drain(..excess);
    }
}

/// Code that lies below `/tmp` cannot have another `/tmp` over it.
fn mounts(target: &Target, tmp: PathBuf) -> sandbox::Mounts {
    let below_tmp = |path: &Path| path.starts_with(TMP);
    let hides_code = below_tmp(&target.program) || target.read_only.iter().any(|folder| below_tmp(folder));
    let own_tmp = sandbox::Bind { from: tmp, at: TMP.into(), read_only: false };
    let binds = if hides_code { Vec::new() } else { vec![own_tmp] };
    sandbox::Mounts { read_only: target.read_only.clone(), binds, ..sandbox::Mounts::default() }
}
