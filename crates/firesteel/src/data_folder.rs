//! The folder that a run of the program keeps its things in, below `--data`.
//!
//! ```text
//!  DATA/runs/<id>/lock           held for as long as the run lives
//!                /environments/  one folder per execution environment
//!                /packages/      unpacked zips and layers
//!                /runtime/       the managed runtimes
//!                /images/        where container images are mounted
//!      /logs/                    what functions wrote; stays, within bounds (`logs/group.rs`)
//!      /images/                 container images (`images.rs`)
//!      /catalog.sqlite, …        what a server keeps (`kept.rs`)
//! ```
//!
//! A run removes its folder when it ends. One that was killed could not; the next run finds such folders by
//! their lock, which the kernel has released, and removes them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::exit::Failure;

/// In a run's folder.
#[cfg(target_os = "linux")]
const MOUNTS: &str = "images";

/// One run's folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes this run's folder below `data`, and removes those of runs that were killed.
    pub(crate) fn open(data: Option<&Path>) -> Result<Self, Failure> {
        let root = root(data)?;
        Self::open_in(&root).map_err(|error| unusable(&root, &error))
    }

    fn open_in(root: &Path) -> io::Result<Self> {
        let runs = root.join("runs");
        fs::create_dir_all(&runs)?;
        // Held by whoever makes or removes runs, so that a folder without a lock is nobody's.
        let beginning = File::open(&runs)?;
        beginning.lock()?;
        remove_abandoned(&runs)?;
        let path = runs.join(Uuid::new_v4().simple().to_string());
        fs::create_dir(&path)?;
        let lock = File::create(path.join("lock"))?;
        lock.lock()?;
        Ok(DataFolder { root: root.to_path_buf(), path, _lock: lock })
    }

    /// The run's name, like no other's.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).expect("runs are named by hexadecimal numbers")
    }

    /// The folder below which this run's is: what is kept in it outlives the run.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where logs are kept, which outlive the run. Not made yet.
    pub(crate) fn logs(&self) -> PathBuf {
        logs_below(&self.root)
    }

    /// Where container images are kept, which outlive the run. Not made yet.
    #[cfg(target_os = "linux")]
    pub(crate) fn images(&self) -> PathBuf {
        images_below(&self.root)
    }

    /// Where those of this run are mounted. Not made yet.
    #[cfg(target_os = "linux")]
    pub(crate) fn mounts(&self) -> PathBuf {
        self.path.join(MOUNTS)
    }

    /// A folder below this one, made if need be.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).map_err(|error| unusable(&path, &error))?;
        Ok(path)
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the run's folder could not be removed");
        }
    }
}

/// Where the runs on `data` keep their logs. Nothing is made, nobody needs to run.
pub(crate) fn logs(data: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(logs_below(&root(data)?))
}

/// Where container images are kept. Nothing is made.
pub(crate) fn images(data: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(images_below(&root(data)?))
}

fn images_below(root: &Path) -> PathBuf {
    root.join("images")
}

fn logs_below(root: &Path) -> PathBuf {
    root.join("logs")
}

/// The absolute path of `data`, or of the user's data folder.
fn root(data: Option<&Path>) -> Result<PathBuf, Failure> {
    match data {
        Some(data) => std::path::absolute(data).map_err(|error| unusable(data, &error)),
        None => default_data()
            .ok_or_else(|| Failure::usage("there is no home folder to keep data in").try_next("--data DIR")),
    }
}

fn remove_abandoned(runs: &Path) -> io::Result<()> {
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let path = entry.path();
        // Without one, it was being made or removed by a run that was killed.
        let lock = match File::open(path.join("lock")) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => continue,
        };
        if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) {
            continue;
        }
        tracing::info!(path = %path.display(), "removing what a killed run left");
        if let Err(error) = remove(&path) {
            tracing::warn!(%error, path = %path.display(), "a killed run's folder could not be removed");
        }
    }
    Ok(())
}

/// What another removes at the same time is removed, too.
fn remove(folder: &Path) -> io::Result<()> {
    // Nobody answers for what a killed run had mounted, and nothing could be removed in it.
    #[cfg(target_os = "linux")]
    firesteel_image::serve::remove_abandoned(&folder.join(MOUNTS))?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("the data folder {} cannot be used", path.display()))
        .because(error)
        .try_next("--data DIR with a folder that you may write to")
}

/// Where the platform's conventions put a user's data.
fn default_data() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data =
        absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join("firesteel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_removes_its_folder_and_those_of_killed_runs_but_not_of_living_ones() {
        let data = tempfile::tempdir().unwrap();
        let living = DataFolder::open(Some(data.path())).unwrap();
        let environments = living.subfolder("environments").unwrap();
        let abandoned = data.path().join("runs/0123");
        fs::create_dir_all(abandoned.join("environments/x")).unwrap();
        fs::write(abandoned.join("lock"), "").unwrap();
        let half_removed = data.path().join("runs/4567");
        fs::create_dir_all(half_removed.join("environments/x")).unwrap();

        let next = DataFolder::open(Some(data.path())).unwrap();
        assert!(!abandoned.exists());
        assert!(!half_removed.exists());
        assert!(environments.exists());

        let path = next.path.clone();
        drop(next);
        assert!(!path.exists());
        drop(living);
        assert_eq!(fs::read_dir(data.path().join("runs")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let data = tempfile::NamedTempFile::new().unwrap();
        let said = DataFolder::open(Some(data.path())).unwrap_err().to_string();
        assert!(said.contains("cannot be used") && said.contains("--data DIR"), "{said}");
    }
}
