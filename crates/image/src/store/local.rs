//! What a folder needs besides what all stores of objects do: they are written by renaming, and leave folders behind.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::place;
use crate::manifest::RootId;

/// Nothing takes as long to be written.
const UNFINISHED_FOR: Duration = Duration::from_secs(60 * 60);

/// Removes what is left of a root without objects: empty folders, and what was being written when a server was killed.
pub(super) async fn remove_root(folder: &Path, root: RootId) -> io::Result<()> {
    let folder = folder.join(place::root(root).as_ref());
    blocking(move || gone(fs::remove_dir_all(folder))).await
}

/// Removes states that were being written when a server was killed. The client of the folder calls them `NAME#NUMBER`.
pub(super) async fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let states = folder.join("state");
    blocking(move || {
        for entry in fs::read_dir(states)? {
            let entry = entry?;
            let is_unfinished = entry.file_name().as_encoded_bytes().contains(&b'#');
            let age =
                entry.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
            if is_unfinished && age.is_some_and(|age| age > UNFINISHED_FOR) {
                gone(fs::remove_file(entry.path()))?;
            }
        }
        Ok(())
    })
    .await
}

/// Another server tidies, too.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
