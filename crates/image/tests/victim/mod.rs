//! A test program without the usual harness, which is also the process that its tests kill: told so by its first argument.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};

/// What is promised, and how it is checked.
pub(crate) type Test = (&'static str, fn());

pub(crate) fn trial((name, body): Test) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// First argument of the process that is killed; then the folder of its store, and a seed.
const VICTIM: &str = "victim";

/// Runs the tests, or the victim's `work`, which never ends.
pub(crate) fn run(work: fn(&Path, u64) -> !, trials: Vec<Trial>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, folder, seed] = arguments.as_slice()
        && mode == VICTIM
    {
        work(Path::new(folder), seed.parse().unwrap());
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// What a victim has said that was killed a random time after it began.
pub(crate) fn kill_one(
    folder: &Path,
    seed: u64,
    random: &mut fastrand::Rng,
    within_micros: u64,
) -> Vec<String> {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([VICTIM, folder.to_str().unwrap(), &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(victim.stdout.take().unwrap()).lines();
    let lines = random.usize(1..6);
    let mut log: Vec<String> = output.by_ref().take(lines).map(Result::unwrap).collect();
    // Its moment is what is random here; there is no state to wait for.
    let moment = Instant::now() + Duration::from_micros(random.u64(..within_micros));
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
    victim.kill().unwrap();
    log.extend(output.map(Result::unwrap));
    victim.wait().unwrap();
    log
}
