//! Groups of a test's own, and programs to put there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use firesteel_sandbox::{Enforcement, Group, Groups, Means};
use libtest_mimic::{Failed, Trial};
use rustix::process::Pid;

use crate::GUEST;

/// Nothing here takes longer than a second or two; this is when a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A test that needs `means`: without them it says so and is left out, or fails where nothing may be left out.
pub(crate) fn test(name: &'static str, means: &[fn(&Enforcement) -> &Means], body: fn()) -> Trial {
    let groups = Groups::open(&id("probe"));
    let wanting = means.iter().find_map(|means| match means(groups.enforcement()) {
        Means::By(_) => None,
        Means::Not { reason } => Some(reason.clone()),
    });
    if let Some(reason) = &wanting {
        assert!(std::env::var_os("FIRESTEEL_REQUIRE_ALL").is_none(), "{name}: {reason}");
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED {name}: {reason}").unwrap();
    }
    let run = move || -> Result<(), Failed> {
        body();
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(wanting.is_some())
}

/// Unlike that of any other test or run.
pub(crate) fn id(test: &str) -> String {
    format!("test-{}-{}", std::process::id(), test.replace(' ', "-"))
}

/// The groups of a test, and one below.
pub(crate) fn group(test: &str) -> (Groups, Group) {
    let groups = Groups::open(&id(test));
    let group = groups.make("sandbox").unwrap();
    (groups, group)
}

/// Every folder of control groups that is called so, wherever.
pub(crate) fn folders(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts.lines().filter(|line| line.contains(" - cgroup"));
    let mut waiting: Vec<PathBuf> = mounts.map(|line| line.split(' ').nth(4).unwrap().into()).collect();
    let mut found = Vec::new();
    while let Some(folder) = waiting.pop() {
        if folder.file_name().is_some_and(|it| it == name) {
            found.push(folder.clone());
        }
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        waiting.extend(entries.filter(|it| it.file_type().is_ok_and(|it| it.is_dir())).map(|it| it.path()));
    }
    found
}

/// A behaviour of [`crate::guest`], which begins when it is told to: after it was moved.
pub(crate) struct Guest {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Guest {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(GUEST).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { stdin: child.stdin.take(), stdout, child }
    }

    /// In all groups, and begun.
    pub(crate) fn inside(group: &Group, arguments: &[&str]) -> Self {
        let mut guest = Self::start(arguments);
        group.enter_all(guest.pid()).unwrap();
        guest.go();
        guest
    }

    pub(crate) fn go(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The next line that it says; empty when it has ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.line().parse().unwrap()
    }

    pub(crate) fn status(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// What a counting guest has come to.
pub(crate) fn count(file: &Path) -> u64 {
    let bytes = fs::read(file).unwrap_or_default();
    bytes.try_into().map_or(0, u64::from_ne_bytes)
}
