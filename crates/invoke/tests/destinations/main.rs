//! Destinations against a real listener: `moto_server`, which plays SQS, SNS, EventBridge and S3.
//!
//! One server for all tests, each of which has queues and buckets of its own. The program is that of
//! `FIRESTEEL_MOTO_SERVER`, else the one in PATH. Without one the tests are skipped, aloud; with
//! `FIRESTEEL_REQUIRE_ALL` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

mod moto;
mod telling;
mod unreachable;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use moto::Moto;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Who only lists the tests needs no server.
    let moto = if arguments.list { Err("not started for a list".into()) } else { Moto::start() };
    let moto = moto.map(Arc::new);
    let mut tests = telling::tests(&moto);
    tests.extend(unreachable::tests());
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// A test as libtest-mimic wants it, in an async runtime of its own.
fn test<F>(name: &str, body: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    Trial::test(name, move || -> Result<(), Failed> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(body());
        Ok(())
    })
}

/// The same, with the server, if there is one.
fn test_with_moto<F>(
    moto: &Result<Arc<Moto>, String>,
    name: &str,
    body: impl FnOnce(Arc<Moto>) -> F + Send + 'static,
) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    match moto {
        Ok(moto) => {
            let moto = Arc::clone(moto);
            test(name, move || body(moto))
        }
        Err(reason) if std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_some() => {
            let reason = format!("{reason}, and FIRESTEEL_REQUIRE_ALL forbids skipping");
            Trial::test(name, move || Err(reason.into()))
        }
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {reason}");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}
