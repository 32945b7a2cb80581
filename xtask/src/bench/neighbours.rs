//! What else runs on this machine while something is measured: an agent of a virtual machine's that takes a processor for
//! twenty milliseconds of each second is a tail of 3 % to whatever takes ten milliseconds, and says nothing about it.
//!
//! Called by measurements of latencies that have tails and are too long to be repeated until nothing runs beside them.
//! Nothing is known where there is no `/proc`: nothing is disturbed then.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Others may have run for this part of what was measured without it being called disturbed.
const UNNOTICED: f64 = 0.05;

/// The programs that run beside what will be measured.
#[derive(Debug)]
pub(super) struct Neighbours(Vec<PathBuf>);

/// How long something took, and whether it had the machine to itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pub(super) took: Duration,
    pub(super) disturbed: bool,
}

impl Neighbours {
    /// All that run now but for this one: what will be measured must not have been started. Threads of the kernel's are
    /// none, for they may run on its behalf.
    pub(super) fn now() -> Self {
        let own = std::process::id().to_string();
        let folders = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let is_program = name.parse::<u32>().is_ok() && name != own && has_arguments(&entry.path());
            is_program.then(|| entry.path().join("task"))
        });
        Self(folders.collect())
    }

    /// What `measure` gives, with what ran beside it.
    pub(super) fn beside<E>(&self, measure: impl FnOnce() -> Result<Duration, E>) -> Result<Timed, E> {
        let before = self.ran();
        Ok(self.since(before, measure()?))
    }

    /// Of what has just taken this long, where they [`ran`](Self::ran) for `before` when it began.
    pub(super) fn since(&self, before: Duration, took: Duration) -> Timed {
        let ran = self.ran().saturating_sub(before);
        Timed { took, disturbed: ran > took.mul_f64(UNNOTICED) }
    }

    /// For how long, in all, their threads have run.
    pub(super) fn ran(&self) -> Duration {
        let threads = self.0.iter().flat_map(fs::read_dir).flatten().flatten();
        Duration::from_nanos(threads.filter_map(|thread| ran_ns(&thread.path())).sum())
    }
}

fn has_arguments(process: &Path) -> bool {
    fs::read(process.join("cmdline")).is_ok_and(|arguments| !arguments.is_empty())
}

fn ran_ns(thread: &Path) -> Option<u64> {
    let statistics = fs::read_to_string(thread.join("schedstat")).ok()?;
    statistics.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_runs_beside_something_disturbs_it_and_what_sleeps_does_not() {
        let run = |arguments: [&str; 2]| {
            let mut child = Command::new("sh")
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let others = Neighbours(vec![format!("/proc/{}/task", child.id()).into()]);
            // Until it has run, and while it may run on.
            let timed = others.beside(|| {
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(1) && others.ran() < Duration::from_millis(200) {
                    std::thread::yield_now();
                }
                Ok::<_, Infallible>(start.elapsed())
            });
            child.kill().unwrap();
            child.wait().unwrap();
            timed.unwrap().disturbed
        };
        assert!(run(["-c", "while :; do :; done"]));
        assert!(!run(["-c", "read forever"]));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_is_no_neighbour_of_its_own() {
        let own = Path::new("/proc").join(std::process::id().to_string()).join("task");
        let Neighbours(others) = Neighbours::now();
        assert!(!others.is_empty() && !others.contains(&own));
    }
}
