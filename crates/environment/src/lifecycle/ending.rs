//! How the processes of an environment are ended, when it is reset and when it is given up.
//!
//! ```text
//!  nothing registered: ─────────────────────────────────────────────► Processes
//!  internal only:      Runtime ─ it exited, or its share is over ───► Processes
//!  any external:       Runtime ─────┘─► Extensions ─ all exited, ───► Processes
//!                      (SIGTERM)        (SHUTDOWN)   or time is up    (SIGKILL to all)
//! ```
//!
//! Part of the rules. The whole takes 0, 500 or 2 000 ms; of the last the runtime has 300 ms (AWS:
//! "lambda-runtime-environment"; the published core would give it 600). A runtime that has ended is not waited for.

use std::time::Duration;

use firesteel_runtime_api::ShutdownReason;

use super::extensions::{Extensions, Index};

/// How far an ending has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The runtime was asked to end.
    Runtime {
        /// Extensions come after it.
        extensions_follow: bool,
    },
    /// Extensions were told, or will be when they ask.
    Extensions,
    /// Every process is being killed.
    Processes,
}

/// What an ending asks of the driver, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The time runs from here.
    Begin(Budget),
    /// SIGTERM to the runtime.
    TerminateRuntime,
    /// SIGKILL to the runtime: its share of the time is over.
    KillRuntime,
    /// SHUTDOWN to an extension that waits.
    TellExtension(Index),
    /// SIGKILL to an extension that wants no SHUTDOWN.
    KillExtension(Index),
    /// From here on the rest of the time is for the extensions.
    AwaitExtensions,
    /// SIGKILL to all.
    KillAll,
}

/// Why the environment ends, and how much time there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Told to extensions.
    pub reason: ShutdownReason,
    /// For everything.
    pub total: Duration,
    /// For the runtime alone.
    pub runtime: Duration,
}

const INTERNAL_ONLY: Duration = Duration::from_millis(500);
const WITH_EXTERNAL: Duration = Duration::from_millis(2000);
const RUNTIME_SHARE: Duration = Duration::from_millis(300);
const RUNTIME_SHARE_CONCURRENT: Duration = Duration::from_millis(600);

/// Begins an ending.
pub(crate) fn begin(
    extensions: &mut Extensions,
    runtime_runs: bool,
    reason: ShutdownReason,
) -> (Step, Vec<Action>) {
    let external = extensions.any_external();
    if extensions.members().is_empty() {
        return (Step::Processes, vec![Action::KillAll]);
    }
    let budget = if external {
        Budget { reason, total: WITH_EXTERNAL, runtime: RUNTIME_SHARE }
    } else {
        Budget { reason, total: INTERNAL_ONLY, runtime: INTERNAL_ONLY }
    };
    begin_within(extensions, runtime_runs, budget)
}

/// Begins the ending of an environment that takes several invocations at a time: there the runtime is always asked,
/// and has the 600 ms that the published core gives it.
pub(crate) fn begin_concurrent(
    extensions: &mut Extensions,
    runtime_runs: bool,
    reason: ShutdownReason,
) -> (Step, Vec<Action>) {
    let budget = Budget { reason, total: WITH_EXTERNAL, runtime: RUNTIME_SHARE_CONCURRENT };
    begin_within(extensions, runtime_runs, budget)
}

fn begin_within(extensions: &mut Extensions, runtime_runs: bool, budget: Budget) -> (Step, Vec<Action>) {
    let external = extensions.any_external();
    if !external && !runtime_runs {
        return (Step::Processes, vec![Action::KillAll]);
    }
    let mut actions = vec![Action::Begin(budget)];
    if runtime_runs {
        actions.push(Action::TerminateRuntime);
        return (Step::Runtime { extensions_follow: external }, actions);
    }
    let step = tell_extensions(extensions, &mut actions);
    (step, actions)
}

/// The runtime's process ended.
pub(crate) fn runtime_exited(extensions: &mut Extensions, step: Step) -> (Step, Vec<Action>) {
    match step {
        Step::Runtime { extensions_follow } => after_runtime(extensions, extensions_follow, vec![]),
        Step::Extensions | Step::Processes => (step, vec![]),
    }
}

/// The time of the present step is over.
pub(crate) fn time_is_up(extensions: &mut Extensions, step: Step) -> (Step, Vec<Action>) {
    match step {
        Step::Runtime { extensions_follow } => {
            after_runtime(extensions, extensions_follow, vec![Action::KillRuntime])
        }
        Step::Extensions => (Step::Processes, vec![Action::KillAll]),
        Step::Processes => (step, vec![]),
    }
}

/// An extension asked for an event.
pub(crate) fn extension_asked(extensions: &mut Extensions, step: Step, index: Index) -> Vec<Action> {
    if step == Step::Extensions && extensions.tell_of_shutdown(index) {
        vec![Action::TellExtension(index)]
    } else {
        vec![]
    }
}

/// An extension's process ended.
pub(crate) fn extension_exited(extensions: &Extensions, step: Step) -> (Step, Vec<Action>) {
    if step == Step::Extensions && !extensions.end_is_awaited() {
        (Step::Processes, vec![Action::KillAll])
    } else {
        (step, vec![])
    }
}

fn after_runtime(
    extensions: &mut Extensions,
    extensions_follow: bool,
    mut actions: Vec<Action>,
) -> (Step, Vec<Action>) {
    if extensions_follow {
        let step = tell_extensions(extensions, &mut actions);
        (step, actions)
    } else {
        // That includes the runtime, if it is still there.
        (Step::Processes, vec![Action::KillAll])
    }
}

fn tell_extensions(extensions: &mut Extensions, actions: &mut Vec<Action>) -> Step {
    if !extensions.end_is_awaited() {
        actions.push(Action::KillAll);
        return Step::Processes;
    }
    actions.extend(extensions.not_interested_in_shutdown().map(Action::KillExtension));
    actions.push(Action::AwaitExtensions);
    for index in 0..extensions.members().len() {
        if extensions.tell_of_shutdown(index) {
            actions.push(Action::TellExtension(index));
        }
    }
    Step::Extensions
}
