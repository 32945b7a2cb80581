//! A server that is killed at any moment loses no event that it accepted, and runs twice at most what was in flight.
//!
//! This program plays the server as well: started once more with a folder, it accepts events and runs them, and says of
//! each on its stdout. A line that was written is in the pipe, whatever happens to the writer.
//!
//! ```text
//!  parent ── starts ──► server: accepted 7 · ran 7 · hopped 8 · told 10 …
//!     │◄── reads lines until some number were accepted, then kills it; again and again ──┘
//!     └─── at last a server that accepts nothing and ends when its queue is empty
//! ```

#![expect(clippy::unwrap_used, reason = "a test, though not of the usual harness")]

mod server;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};

/// Of the program started once more: folder, first number, how many to accept.
const SERVE: &str = "serve-a-queue";
const ROUNDS: u64 = 25;
const EVENTS_PER_ROUND: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, folder, first, count] = &arguments[..]
        && mode == SERVE
    {
        return server::main(
            Path::new(folder),
            first.parse().unwrap()..first.parse::<u64>().unwrap() + count.parse::<u64>().unwrap(),
        );
    }
    let test = Trial::test("a_server_killed_at_any_moment_loses_nothing", killed_at_any_moment);
    libtest_mimic::run(&Arguments::from_args(), vec![test]).exit_code()
}

fn killed_at_any_moment() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut lines = Lines::default();
    for round in 0..ROUNDS {
        let mut server = start(folder.path(), round * EVENTS_PER_ROUND, EVENTS_PER_ROUND)?;
        let mut output = BufReader::new(server.stdout.take().ok_or("a server without stdout")?);
        let enough = random.u64(0..EVENTS_PER_ROUND);
        let mut accepted = 0;
        while accepted < enough {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                return Err(format!("the server of round {round} ended by itself (seed {seed})").into());
            }
            accepted += u64::from(line.starts_with("accepted"));
            lines.add(&line);
        }
        server.kill()?;
        lines.add_rest(output)?;
        server.wait()?;
    }
    let mut server = start(folder.path(), 0, 0)?;
    lines.add_rest(server.stdout.take().ok_or("a server without stdout")?)?;
    if !server.wait()?.success() {
        return Err(format!("the last server failed (seed {seed})").into());
    }
    lines.check(seed)
}

fn start(folder: &Path, first: u64, count: u64) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg(SERVE)
        .arg(folder)
        .args([first.to_string(), count.to_string()])
        .stdout(Stdio::piped())
        .spawn()
}

/// How often each thing was said of each event.
#[derive(Default)]
struct Lines {
    counts: BTreeMap<(String, u64), u64>,
}

impl Lines {
    fn add(&mut self, line: &str) {
        // The last line of a killed server may be cut; it said nothing yet.
        if let Some((what, number)) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')) {
            *self.counts.entry((what.to_owned(), number.parse().unwrap())).or_default() += 1;
        }
    }

    fn add_rest(&mut self, rest: impl Read) -> std::io::Result<()> {
        for line in BufReader::new(rest).lines() {
            self.add(&format!("{}\n", line?));
        }
        Ok(())
    }

    fn count(&self, what: &str, number: u64) -> u64 {
        self.counts.get(&(what.to_owned(), number)).copied().unwrap_or_default()
    }

    fn check(&self, seed: u64) -> Result<(), Failed> {
        let (mut accepted, mut lost, mut twice) = (0, Vec::new(), 0);
        for number in 0..ROUNDS * EVENTS_PER_ROUND {
            let ran = self.count("ran", number);
            let was_accepted = self.count("accepted", number) > 0;
            accepted += u64::from(was_accepted);
            // A push that was not answered may have been accepted nevertheless: then all of it holds for it, too.
            if !was_accepted && ran == 0 {
                continue;
            }
            for (what, expected) in server::expected(number) {
                let count = self.count(what, number);
                if count < expected {
                    lost.push((what, number));
                }
                twice += count.saturating_sub(expected);
            }
        }
        let in_flight = ROUNDS * server::IN_FLIGHT;
        writeln!(
            std::io::stderr(),
            "{accepted} accepted over {ROUNDS} kills, {} lost, {twice} done twice of at most {in_flight}",
            lost.len()
        )?;
        if !lost.is_empty() {
            return Err(format!("lost (seed {seed}): {lost:?}").into());
        }
        if accepted < ROUNDS * EVENTS_PER_ROUND / 4 || twice > in_flight {
            return Err(format!("{accepted} accepted, {twice} done twice (seed {seed})").into());
        }
        Ok(())
    }
}
