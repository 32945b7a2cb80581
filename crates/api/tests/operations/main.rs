//! Operations of the API from request to answer: the router, a catalog in memory, packages in a folder, and functions that
//! really run, as plain processes.
//!
//! One executable in three roles: the tests, the first process of the sandboxes they create, and (mode [`RUNTIME`]) the
//! runtime of every function.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

mod aliases;
mod code;
mod code_signing;
mod concurrency;
mod event_invoke;
mod event_sources;
mod function_urls;
mod functions;
mod harness;
mod layers;
mod package;
mod permissions;
mod recursion;
mod runtime;
mod runtime_management;
mod settings;
mod tags;
mod versions;

use libtest_mimic::Arguments;

/// First argument of the runtime.
const RUNTIME: &str = "runtime";

fn main() -> std::process::ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    if std::env::args().nth(1).is_some_and(|argument| argument == RUNTIME) {
        return runtime::main();
    }
    let tests = [
        aliases::tests(),
        code::tests(),
        code_signing::tests(),
        concurrency::tests(),
        event_invoke::tests(),
        event_sources::tests(),
        function_urls::tests(),
        functions::tests(),
        layers::tests(),
        permissions::tests(),
        recursion::tests(),
        runtime_management::tests(),
        settings::tests(),
        tags::tests(),
        versions::tests(),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().flatten().collect()).exit_code()
}
