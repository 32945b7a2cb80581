//! The managed runtimes' own part, embedded in this binary and written out to be run.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::interpreter::Interpreters;
use crate::probe::{Environment, first_line};
use crate::runtime::Runtime;

/// Path below the runtime folder, and content.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/bootstraps.rs"));

/// What `python3.X` is given to run.
pub(crate) const PYTHON_ENTRY: &str = "python/bootstrap.py";
/// What `node` is given to run.
pub(crate) const NODEJS_ENTRY: &str = "nodejs/index.mjs";

/// The runtime folder could not be written. A matter of this host.
#[derive(Debug, thiserror::Error)]
#[error("writing {}", path.display())]
pub struct InstallError {
    /// File or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Writes the managed runtimes below `into`, which is made if need be.
///
/// May be repeated, and by several processes at once: a file that is already right is left alone, any
/// other is replaced whole, so that nobody ever reads half of one. Everybody may read what is in there, whatever the
/// umask: a function's process may be of another user than this one.
pub fn install_bootstraps(into: &Path) -> Result<(), InstallError> {
    for folder in folders(into) {
        open_to_all(&folder).map_err(|source| InstallError { path: folder, source })?;
    }
    for (name, content) in FILES {
        let path = into.join(name);
        if fs::read(&path).is_ok_and(|present| present == *content) {
            continue;
        }
        write(&path, content).map_err(|source| InstallError { path, source })?;
    }
    Ok(())
}

/// Compiles the Python runtime for the interpreter of `runtime`, once, so that no cold start has to: a fifth of its
/// time otherwise, as functions cannot write the result down. Of no effect for other runtimes.
///
/// Worth its tenth of a second for a server, not for a single invocation. A failure is none: what could not be
/// compiled before is compiled at every start.
pub fn compile_bootstraps(runtime: &Runtime, interpreters: &Interpreters, runtime_dir: &Path) {
    let Runtime::Python { minor } = runtime else { return };
    let Ok(interpreter) = interpreters.python(*minor) else { return };
    let Some(folder) = runtime_dir.join("python").to_str().map(str::to_owned) else { return };
    let _ =
        first_line(&interpreter.program, &["-I", "-c", COMPILE, &folder], Environment::Empty, COMPILE_LIMIT);
}

/// Ends with a line, which says that it is done.
const COMPILE: &str = "import compileall, os, sys; os.umask(0o022); compileall.compile_dir(sys.argv[1], quiet=2); \
     print('compiled')";
const COMPILE_LIMIT: Duration = Duration::from_secs(10);

/// `into` and every folder below it that files go to, outer ones first.
fn folders(into: &Path) -> BTreeSet<PathBuf> {
    let of_files = FILES.iter().filter_map(|(name, _)| Path::new(name).parent());
    of_files.flat_map(Path::ancestors).map(|folder| into.join(folder)).collect()
}

fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_python_runtime_is_compiled_for_the_interpreter_that_will_run_it() {
        let folder = TempDir::new().unwrap();
        install_bootstraps(folder.path()).unwrap();
        let interpreters = Interpreters::of_host();
        let minor = interpreters.newest_python().unwrap().version.minor;
        compile_bootstraps(&Runtime::Python { minor }, &interpreters, folder.path());
        let cache = folder.path().join("python/_firesteel/__pycache__");
        assert!(cache.join(format!("loop.cpython-3{minor}.pyc")).is_file(), "{cache:?}");
    }

    #[test]
    fn both_runtimes_are_embedded_without_their_tests() {
        let names: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&PYTHON_ENTRY) && names.contains(&NODEJS_ENTRY), "{names:?}");
        assert!(!names.iter().any(|name| name.contains("test") || name.contains("__pycache__")), "{names:?}");
    }

    #[test]
    fn installing_again_changes_only_what_is_wrong() {
        let folder = TempDir::new().unwrap();
        let into = folder.path().join("runtime");
        install_bootstraps(&into).unwrap();
        let (right, wrong) = (into.join(NODEJS_ENTRY), into.join(PYTHON_ENTRY));
        assert_eq!(fs::metadata(&right).unwrap().permissions().mode() & 0o777, 0o644);
        let before = fs::metadata(&right).unwrap().ino();
        let content = fs::read(&wrong).unwrap();
        fs::write(&wrong, "half of it").unwrap();
        install_bootstraps(&into).unwrap();
        assert_eq!(fs::metadata(&right).unwrap().ino(), before);
        assert_eq!(fs::read(&wrong).unwrap(), content);
        let left_over = fs::read_dir(into.join("python")).unwrap().flatten();
        assert!(left_over.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".tmp")));
    }

    #[test]
    fn everybody_may_read_what_is_installed() {
        let folder = TempDir::new().unwrap();
        let into = folder.path().join("runtime");
        for path in ["", "python", "nodejs"] {
            fs::create_dir(into.join(path)).unwrap();
            fs::set_permissions(into.join(path), Permissions::from_mode(0o700)).unwrap();
        }
        install_bootstraps(&into).unwrap();
        let mut seen = 0;
        let mut ahead = vec![into];
        while let Some(path) = ahead.pop() {
            let metadata = fs::metadata(&path).unwrap();
            let expected = if metadata.is_dir() { 0o755 } else { 0o644 };
            assert_eq!(metadata.permissions().mode() & 0o777, expected, "{path:?}");
            seen += 1;
            if metadata.is_dir() {
                ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        assert!(seen > FILES.len());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error = install_bootstraps(&folder.path().join("file")).unwrap_err();
        assert!(error.to_string().contains("file/"), "{error}");
    }
}
