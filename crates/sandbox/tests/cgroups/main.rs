//! The promises of control groups, each against the kernel. As root, on hosts that let groups be made.
//!
//! One executable in two roles: the tests, and (mode [`GUEST`]) programs that behave as the tests need.

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

#[cfg(target_os = "linux")]
mod ending;
#[cfg(target_os = "linux")]
mod fixture;
#[cfg(target_os = "linux")]
mod freezing;
#[cfg(target_os = "linux")]
mod guest;
#[cfg(target_os = "linux")]
mod limits;

/// First argument of a guest; the second names its behaviour.
#[cfg(target_os = "linux")]
const GUEST: &str = "guest";

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).is_some_and(|argument| argument == GUEST) {
        return guest::main();
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let tests = [limits::tests(), freezing::tests(), ending::tests()];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// Other systems have none.
#[cfg(not(target_os = "linux"))]
fn main() {}
