//! The extensions of an environment: who there is, how far each has come, and which call it may make.
//!
//! ```text
//!  external: Started ─ register ─► Registered ─ next ─► Ready ◄──── next ──┐
//!  internal:          register ──────┘                    └─ an event ─► Running
//!
//!  Registered ─ init/error ─► InitError      Registered, Ready, Running ─ exit/error ─► ExitError
//!  Started ─ exec failed ─► LaunchError      external, others ─ its process ended ─► Exited
//! ```
//!
//! Part of the rules: synchronous, total, no I/O. Used by the lifecycles, which decide what a change means; what is
//! refused here leaves everything as it was.
//!
//! Matched behaviour: the published states of external and internal agents. An extension that is asked for by name is
//! external if its file was started, else internal; asking for an event a second time while the first call waits is
//! refused, unlike a runtime's.

use std::sync::Arc;

use firesteel_runtime_api::ExtensionRefusal;

use super::event::ExtensionFailure;

/// Most extensions of an environment, external and internal together.
pub const MAX_EXTENSIONS: usize = 10;

/// An extension by its place in the order of start and registration, while no reset comes between.
pub type Index = usize;

/// How far an extension has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Its process was started.
    Started,
    /// It has told its name and what it wants.
    Registered,
    /// It waits for an event.
    Ready,
    /// It has an event and has not asked for another.
    Running,
    /// It reported that it cannot begin.
    InitError,
    /// It reported that it is about to exit.
    ExitError,
    /// Its process ended.
    Exited,
    /// Its process could not be started.
    LaunchError,
}

impl Stage {
    /// As AWS prints it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stage::Started => "Started",
            Stage::Registered => "Registered",
            Stage::Ready => "Ready",
            Stage::Running => "Running",
            Stage::InitError => "InitError",
            Stage::ExitError => "ExitError",
            Stage::Exited => "Exited",
            Stage::LaunchError => "LaunchError",
        }
    }

    fn refuse(self, to: &'static str) -> ExtensionRefusal {
        ExtensionRefusal::Transition { from: self.name(), to }
    }
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// The name of its file, or the one it chose.
    pub name: Arc<str>,
    /// A process of its own, which the platform started.
    pub external: bool,
    /// How far it has come.
    pub stage: Stage,
    /// Events that it wants.
    pub invoke: bool,
    /// Likewise.
    pub shutdown: bool,
    /// It was told that the environment ends.
    pub told_of_shutdown: bool,
    /// Its process ended, or never began.
    pub exited: bool,
}

/// All extensions of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Extensions {
    /// Names of the files that are started with every init.
    files: Arc<[Arc<str>]>,
    members: Vec<Extension>,
}

impl Extensions {
    /// With these files, of which none is started yet.
    pub(crate) fn of_files(files: Arc<[Arc<str>]>) -> Self {
        Extensions { files, members: Vec::new() }
    }

    /// In the order of their indices.
    #[must_use]
    pub fn members(&self) -> &[Extension] {
        &self.members
    }

    /// Whether any are started with an init.
    pub(crate) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Every file is started: whatever was before is gone. False if there are more than may be.
    pub(crate) fn start(&mut self) -> bool {
        let started = |name: &Arc<str>| Extension {
            name: Arc::clone(name),
            external: true,
            stage: Stage::Started,
            invoke: false,
            shutdown: false,
            told_of_shutdown: false,
            exited: false,
        };
        self.members = self.files.iter().map(started).collect();
        for surplus in self.members.iter_mut().skip(MAX_EXTENSIONS) {
            (surplus.stage, surplus.exited) = (Stage::LaunchError, true);
        }
        self.members.len() <= MAX_EXTENSIONS
    }

    /// No process is left.
    pub(crate) fn clear(&mut self) {
        self.members.clear();
    }

    /// A registration, by name. `open` is whether internal ones may still come.
    pub(crate) fn register(
        &mut self,
        name: &Arc<str>,
        invoke: bool,
        shutdown: bool,
        open: bool,
    ) -> Result<Index, ExtensionRefusal> {
        let known = self.members.iter().position(|known| known.name == *name);
        if let Some(index) = known.filter(|index| self.members[*index].external) {
            let extension = &mut self.members[index];
            if extension.stage != Stage::Started {
                return Err(extension.stage.refuse("Registered"));
            }
            (extension.stage, extension.invoke, extension.shutdown) = (Stage::Registered, invoke, shutdown);
            return Ok(index);
        }
        if shutdown {
            return Err(ExtensionRefusal::ShutdownNotSupported);
        }
        if !open {
            return Err(ExtensionRefusal::RegistrationClosed);
        }
        if known.is_some() {
            return Err(ExtensionRefusal::NameTaken);
        }
        if self.members.len() >= MAX_EXTENSIONS {
            return Err(ExtensionRefusal::TooMany);
        }
        self.members.push(Extension {
            name: Arc::clone(name),
            external: false,
            stage: Stage::Registered,
            invoke,
            shutdown: false,
            told_of_shutdown: false,
            exited: false,
        });
        Ok(self.members.len() - 1)
    }

    /// `event/next`
    pub(crate) fn ask(&mut self, index: Index) -> Result<(), ExtensionRefusal> {
        let extension = self.member(index)?;
        match extension.stage {
            Stage::Registered | Stage::Running => {
                extension.stage = Stage::Ready;
                Ok(())
            }
            other => Err(other.refuse("Ready")),
        }
    }

    /// `init/error`. The failure that it is, if that is final: one with a process of its own is given the time to end
    /// it, and fails with that.
    pub(crate) fn init_error(&mut self, index: Index) -> Result<Option<ExtensionFailure>, ExtensionRefusal> {
        let extension = self.member(index)?;
        match extension.stage {
            Stage::Registered => {
                extension.stage = Stage::InitError;
                Ok((!extension.external).then_some(ExtensionFailure::InitError(index)))
            }
            Stage::InitError => Ok(None),
            other => Err(other.refuse("InitError")),
        }
    }

    /// `exit/error`. As [`Extensions::init_error`].
    pub(crate) fn exit_error(&mut self, index: Index) -> Result<Option<ExtensionFailure>, ExtensionRefusal> {
        let extension = self.member(index)?;
        match extension.stage {
            Stage::Registered | Stage::Ready | Stage::Running => {
                extension.stage = Stage::ExitError;
                Ok((!extension.external).then_some(ExtensionFailure::ExitError(index)))
            }
            Stage::ExitError => Ok(None),
            other => Err(other.refuse("ExitError")),
        }
    }

    /// Its process could not be started.
    pub(crate) fn launch_failed(&mut self, index: Index) -> Result<ExtensionFailure, ExtensionRefusal> {
        let extension = self.member(index)?;
        (extension.stage, extension.exited) = (Stage::LaunchError, true);
        Ok(ExtensionFailure::Launch(index))
    }

    /// Its process ended. What it had reported before is the reason.
    pub(crate) fn exited(&mut self, index: Index) -> Result<ExtensionFailure, ExtensionRefusal> {
        let extension = self.member(index)?;
        extension.exited = true;
        Ok(match extension.stage {
            Stage::InitError => ExtensionFailure::InitError(index),
            Stage::ExitError => ExtensionFailure::ExitError(index),
            _ => {
                extension.stage = Stage::Exited;
                ExtensionFailure::Crash(index)
            }
        })
    }

    /// Every process that was started has registered.
    pub(crate) fn all_registered(&self) -> bool {
        self.members.iter().all(|extension| extension.stage != Stage::Started)
    }

    /// Everybody has asked for an event: the last condition of an init.
    pub(crate) fn all_ready(&self) -> bool {
        self.members.iter().all(|extension| extension.stage == Stage::Ready)
    }

    /// Everybody who was given the invocation has asked for another event.
    pub(crate) fn invocation_is_over(&self) -> bool {
        self.members.iter().all(|extension| !extension.invoke || extension.stage == Stage::Ready)
    }

    /// Hands an event to everybody who waits and wants invocations.
    pub(crate) fn deliver_invocation(&mut self) -> impl Iterator<Item = Index> + '_ {
        self.members.iter_mut().enumerate().filter_map(|(index, extension)| {
            let wants = extension.invoke && extension.stage == Stage::Ready;
            wants.then(|| extension.stage = Stage::Running).map(|()| index)
        })
    }

    pub(crate) fn any_external(&self) -> bool {
        self.members.iter().any(|extension| extension.external)
    }

    /// Tells an extension that waits of the end, if it wants to know and was not told. True when it is told.
    pub(crate) fn tell_of_shutdown(&mut self, index: Index) -> bool {
        let Some(extension) = self.members.get_mut(index) else { return false };
        let tell = extension.external
            && extension.shutdown
            && extension.stage == Stage::Ready
            && !extension.told_of_shutdown;
        if tell {
            (extension.stage, extension.told_of_shutdown) = (Stage::Running, true);
        }
        tell
    }

    /// External ones whose process runs and that are not interested in the end.
    pub(crate) fn not_interested_in_shutdown(&self) -> impl Iterator<Item = Index> + '_ {
        self.running_processes().filter(|index| !self.members[*index].shutdown)
    }

    /// Whether a process runs that is to be waited for at the end.
    pub(crate) fn end_is_awaited(&self) -> bool {
        self.running_processes().any(|index| self.members[index].shutdown)
    }

    fn running_processes(&self) -> impl Iterator<Item = Index> + '_ {
        let runs = |extension: &Extension| extension.external && !extension.exited;
        self.members.iter().enumerate().filter(move |(_, extension)| runs(extension)).map(|(index, _)| index)
    }

    fn member(&mut self, index: Index) -> Result<&mut Extension, ExtensionRefusal> {
        self.members.get_mut(index).ok_or(ExtensionRefusal::UnknownIdentifier)
    }
}
