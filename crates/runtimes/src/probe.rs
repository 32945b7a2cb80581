//! Asking a program for one line, within bounded time, leaving nothing of it behind.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// Longer than any version and path.
const LINE_BYTES: usize = 16 * 1024;

/// The variables a probed program gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Environment {
    /// None, as a function's interpreter must do without those of this process.
    Empty,
    /// Ours, which version managers' stand-ins on `PATH` need to do their work.
    Inherited,
}

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NoAnswer {
    /// It could not be started, or ended without one.
    Silent,
    /// It was still running when patience ran out.
    TimedOut,
}

/// The first line `program` writes, without its end.
pub(crate) fn first_line(
    program: &Path,
    arguments: &[&str],
    environment: Environment,
    patience: Duration,
) -> Result<String, NoAnswer> {
    let deadline = Instant::now() + patience;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A group of its own, so that what it starts ends with it.
    command.process_group(0);
    if environment == Environment::Empty {
        command.env_clear();
    }
    let mut child = ProbeGuard(command.spawn().map_err(|_| NoAnswer::Silent)?);
    let line = child.read_line(deadline).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => NoAnswer::TimedOut,
        _ => NoAnswer::Silent,
    })?;
    String::from_utf8(line).ok().filter(|line| !line.is_empty()).ok_or(NoAnswer::Silent)
}

/// A running probe; dropping it ends the whole group. That is no loss: a program that has answered has
/// nothing more to do.
struct ProbeGuard(Child);

impl ProbeGuard {
    fn read_line(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut stdout = self.0.stdout.take().expect("stdout is piped and taken once");
        let mut line = Vec::new();
        let mut buffer = [0; 1024];
        while line.len() < LINE_BYTES {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            if poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let count = stdout.read(&mut buffer)?;
            let read = &buffer[..count];
            if let Some(end) = read.iter().position(|byte| *byte == b'\n') {
                line.extend(&read[..end]);
                return Ok(line);
            }
            if count == 0 {
                return Ok(line);
            }
            line.extend(read);
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

impl Drop for ProbeGuard {
    fn drop(&mut self) {
        // Not waited for yet, so the number still belongs to it. Errors mean that it has ended.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, environment: Environment, patience: Duration) -> Result<String, NoAnswer> {
        first_line(Path::new("/bin/sh"), &["-c", script], environment, patience)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_line_is_the_answer_even_if_the_program_stays() {
        let began = Instant::now();
        assert_eq!(shell("echo one; echo two; sleep 600", Environment::Empty, LONG).as_deref(), Ok("one"));
        assert_eq!(shell("printf open", Environment::Empty, LONG).as_deref(), Ok("open"));
        assert!(began.elapsed() < LONG);
    }

    #[test]
    fn no_line_is_no_answer() {
        let silent = Err(NoAnswer::Silent);
        assert_eq!(shell("exit 3", Environment::Empty, LONG), silent);
        assert_eq!(shell("echo; echo late", Environment::Empty, LONG), silent);
        assert_eq!(shell("printf '\\377\\n'", Environment::Empty, LONG), silent);
        assert_eq!(shell("head -c 100000 /dev/zero", Environment::Inherited, LONG), silent);
        assert_eq!(first_line(Path::new("/nowhere"), &[], Environment::Empty, LONG), silent);
    }

    #[test]
    fn one_that_hangs_is_given_up() {
        let patience = Duration::from_millis(50);
        assert_eq!(shell("sleep 600", Environment::Inherited, patience), Err(NoAnswer::TimedOut));
    }

    #[test]
    fn what_it_started_ends_with_it() {
        let answer = shell("sleep 600 >/dev/null & echo $!; wait", Environment::Inherited, LONG).unwrap();
        let pid = Pid::from_raw(answer.parse().unwrap()).unwrap();
        // Killed, but collected by whoever inherits it, at its leisure: a zombie will do.
        while rustix::process::test_kill_process(pid).is_ok() {
            let status = std::fs::read_to_string(format!("/proc/{answer}/stat"));
            if status.is_ok_and(|status| status.contains(") Z ")) {
                break;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_environment_is_empty_or_ours() {
        let script = "echo \"$CARGO_MANIFEST_DIR.\"";
        assert_eq!(shell(script, Environment::Empty, LONG).as_deref(), Ok("."));
        let ours = format!("{}.", std::env::var("CARGO_MANIFEST_DIR").unwrap());
        assert_eq!(shell(script, Environment::Inherited, LONG), Ok(ours));
    }
}
