//! The promises of the process backend, each against real processes.
//!
//! One executable in three roles: the tests, the first process of the sandboxes they create, and (mode
//! [`GUEST`]) programs that behave as the tests need.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

mod fixture;
mod guest;

mod ending;
mod freezing;
mod hygiene;
mod measuring;
mod protecting;
mod spawning;

use libtest_mimic::{Arguments, Failed, Trial};

/// First argument of a guest; the second names its behaviour.
const GUEST: &str = "guest";

fn main() -> std::process::ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    if std::env::args().nth(1).is_some_and(|argument| argument == GUEST) {
        return guest::main();
    }
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    let arguments = Arguments::from_args();
    let tests = [
        spawning::tests(),
        ending::tests(),
        freezing::tests(),
        hygiene::tests(),
        measuring::tests(),
        protecting::tests(),
    ];
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
