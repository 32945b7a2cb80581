//! The start of all processes, and what is told of it.

use std::time::Duration;

use tokio::time::Instant;

use super::cause::Cause;
use super::generation::Generation;
use super::{Alarm, Processes};
use crate::lifecycle::InitResult;
use crate::lifecycle::extensions::{Extensions, MAX_EXTENSIONS, Stage};
use crate::logs::platform_event::{Phase, PlatformEvent, Status};

/// An init, under way or over.
#[derive(Debug)]
pub(crate) struct Init {
    pub(crate) began: Instant,
    pub(crate) phase: Phase,
    runtime_started: bool,
    /// The runtime's own part is over and told of.
    runtime_done: bool,
    /// A finished init phase, until the first invocation reports it.
    pub(crate) unreported: Option<Duration>,
}

impl Init {
    pub(super) fn begin(limited: bool) -> Self {
        Init {
            began: Instant::now(),
            phase: if limited { Phase::Init } else { Phase::Invoke },
            runtime_started: false,
            runtime_done: false,
            unreported: None,
        }
    }
}

impl Processes {
    /// Opens a new port; nothing runs yet. `limited` is false inside an invocation.
    pub(crate) fn begin_init(&mut self, limited: bool) {
        self.init = Init::begin(limited);
        self.cause = Cause::default();
        self.parked.clear();
        self.log.platform(&PlatformEvent::InitStart { phase: self.init.phase });
        self.out_of_memory_kills = self.sandbox.out_of_memory_kills();
        self.sandbox.limit_cpu(Some(if limited { self.spec.cpu_of_init() } else { self.spec.cpu() }));
        match Generation::open(&self.sandbox, &self.spec, &self.metadata_token) {
            Ok(generation) => self.generation = Some(generation),
            Err(error) => self.cannot_start("a port", &error),
        }
    }

    pub(crate) fn start_extensions(&mut self, extensions: &Extensions) {
        let Processes { generation, sandbox, spec, metadata_token, opt, .. } = self;
        let Some(generation) = generation else { return };
        let mut to_start = extensions.members().iter().filter(|extension| extension.stage == Stage::Started);
        let started = to_start.try_for_each(|extension| {
            generation.start_extension(sandbox, spec, metadata_token, opt, &extension.name)
        });
        if let Err(error) = started {
            self.cannot_start("an extension", &error);
        }
    }

    pub(crate) fn start_runtime(&mut self) {
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
        self.alarm = Some((Instant::now(), Alarm::SandboxLost));
    }

    pub(crate) fn runtime_initialized(&mut self, status: &Status) {
        self.drain_output();
        self.init.runtime_done = true;
        let status = status.clone();
        self.log.platform(&PlatformEvent::InitRuntimeDone { phase: self.init.phase, status });
    }

    pub(crate) fn init_ended(&mut self, result: InitResult, extensions: &Extensions) {
        let duration = self.init.began.elapsed();
        self.sandbox.limit_cpu(Some(self.spec.cpu()));
        self.drain_output();
        let status = match result {
            InitResult::Succeeded => {
                if self.init.phase == Phase::Init {
                    self.init.unreported = Some(duration);
                }
                Status::Success
            }
            InitResult::Failed(failure) => {
                let status = self.init_failure_status(failure, extensions);
                if self.init.runtime_started && !self.init.runtime_done {
                    self.runtime_initialized(&status);
                }
                status
            }
        };
        // Told when nobody is there who waits for it, too.
        self.initialization.send_replace(Some(match (status.error_type(), &status) {
            (Some(error_type), _) => Err(error_type.to_owned()),
            (None, Status::Timeout) => Err("Sandbox.Timedout".to_owned()),
            (None, _) => Ok(()),
        }));
        self.tell_of_extensions(extensions);
        self.log.platform(&PlatformEvent::InitReport { phase: self.init.phase, status, duration });
        self.log.close_subscriptions();
    }

    fn tell_of_extensions(&mut self, extensions: &Extensions) {
        for (index, extension) in extensions.members().iter().enumerate() {
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
            // The rules are ahead of what is told: one that waited at the end of the init may have its event by now.
            let stage = if extension.stage == Stage::Running { Stage::Ready } else { extension.stage };
            self.log.platform(&PlatformEvent::Extension {
                name: extension.name.to_string(),
                state: stage.name(),
                events: events.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect(),
                error_type,
            });
        }
    }
}
