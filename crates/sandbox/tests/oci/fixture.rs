//! A backend with its folder, sandboxes with their events, and eyes on what they leave.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use firesteel_sandbox::namespace::{Network, Settings};
use firesteel_sandbox::oci::OciRuntime;
use firesteel_sandbox::{
    Backend, CreateError, Event, Events, Exit, InitProgram, Limits, Mounts, Process, Program, Sandbox, Spec,
};
use rustix::process::Pid;
use tempfile::TempDir;

/// Nothing here takes longer than a tenth of a second on its own; this is when a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Host {
    pub(crate) backend: Backend,
    pub(crate) runtime: &'static str,
    pub(crate) id: String,
    pub(crate) folder: TempDir,
}

pub(crate) struct Guest {
    pub(crate) sandbox: Sandbox,
    pub(crate) events: Events,
}

impl Host {
    /// Or why it cannot be.
    pub(crate) fn with(runtime: &'static str) -> Result<Self, String> {
        Self::with_network(runtime, Network::None)
    }

    pub(crate) fn with_network(runtime: &'static str, network: Network) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let found = OciRuntime::find(Some(runtime)).map_err(|error| error.to_string())?;
        if !rustix::process::geteuid().is_root() {
            return Err("containers are made by root only".to_owned());
        }
        let folder = tempfile::tempdir().unwrap();
        let id = format!("test-oci-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let backend = backend(found, &id, folder.path(), network);
        Ok(Self { backend, runtime, id, folder })
    }

    pub(crate) async fn guest(&self, id: &str) -> Guest {
        self.try_guest(id, Limits { tmp_mib: 16, ..Limits::default() }, Mounts::default()).await.unwrap()
    }

    pub(crate) async fn try_guest(
        &self,
        id: &str,
        limits: Limits,
        mounts: Mounts,
    ) -> Result<Guest, CreateError> {
        let spec = Spec {
            id: id.to_owned(),
            folder: self.folder.path().to_owned(),
            mounts,
            limits,
            init: InitProgram::CurrentExe,
        };
        let (sandbox, events) = self.backend.create(spec).await?;
        Ok(Guest { sandbox, events })
    }

    /// Folders of control groups of this server, of its sandboxes, and of a runtime that made some nevertheless.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        groups_of(&self.id)
    }

    /// What there is of containers that exist, in the runtime's lists and beside.
    pub(crate) fn containers(&self) -> Vec<PathBuf> {
        let folder = self.folder.path().join("oci");
        let listed = children(&folder.join("state"));
        let bundles = children(&folder).into_iter().filter(|path| path.join("config.json").exists());
        listed.into_iter().chain(bundles).collect()
    }

    pub(crate) async fn close(self) {
        self.backend.close().await;
        let Self { backend, id, folder, .. } = self;
        drop(backend);
        assert_eq!(groups_of(&id), Vec::<PathBuf>::new());
        // The kernel gives a device up a moment after its last mount.
        eventually("the disks are given up", || loop_devices(folder.path()).is_empty()).await;
    }
}

pub(crate) fn backend(runtime: OciRuntime, id: &str, folder: &Path, network: Network) -> Backend {
    let settings = Settings {
        id: id.to_owned(),
        folder: folder.to_owned(),
        blanks: 0,
        network,
        init: InitProgram::CurrentExe,
    };
    Backend::oci(settings, runtime).unwrap()
}

impl Guest {
    /// Starts a shell script; both of its outputs come back as one.
    pub(crate) fn shell(&self, name: &str, script: &str) -> Output {
        let (reading, writing) = std::io::pipe().unwrap();
        let program = Program {
            name: name.to_owned(),
            program: "/bin/bash".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            variables: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            working_dir: "/tmp".into(),
        };
        let stderr: OwnedFd = writing.try_clone().unwrap().into();
        self.sandbox.spawn(Process { program, stdout: writing.into(), stderr }).unwrap();
        Output(reading)
    }

    /// Runs a script to its end. What it wrote, and how it ended.
    pub(crate) async fn run(&mut self, script: &str) -> (String, Exit) {
        let output = self.shell("script", script);
        assert!(matches!(self.event().await, Event::Started { .. }));
        let text = tokio::task::spawn_blocking(move || output.all()).await.unwrap();
        match self.event().await {
            Event::Exited { status, .. } => (text, status),
            other => panic!("expected an end, got {other:?}"),
        }
    }

    pub(crate) async fn event(&mut self) -> Event {
        self.end_or_event().await.expect("there are more events")
    }

    pub(crate) async fn end_or_event(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event comes in time")
    }

    pub(crate) async fn close(self) {
        tokio::time::timeout(PATIENCE, self.sandbox.close()).await.expect("a sandbox closes in time");
    }
}

/// What a process has written.
pub(crate) struct Output(std::io::PipeReader);

impl Output {
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match self.0.read(&mut byte).unwrap() {
                0 => panic!("the process ended after writing {:?}", String::from_utf8_lossy(&line)),
                _ if byte == *b"\n" => return String::from_utf8(line).unwrap(),
                _ => line.extend(byte),
            }
        }
    }

    /// Everything until the last process that holds the output has ended.
    pub(crate) fn all(mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }
}

/// The first process of the only container there is: this process's child, and the first in its own namespace.
pub(crate) fn first_process() -> Pid {
    let me = std::process::id().to_string();
    let is_first = |pid: &Pid| {
        field(*pid, "PPid:").is_some_and(|parent| parent == me)
            && field(*pid, "NSpid:").is_some_and(|numbers| numbers.ends_with("\t1"))
            // That of a server that was killed has become this process's child too.
            && field(*pid, "State:").is_some_and(|state| !state.starts_with('Z'))
    };
    processes().into_iter().find(is_first).expect("there is a container")
}

pub(crate) fn processes() -> Vec<Pid> {
    let numbers = children(Path::new("/proc")).into_iter();
    numbers.filter_map(|path| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?)).collect()
}

pub(crate) fn field(pid: Pid, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_pid())).ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

pub(crate) fn groups_of(server: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = waiting.pop() {
        for child in children(&folder).into_iter().filter(|child| child.is_dir() && !child.is_symlink()) {
            let name = child.file_name().unwrap().to_str().unwrap();
            // What runtimes call containers, unless they do as they are told.
            if name.contains(server) || (name.starts_with('c') && name[1..].parse::<u32>().is_ok()) {
                found.push(child.clone());
            }
            waiting.push(child);
        }
    }
    found
}

/// Images in a folder that are attached to devices.
pub(crate) fn loop_devices(of: &Path) -> Vec<String> {
    let of = of.to_str().unwrap();
    let attached = children(Path::new("/sys/block")).into_iter();
    attached
        .filter_map(|device| fs::read_to_string(device.join("loop/backing_file")).ok())
        .filter(|file| file.starts_with(of))
        .collect()
}

pub(crate) fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
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
