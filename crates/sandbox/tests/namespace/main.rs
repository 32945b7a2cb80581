//! The promises of the namespace backend, each against real sandboxes.
//!
//! As root, where all of it can be had. Elsewhere every test is skipped, aloud; with `FIRESTEEL_REQUIRE_ALL` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

mod fixture;

mod blanks;
mod ending;
mod limits;
mod network;
mod root;
mod rootless;
mod tree;

use std::io::Write;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> std::process::ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    if std::env::args().nth(1).is_some_and(|argument| argument == rootless::MODE) {
        return rootless::main();
    }
    let arguments = Arguments::from_args();
    let tests = [
        root::tests(),
        limits::tests(),
        network::tests(),
        ending::tests(),
        blanks::tests(),
        rootless::tests(),
        tree::tests(),
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
    if rustix::process::geteuid().is_root() {
        return Trial::test(name, run);
    }
    if std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_some() {
        return Trial::test(
            name,
            || Err("root is needed, and FIRESTEEL_REQUIRE_ALL forbids skipping".into()),
        );
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: root is needed");
    Trial::test(name, run).with_ignored_flag(true)
}
