//! The processes of one environment, and everything a driver does with them that is no rule: started, heard, read,
//! signalled, ended.
//!
//! ```text
//!                    ┌─ generation: port, pipes ─┐
//!  driver ─► start ─►│  runtime, extensions      │─► next(): what happened, to the driver
//!         ─► end ───►│  in the sandbox           │─► log (what they write)
//!                    └───────────────────────────┘
//! ```
//!
//! Held by both drivers, the one of single invocations (`driver`) and the one of several at a time (`concurrent`),
//! whose rules differ; what is here is the same for both. It judges nothing: it is told what to do, and tells what
//! happened. A new init is a new [`Generation`], so that nothing an old process sent can be taken for it. Why
//! processes failed is kept in [`Cause`], in words.

mod cause;
mod ending;
mod extensions;
mod generation;
mod init;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use firesteel_runtime_api::{Call, ExtensionEvent, Reply};
use firesteel_sandbox as sandbox;
use firesteel_sandbox::Sandbox;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use uuid::Uuid;

use self::cause::Cause;
use self::ending::EndingClock;
use self::generation::{Generation, RUNTIME, extension_of};
use self::init::Init;
use crate::environment::{Command, Initialization, Parts};
use crate::failure;
use crate::lifecycle::extensions::{Extensions, Index};
use crate::logs::Log;
use crate::spec::Spec;

/// How long a runtime that reported a failure may take to end. They do so at once, after a line or two in the log.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(1);

/// How old the memory figure of a REPORT may be, where the kernel does not keep one. A reading is a tenth of what a warm
/// invocation costs, so those that follow each other within this time share one. Since no process can take and give back
/// more than some 20 MiB in it, and a peak is kept, what one REPORT may miss is little, and the next one has it.
const MEMORY_AGE: Duration = Duration::from_millis(5);

/// Everything an environment holds that does not depend on its rules.
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) spec: Arc<Spec>,
    pub(crate) log: Log,
    pub(crate) cause: Cause,
    pub(crate) init: Init,
    initialization: watch::Sender<Option<Initialization>>,
    /// `None` once the environment is to end: nothing can be asked of it any more.
    commands: Option<mpsc::Receiver<Command>>,
    sandbox: Sandbox,
    sandbox_events: sandbox::Events,
    /// Where the layers are, as the processes see it.
    opt: PathBuf,
    metadata_token: String,
    generation: Option<Generation>,
    /// Calls for an event, by the extension's index.
    parked: Vec<Option<Reply<ExtensionEvent>>>,
    /// How many processes had been killed for want of memory when the last init began.
    out_of_memory_kills: u64,
    /// The time for an end that is under way.
    ending: Option<EndingClock>,
    alarm: Option<(Instant, Alarm)>,
    sleep: Pin<Box<Sleep>>,
}

/// What is to be told when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// The present step of the end has had its time.
    EndingTimeUp,
    /// The sandbox is given up.
    SandboxLost,
}

/// What happened to an environment.
#[derive(Debug)]
pub(crate) enum Happened {
    Called(Call),
    Commanded(Command),
    /// To the runtime's process, or one of the sandbox.
    Changed(Change),
    Alarm(Alarm),
    /// The time that was asked for has come.
    TimePassed(Instant),
}

/// A change of the processes that the rules are concerned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    RuntimeExited,
    LaunchFailed,
    ExtensionExited(Index),
    ExtensionLaunchFailed(Index),
    /// No process is left.
    Emptied,
    SandboxLost,
}

impl Processes {
    /// None yet.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { spec, initialization, commands, sandbox, sandbox_events, opt, log, .. } = parts;
        Processes {
            spec,
            log,
            cause: Cause::default(),
            init: Init::begin(true),
            initialization,
            commands: Some(commands),
            sandbox,
            sandbox_events,
            opt,
            metadata_token: Uuid::new_v4().to_string(),
            generation: None,
            parked: Vec::new(),
            out_of_memory_kills: 0,
            ending: None,
            alarm: None,
            sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
        }
    }

    /// Waits for the next thing that happens, at most until `wake_at`. Cancel-safe.
    ///
    /// Which goes first: time that has passed, then commands, the guest's calls (an answer that was posted before the
    /// process ended counts), the sandbox, the logs. A guest that calls without pause cannot hold off a deadline, which
    /// is looked at before every event, nor its end.
    pub(crate) async fn next(&mut self, wake_at: Option<Instant>, extensions: &Extensions) -> Happened {
        loop {
            let alarm_at = self.alarm.map(|(at, _)| at);
            let until = wake_at.into_iter().chain(alarm_at).min();
            if let Some(until) = until {
                // Moving the sleep costs; one that fires early is only looked at again.
                if self.sleep.is_elapsed() || self.sleep.deadline() > until {
                    self.sleep.as_mut().reset(until);
                }
                let now = Instant::now();
                if let Some((_, alarm)) = self.alarm.take_if(|(at, _)| now >= *at) {
                    return Happened::Alarm(alarm);
                }
                if now >= until {
                    return Happened::TimePassed(now);
                }
            }
            let (calls, outputs) = match &mut self.generation {
                Some(generation) => {
                    let (calls, outputs) = generation.split();
                    (Some(calls), Some(outputs))
                }
                None => (None, None),
            };
            tokio::select! {
                biased;
                command = or_never(self.commands.as_mut().map(mpsc::Receiver::recv)) => {
                    // No handle is left: nobody can want it any more.
                    let command = command.unwrap_or(Command::Shutdown);
                    if let Command::Shutdown = command {
                        self.commands = None;
                    }
                    return Happened::Commanded(command);
                }
                call = or_never(calls.map(mpsc::Receiver::recv)) => match call {
                    Some(call) => return Happened::Called(call),
                    // Its server ended: it does so only with the processes.
                    None => self.generation = None,
                },
                event = self.sandbox_events.recv() => {
                    if let Some(change) = self.changed(event, extensions) {
                        return Happened::Changed(change);
                    }
                }
                index = or_never(outputs.map(generation::readable)) => {
                    if self.read_output(index) {
                        // A pipe that is never empty would keep this task, and with it the server's thread, for ever.
                        tokio::task::yield_now().await;
                    }
                }
                () = &mut self.sleep, if until.is_some() => {}
            }
        }
    }

    /// Ends what is left of the sandbox.
    pub(crate) async fn close(self) {
        drop(self.generation);
        self.sandbox.close().await;
    }

    fn changed(&mut self, event: Option<sandbox::Event>, extensions: &Extensions) -> Option<Change> {
        let index_of = |process: &str| {
            let name = extension_of(process)?;
            extensions.members().iter().position(|known| &*known.name == name)
        };
        match event {
            Some(sandbox::Event::Exited { name, status }) => {
                // What it wrote last explains why it went.
                self.drain_output();
                if name == RUNTIME {
                    self.cause.exit = Some(status);
                    self.cause.out_of_memory = self.sandbox.out_of_memory_kills() > self.out_of_memory_kills;
                    return Some(Change::RuntimeExited);
                }
                let index = index_of(&name)?;
                self.cause.extension = Some(failure::extension_exit_text(status));
                Some(Change::ExtensionExited(index))
            }
            Some(sandbox::Event::SpawnFailed { name, step, errno, message }) => {
                let reason = failure::exec_error_text(errno, &message);
                if name == RUNTIME {
                    self.launch_failed(step, &reason);
                    return Some(Change::LaunchFailed);
                }
                let index = index_of(&name)?;
                self.cause.extension = Some(reason);
                Some(Change::ExtensionLaunchFailed(index))
            }
            Some(sandbox::Event::Emptied) => {
                self.drain_output();
                self.generation = None;
                self.parked.clear();
                self.ending = None;
                self.alarm = None;
                self.log.end_subscribers();
                Some(Change::Emptied)
            }
            Some(sandbox::Event::Started { .. }) => None,
            Some(sandbox::Event::Lost) | None => Some(Change::SandboxLost),
        }
    }

    /// The highest use of memory so far, in MiB.
    pub(crate) fn max_memory_used_mib(&self) -> u64 {
        self.sandbox.memory_within(MEMORY_AGE).peak_bytes.div_ceil(1024 * 1024)
    }

    /// When memory is to be looked at next, for the sake of processes that come and go before it is asked for. Never, where
    /// the kernel keeps the peak.
    pub(crate) fn next_sample(&self, at: Instant) -> Option<Instant> {
        (!self.sandbox.keeps_memory_peak()).then_some(at)
    }

    /// Looks at memory for the sake of processes that come and go before it is asked for.
    pub(crate) fn sample_memory(&self) {
        // The sandbox keeps the peak.
        let _ = self.sandbox.memory();
    }

    /// How long it may run on after it came to rest. Where freezing takes microseconds: as long as it takes one who waits
    /// for an answer to send what is next. Else long enough that an environment which is invoked again and again is never
    /// stopped and continued in between, which would be felt; short enough for nobody to get work done.
    pub(crate) fn freeze_after(&self) -> Duration {
        Duration::from_millis(if self.sandbox.freezes_at_once() { 1 } else { 10 })
    }

    /// Stops everything, until [`Processes::thaw`].
    pub(crate) fn freeze(&mut self) {
        // Nobody can take what is sent from here on, and it must not be sent in vain.
        self.log.pause_subscribers();
        if let Err(error) = self.sandbox.freeze() {
            // It runs on, which is a shortfall and no danger; its end will be noticed as any other.
            tracing::warn!(%error, "an idle environment could not be frozen");
        }
    }

    pub(crate) fn thaw(&mut self) {
        if let Err(error) = self.sandbox.thaw() {
            tracing::warn!(%error, "a frozen environment could not be woken");
        }
        self.log.resume_subscribers();
    }

    /// Writes what was printed until now.
    pub(crate) fn drain_output(&mut self) {
        let Processes { generation, log, .. } = self;
        if let Some(generation) = generation {
            generation.drain(log);
        }
    }

    /// True when there may be more to read.
    fn read_output(&mut self, index: usize) -> bool {
        let Processes { generation, log, .. } = self;
        generation.as_mut().is_some_and(|generation| generation.read(index, log))
    }
}

/// A branch that is there only sometimes.
async fn or_never<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// As deadlines are told.
pub(crate) fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
