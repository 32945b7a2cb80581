//! Runs each test in a process of its own, which becomes the lab.

use std::io::Write;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{actor, lab, reaching, sockets, uplinks};

/// A test, to be run in a process that is the lab.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
}

fn scenarios() -> Vec<Scenario> {
    [reaching::scenarios(), uplinks::scenarios(), sockets::scenarios()].into_iter().flatten().collect()
}

pub(crate) fn main() -> ExitCode {
    firesteel_sandbox_init::enter_if_asked();
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some(actor::MODE) => actor::main(),
        Some(lab::MODE) => {
            let scenario = scenarios().into_iter().find(|scenario| scenario.name == arguments[2]).unwrap();
            lab::enter();
            (scenario.run)();
            ExitCode::SUCCESS
        }
        _ => {
            let reason = host_cannot();
            if let Some(reason) = &reason {
                let mut stderr = std::io::stderr();
                writeln!(stderr, "SKIPPED: no network can be made here: {reason}").unwrap();
                assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{reason}");
            }
            let trials = scenarios().into_iter().map(|scenario| {
                let run = move || run_in_lab(scenario.name);
                Trial::test(scenario.name, run).with_ignored_flag(reason.is_some())
            });
            libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
        }
    }
}

fn host_cannot() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it takes root".to_owned());
    }
    let missing = ["ip", "nft", "pasta"].into_iter().find(|program| {
        Command::new("/bin/sh")
            .args(["-c", &format!("command -v {program} >/dev/null")])
            .status()
            .is_ok_and(|s| !s.success())
    });
    if let Some(missing) = missing {
        return Some(format!("the program {missing} is missing"));
    }
    std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .err()
        .map(|error| format!("/dev/net/tun cannot be opened: {error}"))
}

fn run_in_lab(scenario: &str) -> Result<(), Failed> {
    let mut lab = Command::new("/proc/self/exe");
    lab.args([lab::MODE, scenario]);
    if scenario.starts_with(uplinks::WITHOUT_PASTA) {
        lab.env("PATH", "/usr/sbin:/sbin");
    }
    let output = lab.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}
