//! A backend with a folder of its own, sandboxes of it, and what was there before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use firesteel_sandbox::namespace::{Network, Settings};
use firesteel_sandbox::{
    Backend, Bind, CreateError, Event, Events, Exit, InitProgram, Limits, Mounts, Process, Program, Sandbox,
    Spec,
};
use tempfile::TempDir;

/// Nothing here takes longer than a second; this is when a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const MIB: u64 = 1024 * 1024;

pub(crate) struct Fixture {
    pub(crate) backend: Backend,
    pub(crate) folder: TempDir,
    pub(crate) id: String,
}

pub(crate) struct Sandboxed {
    pub(crate) sandbox: Sandbox,
    pub(crate) events: Events,
}

pub(crate) const LIMITS: Limits =
    Limits { memory_bytes: Some(128 * MIB), processes: Some(64), cpu: None, tmp_mib: 512 };

impl Fixture {
    pub(crate) fn new(blanks: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id =
            format!("test-{}", folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.'));
        let settings = Settings {
            id: id.clone(),
            folder: folder.path().to_owned(),
            blanks,
            network: Network::None,
            init: InitProgram::CurrentExe,
        };
        Fixture { backend: Backend::namespace(settings).unwrap(), folder, id }
    }

    pub(crate) async fn sandbox(&self, id: &str) -> Sandboxed {
        self.sandbox_with(id, LIMITS, Vec::new()).await
    }

    pub(crate) async fn sandbox_with(&self, id: &str, limits: Limits, binds: Vec<Bind>) -> Sandboxed {
        let (sandbox, events) = self.create(id, limits, binds).await.unwrap();
        Sandboxed { sandbox, events }
    }

    /// With this of the host as its code.
    pub(crate) async fn try_sandbox(&self, code: PathBuf) -> Result<(Sandbox, Events), CreateError> {
        let bind = Bind { from: code, at: "/var/task".into(), read_only: true };
        self.create("a", LIMITS, vec![bind]).await
    }

    pub(crate) async fn sandbox_of(&self, id: &str, mounts: Mounts) -> Sandboxed {
        let (sandbox, events) = self.try_sandbox_of(id, mounts).await.unwrap();
        Sandboxed { sandbox, events }
    }

    pub(crate) async fn try_sandbox_of(
        &self,
        id: &str,
        mounts: Mounts,
    ) -> Result<(Sandbox, Events), CreateError> {
        self.create_with(id, LIMITS, mounts).await
    }

    async fn create(
        &self,
        id: &str,
        limits: Limits,
        binds: Vec<Bind>,
    ) -> Result<(Sandbox, Events), CreateError> {
        self.create_with(id, limits, Mounts { binds, ..Mounts::default() }).await
    }

    async fn create_with(
        &self,
        id: &str,
        limits: Limits,
        mounts: Mounts,
    ) -> Result<(Sandbox, Events), CreateError> {
        let spec = Spec {
            id: id.to_owned(),
            folder: self.folder.path().to_owned(),
            mounts,
            limits,
            init: InitProgram::CurrentExe,
        };
        let made = tokio::time::timeout(PATIENCE, self.backend.create(spec)).await;
        made.expect("a sandbox is made, or not, in time")
    }

    /// Ends it, and sees to it that nothing of it is left.
    pub(crate) async fn close(self) {
        tokio::time::timeout(PATIENCE, self.backend.close()).await.expect("a backend closes in time");
        let Fixture { backend, folder, id } = self;
        drop(backend);
        assert_eq!(control_groups(&id), BTreeSet::new(), "control groups are left");
        let image = folder.path().to_str().unwrap().to_owned();
        eventually("no loop device is left", || {
            !loop_devices().iter().any(|backing| backing.contains(&image))
        })
        .await;
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(&image), "mounts are left: {mounts}");
    }
}

impl Sandboxed {
    /// Starts a shell script; both of its outputs come back as one.
    pub(crate) fn start(&self, name: &str, script: &str) -> std::io::PipeReader {
        let (reading, writing) = std::io::pipe().unwrap();
        let program = Program {
            name: name.to_owned(),
            program: "/bin/sh".into(),
            arguments: ["-c", script].map(str::to_owned).into(),
            variables: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin:/usr/sbin".to_owned())]),
            working_dir: PathBuf::from("/tmp"),
        };
        let stderr = writing.try_clone().unwrap().into();
        self.sandbox.spawn(Process { program, stdout: writing.into(), stderr }).unwrap();
        reading
    }

    /// Runs a shell script to its end.
    pub(crate) async fn run(&mut self, script: &str) -> (Exit, String) {
        let mut output = self.start("script", script);
        assert!(matches!(self.event().await, Event::Started { .. }));
        let read = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            output.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).trim_end().to_owned()
        });
        let text = tokio::time::timeout(PATIENCE, read).await.expect("a script ends in time").unwrap();
        match self.event().await {
            Event::Exited { status, .. } => (status, text),
            other => panic!("expected the end of the script, got {other:?}"),
        }
    }

    /// What a script prints that succeeds.
    pub(crate) async fn says(&mut self, script: &str) -> String {
        let (exit, text) = self.run(script).await;
        assert_eq!(exit, Exit::Code(0), "{script}: {text}");
        text
    }

    pub(crate) async fn event(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv()).await.expect("an event comes in time").unwrap()
    }

    pub(crate) async fn close(self) {
        tokio::time::timeout(PATIENCE, self.sandbox.close()).await.expect("a sandbox closes in time");
    }
}

/// Those of a backend, in every hierarchy.
pub(crate) fn control_groups(id: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(id) {
                    found.insert(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

/// The files behind those that are in use.
pub(crate) fn loop_devices() -> Vec<String> {
    let devices = fs::read_dir("/sys/block").unwrap().flatten();
    devices.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok()).collect()
}

/// Host numbers of the processes whose command line holds a text.
pub(crate) fn processes_with(text: &str) -> Vec<i32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
        })
        .collect()
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
