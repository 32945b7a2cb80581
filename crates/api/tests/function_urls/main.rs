//! Function URLs of the catalog, asked over sockets and answered by real functions of the process backend.
//!
//! One executable in three roles: the tests, the first process of each environment, and (mode [`RUNTIME`]) the runtime of
//! every function.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

mod access;
mod answers;
mod client;
mod cors;
mod fixture;
mod runtime;

use libtest_mimic::{Arguments, Failed, Trial};

/// First argument of the runtime.
const RUNTIME: &str = "runtime";

fn main() -> std::process::ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    if std::env::args().nth(1).is_some_and(|argument| argument == RUNTIME) {
        return runtime::main();
    }
    let arguments = Arguments::from_args();
    let tests = [access::tests(), answers::tests(), cors::tests()];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// A test as libtest-mimic wants it, in an async runtime of its own.
fn test<F>(name: &str, body: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let run = move || -> Result<(), Failed> {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(body());
        Ok(())
    };
    Trial::test(name, run)
}
