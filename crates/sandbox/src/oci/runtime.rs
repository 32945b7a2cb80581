//! An OCI runtime of the host: which, and how it is started.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use firesteel_sandbox_init::oci_runtime::{Call, MODE};

/// Where runtimes are looked for. Not in the server's search path: they are executed as root.
const FOLDERS: [&str; 6] =
    ["/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin", "/run/current-system/sw/bin", "/opt/bin"];

/// Those that are taken unasked, the quickest first.
const KNOWN: [&str; 3] = ["crun", "youki", "runc"];

/// Those whose containers have a kernel of their own.
const APART: [&str; 3] = ["runsc", "kata", "kata-runtime"];

/// A runtime that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OciRuntime {
    path: PathBuf,
    kind: Kind,
    version: String,
}

/// How runtimes differ from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crun,
    Runc,
    /// Nothing is known of it but what the specification says.
    Other,
}

/// Why there is no runtime to be used.
#[derive(Debug, thiserror::Error)]
pub enum FindRuntimeError {
    /// None at all.
    #[error("no OCI runtime is installed: try `apt install crun`")]
    None,
    /// Not the one that was asked for.
    #[error("the OCI runtime {name} is not installed")]
    Missing {
        /// As it was asked for.
        name: String,
    },
    /// It does not say what it is.
    #[error("the OCI runtime {} does not tell its version", path.display())]
    Mute {
        /// Of its program.
        path: PathBuf,
        /// What happened instead.
        #[source]
        source: io::Error,
    },
    /// Its containers have a kernel of their own, so no sockets and pipes of this one can be handed in and out, as which the
    /// Runtime API and the output of functions come and go.
    #[error(
        "the OCI runtime {name} keeps containers apart from this kernel, so that no sockets can be handed out of them: \
         use crun, youki or runc; or start the whole server in a machine of its own"
    )]
    Apart {
        /// As it calls itself.
        name: String,
    },
}

impl OciRuntime {
    /// Looks for one by its name or absolute path, or without either, for the best there is. Starts it to ask for its version,
    /// which blocks for some ten milliseconds.
    ///
    /// # Errors
    /// See [`FindRuntimeError`].
    pub fn find(name: Option<&str>) -> Result<Self, FindRuntimeError> {
        match name {
            None => Self::at(KNOWN.iter().find_map(|name| installed(name)).ok_or(FindRuntimeError::None)?),
            Some(name) if APART.contains(&name) => Err(FindRuntimeError::Apart { name: name.to_owned() }),
            Some(name) => {
                let path = if name.starts_with('/') { is_file(PathBuf::from(name)) } else { installed(name) };
                Self::at(path.ok_or_else(|| FindRuntimeError::Missing { name: name.to_owned() })?)
            }
        }
    }

    fn at(path: PathBuf) -> Result<Self, FindRuntimeError> {
        let version = match version(&path) {
            Ok(version) => version,
            Err(source) => return Err(FindRuntimeError::Mute { path, source }),
        };
        // By what it says rather than by its file, which may be called anything.
        let name = version.split_whitespace().next().unwrap_or_default();
        if APART.contains(&name) {
            return Err(FindRuntimeError::Apart { name: name.to_owned() });
        }
        let kind = match name {
            "crun" => Kind::Crun,
            "runc" => Kind::Runc,
            _ => Kind::Other,
        };
        Ok(OciRuntime { path, kind, version })
    }

    /// Its program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name and version, in its own words, such as `crun version 1.8.1`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether a mount of its making can show files as another user's.
    pub(super) fn can_map_owners(&self) -> bool {
        self.kind == Kind::Crun
    }
}

fn installed(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().find_map(|folder| is_file(Path::new(folder).join(name)))
}

fn is_file(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}

fn version(path: &Path) -> io::Result<String> {
    let output = Command::new(path).arg("--version").env_clear().stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().next().map(str::trim) {
        Some(line) if output.status.success() && !line.is_empty() => Ok(line.to_owned()),
        _ => Err(io::Error::other(format!("it ended with {}", output.status))),
    }
}

/// Starts the runtime, always in the same surroundings.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) runtime: OciRuntime,
    /// The server's program, which becomes the runtime.
    pub(super) starter: PathBuf,
    /// Where the runtime keeps its lists.
    pub(super) state: PathBuf,
    /// See [`Call`].
    pub(super) groups: Vec<PathBuf>,
    /// See [`Call`].
    pub(super) cgroup2: PathBuf,
    /// The group it begins in, as seen from there.
    pub(super) place: Option<String>,
}

impl Caller {
    /// The runtime with these arguments, to be given its input and outputs.
    pub(super) fn command(&self, arguments: &[&str]) -> io::Result<Command> {
        let state = self.state.to_str().ok_or_else(|| not_unicode(&self.state))?;
        let (flags, makes_groups): (&[&str], bool) = match self.runtime.kind {
            Kind::Crun => (&["--cgroup-manager=disabled"], false),
            // What it does without when it is told to have no root's rights over control groups, and finds that true.
            Kind::Runc => (&["--rootless=true"], false),
            Kind::Other => (&[], true),
        };
        let root = ["--root", state];
        let call = Call {
            groups: self.groups.clone(),
            cgroup2: self.cgroup2.clone(),
            makes_groups,
            program: self.runtime.path.clone(),
            arguments: root
                .iter()
                .chain(flags)
                .chain(arguments)
                .map(|&argument| argument.to_owned())
                .collect(),
        };
        let mut command = Command::new(&self.starter);
        command.arg(MODE).arg(serde_json::to_string(&call)?).env_clear();
        Ok(command)
    }

    /// The control group of a container, where its runtime makes one.
    pub(super) fn cgroups_path(&self, name: &str) -> Option<String> {
        match self.runtime.kind {
            Kind::Crun | Kind::Runc => None,
            Kind::Other => self.place.as_ref().map(|place| format!("{place}/{name}")),
        }
    }
}

pub(super) fn not_unicode(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not Unicode", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_with_a_kernel_of_their_own_are_refused_with_what_to_do() {
        for name in APART {
            let error = OciRuntime::find(Some(name)).unwrap_err();
            assert!(matches!(error, FindRuntimeError::Apart { .. }), "{error:?}");
            assert!(error.to_string().contains("use crun"), "{error}");
        }
    }

    #[test]
    fn what_a_runtime_is_is_told_by_itself_and_not_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        let write = |says: &str| {
            // Beside it and then in its place: what is being executed cannot be written to.
            let new = folder.path().join("new");
            std::fs::write(&new, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
            std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::rename(new, &path).unwrap();
            OciRuntime::find(path.to_str())
        };
        let crun = write("crun version 9.9").unwrap();
        assert_eq!((crun.kind, crun.version()), (Kind::Crun, "crun version 9.9"));
        assert!(matches!(write("runsc version release-1"), Err(FindRuntimeError::Apart { .. })));
        assert!(matches!(write(""), Err(FindRuntimeError::Mute { .. })));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = OciRuntime::find(Some("no-such-runtime")).unwrap_err();
        assert_eq!(error.to_string(), "the OCI runtime no-such-runtime is not installed");
        assert!(OciRuntime::find(Some("/no/such/runtime")).is_err());
    }
}
