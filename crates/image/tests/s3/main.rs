//! Objects of a real server: `moto_server` (PyPI `moto[server]`), found by `FIRESTEEL_MOTO_SERVER`, else on the path.
//!
//! One server is started for all of it; without the usual harness, because a `main` can end it again.
#![expect(clippy::unwrap_used, reason = "every function here is part of a test")]

mod images;
mod reading;
mod server;
mod writing;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use self::server::Server;

/// What is promised, and how it is checked.
type Test = (&'static str, fn(&Server));

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Whether credentials count holds for the whole server: each test has it to itself.
    arguments.test_threads = Some(1);
    let server = match Server::start() {
        Ok(server) => server,
        Err(reason) => {
            assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
            let _ = writeln!(std::io::stderr(), "SKIPPED the tests of S3: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let all = [reading::TESTS, writing::TESTS, images::TESTS].concat();
    let server = Arc::new(server);
    let trials = all.into_iter().map(|(name, body)| {
        let server = Arc::clone(&server);
        Trial::test(name, move || {
            body(&server);
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Runs what a test awaits.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
