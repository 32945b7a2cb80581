//! A sandbox with its folder, its events, and eyes on its processes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use firesteel_sandbox::{Event, Events, InitProgram, Mounts, Process, Program, Sandbox, Spec};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use tempfile::TempDir;

/// Nothing here takes longer than milliseconds; this is when a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Fixture {
    pub(crate) sandbox: Sandbox,
    pub(crate) events: Events,
    pub(crate) folder: TempDir,
}

/// What a process has written.
pub(crate) struct Output(std::io::PipeReader);

impl Fixture {
    pub(crate) async fn new(id: &str) -> Self {
        Self::protecting(id, |_| Mounts::default()).await
    }

    pub(crate) async fn protecting(id: &str, mounts: fn(&Path) -> Mounts) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = Spec {
            id: id.to_owned(),
            folder: folder.path().to_owned(),
            mounts: mounts(folder.path()),
            limits: firesteel_sandbox::Limits::default(),
            init: InitProgram::CurrentExe,
        };
        let (sandbox, events) = Sandbox::create(spec).await.unwrap();
        Self { sandbox, events, folder }
    }

    /// Starts a shell script; both of its outputs come back as one.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Output {
        self.run(name, "/bin/sh", &["-c", script], &[("PATH", "/usr/bin:/bin")])
    }

    /// Starts a behaviour of [`crate::guest`].
    pub(crate) fn guest(&self, name: &str, arguments: &[&str]) -> Output {
        let executable = std::env::current_exe().unwrap();
        let arguments = [&[crate::GUEST], arguments].concat();
        self.run(name, executable.to_str().unwrap(), &arguments, &[])
    }

    pub(crate) fn run(
        &self,
        name: &str,
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Output {
        let (reading, writing) = std::io::pipe().unwrap();
        let program = Program {
            name: name.to_owned(),
            program: program.into(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            variables: variables
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect::<BTreeMap<_, _>>(),
            working_dir: self.folder.path().to_owned(),
        };
        let stderr: OwnedFd = writing.try_clone().unwrap().into();
        self.sandbox.spawn(Process { program, stdout: writing.into(), stderr }).unwrap();
        Output(reading)
    }

    pub(crate) async fn event(&mut self) -> Event {
        self.end_or_event().await.expect("there are more events")
    }

    pub(crate) async fn end_or_event(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event comes in time")
    }

    pub(crate) async fn started(&mut self) -> Pid {
        match self.event().await {
            Event::Started { pid, .. } => pid_of(pid),
            other => panic!("expected a start, got {other:?}"),
        }
    }

    /// Number of the first process, as its child's parent.
    pub(crate) fn first_process(&self, child: Pid) -> Pid {
        parent(child).expect("the child lives")
    }

    pub(crate) async fn close(self) {
        tokio::time::timeout(PATIENCE, self.sandbox.close()).await.expect("a sandbox closes in time");
    }
}

impl Output {
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            self.wait();
            match self.0.read(&mut byte).unwrap() {
                0 => panic!("the process ended after writing {:?}", String::from_utf8_lossy(&line)),
                _ if byte == *b"\n" => return String::from_utf8(line).unwrap(),
                _ => line.extend(byte),
            }
        }
    }

    pub(crate) fn pid(&mut self) -> Pid {
        pid_of(self.line().trim().parse().unwrap())
    }

    /// Everything until the last process that holds the output has ended.
    pub(crate) fn all(mut self) -> String {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            self.wait();
            match self.0.read(&mut chunk).unwrap() {
                0 => return String::from_utf8(text).unwrap(),
                n => text.extend_from_slice(&chunk[..n]),
            }
        }
    }

    fn wait(&self) {
        assert!(readable(&self.0), "the process writes in time");
    }
}

pub(crate) fn pid_of(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

/// A process to be watched to its end, whoever its parent is.
pub(crate) struct Watched(OwnedFd);

pub(crate) fn watch(pid: Pid) -> Watched {
    Watched(rustix::process::pidfd_open(pid, PidfdFlags::empty()).expect("the process still lives"))
}

impl Watched {
    /// Waits until it has ended.
    pub(crate) fn ends(&self) {
        assert!(readable(&self.0), "the process ends in time");
    }

    /// Whether it has ended already.
    pub(crate) fn ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }
}

/// Whether a process of this number exists, be it dead and unreaped.
pub(crate) fn exists(pid: Pid) -> bool {
    Path::new(&format!("/proc/{}", pid.as_raw_pid())).exists()
}

pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    status_field(pid, "PPid:").and_then(|text| Pid::from_raw(text.parse().ok()?))
}

pub(crate) fn status_field(pid: Pid, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

/// Looks until something holds; each look gives way to others, so nothing is slept through.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, patience).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn readable(descriptor: &impl AsFd) -> bool {
    let patience = Timespec { tv_sec: PATIENCE.as_secs().try_into().unwrap(), tv_nsec: 0 };
    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    loop {
        match rustix::event::poll(&mut polled, Some(&patience)) {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.unwrap() == 1,
        }
    }
}
