//! The promises of containers, each kept by every OCI runtime that is installed.
//!
//! One executable in three roles: the tests, what sandboxes are started with, and (mode [`SERVER`]) a server that is to
//! be killed.

#![cfg_attr(
    target_os = "linux",
    expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")
)]

#[cfg(target_os = "linux")]
mod confining;
#[cfg(target_os = "linux")]
mod ending;
#[cfg(target_os = "linux")]
mod fixture;
#[cfg(target_os = "linux")]
mod limiting;
#[cfg(target_os = "linux")]
mod networking;

/// First argument of a server; then the runtime, a name for the server, and its folder.
#[cfg(target_os = "linux")]
const SERVER: &str = "server";

/// Those that must keep the promises.
#[cfg(target_os = "linux")]
const RUNTIMES: [&str; 2] = ["crun", "runc"];

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    firesteel_sandbox::adopt_orphans().expect("the host lets a process adopt orphans");
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, runtime, id, folder] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        && *mode == SERVER
    {
        runtime_of_async().block_on(ending::serve(runtime, id, folder));
        return std::process::ExitCode::SUCCESS;
    }
    let mut arguments = libtest_mimic::Arguments::from_args();
    // First processes are told apart by being the only one there is.
    arguments.test_threads = Some(1);
    let tests = RUNTIMES.into_iter().flat_map(|runtime| {
        let all = [confining::TESTS, networking::TESTS, limiting::TESTS, ending::TESTS].concat();
        all.into_iter().map(move |(name, body)| test(runtime, name, body))
    });
    libtest_mimic::run(&arguments, tests.collect()).exit_code()
}

/// A promise, and how it is checked of a runtime.
#[cfg(target_os = "linux")]
type Test = (&'static str, Body);

#[cfg(target_os = "linux")]
type Body = fn(fixture::Host) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

#[cfg(target_os = "linux")]
fn test(runtime: &'static str, name: &str, body: Body) -> libtest_mimic::Trial {
    libtest_mimic::Trial::test(format!("{runtime}::{name}"), move || {
        runtime_of_async().block_on(async {
            match fixture::Host::with(runtime) {
                Ok(host) => body(host).await,
                Err(reason) => skipped(runtime, &reason),
            }
        });
        Ok(())
    })
}

#[cfg(target_os = "linux")]
fn skipped(runtime: &str, reason: &str) {
    use std::io::Write;
    assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
    let _ = writeln!(std::io::stderr(), "SKIPPED a test of containers by {runtime}: {reason}");
}

#[cfg(target_os = "linux")]
fn runtime_of_async() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a host has resources")
}
