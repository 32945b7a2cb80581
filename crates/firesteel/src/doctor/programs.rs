//! What is installed: interpreters of managed runtimes, and runtimes of containers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use firesteel_runtimes::Interpreters;

use super::Check;

/// All that answer.
pub(super) fn interpreters() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, found) in Interpreters::of_host().all() {
        if found.is_empty() {
            let next = match name {
                "Python" => "uv python install 3.13",
                _ => "nvm install 24",
            };
            checks.push(Check::missing(name, "none answers").try_next(next));
        }
        checks.extend(found.iter().map(|interpreter| {
            Check::ok(format!("{name} {}", interpreter.version), interpreter.program.display().to_string())
        }));
    }
    checks
}

/// By the names of their programs, and what each is for.
const OCI_RUNTIMES: [(&str, &str); 5] = [
    ("crun", "containers"),
    ("runc", "containers"),
    ("youki", "containers"),
    ("runsc", "gVisor: a kernel of its own in between"),
    ("kata-runtime", "a virtual machine for each"),
];

/// Those on `PATH`, with their versions.
pub(super) fn oci_runtimes() -> Vec<Check> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let found = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
    let checks = OCI_RUNTIMES.into_iter().filter_map(|(name, what)| {
        let program = found(name)?;
        let place = program.display();
        Some(match version(name, &program) {
            Some(version) => Check::ok(name, format!("{version}, {place} ({what})")),
            None => Check::degraded(name, format!("{place} does not tell its version ({what})")),
        })
    });
    let checks: Vec<_> = checks.collect();
    if checks.is_empty() {
        vec![Check::missing("none", "none is on PATH").try_next("apt install crun")]
    } else {
        checks
    }
}

/// Far more than a program needs to say who it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of the first line of `--version`, such as `crun version 1.8.1`, what is beside the name.
fn version(name: &str, program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let end = Instant::now() + PATIENCE;
    // What it says fits into the pipe, so it need not be read until it has ended.
    while child.try_wait().ok()?.is_none() {
        if Instant::now() >= end {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let output = child.wait_with_output().ok()?;
    first_version(name, &String::from_utf8_lossy(&output.stdout))
}

fn first_version(name: &str, said: &str) -> Option<String> {
    let words = said.lines().next()?.split_ascii_whitespace();
    let version =
        words.filter(|word| *word != name && *word != "version" && *word != ":").collect::<Vec<_>>();
    (!version.is_empty()).then(|| version.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_what_is_beside_the_name() {
        assert_eq!(first_version("crun", "crun version 1.8.1\ncommit: f8\n").as_deref(), Some("1.8.1"));
        assert_eq!(first_version("kata-runtime", "kata-runtime  : 3.2.0\n").as_deref(), Some("3.2.0"));
        assert_eq!(first_version("runsc", "runsc version release-2026\n").as_deref(), Some("release-2026"));
        assert_eq!(first_version("crun", "crun\n"), None);
        assert_eq!(first_version("crun", ""), None);
    }

    #[test]
    fn a_program_that_says_nothing_has_no_version() {
        assert_eq!(version("test", Path::new("/usr/bin/test")), None);
        assert_eq!(version("nothing", Path::new("/no/such/program")), None);
    }
}
